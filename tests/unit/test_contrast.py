"""Calibration, recovery and Table 3 of several sets of predictions side by side."""

import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from mwatlas.ledger import Measurement, write_measurements
from mwatlas.statistics import Bins, Statistics
from mwatlas.studies.line_of_sight.claims import HEADLINES, Recovered, write_recovered
from mwatlas.studies.line_of_sight.comparison import eccentricity_bins
from mwatlas.studies.line_of_sight.contrast import (
    STUDY_ITSELF,
    write_figure_calibration,
    write_figure_recovery,
    write_table_variants,
)
from mwatlas.studies.line_of_sight.debris import bins, draw_bins
from mwatlas.studies.line_of_sight.names import SAMPLES
from mwatlas.tables.parquet import read_rows
from mwatlas.tables.schemas import FIGURE_CALIBRATION, FIGURE_RECOVERY
from mwatlas.tables.table import Columns

from .line_of_sight_samples import STUDY

# Figure 12


def _transform(values: np.ndarray) -> Statistics:
    """Probability integral transforms, shared among the rounds."""
    statistics = Statistics()
    for k, part in enumerate(np.array_split(values, STUDY.cross_validation.folds)):
        statistics.fill(f"pit/{k}", (bins(STUDY.binning.pit),), part)
    return statistics


@pytest.fixture
def calibration(tmp_path: Path) -> Columns:
    """A calibrated prediction, and one whose sigma is twice too large."""
    # Quantiles at equal steps instead of random numbers: no sampling error.
    uniform = (np.arange(100_000) + 0.5) / 100_000
    wide = stats.norm.cdf(0.5 * stats.norm.ppf(uniform))
    path = tmp_path / "f.parquet"
    files = {}
    for name, values in (("", uniform), ("wide", wide)):
        files[name] = tmp_path / f"{name}.h5"
        _transform(values).save(files[name])
    write_figure_calibration(files, path)
    return read_rows([path], FIGURE_CALIBRATION.names)


def _curve(table: Columns, sample: str, kind: str) -> Columns:
    mine = (table["sample"] == sample) & (table["kind"] == kind)
    return {name: table[name][mine].astype(float) for name in ("x", "y", "y_low", "y_high")}


def test_a_calibrated_prediction_lies_on_the_diagonal(calibration: Columns) -> None:
    curve = _curve(calibration, STUDY_ITSELF, "reliability")
    assert curve["x"].size == 49
    # Counts at the ends of an interval are whole numbers: one star of 100,000 at each; the table
    # has single precision or better.
    np.testing.assert_allclose(curve["y"], curve["x"], atol=2e-5)
    error = np.sqrt(curve["x"] * (1 - curve["x"]) / 100_000)
    np.testing.assert_allclose(curve["y_high"] - curve["y"], error, rtol=1e-2, atol=1e-6)
    np.testing.assert_allclose(curve["y"] - curve["y_low"], error, rtol=1e-2, atol=1e-6)
    bars = _curve(calibration, STUDY_ITSELF, "pit")
    np.testing.assert_allclose(bars["x"], (np.arange(20) + 0.5) / 20, rtol=1e-6)
    np.testing.assert_allclose(bars["y"], 1, atol=1e-3)


def test_a_prediction_too_wide_covers_too_much(calibration: Columns) -> None:
    curve = _curve(calibration, "wide", "reliability")
    # The central interval of probability p reaches to z sigma; the truth scatters by sigma / 2.
    reach = stats.norm.ppf(0.5 * (1 + curve["x"]))
    expected = stats.norm.cdf(2 * reach) - stats.norm.cdf(-2 * reach)
    # Within a bin of 0.001 entries are taken as uniform: off by its square times the slope of
    # the density, below 8 here, and 2e-5 for whole stars.
    np.testing.assert_allclose(curve["y"], expected, atol=3e-5)
    bars = _curve(calibration, "wide", "pit")
    edges = np.linspace(0, 1, 21)
    cumulative = stats.norm.cdf(2 * stats.norm.ppf(edges))
    np.testing.assert_allclose(bars["y"], 20 * np.diff(cumulative), atol=20 * 2e-5)
    assert bars["y"].mean() == pytest.approx(1)


def test_bars_need_not_be_made_of_whole_bins(tmp_path: Path) -> None:
    statistics = Statistics()
    statistics.fill("pit/0", (Bins(0, 1, 30),), np.arange(30) / 30 + 1 / 60)
    statistics.save(tmp_path / "s.h5")
    write_figure_calibration({"": tmp_path / "s.h5"}, tmp_path / "f.parquet")
    table = read_rows([tmp_path / "f.parquet"], FIGURE_CALIBRATION.names)
    bars = _curve(table, STUDY_ITSELF, "pit")
    np.testing.assert_allclose(bars["y"], 1, rtol=1e-6)


# Figure 13


