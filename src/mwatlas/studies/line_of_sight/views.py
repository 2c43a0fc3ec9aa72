"""One catalogue in one cell, with one or several velocities for each star.

The measured catalogue has one velocity a star, error-sampled ones have as many as draws, and
the truth of the embedded sky has one; whatever is measured of one is measured of all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mwatlas.astrometry.frames import PhaseSpace, spherical_velocity
from mwatlas.tables.table import Columns

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

SURVEYS = ("galah", "apogee")
"""Spectroscopic surveys in the order of Table 1's rows [3] and [4]."""
TABLE_ROWS = {f"row{number}": survey for number, survey in enumerate(SURVEYS, 3)}
"""Rows of Table 1 that ask for a match, and the survey."""

_MATCHED = ("fe_h", "mg_fe", "survey_radial_velocity")


@dataclass(frozen=True)
class Match:
    """What a survey knows about the stars of a cell; NaN where nothing. Shape (N,) each."""

    matched: Mask
    fe_h: Floats
    mg_fe: Floats
    survey_radial_velocity: Floats

    def __getitem__(self, keep: Mask) -> Match:
        """Return the stars selected by a mask."""
        return Match(*(getattr(self, name)[keep] for name in self.__dataclass_fields__))


def match_rows(source_id: NDArray[np.int64], matches: Columns) -> dict[str, Match]:
    """Align the survey matches of a cell with its stars.

    Parameters
    ----------
    source_id
        Stars of the cell; shape (N,).
    matches
        Rows of table ``survey_matches`` of the same cell.
    """
    out = {}
    order = np.argsort(source_id, kind="stable")
    for survey in SURVEYS:
        mine = np.flatnonzero(matches["survey"] == survey)
        identifiers = matches["source_id"][mine]
        slot = np.searchsorted(source_id, identifiers, sorter=order)
        slot = np.minimum(slot, max(source_id.size - 1, 0))
        found = (
            source_id[order[slot]] == identifiers
            if source_id.size
            else np.zeros(mine.size, dtype=bool)
        )
        star, row = order[slot[found]], mine[found]
        values = {name: np.full(source_id.size, np.nan) for name in _MATCHED}
        for name, column in values.items():
            column[star] = matches[name][row]
        matched = np.zeros(source_id.size, dtype=bool)
        matched[star] = True
        out[survey] = Match(matched, **values)
    return out


@dataclass(frozen=True)
class View:
    """Stars of one catalogue in one cell; N stars with D velocities each.

    Parameters
    ----------
    name
        Of the catalogue: ``rv``, ``test_set``, ``ml_rv``; ``true_rv`` and ``true_ml_rv`` are
        the same stars with the truth of the embedded sky.
    phase
        Galactocentric phase space as a function of the line-of-sight velocity.
    sun_kpc
        Position of the Sun in the same axes; shape (3,).
    fold
        Cross-validation subset, -1 without one; shape (N,).
    v_los_kms, eccentricity
        Line-of-sight velocities and the eccentricities they imply; shape (N, D).
    complete
        Whether a star is in the spatially complete sample; shape (N,).
    matches
        Matches with each survey.
    """

    name: str
    phase: PhaseSpace
    sun_kpc: Floats
    fold: NDArray[np.int64]
    v_los_kms: Floats
    eccentricity: Floats
    complete: Mask
    matches: Mapping[str, Match]

    @property
    def draws(self) -> int:
        """Velocities of each star."""
        return self.eccentricity.shape[1]

    def of(self, name: str, velocities: slice) -> View:
        """Return a view of some of the velocities under a name of its own."""
        return replace(
            self,
            name=name,
            v_los_kms=self.v_los_kms[:, velocities],
            eccentricity=self.eccentricity[:, velocities],
        )

    def __getitem__(self, keep: Mask) -> View:
        """Return the stars selected by a mask."""
        return replace(
            self,
            phase=self.phase[keep],
            fold=self.fold[keep],
            v_los_kms=self.v_los_kms[keep],
            eccentricity=self.eccentricity[keep],
            complete=self.complete[keep],
            matches={survey: match[keep] for survey, match in self.matches.items()},
        )


@dataclass(frozen=True)
class Entries:
    """Single velocities of stars of a view; M of them.

    Parameters
    ----------
    star, draw
        Which star and which of its velocities; shape (M,).
    position_kpc, velocity_kms, spherical_kms
        Galactocentric; the last as v_r, v_theta, v_phi; shape (M, 3).
    """

    star: NDArray[np.int64]
    draw: NDArray[np.int64]
    position_kpc: Floats
    velocity_kms: Floats
    spherical_kms: Floats


def entries(view: View, chosen: Mask) -> Entries:
    """Phase space of the velocities chosen by a mask of shape (N, D)."""
    star, draw = np.nonzero(chosen)
    phase = view.phase[star]
    velocity = phase.velocity_kms(view.v_los_kms[star, draw])
    return Entries(
        star,
        draw,
        phase.position_kpc,
        velocity,
        spherical_velocity(phase.position_kpc, velocity),
    )


def empty_view(name: str, draws: int) -> View:
    """A view without stars."""
    nothing = np.empty(0)
    none = np.empty(0, dtype=bool)
    return View(
        name,
        PhaseSpace(np.empty((0, 3)), np.empty((0, 3)), np.empty((0, 3))),
        np.zeros(3),
        np.empty(0, dtype=np.int64),
        np.empty((0, draws)),
        np.empty((0, draws)),
        none,
        {survey: Match(none, nothing, nothing, nothing) for survey in SURVEYS},
    )
