"""The first look at real stars: which stars, in which frame, and what is read off."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import astropy.coordinates as coord
import astropy.units as u
import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from mwatlas.config import Settings, load_settings
from mwatlas.config.nearby import Nearby, NearbySample
from mwatlas.errors import ConfigError, InputError
from mwatlas.figures.conditional_potential import nearby
from mwatlas.healpix import cell_of_source
from mwatlas.ledger import read_measurements
from mwatlas.progress import Progress
from mwatlas.studies.conditional_potential.nearby_fields import NearbyFields
from mwatlas.studies.conditional_potential.nearby_mock import FRAME, SETTINGS, true_ensemble
from mwatlas.studies.conditional_potential.nearby_numbers import measure_nearby, nearby_rows
from mwatlas.studies.conditional_potential.nearby_stars import (
    COLUMNS,
    check_nearby,
    gather_stars,
    heliocentric,
)
from mwatlas.studies.conditional_potential.nearby_tables import NEARBY_STARS
from mwatlas.tables.parquet import cell_writer, from_arrow, read_rows, write_table
from mwatlas.tables.schemas import STARS
from mwatlas.tables.table import Columns

UNUSED = [name for name in STARS.names if name not in COLUMNS]
FEW = NearbySample(fewest_stars=1000)


@pytest.fixture
def stars(gaia_rows: Callable[..., dict[str, Any]]) -> Columns:
    """Stars of the clean catalogue, 1200 of them at 100 to 250 pc and bright."""
    rows = gaia_rows(1200)
    rng = np.random.default_rng(2)
    rows["parallax_corr"] = rng.uniform(4, 10, 1200)
    rows["phot_g_mean_mag"] = np.full(1200, 7.0)
    return {name: np.asarray(rows[name]) for name in COLUMNS}


def _gather(stars: Columns, folder: Path, progress: Progress) -> Columns:
    catalogue, out = folder / "stars.parquet", folder / "nearby.parquet"
    cells = cell_of_source(stars["source_id"], 0)
    with cell_writer(catalogue, STARS.without(UNUSED), 0) as writer:
        for cell in np.unique(cells):
            writer.write(int(cell), {n: values[cells == cell] for n, values in stars.items()})
    gather_stars([catalogue], FEW, out, folder / "counts.json", progress)
    return read_rows([out], NEARBY_STARS.names)


def test_positions_and_velocities_are_those_of_astropy(stars: Columns) -> None:
    ours = heliocentric(stars)
    sky = coord.SkyCoord(
        ra=stars["ra"] * u.deg,
        dec=stars["dec"] * u.deg,
        distance=1 / stars["parallax_corr"] * u.kpc,
        pm_ra_cosdec=stars["pmra"] * u.mas / u.yr,
        pm_dec=stars["pmdec"] * u.mas / u.yr,
        radial_velocity=stars["radial_velocity"] * u.km / u.s,
    ).galactic
    np.testing.assert_allclose(ours["position"], sky.cartesian.xyz.to_value(u.kpc).T, atol=1e-9)
    velocity = sky.velocity.d_xyz.to_value(u.km / u.s).T
    np.testing.assert_allclose(ours["velocity"], velocity, atol=1e-4)


def test_stars_are_those_that_could_be_seen_all_over_the_sphere(
    stars: Columns, tmp_path: Path, progress: Progress
) -> None:
    names = {
        "far": ("parallax_corr", 1 / 0.31),
        "bad": ("parallax_error", 1.0),
        # Bright where it is, but not at 300 pc: G = 10.5 there.
        "faint": ("phot_g_mean_mag", 10.5 + 5 * np.log10(1 / 0.3 / stars["parallax_corr"][2])),
        "no velocity": ("radial_velocity", np.nan),
        "fast": ("radial_velocity", 900.0),
        "no parallax": ("parallax_corr", -1.0),
    }
    for row, (column, value) in enumerate(names.values()):
        stars[column][row] = value
    # And one just bright enough.
    stars["phot_g_mean_mag"][6] = 10.19 + 5 * np.log10(1 / 0.3 / stars["parallax_corr"][6])
    found = _gather(stars, tmp_path, progress)
    np.testing.assert_array_equal(found["star_id"], stars["source_id"][len(names) :])
    counts = json.loads((tmp_path / "counts.json").read_text())
    assert counts["read"] == 1200
    assert counts["with radial velocity"] == 1200 - 5
    assert counts["slow enough"] == 1200 - 6


@pytest.mark.parametrize("column", ["radial_velocity", "parallax_corr"])
def test_an_empty_sphere_is_refused(
    stars: Columns, tmp_path: Path, progress: Progress, column: str
) -> None:
    stars[column][:] = np.nan if column == "radial_velocity" else 0.1
    with pytest.raises(InputError, match="too few stars near the Sun") as error:
        _gather(stars, tmp_path, progress)
    assert error.value.found == 0
    assert "read" in str(error.value)
    assert not (tmp_path / "nearby.parquet").exists()


def test_the_frame_turns_with_the_galaxy() -> None:
    """What rests in it at the Sun moves with the circular speed it implies, seen from the Sun."""
    u_x, u_y, u_z = FRAME.u(torch.zeros(3, dtype=torch.float64)).tolist()
    assert u_x == pytest.approx(-0.093)
    assert u_y == pytest.approx(0.282 * 8.277 - 2.515)
    assert u_z == pytest.approx(-0.0859)


def test_a_release_must_have_real_stars_with_velocities(root: Path, settings: Settings) -> None:
    with pytest.raises(ConfigError, match="needs real stars"):
        check_nearby(settings.adapter, "sky")
    bright = load_settings({"release": "brightsky"}, root)
    check_nearby(bright.adapter, "brightsky")
    absent = {**bright.adapter.source.absent, "radial_velocity": "not measured"}
    source = bright.adapter.source.model_copy(update={"absent": absent})
    with pytest.raises(ConfigError, match="cannot be had of this release") as error:
        check_nearby(bright.adapter.model_copy(update={"source": source}), "brightsky")
    assert error.value.found == "not measured"


def test_only_a_release_that_asks_for_it_has_it(root: Path) -> None:
    runs = {
        name: load_settings({"release": name}, root).conditional_potential.nearby.run
        for name in ("sky", "sky_barred", "gaiadr3", "brightsky")
    }
    assert [name for name, run in runs.items() if run] == ["brightsky"]


def test_averages_stay_inside_the_stars() -> None:
    with pytest.raises(ValueError, match=r"averages reach 0\.3"):
        Nearby.model_validate({"averages": {"height_kpc": 0.3}})


def test_profiles_of_a_known_galaxy() -> None:
    """The same places in the potential itself; 0.097 and 236 km/s are its known values."""
    fields = NearbyFields(SETTINGS, [true_ensemble(), true_ensemble()], seed=1)
    pull = fields.vertical_acceleration
    assert pull.shape == (2, SETTINGS.averages.steps)
    np.testing.assert_allclose(pull, -pull[:, ::-1], atol=1e-9)
    # Near the plane the pull grows by 4 pi G rho, but for what the rotation curve adds.
    profile = fields.density_profile[0]
    middle = SETTINGS.averages.steps // 2
    assert profile[middle] == pytest.approx(0.0969, abs=3e-4)
    slope = (pull[0, middle - 1] - pull[0, middle + 1]) / (2 * 1000 * 0.025)
    expected = 4 * np.pi * 4.30091e-3 * profile[middle]
    assert slope == pytest.approx(expected, rel=0.03)
    assert np.all(fields.slab() < profile[middle])
    assert np.all(fields.sphere(0.25) < fields.sphere(0.15))
    speed, forward = fields.in_plane()
    assert speed == pytest.approx(236.4, abs=0.5)
    np.testing.assert_allclose(forward, 0, atol=0.01)


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Numbers and figure of two members that have the true potential, and stars beside them."""
    folder = tmp_path_factory.mktemp("nearby")
    files = {n: folder / n for n in ("stars", "numbers", "figure", "0.h5", "1.h5", "0", "1")}
    rng = np.random.default_rng(4)
    place = rng.uniform(-0.3, 0.3, (3, 5000))
    columns = {f"{axis}_kpc": place[i] for i, axis in enumerate("xyz")}
    columns |= {f"v{axis}_kms": rng.normal(0, 20, 5000) for axis in "xyz"}
    write_table(files["stars"], NEARBY_STARS, {"star_id": np.arange(5000), **columns})
    for member in "01":
        true_ensemble().save(files[f"{member}.h5"])
        files[member].write_text(json.dumps({"possible_error": 0.1}))
    measure_nearby(
        SETTINGS,
        1,
        models=[files["0.h5"], files["1.h5"]],
        records=[files["0"], files["1"]],
        stars=files["stars"],
        numbers=files["numbers"],
        figure=files["figure"],
    )
    return files


