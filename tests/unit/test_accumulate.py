"""Orbits of drawn velocities, and statistics that do not depend on how stars are shared out."""

import logging
import tracemalloc
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from mwatlas.astrometry.frames import phase_space
from mwatlas.config.line_of_sight import LineOfSight
from mwatlas.dynamics.actions import integrals_of_motion
from mwatlas.dynamics.orbits import Integration, integrate_orbits
from mwatlas.predictive import predictive_of
from mwatlas.progress import Progress
from mwatlas.statistics import Statistics, merge_all
from mwatlas.studies.line_of_sight.accumulate import (
    accumulate_cell,
    empty_statistics,
    integrate_cell,
    solar_axes,
    whole_view,
)
from mwatlas.tables.parquet import read_columns

from .line_of_sight_samples import (
    SEED,
    SHORT,
    STUDY,
    Cell,
    accumulate_files,
    cell_stars,
    with_mixture,
    write_partition,
)


def _nothing(_: int, note: str = "") -> None:
    """No one watches."""


# One cell


@pytest.mark.parametrize("components", [1, 3])
def test_velocities_are_measured_predicted_and_drawn(components: int) -> None:
    cell = cell_stars(7, 60)
    cell = with_mixture(cell, components) if components > 1 else cell
    out = integrate_cell(cell.sample, cell.predictions, SHORT, SEED, _nothing)
    density = predictive_of(cell.predictions)
    draws = SHORT.error_sampling.draws
    np.testing.assert_array_equal(out.velocities[:, 0], cell.sample["radial_velocity"])
    np.testing.assert_array_equal(out.velocities[:, 1], density.mean())
    np.testing.assert_array_equal(
        out.velocities[:, 2:], density.draw(SEED, draws, cell.sample["source_id"])
    )


def test_a_missing_velocity_leaves_nothing() -> None:
    cell = cell_stars(7, 60)
    out = integrate_cell(cell.sample, cell.predictions, SHORT, SEED, _nothing)
    missing = np.isnan(cell.sample["radial_velocity"])
    assert 0 < missing.sum() < 60
    for values in (out.velocities, out.eccentricity, out.z_max_kpc):
        np.testing.assert_array_equal(np.isnan(values[:, 0]), missing)
        assert np.isfinite(values[:, 1:]).all()
    assert (out.flag[missing, 0] == 0).all()


def test_eccentricities_are_those_of_the_integrator() -> None:
    """Column by column, with all other stars left out."""
    cell = cell_stars(11, 60)
    out = integrate_cell(cell.sample, cell.predictions, SHORT, SEED, _nothing)
    phase = phase_space(
        solar_axes(SHORT.solar_frame),
        *(cell.sample[name] for name in ("ra", "dec", "parallax_corr", "pmra", "pmdec")),
    )
    settings = Integration(**SHORT.orbits.model_dump())
    for column in range(out.velocities.shape[1]):
        stars = np.flatnonzero(np.isfinite(out.velocities[:, column]))
        alone = phase[stars]
        orbits = integrate_orbits(
            alone.position_kpc, alone.velocity_kms(out.velocities[stars, column]), settings
        )
        np.testing.assert_array_equal(out.eccentricity[stars, column], orbits.eccentricity)
        np.testing.assert_array_equal(out.z_max_kpc[stars, column], orbits.z_max_kpc)
        np.testing.assert_array_equal(out.flag[stars, column], orbits.flag)


def test_every_orbit_is_reported() -> None:
    cell = cell_stars(11, 30)
    done: list[int] = []
    integrate_cell(cell.sample, cell.predictions, SHORT, SEED, done.append)
    measured = np.isfinite(cell.sample["radial_velocity"]).sum()
    assert sum(done) == measured + 30 * (1 + SHORT.error_sampling.draws)


# One partition


