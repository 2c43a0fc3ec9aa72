"""From merged statistics to the small data files behind each figure and table."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mwatlas.config.line_of_sight import LineOfSight
from mwatlas.distributions import fit_normal, fit_normal_least_squares, histogram_quantile
from mwatlas.statistics import Histogram, Statistics
from mwatlas.studies.line_of_sight.debris import COMPONENTS
from mwatlas.studies.line_of_sight.debris_numbers import VIEWS
from mwatlas.studies.line_of_sight.numbers import row_names
from mwatlas.tables.parquet import write_table
from mwatlas.tables.schemas import (
    FIGURE_ECCENTRICITIES,
    FIGURE_PULL,
    FIGURE_VELOCITIES,
    TABLE_COUNTS,
)
from mwatlas.tables.stack import stack_rows

Floats = NDArray[np.float64]

BOX_LEVELS = {"p05": 0.05, "p25": 0.25, "p50": 0.5, "p75": 0.75, "p95": 0.95}
# A box drawn from fewer stars than this says more about them than about the network.
_MIN_BOX_STARS = 20


def write_figure_velocities(statistics: Statistics, path: Path) -> None:
    """Write the data of Figure 1: predicted against true velocities, and their uncertainty."""
    parts = []
    for name in COMPONENTS:
        heat = statistics.histograms[f"fig01/{name}"]
        parts.append({"panel": name, "kind": "heat", **filled_bins(heat)})
        edges = heat.axes[0].edges
        parts.append({"panel": name, "kind": "range", "x_low": edges[:1], "x_high": edges[-1:]})
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
    write_table(path, FIGURE_VELOCITIES, stack_rows(parts, FIGURE_VELOCITIES.names))


def write_figure_pull(statistics: Statistics, path: Path) -> None:
    """Write the data of Figure 2: the histogram of pulls and two normal fits."""
    histogram = over_rounds(statistics, "pull")
    (axis,) = histogram.axes
    bars: dict[str, Any] = {
        "kind": "bar",
        "x_low": axis.edges[:-1],
        "x_high": axis.edges[1:],
        "count": histogram.counts,
    }
    parts = [bars]
    for kind, fit in (
        ("likelihood", fit_normal(axis.edges, histogram.counts)),
        ("least squares", fit_normal_least_squares(axis.edges, histogram.counts)),
    ):
        values = {"mean": fit.mean, "sigma": fit.sigma, "share": fit.area}
        parts.append({"kind": kind, **{name: np.array([v]) for name, v in values.items()}})
    write_table(path, FIGURE_PULL, stack_rows(parts, FIGURE_PULL.names))


def write_figure_eccentricities(statistics: Statistics, study: LineOfSight, path: Path) -> None:
    """Write the data of Figure 3: eccentricities near the limit, and the shares of quadrants."""
    heat = statistics.histograms["fig03/eccentricity"]
    total = statistics.counts["fig03/all"].sum()
    parts: list[dict[str, Any]] = [{"kind": "heat", **filled_bins(heat)}]
    for name in ("upper_right", "upper_left", "lower_right"):
        share = statistics.counts[f"fig03/{name}"].sum() / total if total else math.nan
        parts.append({"kind": name, "share": np.array([share])})
    limit = np.array([study.cuts.high_eccentricity])
    parts.append({"kind": "limit", "share": limit})
    write_table(path, FIGURE_ECCENTRICITIES, stack_rows(parts, FIGURE_ECCENTRICITIES.names))


def over_rounds(statistics: Statistics, name: str) -> Histogram:
    """Histogram ``name`` over the stars of all cross-validation rounds."""
    each = [h for key, h in statistics.histograms.items() if key.rpartition("/")[0] == name]
    return Histogram(each[0].axes, np.sum([h.counts for h in each], axis=0))


def write_table_counts(statistics: Statistics, study: LineOfSight, path: Path) -> None:
    """Write the counts of Table 1; error-sampled ones with their scatter among draws."""
    rows: dict[str, list[object]] = {name: [] for name in TABLE_COUNTS.names}
    for sample in VIEWS:
        for row in row_names(study.cuts):
            counts = statistics.counts[f"table1/{sample}/{row}"].sum(axis=0)
            rows["sample"].append(sample)
            rows["row"].append(row)
            rows["number"].append(counts.mean())
            rows["scatter"].append(counts.std() if counts.size > 1 else 0.0)
    write_table(path, TABLE_COUNTS, {name: np.array(values) for name, values in rows.items()})


def filled_bins(histogram: Histogram, draws: int = 1) -> dict[str, Any]:
    """Filled bins of a histogram in two quantities; counts are averaged over draws."""
    x, y = histogram.axes
    i, j = np.nonzero(histogram.counts)
    return {
        "x_low": x.edges[i],
        "x_high": x.edges[i + 1],
        "y_low": y.edges[j],
        "y_high": y.edges[j + 1],
        "count": histogram.counts[i, j] / draws,
    }
