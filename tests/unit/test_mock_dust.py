"""The dust of the mock sky: its statistics, its interpolation, its file."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.interpolate import RegularGridInterpolator

from mwatlas.config.conditional_mock import MockDust
from mwatlas.errors import InputError
from mwatlas.studies.conditional_potential.dust import DustField

HALF_WIDTH = 8.0


def _field(seed: int = 5, **changes: float) -> DustField:
    return DustField.draw(MockDust(**{"modes": 32, **changes}), HALF_WIDTH, seed)


@pytest.mark.parametrize(("sigma", "mean"), [(1.0, -0.5), (0.3, 0.2)])
def test_mean_and_variance_are_exact_in_every_draw(sigma: float, mean: float) -> None:
    for seed in range(3):
        log_density = np.log(_field(seed, sigma_ln=sigma, mean_ln=mean).density.astype(float))
        # Single precision: 6e-8 of each density, which is an error of 6e-8 in its logarithm.
        assert log_density.mean() == pytest.approx(mean, abs=1e-7)
        assert log_density.std() == pytest.approx(sigma, abs=1e-7)


@pytest.mark.parametrize("slope", [3.0, 11 / 3])
def test_the_spectrum_has_its_slope(slope: float) -> None:
    cells = 64
    log_density = np.log(_field(3, modes=cells, spectral_slope=slope).density.astype(float))
    power = np.abs(np.fft.fftn(log_density)) ** 2
    wave = np.fft.fftfreq(cells, 1 / cells)
    k = np.sqrt(wave[:, None, None] ** 2 + wave[None, :, None] ** 2 + wave**2)
    some = (k >= 4) & (k <= 30)
    x = np.log(k[some])
    # ln of an exponential variate scatters by pi / sqrt(6), and each wave comes twice.
    error = np.pi / np.sqrt(6) / np.sqrt(0.5 * ((x - x.mean()) ** 2).sum())
    assert error < 0.02
    assert -np.polyfit(x, np.log(power[some]), 1)[0] == pytest.approx(slope, abs=4 * error)


def test_between_cells_the_density_is_trilinear() -> None:
    field = _field()
    centres = (np.arange(32) + 0.5) * field.cell_kpc - HALF_WIDTH
    reference = RegularGridInterpolator((centres,) * 3, field.density.astype(float))
    places = np.random.default_rng(1).uniform(centres[0], centres[-1], (5000, 3))
    np.testing.assert_allclose(field.at(places), reference(places), rtol=1e-10)


def test_axes_and_cells_are_where_they_should_be() -> None:
    field = _field()
    centre = (np.array([3, 17, 29]) + 0.5) * field.cell_kpc - HALF_WIDTH
    # Places are known to 1e-15 of the cube, which is 1e-13 of a cell.
    assert field.at(centre[None])[0] == pytest.approx(float(field.density[3, 17, 29]), rel=1e-10)


def test_the_cube_repeats_without_a_seam() -> None:
    field = _field()
    places = np.random.default_rng(2).uniform(-HALF_WIDTH, HALF_WIDTH, (500, 3))
    shifted = places + np.array([2 * HALF_WIDTH, 0, -2 * HALF_WIDTH])
    np.testing.assert_allclose(field.at(shifted), field.at(places), rtol=1e-10)
    edge = np.array([[HALF_WIDTH, 1.0, 1.0], [-HALF_WIDTH, 1.0, 1.0]])
    values = field.at(edge)
    assert values[0] == pytest.approx(values[1], rel=1e-10)


def test_a_seed_gives_one_field_and_strength_scales_it() -> None:
    field = _field()
    np.testing.assert_array_equal(field.density, _field().density)
    assert (field.density != _field(6).density).all()
    # A power of two is exact.
    np.testing.assert_array_equal(_field(strength=0.25).density, 0.25 * field.density)
    assert not _field(strength=0.0).density.any()


def test_shapes_of_places_are_kept() -> None:
    assert _field().at(np.zeros((4, 5, 3))).shape == (4, 5)


def test_a_file_has_units_and_the_same_bytes(tmp_path: Path) -> None:
    field = _field()
    for name in ("a.h5", "b.h5"):
        field.save(tmp_path / name)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["density"].attrs["unit"] == "mag / kpc"
        assert file["half_width"].attrs["unit"] == "kpc"
    loaded = DustField.load(tmp_path / "a.h5")
    np.testing.assert_array_equal(loaded.density, field.density)
    assert loaded.density.dtype == np.float32
    assert loaded.half_width_kpc == HALF_WIDTH


def test_files_that_are_no_field_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        DustField.load(tmp_path / "absent.h5")
    truncated = tmp_path / "truncated.h5"
    _field().save(truncated)
    truncated.write_bytes(truncated.read_bytes()[:1000])
    with pytest.raises(InputError, match=r"truncated\.h5"):
        DustField.load(truncated)
    other = tmp_path / "other.h5"
    with h5py.File(other, "w") as file:
        file["density"] = np.zeros((2, 2, 2))
        file["density"].attrs["unit"] = "mag / pc"
    with pytest.raises(InputError, match=r"density in mag / pc") as raised:
        DustField.load(other)
    assert raised.value.item == "density, half_width"