def test_numbers_have_a_value_and_an_error(measured: dict[str, Path]) -> None:
    numbers = {m.quantity: m for m in read_measurements(measured["numbers"])}
    assert numbers["count_nearby"].value == 5000
    assert numbers["density_plane_nearby"].value == pytest.approx(0.095, abs=0.002)
    # Both members are the same: what is left is the choice of how to learn.
    error = SETTINGS.choice_error * numbers["density_plane_nearby"].value
    assert numbers["density_plane_nearby"].error == pytest.approx(error)
    assert numbers["circular_speed_nearby"].error == 0
    assert numbers["acceleration_100pc_nearby"].value == pytest.approx(0.497, abs=0.005)
    assert numbers["asymmetry_200pc_nearby"].value == pytest.approx(0, abs=1e-6)
    assert all(m.meaning and m.item == "nearby" for m in numbers.values())


def test_the_ledger_compares_with_others(measured: dict[str, Path], root: Path) -> None:
    bright = load_settings({"release": "brightsky"}, root)
    settings = bright.conditional_potential.nearby
    rows = nearby_rows("conditional_potential", settings, bright.adapter, measured["numbers"])
    judged = {row.quantity: row for row in rows}
    assert judged["density_plane_nearby"].verdict == "agrees"
    assert "McKee" in judged["density_plane_nearby"].published_where
    assert judged["circular_speed_nearby"].published == 229
    assert judged["count_nearby"].verdict == "not comparable"


def test_the_figure_draws_with_labels(measured: dict[str, Path]) -> None:
    figure = nearby(from_arrow(pq.read_table(measured["figure"])), "a sample")
    figure.draw_without_rendering()
    assert all(axes.get_xlabel() for axes in figure.axes)
    names = [label.get_text() for label in figure.axes[3].get_yticklabels()]
    assert names[0] == "conditional method"
    assert len(names) == 1 + len(type(SETTINGS.densities).model_fields)
