"""From evaluated tables to the small data files behind each figure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mwatlas.config.conditional_potential import ConditionalPotential
from mwatlas.errors import ConfigError
from mwatlas.ledger import read_measurements
from mwatlas.studies.conditional_potential.density_numbers import (
    SPREADS,
    calibrated_share,
    expected_stars,
    pulls,
    relative_error,
    volume_of_points,
    volumes_of_profile,
)
from mwatlas.studies.conditional_potential.evaluated import Evaluated
from mwatlas.studies.conditional_potential.field_numbers import residuals
from mwatlas.studies.conditional_potential.figure_tables import FIGURE, FIGURE_SKY
from mwatlas.studies.conditional_potential.map_data import (
    LEAST_SHOWN,
    compared,
    inside_volume,
    map_part,
)
from mwatlas.studies.conditional_potential.phase_numbers import phase_residuals
from mwatlas.studies.conditional_potential.profiles import Mask, masks, quantiles
from mwatlas.tables.parquet import write_table
from mwatlas.tables.stack import stack_rows
from mwatlas.tables.table import Columns

Floats = NDArray[np.float64]
Part = dict[str, Any]

_RADII = 32
# Decades of S and of relative errors, and bins in each.
_SELECTION_EDGES = np.logspace(-4, 0, 17)
_ERROR_EDGES = np.logspace(-4, 0, 17)
_RATIO_EDGES = np.linspace(-0.5, 0.5, 201)
# Quantiles of fewer places say more about these than about the field.
_FEWEST = 8


@dataclass(frozen=True)
class Run:
    """What figures are made of.

    Parameters
    ----------
    evaluated
        Evaluated tables of the run.
    observed
        Observed stars of its mock.
    study
        Its settings.
    """

    evaluated: Evaluated
    observed: int
    study: ConditionalPotential

    @classmethod
    def read(cls, evaluated: Path, numbers: Path, study: ConditionalPotential) -> Run:
        """A run from the folder of its evaluated tables and the file of its measurements."""
        observed = {m.quantity: m.value for m in read_measurements(numbers)}["count_observed"]
        return cls(Evaluated.read(evaluated), round(observed), study)

    @property
    def radius_kpc(self) -> float:
        """Radius of the volume."""
        return self.study.mock.tracer.radius_kpc

    @property
    def least(self) -> float:
        """S from which on errors of fields without a scale count."""
        return self.study.comparison.least_selection


def write_figure(figure: str, run: Run, path: Path) -> None:
    """Write the data file of a figure.

    Parameters
    ----------
    figure
        ``fig01`` to ``fig07``.
    run
        The study's run; for ``fig06`` that of the variant without dust.
    path
        Parquet file to write: table ``conditional_potential_figure_sky`` for ``fig04``, else
        ``conditional_potential_figure``.

    Raises
    ------
    ConfigError
        If there is no such figure.
    """
    if figure == "fig04":
        write_table(path, FIGURE_SKY, _sky(run))
        return
    if figure not in _PARTS:
        raise ConfigError(
            "the study has no such figure",
            item="figure",
            found=figure,
            expected=", ".join(sorted([*_PARTS, "fig04"])),
            remedy="ask for one of these",
        )
    parts = [{"sample": "", **part} for part in _PARTS[figure](run)]
    write_table(path, FIGURE, stack_rows(parts, FIGURE.names) if parts else FIGURE.empty())


def _fig01(run: Run) -> Iterator[Part]:
    plane = inside_volume(run.evaluated.plane)
    for name in ("dust_density", "extinction", "selection_true", "expected_projection"):
        yield map_part(plane, name, plane[name])


def _fig02(run: Run) -> Iterator[Part]:
    points = run.evaluated.points
    yield from _radial_density(run)
    each = volume_of_points(points, run.radius_kpc)
    along = points["selection_true"]
    yield from _density(run, points, along, each, _SELECTION_EDGES, panel="selection")


def _radial_density(run: Run) -> Iterator[Part]:
    profile = run.evaluated.profile
    edges = np.linspace(0, run.radius_kpc, _RADII + 1)
    volumes = volumes_of_profile(profile, run.radius_kpc)
    yield from _density(run, profile, profile["radius_kpc"], volumes, edges, panel="radius")


def _density(
    run: Run, points: Columns, along: Floats, each_kpc3: ArrayLike, edges: Floats, *, panel: str
) -> Iterator[Part]:
    """Densities, their errors, the ensemble's spread and the number of stars in bins."""
    bins = masks(along, edges)
    true = points["density_true"]
    yield from binned(along, bins, true, panel=panel, kind="truth")
    for method in run.evaluated.methods:
        residual = relative_error(points, method)
        for kind, values in (
            ("density", points[f"density_{method}"]),
            ("residual", residual),
            ("error", np.abs(residual)),
            ("spread", points[f"density_spread_{method}"] / true),
        ):
            yield from binned(along, bins, values, panel=panel, kind=kind, sample=method)
    low, high, some = zip(*bins, strict=True)
    stars = [expected_stars(points, each_kpc3, mask, run.observed) for mask in some]
    yield {
        "panel": panel,
        "kind": "stars",
        "x_low": np.array(low),
        "x_high": np.array(high),
        "value": np.array(stars),
    }


