"""Numbers of S and n: how large their errors are, and how smooth on the sky."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from mwatlas.config.conditional_comparison import Comparison
from mwatlas.ledger import Measurement
from mwatlas.studies.conditional_potential.profiles import (
    Mask,
    half_width,
    masks,
    median_and_error,
    scaled,
    shells_of_radius,
)
from mwatlas.tables.table import Columns

Floats = NDArray[np.float64]

EDGE = 0.97
"""Share of the radius beyond which is the edge, where the density of stars ends at once."""
# A shell with fewer places tells little of the scatter about its median.
_FEWEST_PLACES = 10


def residuals(places: Columns, least: float) -> dict[str, Floats]:
    """Logarithm of model over true field, for each field that the run has.

    ``selection`` and ``tracers`` are learned by the equations; ``derived`` is S as n_obs / n of
    the conditional method (Kalda & Green 2026, Appendix D), ``weighted`` is n from weighted
    stars. A constant factor that cannot be observed is chosen so that the median is 0 where S is
    at least ``least``.

    Parameters
    ----------
    places
        Columns of ``conditional_potential_points``, or of a plane without missing rows.
    least
        See above.

    Returns
    -------
    dict
        Arrays of shape (N,). S is nan where its truth is 0.
    """
    share, tracers = places["selection_true"], places["tracer_density_true"]
    observed, model = places["observed_density_model"], places["tracer_density_model"]
    pairs = {
        "selection": (places["selection_model"], share),
        "derived": (observed / model, share),
        "tracers": (model, tracers),
        "weighted": (places["tracer_density_vanilla"], tracers),
    }
    out = {}
    for name, (learned, true) in pairs.items():
        if not np.isfinite(learned).any():
            continue
        positive = (true > 0) & (learned > 0)
        ratio = np.full(true.shape, np.nan)
        # Weights of stars have an upper limit, so that even theirs has no scale.
        free = scaled(
            np.where(positive, learned, 1.0),
            np.where(positive, true, 1.0),
            positive & (share >= least),
        )
        ratio[positive] = np.log(free[positive] / true[positive])
        out[name] = ratio
    return out


_FIELDS = {
    "selection": ("fig03", "S of the selection-function method"),
    "tracers": ("fig03", "n of the conditional method"),
    "derived": ("fig06", "S as n_obs / n of the conditional method"),
    "weighted": ("fig03", "n learned from weighted stars"),
}


def field_measurements(
    points: Columns, observed: int, radius_kpc: float, comparison: Comparison
) -> list[Measurement]:
    """Errors of S and n, and how smooth they are on the sky.

    Parameters
    ----------
    points
        Table ``conditional_potential_points``.
    observed
        Observed stars of the mock.
    radius_kpc
        Radius of the volume.
    comparison
        Shells and limits.
    """
    found = residuals(points, comparison.least_selection)
    share, radius = points["selection_true"], points["radius_kpc"]
    seen = share >= comparison.least_selection
    edge = radius > EDGE * radius_kpc
    where = f"where S is at least {comparison.least_selection:g}"
    out, roughness = [], {}
    for name, ratio in found.items():
        item, label = _FIELDS[name]
        error = np.abs(np.expm1(ratio))
        parts = [("", where, seen), ("_volume", "over the whole volume", np.isfinite(error))]
        if name == "derived":
            parts.append(("_edge", f"there, beyond {EDGE:g} of the radius", seen & edge))
            parts.append(("_inside", "there, within that", seen & ~edge))
        out += [
            Measurement(
                item,
                f"{name}_error{suffix}",
                f"median |model / true - 1| of {label}, {text}",
                "",
                *median_and_error(error[mask & np.isfinite(error)]),
                observed,
            )
            for suffix, text, mask in parts
        ]
        if name == "derived":
            edge_error, inside_error = (m.value for m in out[-2:])
            out.append(
                Measurement(
                    item,
                    "error_ratio_edge_derived",
                    f"error of {label} beyond {EDGE:g} of the radius over that within",
                    "",
                    _over(edge_error, inside_error),
                    None,
                    observed,
                )
            )
        roughness[name] = _roughness(ratio, seen, radius, radius_kpc, comparison)
    for name in ("selection", "tracers"):
        if name in roughness:
            out.append(
                Measurement(
                    "fig03",
                    f"{name}_roughness",
                    f"scatter of ln(model / true) of {_FIELDS[name][1]} among directions, {where}: "
                    "half the central 68 per cent in a shell of radius, median of shells",
                    "",
                    roughness[name],
                    None,
                    observed,
                )
            )
    if {"selection", "tracers"} <= set(found):
        errors = {m.quantity: m.value for m in out}
        out += [
            Measurement(
                "fig03",
                "error_ratio_tracers_selection",
                f"median error of n over that of S, {where}",
                "",
                _over(errors["tracers_error"], errors["selection_error"]),
                None,
                observed,
            ),
            Measurement(
                "fig03",
                "roughness_ratio_tracers_selection",
                "scatter of the error among directions, that of n over that of S",
                "",
                _over(roughness["tracers"], roughness["selection"]),
                None,
                observed,
            ),
        ]
    return out


def _over(part: float, whole: float) -> float:
    return part / whole if whole else math.nan


def _roughness(
    ratio: Floats, seen: Mask, radius: Floats, radius_kpc: float, comparison: Comparison
) -> float:
    """Median over shells of the scatter about a shell's median."""
    widths = [
        half_width(ratio[mask & seen])
        for _, _, mask in masks(radius, shells_of_radius(radius_kpc, comparison.shells))
        if (mask & seen).sum() >= _FEWEST_PLACES
    ]
    return float(np.median(widths)) if widths else math.nan
