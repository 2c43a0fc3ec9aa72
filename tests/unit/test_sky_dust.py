"""The sky's dust: its clumps, its disc, the extinction map and its queries."""

import logging
import subprocess
import sys
from pathlib import Path

import healpy
import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import Galactocentric, SkyCoord
from pydantic import ValidationError
from scipy.integrate import quad
from scipy.ndimage import map_coordinates

from mwatlas.config.sky_dust import Dust
from mwatlas.photometry import EXTINCTION_RATIOS
from mwatlas.progress import Progress
from mwatlas.random import block_generator
from mwatlas.sky.dust import SkyDust
from mwatlas.sky.dust_density import DustDensity, log_density_field
from mwatlas.sky.galaxy import SKY_FRAME

LOCAL, LENGTH, HEIGHT = 0.7, 3.19, 0.103
VALUES = {
    "local_a_v_per_kpc": LOCAL,
    "scale_length_kpc": LENGTH,
    "scale_height_kpc": HEIGHT,
    "sigma_ln": 1.0,
    "spectral_slope": 3.0,
    "box_kpc": 4.0,
    "box_cells": 128,
    "nside": 64,
    "n_distances": 100,
    "max_distance_kpc": 30.0,
}
# The same disc on a coarse map with small cubes, for many draws.
SMALL = {**VALUES, "box_kpc": 1.0, "box_cells": 32, "nside": 2, "n_distances": 20}
R0, Z_SUN = 8.122, 0.0208
PROGRESS = Progress("test", logging.getLogger("mwatlas"))


def _map(seed: int, **changes: float) -> SkyDust:
    return SkyDust.compute(Dust(**{**VALUES, **changes}), seed, PROGRESS)


@pytest.fixture(scope="module")
def dust() -> SkyDust:
    return _map(20221)


@pytest.fixture(scope="module")
def smooth() -> SkyDust:
    return _map(1, sigma_ln=0.0, nside=8)


def _disc(r: float, l_deg: float, b_deg: float) -> float:
    """Extinction per kpc of the disc, in axes tied to the Sun: an implementation of its own."""
    lon, lat = np.radians(l_deg), np.radians(b_deg)
    # The Galactic plane through the Sun tilts down to the Galactic Centre.
    tilt = np.arcsin(Z_SUN / R0)
    toward, up = r * np.cos(lat) * np.cos(lon) - R0, r * np.sin(lat)
    x = toward * np.cos(tilt) + up * np.sin(tilt)
    z = up * np.cos(tilt) - toward * np.sin(tilt)
    radius = np.hypot(x, r * np.cos(lat) * np.sin(lon))
    return LOCAL * np.exp(-(radius - R0) / LENGTH - abs(z) / HEIGHT)


# --- the random field


@pytest.mark.parametrize("slope", [3.0, 11 / 3])
def test_the_field_has_the_slope_asked_for(slope: float) -> None:
    cells = 64
    field = log_density_field(cells, slope, 1.0, block_generator(3, "test/slope", 0))
    power = np.abs(np.fft.fftn(field)) ** 2
    wave = np.fft.fftfreq(cells, 1 / cells)
    k = np.sqrt(wave[:, None, None] ** 2 + wave[None, :, None] ** 2 + wave**2)
    some = (k >= 4) & (k <= 30)
    # ln of an exponential variate has standard deviation pi / sqrt(6), and each wave comes
    # twice (k and -k). Fitted over waves, the error of the slope is that of a straight line.
    x = np.log(k[some])
    error = np.pi / np.sqrt(6) / np.sqrt(0.5 * ((x - x.mean()) ** 2).sum())
    assert error < 0.02
    assert -np.polyfit(x, np.log(power[some]), 1)[0] == pytest.approx(slope, abs=4 * error)


def test_the_field_has_the_mean_and_variance_asked_for() -> None:
    sigma, cells, draws = 0.8, 32, 40
    variances = []
    for draw in range(draws):
        field = log_density_field(cells, 3.0, sigma, block_generator(5, "test/field", draw))
        # No power at k = 0: the mean has rounding errors only.
        assert field.mean() == pytest.approx(-(sigma**2) / 2, abs=1e-12)
        variances.append(field.var())
    error = np.std(variances) / np.sqrt(draws)
    assert error < 0.02 * sigma**2
    assert np.mean(variances) == pytest.approx(sigma**2, abs=4 * error)