def test_tables_of_stars_and_candidates_agree(tmp_path: Path, progress: Progress) -> None:
    cell = cell_stars(20, 300)
    files = write_partition(tmp_path, {20: cell})
    out = accumulate_files(files, tmp_path / "out", progress)
    names = ["source_id", "eccentricity_rv", "p_high_eccentricity"]
    orbits = read_columns([out["orbits"]], names)
    np.testing.assert_array_equal(orbits["source_id"], cell.sample["source_id"])
    candidates = read_columns(
        [out["candidates"]],
        [
            "source_id",
            "draw",
            "ra",
            "dec",
            "fold",
            "vlos_draw",
            "eccentricity",
            "energy",
            "l_z",
            "j_r",
            "j_z",
            "v_r",
            "v_phi",
        ],
    )
    assert (candidates["eccentricity"] > SHORT.cuts.high_eccentricity).all()
    star = np.searchsorted(orbits["source_id"], candidates["source_id"])
    share = np.bincount(star, minlength=300) / SHORT.error_sampling.draws
    np.testing.assert_allclose(orbits["p_high_eccentricity"], share, rtol=1e-6)
    assert len(set(zip(star, candidates["draw"], strict=True))) == star.size > 20
    counts = Statistics.load(out["statistics"]).counts
    known = candidates["fold"] >= 0
    assert counts["table1/test_set/row0_high"].sum() == known.sum()
    assert counts["table1/ml_rv/row0_high"].sum() == (~known).sum()
    # What is known of a draw is what its velocity implies; the table has single precision.
    drawn = predictive_of(cell.predictions).draw(SEED, 5, cell.sample["source_id"])
    velocity = drawn[star, candidates["draw"]]
    np.testing.assert_allclose(candidates["vlos_draw"], velocity, rtol=1e-6)
    phase = phase_space(
        solar_axes(SHORT.solar_frame),
        *(cell.sample[n][star] for n in ("ra", "dec", "parallax_corr", "pmra", "pmdec")),
    )
    integrals = integrals_of_motion(phase.position_kpc, phase.velocity_kms(velocity))
    for name in ("energy", "l_z", "j_r", "j_z"):
        np.testing.assert_allclose(candidates[name], getattr(integrals, name), rtol=1e-6, atol=1e-3)


def test_stars_the_surveys_saw_are_counted_with_and_without_a_sample(
    tmp_path: Path, progress: Progress
) -> None:
    """A cell may have matches and no star of the sample, or stars and no matches."""
    cells = {3: cell_stars(3, 20), 4: cell_stars(4, 20, matched=0.0), 9: cell_stars(9, 20)}
    number = {
        survey: sum((cell.matches["survey"] == survey).sum() for cell in cells.values())
        for survey in ("galah", "apogee")
    }
    cells[9] = cells[9].rows(np.zeros(20, dtype=bool))
    out = accumulate_files(write_partition(tmp_path, cells), tmp_path / "out", progress)
    statistics = Statistics.load(out["statistics"])
    for survey, expected in number.items():
        assert statistics.counts[f"cross_match/{survey}"] == expected > 0
        every = statistics.histograms[f"mdf/{survey}/all"]
        assert every.counts.sum() + every.outside == expected
    assert statistics.counts["table1/rv/row0"].sum() < 40


def test_a_partition_without_stars_has_every_statistic(tmp_path: Path, progress: Progress) -> None:
    empty = cell_stars(5, 10, matched=0.0).rows(np.zeros(10, dtype=bool))
    out = accumulate_files(write_partition(tmp_path, {5: empty}), tmp_path / "out", progress)
    found, expected = Statistics.load(out["statistics"]), empty_statistics(SHORT)
    for kind in ("histograms", "counts", "sums"):
        assert set(getattr(found, kind)) == set(getattr(expected, kind))


# Many partitions

NUMBERS = (2, 3, 17, 40)
Run = tuple[int, ...]


