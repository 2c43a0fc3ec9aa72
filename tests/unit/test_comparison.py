"""A run against the truth of the embedded sky, star by star and by hand."""

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from mwatlas.progress import Progress
from mwatlas.sky.properties import GSE, HALO
from mwatlas.statistics import Statistics, merge_all
from mwatlas.studies.line_of_sight.closure import recovery_measurements
from mwatlas.studies.line_of_sight.comparison import compare_partition, eccentricity_bins
from mwatlas.tables.parquet import cell_writer, read_cells, read_columns
from mwatlas.tables.schemas import LINE_OF_SIGHT_TRUTH
from mwatlas.tables.table import Columns

from .line_of_sight_samples import (
    ORDER,
    SHORT,
    STUDY,
    Cell,
    accumulate_files,
    cell_stars,
    write_partition,
)

LIMIT = STUDY.cuts.high_eccentricity


def test_bins_begin_at_the_limit() -> None:
    axis = eccentricity_bins(STUDY)
    assert (axis.low, axis.high, axis.bins) == (LIMIT, 1.0, 20)


def _truth(cell: Cell, orbits: Columns) -> Columns:
    """Truth of a sky whose measured velocities are exact, and where a third of stars are GSE."""
    rng = np.random.default_rng(6)
    number = len(cell.sample["source_id"])
    measured = orbits["eccentricity_rv"]
    known = cell.sample["fold"] >= 0
    # A hundred stars have an optimum: it is 10 km/s above the measured velocity, sigma 40.
    chosen = known & (np.cumsum(known) <= 100)
    mean = np.where(chosen, cell.sample["radial_velocity"] + 10, np.nan)
    return {
        "source_id": cell.sample["source_id"],
        "component": np.where(rng.random(number) < 0.3, GSE, HALO),
        "eccentricity_true": np.where(known, measured, rng.uniform(0, 1, number)),
        "optimal_mean": mean,
        "optimal_sigma": np.where(chosen, 40.0, np.nan),
    }


def _compare(
    folder: Path, cells: dict[int, Cell], progress: Progress
) -> tuple[Statistics, dict[str, Columns], Path]:
    files = write_partition(folder, cells)
    out = accumulate_files(files, folder, progress)
    truth = folder / "truth.parquet"
    with cell_writer(truth, LINE_OF_SIGHT_TRUTH, ORDER) as writer:
        for number, orbits in read_cells(out["orbits"]):
            writer.write(number, _truth(cells[number], orbits))
    output = folder / "comparison.h5"
    compare_partition(
        files.sample,
        files.predictions,
        out["orbits"],
        out["candidates"],
        truth,
        SHORT,
        output,
        progress,
    )
    tables = {
        name: read_columns([path], columns)
        for name, path, columns in (
            ("sample", files.sample, ["source_id", "fold", "phot_g_mean_mag", "radial_velocity"]),
            ("predictions", files.predictions, ["vlos_pred", "sigma_los"]),
            ("orbits", out["orbits"], ["eccentricity_rv"]),
            ("candidates", out["candidates"], ["source_id", "draw", "eccentricity"]),
            ("truth", truth, list(LINE_OF_SIGHT_TRUTH.names)),
        )
    }
    return Statistics.load(output), tables, output


@pytest.fixture
def compared(tmp_path: Path, progress: Progress) -> tuple[Statistics, dict[str, Columns]]:
    cells = {number: cell_stars(number, 250) for number in (8, 33)}
    return _compare(tmp_path, cells, progress)[:2]


def test_recovery_is_counted_star_by_star(
    compared: tuple[Statistics, dict[str, Columns]],
) -> None:
    statistics, t = compared
    magnitude = t["sample"]["phot_g_mean_mag"]
    complete = (magnitude >= 12) & (magnitude <= 17)
    true = t["truth"]["eccentricity_true"]
    gse = t["truth"]["component"] == GSE
    star = np.searchsorted(t["sample"]["source_id"], t["candidates"]["source_id"])
    found = {m.quantity: m for m in recovery_measurements(statistics)}
    for catalogue in ("rv", "test_set", "ml_rv"):
        mine = complete & ((t["sample"]["fold"] < 0) == (catalogue == "ml_rv"))
        high = mine & (true > LIMIT)
        draws = 1 if catalogue == "rv" else 5
        right, selected, of_gse = np.zeros((3, draws))
        for draw in range(draws):
            if catalogue == "rv":
                who = np.flatnonzero(mine & (t["orbits"]["eccentricity_rv"] > LIMIT))
            else:
                who = star[(t["candidates"]["draw"] == draw) & mine[star]]
            selected[draw] = who.size
            right[draw], of_gse[draw] = high[who].sum(), gse[who].sum()
        expected = {
            "high_completeness": (right / high.sum()).mean(),
            "high_purity": (right / selected).mean(),
            "gse_completeness": (of_gse / (mine & gse).sum()).mean(),
            "gse_purity": (of_gse / selected).mean(),
            "gse_completeness_limit": (high & gse).sum() / (mine & gse).sum(),
            "gse_purity_limit": (high & gse).sum() / high.sum(),
        }
        assert high.sum() > 5
        for name, value in expected.items():
            assert found[f"{name}_{catalogue}"].value == pytest.approx(value, rel=1e-12)


def test_exact_velocities_recover_everything(
    compared: tuple[Statistics, dict[str, Columns]],
) -> None:
    found = {m.quantity: m.value for m in recovery_measurements(compared[0])}
    assert found["high_completeness_rv"] == found["high_purity_rv"] == 1


def test_the_optimum_is_compared_where_it_is_known(
    compared: tuple[Statistics, dict[str, Columns]],
) -> None:
    statistics, t = compared
    known = np.isfinite(t["truth"]["optimal_mean"])
    assert statistics.number("optimum/excess") == known.sum() == 200
    velocity = t["sample"]["radial_velocity"][known].astype(float)
    mean, sigma = (t["predictions"][n][known].astype(float) for n in ("vlos_pred", "sigma_los"))
    best = t["truth"]["optimal_mean"][known].astype(float)
    loss = -stats.norm.logpdf(velocity, best, 40)
    excess = -stats.norm.logpdf(velocity, mean, sigma) - loss
    expected = {
        "loss": loss.mean(),
        "excess": excess.mean(),
        "excess_square": (excess**2).mean(),
        "distance_square": ((mean - best) ** 2).mean(),
        "log_sigma_ratio": np.log(sigma / 40).mean(),
        # Every velocity is a quarter of sigma below the optimum.
        "inside_68": 1.0,
        "inside_95": 1.0,
    }
    for name, value in expected.items():
        assert statistics.mean(f"optimum/{name}") == pytest.approx(value, rel=1e-10)


def test_the_comparison_does_not_depend_on_partitions(tmp_path: Path, progress: Progress) -> None:
    cells = {number: cell_stars(number, 60) for number in (8, 9, 33)}
    _, _, whole = _compare(tmp_path / "whole", cells, progress)
    parts = [
        _compare(tmp_path / str(number), {number: cell}, progress)[2]
        for number, cell in cells.items()
    ]
    merge_all(parts).save(tmp_path / "merged.h5")
    assert (tmp_path / "merged.h5").read_bytes() == whole.read_bytes()