def test_clumps_are_coherent_and_periodic() -> None:
    field = log_density_field(64, 3.0, 1.0, block_generator(7, "test/field", 0))
    field -= field.mean()

    def correlation(shift: int) -> float:
        return float((field * np.roll(field, shift, axis=0)).mean() / field.var())

    # White noise has 0 +- 0.002. Across the seam of the cube neighbours are alike as elsewhere.
    assert correlation(1) > 0.7
    assert correlation(1) > correlation(4) > correlation(16)
    seam, inside = field[0] - field[-1], np.diff(field, axis=0)
    assert seam.std() == pytest.approx(inside.std(), rel=0.1)


# --- the smooth disc


@pytest.mark.parametrize(
    ("l_deg", "b_deg"), [(0, 0), (0, 1), (30, -2), (90, 0), (180, 0), (220, -30), (10, 70)]
)
@pytest.mark.parametrize("distance", [0.3, 2.0, 8.0, 15.0])
def test_without_clumps_the_integral_is_that_of_the_disc(
    l_deg: float, b_deg: float, distance: float
) -> None:
    settings = Dust(**{**VALUES, "sigma_ln": 0.0, "box_cells": 16, "box_kpc": 0.5})
    density = DustDensity.draw(settings, block_generator(1, "test/disc", 0))
    rotation, sun = SKY_FRAME.affine()
    icrs = SkyCoord(l_deg, b_deg, unit="deg", frame="galactic").icrs.cartesian.xyz.value
    found = density.a_v(sun, (rotation @ icrs)[None], np.array([0.0, distance]))[0, 1]
    crossing = [Z_SUN / np.sin(np.radians(-b_deg))] if b_deg < 0 else []
    ridge = [R0 * np.cos(np.radians(l_deg))] if distance > R0 else []
    expected = quad(_disc, 0, distance, (l_deg, b_deg), points=crossing + ridge or None, limit=400)
    # Trapezoidal rule: (step / scale)**2 / 12 of the integral, where steps are half cells of
    # 0.031 kpc and the scale is at least the height; as much again where the plane is crossed.
    # The Galactic Centre is 1e-5 kpc from (0, 0), which is 1e-4 of a scale height.
    tolerance = 2 * (0.0156 / HEIGHT) ** 2 / 12 + 1e-4
    assert found == pytest.approx(expected[0], rel=tolerance)


def test_the_column_to_the_poles_is_the_closed_form(smooth: SkyDust) -> None:
    north = LOCAL * HEIGHT * np.exp(-Z_SUN / HEIGHT)
    south = LOCAL * HEIGHT * (2 - np.exp(-Z_SUN / HEIGHT))
    settings = Dust(**{**VALUES, "sigma_ln": 0.0, "box_cells": 16, "box_kpc": 0.1})
    density = DustDensity.draw(settings, block_generator(1, "test/disc", 0))
    sight = np.array([[0.0, 0.0, 1.0], [0.0, 0.0, -1.0]])
    found = density.a_v(SKY_FRAME.affine()[1], sight, np.array([0.0, 4.0]))[:, 1]
    # Cells of 0.1 / 16 kpc: the trapezoidal rule errs by 8e-5, and as much at the plane.
    np.testing.assert_allclose(found, [north, south], rtol=2e-4)
    # The map averages the pixels about the pole, 5 degrees across: 1 / sin(b) adds under 1%.
    np.testing.assert_allclose(smooth.a_v(0, [90, -90], 30), [north, south], rtol=0.01)


# --- clumps and disc together