@pytest.fixture(scope="module")
def partitions(tmp_path_factory: pytest.TempPathFactory) -> dict[Run, dict[str, Path]]:
    """What each run of neighbouring cells gives as a partition."""
    progress = Progress("test", logging.getLogger("mwatlas"))
    cells = {number: cell_stars(number, 40) for number in NUMBERS}
    out = {}
    for low, high in combinations(range(len(NUMBERS) + 1), 2):
        run = NUMBERS[low:high]
        folder = tmp_path_factory.mktemp("run")
        files = write_partition(folder, {number: cells[number] for number in run})
        out[run] = accumulate_files(files, folder, progress)
    return out


def _splits() -> list[tuple[Run, ...]]:
    """Every way to cut the cells into runs."""
    places = range(1, len(NUMBERS))
    cuts = [
        (0, *c, len(NUMBERS)) for size in range(len(NUMBERS)) for c in combinations(places, size)
    ]
    return [tuple(NUMBERS[low:high] for low, high in pairwise(cut)) for cut in cuts]


@pytest.mark.parametrize("split", _splits())
def test_every_split_gives_the_same_bits(
    partitions: dict[Run, dict[str, Path]], tmp_path: Path, split: tuple[Run, ...]
) -> None:
    whole, parts = partitions[NUMBERS], [partitions[run] for run in split]
    merged = tmp_path / "merged.h5"
    # In the order of the sky and backwards.
    for order in (parts, parts[::-1]):
        merge_all(part["statistics"] for part in order).save(merged)
        assert merged.read_bytes() == whole["statistics"].read_bytes()
    for table in ("orbits", "candidates"):
        names = list(pq.read_schema(whole[table]).names)
        one, many = (read_columns([p[table] for p in ps], names) for ps in ([whole], parts))
        for name in names:
            np.testing.assert_array_equal(one[name], many[name])


def test_the_order_of_stars_in_a_cell_changes_nothing() -> None:
    """Counts are equal; sums to one unit of their rounding, as cells are summed exactly."""
    cell = cell_stars(2, 200)
    order = np.random.default_rng(0).permutation(200)
    first, second = (_of_cell(c) for c in (cell, cell.rows(order)))
    assert set(first.histograms) == set(second.histograms)
    for name, histogram in first.histograms.items():
        np.testing.assert_array_equal(histogram.counts, second.histograms[name].counts)
        assert histogram.outside == second.histograms[name].outside
    for name, number in first.counts.items():
        np.testing.assert_array_equal(number, second.counts[name])
    for name, sums in first.sums.items():
        np.testing.assert_array_equal(sums.number, second.sums[name].number)
        pairs = zip(sums.total, second.sums[name].total, strict=True)
        assert max(abs(a - b) for a, b in pairs) <= 1


def _of_cell(cell: Cell) -> Statistics:
    """Statistics of one cell, whose stars need not be in order."""
    orbits = integrate_cell(cell.sample, cell.predictions, SHORT, SEED, _nothing)
    view = whole_view(orbits, cell.matches, SHORT)
    statistics = empty_statistics(SHORT)
    accumulate_cell(view, orbits, SHORT, statistics)
    return statistics


# Memory


def _coarse() -> LineOfSight:
    """Few bins, so that stars and not histograms fill the memory."""
    binning: dict[str, Any] = {
        name: {**axis, "bins": 4} for name, axis in STUDY.binning.model_dump().items()
    }
    return LineOfSight.model_validate({"binning": binning, "orbits": {"duration_gyr": 0.02}})


def test_memory_is_that_of_a_cell(tmp_path: Path, progress: Progress) -> None:
    study, stars = _coarse(), 300
    peaks = []
    for number in (1, 4, 16):
        cells = {k: cell_stars(k, stars, matched=0.5) for k in range(number)}
        files = write_partition(tmp_path / str(number), cells)
        del cells
        tracemalloc.start()
        accumulate_files(files, tmp_path / str(number), progress, study)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    # The first run also loads and compiles. Numbers of draws of high eccentricity, which take
    # memory too, differ among cells by the square root of about 300, a few per cent of the peak.
    assert peaks[2] < 1.2 * peaks[1]
