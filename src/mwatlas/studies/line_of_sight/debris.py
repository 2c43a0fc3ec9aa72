"""What a catalogue contributes to Table 1 and to everything about stars of high eccentricity."""

from __future__ import annotations

from itertools import combinations_with_replacement

import numpy as np

from mwatlas.astrometry.frames import spherical_velocity
from mwatlas.config.debris import Axis, Region
from mwatlas.config.line_of_sight import LineOfSight
from mwatlas.dynamics.actions import integrals_of_motion
from mwatlas.dynamics.orbits import UNBOUND
from mwatlas.statistics import Bins, Statistics
from mwatlas.studies.line_of_sight.views import (
    SURVEYS,
    TABLE_ROWS,
    Entries,
    Floats,
    Mask,
    View,
    entries,
)

COMPONENTS = ("v_r", "v_theta", "v_phi")
VELOCITY_PLANES = {
    "vr_vtheta": (0, 1),
    "vr_vphi": (0, 2),
    "vtheta_vphi": (1, 2),
}
POSITION_PLANES = {"x_y": (0, 1), "x_z": (0, 2), "y_z": (1, 2)}
PAIRS = tuple(combinations_with_replacement("xyz", 2))
"""Products of coordinates that make a covariance: xx, xy, ... zz."""
INTEGRALS = ("energy", "l_z", "sqrt_j_r")
INTEGRAL_PLANES = {"lz_e": ("l_z", "energy"), "lz_sqrt_jr": ("l_z", "sqrt_j_r")}

_ENERGY_UNIT, _L_Z_UNIT = 1e5, 1e3


def bins(axis: Axis) -> Bins:
    """Bins of an axis of the configuration."""
    return Bins(axis.low, axis.high, axis.bins)


def draw_bins(draws: int) -> Bins:
    """One bin for each draw."""
    return Bins(-0.5, draws - 0.5, draws)


def _in_range(axis: Bins, values: Floats) -> Floats:
    """Values with those beyond an axis moved to its ends, where they count for quantiles."""
    return np.clip(values, axis.low, axis.high)


def inside(region: Region, fe_h: np.ndarray, mg_fe: np.ndarray) -> Mask:
    """Whether abundances lie in a box; never for missing ones."""
    (low, high), (below, above) = region.fe_h, region.mg_fe
    return (fe_h >= low) & (fe_h < high) & (mg_fe >= below) & (mg_fe < above)


def accumulate_debris(view: View, study: LineOfSight, statistics: Statistics) -> None:
    """Add one catalogue's stars of one cell.

    Parameters
    ----------
    view
        The stars.
    study
        Settings.
    statistics
        To add to; names start with the figure or table and hold the view's name.
    """
    high = view.eccentricity > study.cuts.high_eccentricity
    _count_rows(view, high, study, statistics)
    complete = view[view.complete]
    selected = entries(complete, high[view.complete])
    _add_velocities(complete, high[view.complete], selected, study, statistics)
    _add_positions(complete, selected, study, statistics)
    _add_integrals(complete, selected, study, statistics)
    _add_abundances(complete, selected, study, statistics)


def _count_rows(view: View, high: Mask, study: LineOfSight, statistics: Statistics) -> None:
    """Rows of Table 1: one number for each subset (the last for stars without) and draw."""
    folds = study.cross_validation.folds
    for row, keep in (
        ("row0", np.ones_like(high)),
        ("row1", np.broadcast_to(view.complete[:, None], high.shape)),
        ("row2", high & view.complete[:, None]),
        *(
            (row, high & (view.complete & view.matches[survey].matched)[:, None])
            for row, survey in TABLE_ROWS.items()
        ),
        ("row0_high", high),
    ):
        number = np.zeros((folds + 1, view.draws), dtype=np.int64)
        star, draw = np.nonzero(keep)
        np.add.at(number, (view.fold[star], draw), 1)
        statistics.count(f"table1/{view.name}/{row}", number)