def test_the_integral_agrees_with_another_implementation() -> None:
    settings = Dust(**{**SMALL, "nside": 1})
    density = DustDensity.draw(settings, block_generator(2, "test/both", 0))
    rotation, sun = SKY_FRAME.affine()
    l_deg, b_deg = np.array([0.0, 45.0, 130.0, 280.0]), np.array([0.0, -3.0, 10.0, 60.0])
    sky = SkyCoord(l_deg, b_deg, unit="deg", frame="galactic")
    sight = np.ascontiguousarray((rotation @ sky.icrs.cartesian.xyz.value).T)
    nodes = np.array([0.0, 0.5, 3.0])
    found = density.a_v(sun, sight, nodes)
    r = np.linspace(0, 3.0, 30_001)
    for n in range(len(sight)):
        cube = (r[:, None] * sight[n]) @ density.rotation.T / (1.0 / 32)
        clumps = map_coordinates(density.clumps, cube.T, order=1, mode="grid-wrap")
        profile = _disc(r, l_deg[n], b_deg[n]) * clumps
        for m in (1, 2):
            expected = np.trapezoid(np.where(r <= nodes[m], profile, 0), r)
            # A bend of slope s within a step h costs h**2 s / 8. Clumps change by 0.6 of their
            # size per cell (their correlation between cells is 0.8) and h is half a cell, so
            # 2% of a cell, of random sign: 1% of the four cells of the shortest column.
            assert found[n, m] == pytest.approx(expected, rel=0.01)


def test_the_mean_over_draws_is_the_smooth_disc() -> None:
    draws = 300
    flat = SkyDust.compute(Dust(**{**SMALL, "sigma_ln": 0.0}), 0, PROGRESS).map_mag[:, -1]
    ratio = np.array(
        [SkyDust.compute(Dust(**SMALL), seed, PROGRESS).map_mag[:, -1] for seed in range(draws)]
    )
    ratio /= flat
    error = ratio.std(axis=0, ddof=1) / np.sqrt(draws)
    assert error.max() < 0.1
    # 48 pixels, not independent: none off by more than 4 standard errors.
    assert (np.abs(ratio.mean(axis=0) - 1) < 4 * error).all()


def test_extinction_starts_at_zero_and_grows(dust: SkyDust) -> None:
    assert (dust.map_mag[:, 0] == 0).all()
    assert (np.diff(dust.map_mag, axis=1) >= 0).all()
    assert (dust.map_mag[:, 1] > 0).all()
    assert dust.a_v(123.0, -4.0, 0.0) == 0


def test_typical_numbers(dust: SkyDust) -> None:
    _, b_deg = healpy.pix2ang(64, np.arange(12 * 64**2), nest=True, lonlat=True)
    # Schlegel, Finkbeiner & Davis (1998): E(B-V) of about 0.02 at the caps, so A_V of 0.06.
    assert 0.02 < np.median(dust.map_mag[np.abs(b_deg) > 60, -1]) < 0.12
    # Fritz et al. (2011): A_Ks = 2.4 to Sgr A*, so A_V of about 30. Clumps make it 5 to 60.
    assert 5 < dust.a_v(0, 0, R0) < 60
    # Robin et al. (2003): 0.7 mag per kpc of diffuse dust.
    around = dust.a_v(np.arange(0, 360, 1.0), 0.0, 1.0)
    assert 0.3 < around.mean() < 1.5
    # Clumpy: not the same in all directions.
    assert around.std() > 0.1 * around.mean()


# --- the map and its queries


def test_nodes_of_the_map_are_returned(dust: SkyDust) -> None:
    pixel = np.array([0, 777, 20_000, 49_151])
    l_deg, b_deg = healpy.pix2ang(64, pixel, nest=True, lonlat=True)
    node = np.array([0, 13, 50, 99])
    found = dust.a_v(l_deg, b_deg, dust.distance_kpc[node])
    # Weights of a pixel's centre are 1 and 0 to rounding errors of the angles, 1e-13.
    np.testing.assert_allclose(found, dust.map_mag[pixel, node], rtol=1e-10)


def test_values_between_nodes_are_bilinear_and_linear(dust: SkyDust) -> None:
    rng = np.random.default_rng(4)
    l_deg, b_deg = rng.uniform(0, 360, 200), rng.uniform(-90, 90, 200)
    distance = rng.uniform(0, 30, 200)
    pixel, weight = healpy.get_interp_weights(64, l_deg, b_deg, nest=True, lonlat=True)
    columns = np.einsum("cn,cnd->nd", weight, dust.map_mag[pixel].astype(float))
    rows = zip(distance, columns, strict=True)
    expected = [np.interp(r, dust.distance_kpc, column) for r, column in rows]
    np.testing.assert_allclose(dust.a_v(l_deg, b_deg, distance), expected, rtol=1e-12)


