"""From merged statistics to the data behind each figure and table, and the quoted numbers."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mwatlas.config.line_of_sight import LineOfSight
from mwatlas.distributions import (
    NormalFit,
    fit_normal,
    fit_normal_least_squares,
    histogram_quantile,
)
from mwatlas.ledger import Measurement
from mwatlas.statistics import Histogram, Statistics
from mwatlas.studies.line_of_sight.accumulate import COMPONENTS, COVERAGES
from mwatlas.tables.parquet import write_table
from mwatlas.tables.schemas import (
    FIGURE_ECCENTRICITIES,
    FIGURE_PULL,
    FIGURE_VELOCITIES,
    TABLE_COUNTS,
    Columns,
)

Floats = NDArray[np.float64]

BOX_LEVELS = {"p05": 0.05, "p25": 0.25, "p50": 0.5, "p75": 0.75, "p95": 0.95}
# A box drawn from fewer stars than this says more about them than about the network.
_MIN_BOX_STARS = 20
TABLE_ROWS = ("row0", "row1", "row2", "row0_high")
SAMPLES = ("rv", "test_set", "ml_rv")


def write_figure_velocities(statistics: Statistics, path: Path) -> None:
    """Write the data of Figure 1: predicted against true velocities, and their uncertainty."""
    parts = []
    for name in COMPONENTS:
        heat = statistics.histograms[f"fig01/{name}"]
        parts.append({"panel": name, "kind": "heat", **_filled_bins(heat)})
        error = statistics.histograms[f"fig01/error/{name}"]
        axis, values = error.axes
        number = error.counts.sum(axis=1)
        shown = np.flatnonzero(number >= _MIN_BOX_STARS)
        levels = np.array(
            [
                histogram_quantile(values.edges, error.counts[i], list(BOX_LEVELS.values()))
                for i in shown
            ]
        ).reshape(-1, len(BOX_LEVELS))
        parts.append(
            {
                "panel": name,
                "kind": "box",
                "x_low": axis.edges[shown],
                "x_high": axis.edges[shown + 1],
                "count": number[shown],
                **dict(zip(BOX_LEVELS, levels.T, strict=True)),
            }
        )
    write_table(path, FIGURE_VELOCITIES, _stack(parts, FIGURE_VELOCITIES.names))


def write_figure_pull(statistics: Statistics, path: Path) -> None:
    """Write the data of Figure 2: the histogram of pulls and the normal fit."""
    histogram = statistics.histograms["fig02/pull"]
    (axis,) = histogram.axes
    fit = fit_normal(axis.edges, histogram.counts)
    bars: dict[str, Any] = {
        "kind": "bar",
        "x_low": axis.edges[:-1],
        "x_high": axis.edges[1:],
        "count": histogram.counts,
    }
    curve: dict[str, Any] = {
        "kind": "fit",
        "mean": np.array([fit.mean]),
        "sigma": np.array([fit.sigma]),
    }
    write_table(path, FIGURE_PULL, _stack([bars, curve], FIGURE_PULL.names))


def write_figure_eccentricities(statistics: Statistics, study: LineOfSight, path: Path) -> None:
    """Write the data of Figure 3: eccentricities near the limit, and the shares of quadrants."""
    heat = statistics.histograms["fig03/eccentricity"]
    total = statistics.counts["fig03/all"].sum()
    parts: list[dict[str, Any]] = [{"kind": "heat", **_filled_bins(heat)}]
    for name in ("upper_right", "upper_left", "lower_right"):
        share = statistics.counts[f"fig03/{name}"].sum() / total if total else math.nan
        parts.append({"kind": name, "share": np.array([share])})
    limit = np.array([study.cuts.high_eccentricity])
    parts.append({"kind": "limit", "share": limit})
    write_table(path, FIGURE_ECCENTRICITIES, _stack(parts, FIGURE_ECCENTRICITIES.names))


def write_table_counts(statistics: Statistics, path: Path) -> None:
    """Write the counts of Table 1; error-sampled ones with their scatter among draws."""
    rows: dict[str, list[object]] = {name: [] for name in TABLE_COUNTS.names}
    for sample in SAMPLES:
        for row in TABLE_ROWS:
            counts = np.atleast_1d(statistics.counts[f"table1/{sample}/{row}"])
            rows["sample"].append(sample)
            rows["row"].append(row)
            rows["number"].append(counts.mean())
            rows["scatter"].append(counts.std() if counts.size > 1 else 0.0)
    write_table(path, TABLE_COUNTS, {name: np.array(values) for name, values in rows.items()})


def _filled_bins(histogram: Histogram) -> dict[str, Any]:
    x, y = histogram.axes
    i, j = np.nonzero(histogram.counts)
    return {
        "x_low": x.edges[i],
        "x_high": x.edges[i + 1],
        "y_low": y.edges[j],
        "y_high": y.edges[j + 1],
        "count": histogram.counts[i, j],
    }


def _stack(parts: list[dict[str, Any]], names: tuple[str, ...]) -> Columns:
    """Concatenate pieces that fill different columns; the rest is missing."""
    columns: dict[str, list[NDArray[Any]]] = {name: [] for name in names}
    for part in parts:
        size = max(len(v) for v in part.values() if isinstance(v, np.ndarray))
        for name in names:
            value = part.get(name, math.nan)
            columns[name].append(
                value
                if isinstance(value, np.ndarray)
                else np.full(size, value, dtype=object)
                if isinstance(value, str)
                else np.full(size, value)
            )
    return {name: np.concatenate(pieces) for name, pieces in columns.items()}


def measure(statistics: Statistics, study: LineOfSight) -> list[Measurement]:
    """Every number the study reports, with its error.

    Errors of means and fits are the scatter among the cross-validation rounds over the square
    root of their number. Errors of counts add Poisson noise and the scatter among draws.
    """
    return [
        *_counts(statistics),
        *_velocity_quality(statistics, study),
        *_eccentricity_quality(statistics, study),
        *_quadrants(statistics),
    ]


def _counts(statistics: Statistics) -> list[Measurement]:
    out = []
    total = {s: int(statistics.counts[f"table1/{s}/row0"]) for s in SAMPLES}
    for sample in SAMPLES:
        for row in TABLE_ROWS:
            counts = np.atleast_1d(statistics.counts[f"table1/{sample}/{row}"]).astype(float)
            sampled = row in ("row2", "row0_high")
            error = math.hypot(math.sqrt(counts.mean()), counts.std()) if sampled else None
            out.append(
                Measurement(
                    f"tab01.{row}",
                    f"count_{sample}_{row}",
                    "stars",
                    counts.mean(),
                    error,
                    total[sample],
                )
            )
        for row, base in (("row2", "row1"), ("row0_high", "row0")):
            high = np.atleast_1d(statistics.counts[f"table1/{sample}/{row}"]).astype(float)
            parent = float(statistics.counts[f"table1/{sample}/{base}"])
            share = high / parent if parent else np.full(high.size, math.nan)
            error = math.hypot(math.sqrt(share.mean() / parent), share.std()) if parent else None
            out.append(
                Measurement(
                    f"tab01.{row}", f"share_{sample}_{row}", "", share.mean(), error, int(parent)
                )
            )
    return out


def _by_round(values: list[float]) -> tuple[float, float]:
    """Mean over rounds and its error; rounds without stars are left out."""
    kept = [v for v in values if math.isfinite(v)]
    if len(kept) < 2:
        return (kept[0] if kept else math.nan), math.nan
    return float(np.mean(kept)), float(np.std(kept, ddof=1) / math.sqrt(len(kept)))


def _fit_or_nothing(histogram: Histogram) -> NormalFit:
    if (histogram.counts > 0).sum() < 3:
        return NormalFit(math.nan, math.nan, math.nan, math.nan)
    return fit_normal(histogram.axes[0].edges, histogram.counts)


def _velocity_quality(statistics: Statistics, study: LineOfSight) -> list[Measurement]:
    folds = range(study.cross_validation.folds)
    number = sum(statistics.number(f"pull/{k}") for k in folds)
    everything = statistics.histograms["fig02/pull"]
    edges = everything.axes[0].edges
    fit = fit_normal(edges, everything.counts)
    fits = [_fit_or_nothing(statistics.histograms[f"pull/{k}"]) for k in folds]
    core = fit_normal_least_squares(edges, everything.counts)
    low, high = histogram_quantile(edges, everything.counts, [0.1587, 0.8413])

    def mean(name: str) -> float:
        return sum(statistics.total(f"{name}/{k}") for k in folds) / number

    def spread(name: str) -> float:
        return _by_round([statistics.mean(f"{name}/{k}") for k in folds])[1]

    variance = mean("velocity_square") - mean("velocity") ** 2
    out = [
        ("fig02", "pull_mean", "", fit.mean, _by_round([f.mean for f in fits])[1]),
        ("fig02", "pull_width", "", fit.sigma, _by_round([f.sigma for f in fits])[1]),
        ("fig02", "pull_width_least_squares", "", core.sigma, core.sigma_error),
        ("fig02", "pull_width_percentiles", "", (high - low) / 2, None),
        ("fig02", "pull_average", "", mean("pull"), spread("pull")),
        ("sec2.1", "nll_mean", "nat", mean("nll"), spread("nll")),
        (
            "sec2.1",
            "nll_constant",
            "nat",
            0.5 * math.log(2 * math.pi * math.e * variance),
            None,
        ),
        ("sec2.1", "residual_rms", "km/s", math.sqrt(mean("residual_square")), None),
        (
            "sec2.1",
            "velocity_correlation",
            "",
            _correlation(
                mean, "velocity", "predicted", "velocity_square", "predicted_square", "product"
            ),
            None,
        ),
    ]
    for reach, name in zip(COVERAGES, ("coverage_68", "coverage_95"), strict=True):
        inside = [int(statistics.counts[f"coverage/{reach:g}/{k}"]) for k in folds]
        shares = [
            i / statistics.number(f"pull/{k}") if statistics.number(f"pull/{k}") else math.nan
            for k, i in zip(folds, inside, strict=True)
        ]
        out.append(("sec2.1", name, "", sum(inside) / number, _by_round(shares)[1]))
    return [Measurement(*row, number) for row in out]


def _correlation(mean: object, x: str, y: str, xx: str, yy: str, xy: str) -> float:
    """Pearson correlation from means of products."""
    assert callable(mean)
    covariance = mean(xy) - mean(x) * mean(y)
    variances = (mean(xx) - mean(x) ** 2) * (mean(yy) - mean(y) ** 2)
    return float(covariance / math.sqrt(variances)) if variances > 0 else math.nan


def _eccentricity_quality(statistics: Statistics, study: LineOfSight) -> list[Measurement]:
    folds = range(study.cross_validation.folds)
    out = []
    for kind, name in (
        ("pred", "eccentricity_correlation"),
        ("draw", "eccentricity_correlation_draw"),
    ):
        prefix = f"eccentricity/{kind}"
        number = sum(statistics.number(f"{prefix}/x/{k}") for k in folds)

        def over_all(term: str, prefix: str = prefix, number: int = number) -> float:
            return sum(statistics.total(f"{prefix}/{term}/{k}") for k in folds) / number

        rounds = [
            _correlation(
                lambda term, k=k, prefix=prefix: statistics.mean(f"{prefix}/{term}/{k}"),
                "x",
                "y",
                "xx",
                "yy",
                "xy",
            )
            for k in folds
        ]
        value = _correlation(over_all, "x", "y", "xx", "yy", "xy")
        out.append(Measurement("sec2.2", name, "", value, _by_round(rounds)[1], number))
    total = int(statistics.counts["table1/test_set/row0"])
    for limit, label in (("high_eccentricity", "08"), ("moderate_eccentricity", "07")):
        for reading in ("draws", "point"):
            counts = np.atleast_1d(statistics.counts[f"contamination/{limit}/{reading}"])
            share = counts / total if total else np.array([math.nan])
            error = math.hypot(math.sqrt(share.mean() / total), share.std()) if total else None
            out.append(
                Measurement(
                    "sec2.2", f"contamination_{label}_{reading}", "", share.mean(), error, total
                )
            )
    return out


def _quadrants(statistics: Statistics) -> list[Measurement]:
    shown = statistics.counts["fig03/all"].astype(float)
    out = [
        Measurement(
            "fig03",
            "eccentricities_shown",
            "stars",
            shown.mean(),
            math.hypot(math.sqrt(shown.mean()), shown.std()),
            int(shown.mean()),
        )
    ]
    pairs = [
        ("upper_right", "all"),
        ("upper_left", "all"),
        ("lower_right", "all"),
        ("lower_right_moderate", "lower_right"),
    ]
    for name, base in pairs:
        part = statistics.counts[f"fig03/{name}"].astype(float)
        parent = statistics.counts[f"fig03/{base}"].astype(float)
        if parent.min() == 0:
            out.append(Measurement("fig03", f"share_{name}", "", math.nan, None, 0))
            continue
        share = part / parent
        binomial = math.sqrt(share.mean() * (1 - share.mean()) / parent.mean())
        out.append(
            Measurement(
                "fig03",
                f"share_{name}",
                "",
                share.mean(),
                math.hypot(binomial, share.std()),
                int(parent.mean()),
            )
        )
    return out