def binned(
    along: Floats, bins: list[tuple[float, float, Mask]], values: Floats, **names: str
) -> Iterator[Part]:
    """Quantiles of values in bins with places enough; nothing if all are missing."""
    if np.isnan(values).all():
        return
    for low, high, mask in bins:
        if mask.sum() >= _FEWEST:
            found = {"x": np.median(along[mask]), **quantiles(values[mask])}
            yield {
                **names,
                "x_low": np.array([low]),
                "x_high": np.array([high]),
                **{name: np.array([value]) for name, value in found.items()},
            }


def _fig03(run: Run) -> Iterator[Part]:
    plane = inside_volume(run.evaluated.plane)
    errors = residuals(plane, run.least)
    for field, true in (("selection", "selection_true"), ("tracers", "tracer_density_true")):
        if field in errors:
            yield from compared(plane, field, plane[true], errors[field])


def _sky(run: Run) -> Columns:
    sky, least = run.evaluated.sky, run.least
    model, true = sky["selection_model"], sky["selection_true"]
    ratio = np.divide(model, true, out=np.full_like(true, np.nan), where=true >= LEAST_SHOWN)
    # As everywhere, S is known but for a factor.
    ratio /= np.median(ratio[true >= least]) if (true >= least).any() else 1.0
    panels = {
        "true": true,
        "model": np.where(np.isfinite(ratio), ratio * true, model),
        "error": ratio - 1,
        "extinction": sky["extinction"],
    }
    parts: list[Part] = [
        {
            "panel": name,
            "pixel": sky["pixel"],
            "radius_kpc": sky["radius_kpc"],
            "value": values,
        }
        for name, values in panels.items()
    ]
    return stack_rows(parts, FIGURE_SKY.names)


def _fig05(run: Run) -> Iterator[Part]:
    phase = run.evaluated.phase
    share = phase["selection_true"]
    bins = masks(share, _SELECTION_EDGES)
    for name, residual in phase_residuals(phase).items():
        counts, x, y = np.histogram2d(share, residual, (_SELECTION_EDGES, _RATIO_EDGES))
        i, j = np.nonzero(counts)
        yield {
            "panel": name,
            "kind": "heat",
            "x_low": x[i],
            "x_high": x[i + 1],
            "y_low": y[j],
            "y_high": y[j + 1],
            "value": counts[i, j],
        }
        yield from binned(share, bins, residual, panel=name, kind="residual")


def _fig06(run: Run) -> Iterator[Part]:
    plane = inside_volume(run.evaluated.plane)
    errors = residuals(plane, run.least)
    for field, true in (("derived", "selection_true"), ("tracers", "tracer_density_true")):
        if field in errors:
            yield from compared(plane, field, plane[true], errors[field])
    for part in _radial_density(run):
        if part.get("sample", "conditional") == "conditional":
            yield part
    yield from _fig05(run)


def _fig07(run: Run) -> Iterator[Part]:
    points, profile = run.evaluated.points, run.evaluated.profile
    radius = profile["radius_kpc"]
    shells = masks(radius, np.linspace(0, run.radius_kpc, _RADII + 1))
    members = run.study.flows.members
    for spreads in SPREADS if members > 1 else ():
        yield {
            "panel": "radius",
            "kind": f"calibrated_{spreads}",
            "x_low": np.array([0.0]),
            "x_high": np.array([run.radius_kpc]),
            "value": np.array([calibrated_share(spreads, members)]),
        }
    for method in run.evaluated.methods:
        pull = pulls(points, method)
        if np.isnan(pull).all():
            continue
        spread = points[f"density_spread_{method}"] / points["density_true"]
        error = np.abs(relative_error(points, method))
        bins = masks(spread, _ERROR_EDGES)
        yield from binned(spread, bins, error, panel="spread", kind="error", sample=method)
        radial_pull = np.abs(pulls(profile, method))
        for spreads in SPREADS:
            close = radial_pull <= spreads
            for low, high, mask in shells:
                if mask.sum() >= _FEWEST:
                    share = close[mask].mean()
                    yield {
                        "panel": "radius",
                        "kind": f"within_{spreads}",
                        "sample": method,
                        "x_low": np.array([low]),
                        "x_high": np.array([high]),
                        "x": np.array([np.median(radius[mask])]),
                        "value": np.array([share]),
                        "error": np.array([np.sqrt(share * (1 - share) / mask.sum())]),
                    }


_PARTS: dict[str, Callable[[Run], Iterator[Part]]] = {
    "fig01": _fig01,
    "fig02": _fig02,
    "fig03": _fig03,
    "fig05": _fig05,
    "fig06": _fig06,
    "fig07": _fig07,
}