def _add_velocities(
    view: View, high: Mask, selected: Entries, study: LineOfSight, statistics: Statistics
) -> None:
    axis = bins(study.binning.velocity)
    groups = {"high": selected}
    # Figure 4 shows the rest of the stars that have a measured velocity.
    if view.name in ("rv", "test_set"):
        groups["low"] = entries(view, ~high)
    for group, chosen in groups.items():
        for plane, (i, j) in VELOCITY_PLANES.items():
            statistics.fill(
                f"velocity/{group}/{plane}/{view.name}",
                (axis, axis),
                chosen.spherical_kms[:, i],
                chosen.spherical_kms[:, j],
            )
    for i, component in enumerate(COMPONENTS):
        statistics.fill(
            f"debris/{view.name}/{component}",
            (draw_bins(view.draws), axis),
            selected.draw,
            _in_range(axis, selected.spherical_kms[:, i]),
        )


def _add_positions(
    view: View, selected: Entries, study: LineOfSight, statistics: Statistics
) -> None:
    axes = (bins(study.binning.position_x), *[bins(study.binning.position_yz)] * 2)
    position = selected.position_kpc
    for plane, (i, j) in POSITION_PLANES.items():
        statistics.fill(
            f"position/{plane}/{view.name}", (axes[i], axes[j]), position[:, i], position[:, j]
        )
    from_sun = position - view.sun_kpc
    distance = np.linalg.norm(from_sun, axis=1)
    coordinates = dict(zip("xyz", from_sun.T, strict=True))
    for limit in study.debris.within_kpc:
        near = distance < limit
        for name, values in (
            *coordinates.items(),
            *((a + b, coordinates[a] * coordinates[b]) for a, b in PAIRS),
        ):
            statistics.add(
                f"debris/{view.name}/within{limit:g}/{name}",
                values[near],
                selected.draw[near],
                view.draws,
            )


def _add_integrals(
    view: View, selected: Entries, study: LineOfSight, statistics: Statistics
) -> None:
    groups = {view.name: selected}
    if view.name == "rv":
        groups["background"] = entries(view, np.ones_like(view.eccentricity, dtype=bool))
    axes = {name: bins(getattr(study.binning, name)) for name in INTEGRALS}
    for group, chosen in groups.items():
        integrals = integrals_of_motion(chosen.position_kpc, chosen.velocity_kms)
        # Unbound orbits have no radial action: they lie beyond any range.
        bound = integrals.flag != UNBOUND
        values = {
            "energy": integrals.energy / _ENERGY_UNIT,
            "l_z": integrals.l_z / _L_Z_UNIT,
            "sqrt_j_r": np.where(bound, np.sqrt(np.maximum(integrals.j_r, 0)), np.inf),
        }
        for plane, (i, j) in INTEGRAL_PLANES.items():
            statistics.fill(f"integrals/{plane}/{group}", (axes[i], axes[j]), values[i], values[j])
        if group == "background":
            continue
        for name in INTEGRALS:
            statistics.fill(
                f"debris/{view.name}/{name}",
                (draw_bins(view.draws), axes[name]),
                chosen.draw,
                _in_range(axes[name], values[name]),
            )


def _add_abundances(
    view: View, selected: Entries, study: LineOfSight, statistics: Statistics
) -> None:
    fe_axis, mg_axis = bins(study.binning.fe_h), bins(study.binning.mg_fe)
    for survey in SURVEYS:
        match = view.matches[survey]
        fe_h, mg_fe = match.fe_h[selected.star], match.mg_fe[selected.star]
        statistics.fill(
            f"mdf/{survey}/{view.name}", (draw_bins(view.draws), fe_axis), selected.draw, fe_h
        )
        measured = match.survey_radial_velocity[selected.star]
        if view.name == "ml_rv":
            phase = view.phase[selected.star]
            known = spherical_velocity(phase.position_kpc, phase.velocity_kms(measured))
            axis = bins(study.binning.velocity)
            for i, component in enumerate(COMPONENTS):
                statistics.fill(
                    f"survey/{survey}/{component}",
                    (axis, axis),
                    selected.spherical_kms[:, i],
                    known[:, i],
                )
        if survey == "apogee":
            statistics.fill(f"chemistry/{view.name}", (fe_axis, mg_axis), fe_h, mg_fe)
            both = np.isfinite(fe_h) & np.isfinite(mg_fe)
            for name, keep in (
                ("measured", both),
                ("high_alpha", inside(study.debris.high_alpha, fe_h, mg_fe)),
            ):
                number = np.bincount(selected.draw[keep], minlength=view.draws)
                statistics.count(f"chemistry/{view.name}/{name}", number)