@pytest.fixture
def recovery(tmp_path: Path) -> Columns:
    """In each draw twelve selected at e = 0.85 and eight at 0.95, of them six and six GSE."""
    statistics = Statistics()
    axis = eccentricity_bins(STUDY)
    for catalogue in SAMPLES:
        draws = 1 if catalogue == "rv" else 5
        axes = (draw_bins(draws), axis)
        for name, low, high in (("selected", 12, 8), ("right", 0, 0), ("true_gse", 6, 6)):
            e = np.concatenate([np.full(low, 0.855), np.full(high, 0.955)])
            which = np.repeat(np.arange(draws), e.size)
            statistics.fill(f"recovery/{catalogue}/{name}", axes, which, np.tile(e, draws))
        true = np.concatenate([np.full(10, 0.855), np.full(6, 0.955)])
        statistics.fill(f"recovery/{catalogue}/high", (axis,), true)
        statistics.count(f"recovery/{catalogue}/gse", 24)
    path = tmp_path / "f.parquet"
    statistics.save(tmp_path / "s.h5")
    write_figure_recovery({"mixture": tmp_path / "s.h5"}, path)
    return read_rows([path], FIGURE_RECOVERY.names)


@pytest.mark.parametrize("catalogue", SAMPLES)
def test_completeness_and_purity_above_a_limit(recovery: Columns, catalogue: str) -> None:
    for kind, at_first, above, parents in (
        # Of 24 GSE stars; of those selected; selected over truly high.
        ("completeness", 12 / 24, 6 / 24, (24, 24)),
        ("purity", 12 / 20, 6 / 8, (20, 8)),
        ("recovered", 20 / 16, 8 / 6, (16, 6)),
    ):
        mine = (recovery["panel"] == catalogue) & (recovery["kind"] == kind)
        assert set(recovery["sample"]) == {"mixture"}
        x, y, low, high = (recovery[n][mine].astype(float) for n in ("x", "y", "y_low", "y_high"))
        for limit, value, parent in ((0.8, at_first, parents[0]), (0.9, above, parents[1])):
            (k,) = np.flatnonzero(np.isclose(x, limit))
            assert y[k] == pytest.approx(value, rel=1e-6)
            variance = value if kind == "recovered" else value * (1 - value)
            # Draws are the same here and add nothing.
            assert high[k] - y[k] == pytest.approx(math.sqrt(variance / parent), rel=1e-5)
            assert y[k] - low[k] == pytest.approx(math.sqrt(variance / parent), rel=1e-5)
        # Beyond 0.96 nobody is selected: fewer than five have no purity and no ratio.
        assert x.max() == pytest.approx(0.99 if kind == "completeness" else 0.95)


# Table 3


def _file(folder: Path, name: str, rows: list[Measurement]) -> Path:
    path = folder / f"{name}.json"
    write_measurements(rows, path)
    return path


def _m(quantity: str, value: float, error: float | None = None, unit: str = "") -> Measurement:
    return Measurement("i", quantity, "meaning", unit, value, error, 1)


def test_table_3_sets_headlines_side_by_side(tmp_path: Path) -> None:
    numbers = {
        "": _file(
            tmp_path,
            "own",
            [_m("nll_mean", 5.123456, None, "nat"), _m("pull_width", 1.0, 0.012), _m("other", 1)],
        ),
        "mixture": _file(tmp_path, "m", [_m("nll_mean", math.nan), _m("pull_width", 0.98765)]),
        "log2d": _file(tmp_path, "l", [_m("pull_width", 1.1, 0.1)]),
    }
    recovered = {}
    for name, value in (("", 0.5), ("mixture", 0.75), ("log2d", math.nan)):
        recovered[name] = tmp_path / f"r{name}.json"
        write_recovered(Recovered([_m("gse_purity_ml_rv", value)], []), recovered[name])
    csv, tex = tmp_path / "t.csv", tmp_path / "t.tex"
    write_table_variants(numbers, recovered, csv, tex)
    assert csv.read_text().splitlines() == [
        f"quantity,unit,{STUDY_ITSELF},mixture,log2d",
        "pull_width,,1 ± 0.012,0.9877,1.1 ± 0.1",
        "nll_mean,nat,5.123,,",
        "gse_purity_ml_rv,,0.5,0.75,",
    ]
    # In the order of the headlines, whatever the files'.
    order = [HEADLINES.index(q) for q in ("pull_width", "nll_mean", "gse_purity_ml_rv")]
    assert order == sorted(order)
    text = tex.read_text()
    assert r"pull\_width & 1 $\pm$ 0.012 & 0.9877 & 1.1 $\pm$ 0.1 \\" in text
    assert text.count(r"\hline") == 3


def test_table_3_of_a_release_without_truth(tmp_path: Path) -> None:
    numbers = {"": _file(tmp_path, "own", [_m("pull_width", 1.0)])}
    write_table_variants(numbers, {}, tmp_path / "t.csv", tmp_path / "t.tex")
    assert (tmp_path / "t.csv").read_text() == f"quantity,unit,{STUDY_ITSELF}\npull_width,,1\n"
