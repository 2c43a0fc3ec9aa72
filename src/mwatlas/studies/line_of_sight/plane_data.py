"""Small data files of Figures 4 to 11, which are about the stars of high eccentricity."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from mwatlas.astrometry.frames import Floats
from mwatlas.config.line_of_sight import LineOfSight
from mwatlas.statistics import Statistics
from mwatlas.studies.line_of_sight.accumulate import solar_axes
from mwatlas.studies.line_of_sight.debris import (
    COMPONENTS,
    INTEGRAL_PLANES,
    POSITION_PLANES,
    VELOCITY_PLANES,
)
from mwatlas.studies.line_of_sight.debris_numbers import covariances, fits_by_draw
from mwatlas.studies.line_of_sight.figure_data import filled_bins
from mwatlas.studies.line_of_sight.names import SAMPLES
from mwatlas.studies.line_of_sight.views import SURVEYS
from mwatlas.tables.parquet import write_table
from mwatlas.tables.schemas import FIGURE_HISTOGRAMS, FIGURE_PLANES
from mwatlas.tables.stack import stack_rows

Part = dict[str, Any]


def write_planes(statistics: Statistics, study: LineOfSight, figure: str, path: Path) -> None:
    """Write the data of one of Figures 4 to 8, 10 and 11.

    Parameters
    ----------
    statistics
        Merged over all partitions.
    study
        Settings.
    figure
        For instance ``fig04``.
    path
        File to write.
    """
    parts = [
        *_MAKERS[figure](statistics, study),
        _number("limit", study.cuts.high_eccentricity),
    ]
    write_table(path, FIGURE_PLANES, stack_rows(parts, FIGURE_PLANES.names))


def _number(kind: str, value: float, panel: str = "", sample: str = "") -> Part:
    return {"panel": panel, "sample": sample, "kind": kind, "share": np.array([value])}


def _draws(sample: str, study: LineOfSight) -> int:
    """Entries of each star in a histogram."""
    return study.error_sampling.draws if sample in ("test_set", "ml_rv") else 1


def _plane(
    statistics: Statistics, study: LineOfSight, name: str, panel: str, sample: str
) -> Iterable[Part]:
    histogram = statistics.histograms[name]
    draws = _draws(sample, study)
    x, y = histogram.axes
    about = {"panel": panel, "sample": sample}
    yield {**about, "kind": "heat", **filled_bins(histogram, draws)}
    yield {
        **about,
        "kind": "range",
        "x_low": x.edges[:1],
        "x_high": x.edges[-1:],
        "y_low": y.edges[:1],
        "y_high": y.edges[-1:],
        "count": np.array([(histogram.counts.sum() + histogram.outside) / draws]),
        "xx": np.array([x.edges[1] - x.edges[0]]),
        "yy": np.array([y.edges[1] - y.edges[0]]),
    }


def _velocities_of_known(statistics: Statistics, study: LineOfSight) -> Iterable[Part]:
    for group in ("high", "low"):
        for plane in VELOCITY_PLANES:
            for sample in ("rv", "test_set"):
                name = f"velocity/{group}/{plane}/{sample}"
                yield from _plane(statistics, study, name, f"{group}/{plane}", sample)


def _velocities_of_unknown(statistics: Statistics, study: LineOfSight) -> Iterable[Part]:
    for plane in VELOCITY_PLANES:
        for sample in ("ml_rv", "rv"):
            name = f"velocity/high/{plane}/{sample}"
            yield from _plane(statistics, study, name, f"high/{plane}", sample)


def _ellipses(statistics: Statistics, study: LineOfSight, sample: str) -> Iterable[Part]:
    """Covariance within the first of the configured distances, averaged over draws."""
    mean, covariance = covariances(statistics, sample, study.debris.within_kpc[0])
    if not np.isfinite(covariance).all():
        return
    centre, spread = mean.mean(axis=0) + _sun(study), covariance.mean(axis=0)
    for plane, (i, j) in POSITION_PLANES.items():
        values = {
            "x_mean": centre[i],
            "y_mean": centre[j],
            "xx": spread[i, i],
            "xy": spread[i, j],
            "yy": spread[j, j],
        }
        yield {
            "panel": plane,
            "sample": sample,
            "kind": "ellipse",
            **{name: np.array([value]) for name, value in values.items()},
        }


def _sun(study: LineOfSight) -> Floats:
    _, position = solar_axes(study.solar_frame).affine()
    return position


def _suns(study: LineOfSight) -> Iterable[Part]:
    sun = _sun(study)
    for plane, (i, j) in POSITION_PLANES.items():
        yield {
            "panel": plane,
            "sample": "",
            "kind": "sun",
            "x_mean": sun[i : i + 1],
            "y_mean": sun[j : j + 1],
        }


def _positions(
    statistics: Statistics, study: LineOfSight, shown: tuple[str, ...], ellipses: tuple[str, ...]
) -> Iterable[Part]:
    for plane in POSITION_PLANES:
        for sample in shown:
            yield from _plane(statistics, study, f"position/{plane}/{sample}", plane, sample)
    for sample in ellipses:
        yield from _ellipses(statistics, study, sample)
    yield from _suns(study)


def _positions_of_known(statistics: Statistics, study: LineOfSight) -> Iterable[Part]:
    return _positions(statistics, study, ("rv", "test_set"), ("rv", "test_set"))


def _positions_of_unknown(statistics: Statistics, study: LineOfSight) -> Iterable[Part]:
    return _positions(statistics, study, ("ml_rv",), ("ml_rv", "rv"))


def _integrals(statistics: Statistics, study: LineOfSight) -> Iterable[Part]:
    for plane in INTEGRAL_PLANES:
        for sample in ("background", "ml_rv", "rv"):
            yield from _plane(statistics, study, f"integrals/{plane}/{sample}", plane, sample)


def _surveys(statistics: Statistics, study: LineOfSight) -> Iterable[Part]:
    for survey in SURVEYS:
        for component in COMPONENTS:
            name = f"survey/{survey}/{component}"
            yield from _plane(statistics, study, name, f"{survey}/{component}", "ml_rv")


def _abundances(statistics: Statistics, study: LineOfSight) -> Iterable[Part]:
    for panel, samples in (("left", ("rv", "test_set")), ("right", ("ml_rv",))):
        yield from _plane(statistics, study, "chemistry/all", panel, "all")
        for sample in samples:
            yield from _plane(statistics, study, f"chemistry/{sample}", panel, sample)
            part, whole = (
                statistics.counts[f"chemistry/{sample}/{name}"].sum()
                for name in ("high_alpha", "measured")
            )
            yield _number("share", part / whole if whole else math.nan, panel, sample)
    for name in ("accreted", "high_alpha"):
        region = getattr(study.debris, name)
        edges = dict(
            zip(("x_low", "x_high", "y_low", "y_high"), (*region.fe_h, *region.mg_fe), strict=True)
        )
        yield {
            "panel": name,
            "sample": "",
            "kind": "box",
            **{key: np.array([value]) for key, value in edges.items()},
        }


_MAKERS: dict[str, Callable[[Statistics, LineOfSight], Iterable[Part]]] = {
    "fig04": _velocities_of_known,
    "fig05": _positions_of_known,
    "fig06": _velocities_of_unknown,
    "fig07": _integrals,
    "fig08": _surveys,
    "fig10": _abundances,
    "fig11": _positions_of_unknown,
}
PLANE_FIGURES = tuple(_MAKERS)
"""Figures that :func:`write_planes` serves."""


def write_figure_metallicities(statistics: Statistics, path: Path) -> None:
    """Write the data of Figure 9: distributions of [Fe/H] by draw, and their normal fits."""
    parts: list[Part] = []
    for survey in SURVEYS:
        for sample in (*SAMPLES, "all"):
            histogram = statistics.histograms[f"mdf/{survey}/{sample}"]
            edges = histogram.axes[-1].edges
            about = {"panel": survey, "sample": sample}
            by_draw = np.atleast_2d(histogram.counts)
            for draw, counts in enumerate(by_draw):
                bars = {"x_low": edges[:-1], "x_high": edges[1:], "count": counts}
                number = draw if sample in ("test_set", "ml_rv") else -1
                parts.append({**about, "kind": "bar", "draw": number, **bars})
            if sample == "all":
                continue
            fits = np.array(fits_by_draw(histogram))
            fits = fits[np.isfinite(fits).all(axis=1)]
            if fits.size:
                mean, sigma, _, _, area = fits.mean(axis=0)
                values = {"mean": mean, "sigma": sigma, "share": area}
                arrays = {name: np.array([value]) for name, value in values.items()}
                parts.append({**about, "kind": "fit", "draw": -1, **arrays})
    write_table(path, FIGURE_HISTOGRAMS, stack_rows(parts, FIGURE_HISTOGRAMS.names))