def test_a_query_is_the_kernel_in_any_frame_and_shape(dust: SkyDust) -> None:
    rng = np.random.default_rng(9)
    shape = (3, 5)
    l_deg, b_deg = rng.uniform(0, 360, shape), rng.uniform(-90, 90, shape)
    distance = rng.uniform(0.01, 29, shape)
    expected = dust.a_v(l_deg, b_deg, distance)
    sky = SkyCoord(l_deg * u.deg, b_deg * u.deg, distance=distance * u.kpc, frame="galactic")
    np.testing.assert_array_equal(dust.query(sky), expected)
    np.testing.assert_array_equal(dust(sky), expected)
    np.testing.assert_array_equal(dust.query_gal(l_deg, b_deg, distance * 1e3 * u.pc), dust(sky))
    # A change of frame rounds angles to 1e-13; A_V changes by less than itself per 0.01 degrees.
    for frame in ("icrs", "fk5", Galactocentric()):
        np.testing.assert_allclose(dust.query(sky.transform_to(frame)), expected, rtol=1e-8)
    one = dust.query(sky[1, 2])
    assert np.ndim(one) == 0
    assert one == expected[1, 2]


def test_without_distance_a_query_gives_the_total(dust: SkyDust) -> None:
    sky = SkyCoord([10.0, 200.0] * u.deg, [-5.0, 40.0] * u.deg)
    galactic = sky.galactic
    total = dust.a_v(galactic.l.deg, galactic.b.deg, dust.distance_kpc[-1])
    np.testing.assert_array_equal(dust.query(sky), total)
    assert dust.query(sky[0]) == total[0]


def test_outside_the_map_nothing_is_known(dust: SkyDust) -> None:
    assert np.isfinite(dust.a_v(0, 0, [0.0, 30.0])).all()
    assert np.isnan(dust.a_v(0, 0, [-0.1, 30.001, np.inf, np.nan])).all()
    far = SkyCoord(0 * u.deg, 0 * u.deg, distance=31 * u.kpc, frame="galactic")
    assert np.isnan(dust.query(far))
    assert np.isnan(dust.a_v([0, np.nan, np.inf, 0, 0], [91, 0, 0, np.nan, -200], 1)).all()
    none = SkyCoord([0, 5] * u.deg, [0, 5] * u.deg, distance=[np.nan, 1] * u.kpc)
    assert np.isnan(dust.query(none)).tolist() == [True, False]
    assert dust.a_v([], [], []).shape == (0,)


def test_the_seed_decides_every_byte(tmp_path: Path) -> None:
    for name, seed in (("one", 1), ("same", 1), ("other", 2)):
        SkyDust.compute(Dust(**SMALL), seed, PROGRESS).save(tmp_path / f"{name}.h5")
    one, same, other = ((tmp_path / f"{n}.h5").read_bytes() for n in ("one", "same", "other"))
    assert one == same
    assert one != other


def test_a_saved_map_is_read_back(dust: SkyDust, tmp_path: Path) -> None:
    dust.save(tmp_path / "dust.h5")
    again = SkyDust.load(tmp_path / "dust.h5")
    np.testing.assert_array_equal(again.map_mag, dust.map_mag)
    np.testing.assert_array_equal(again.distance_kpc, dust.distance_kpc)
    assert again.map_mag.dtype == np.float32


def test_importing_the_map_warns_of_nothing(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-W", "error:Configuration", "-c", "import mwatlas.sky.dust"],
        check=True,
        env={"HOME": str(tmp_path), "PYTHONPATH": ":".join(sys.path)},
    )


# --- settings


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"nside": 48}, "power of two"),
        ({"box_cells": 33}, "even"),
        ({"box_kpc": 40.0}, "at most half of scale_height_kpc"),
        ({"sigma_ln": -1.0}, "sigma_ln"),
        ({"n_distances": 1}, "n_distances"),
        ({"clumpiness": 1.0}, "clumpiness"),
    ],
)
def test_impossible_settings_are_refused(change: dict, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Dust(**{**VALUES, **change})


def test_extinction_ratios_give_the_published_ratios_to_ks() -> None:
    # A_band / A_Ks as used for dereddening giants with RJCE extinctions.
    expected = {"j": 3.115, "h": 1.679, "w1": 0.50, "w2": 0.333, "g": 10.12, "bp": 12.85}
    for band, ratio in expected.items():
        assert EXTINCTION_RATIOS[band] / EXTINCTION_RATIOS["ks"] == pytest.approx(ratio, rel=2e-3)
