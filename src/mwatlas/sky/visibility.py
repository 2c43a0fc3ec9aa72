"""Which share of a population lies within the magnitude limits of the source table."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mwatlas.sky.chemistry import Abundant, metallicity_shares
from mwatlas.sky.stars import M_H_GRID, Library

Floats = NDArray[np.float64]

_MODULUS = np.arange(-12.0, 60.0, 0.05)
# Shifts of a population's [Fe/H] from that at its reference place.
_SHIFT = np.arange(-2.4, 1.21, 0.1)
# Metallicities with a smaller share do not set the largest visible share.
_RARE = 1e-3


def distance_modulus(distance_kpc: ArrayLike) -> Floats:
    """Distance modulus of distances in kpc."""
    return 5 * np.log10(np.asarray(distance_kpc, dtype=float)) + 10


class Visibility:
    """Visible share of one population, tabulated by distance modulus plus extinction in G.

    Parameters
    ----------
    library
        What the stars look like.
    member, population
        Index of the population, and the population.
    bright, faint
        Limits in G.
    alpha_strength
        See :func:`mwatlas.sky.chemistry.metallicity_shares`.
    """

    def __init__(
        self,
        library: Library,
        member: int,
        population: Abundant,
        bright: float,
        faint: float,
        alpha_strength: float,
    ) -> None:
        track = np.repeat(np.arange(len(M_H_GRID)), _MODULUS.size)
        modulus = np.tile(_MODULUS, len(M_H_GRID))
        low, high = library.share_between(member, track, bright - modulus, faint - modulus)
        seen = (high - low).reshape(len(M_H_GRID), _MODULUS.size)
        mix = np.stack(
            [metallicity_shares(population, float(shift), alpha_strength) for shift in _SHIFT]
        )
        self._expected = mix @ seen
        self._largest = seen[(mix > _RARE).any(axis=0)].max(axis=0)

    def expected(self, modulus: Floats, fe_h_shift: Floats) -> Floats:
        """Visible share of stars; arguments of equal shape."""
        column, s = _place(modulus, _MODULUS)
        row, t = _place(fe_h_shift, _SHIFT)
        table = self._expected
        lower = table[row, column] * (1 - s) + table[row, column + 1] * s
        upper = table[row + 1, column] * (1 - s) + table[row + 1, column + 1] * s
        return lower * (1 - t) + upper * t

    def largest(self, modulus: Floats) -> Floats:
        """Visible share of the metallicity that is seen best."""
        column, s = _place(modulus, _MODULUS)
        return self._largest[column] * (1 - s) + self._largest[column + 1] * s


def _place(value: Floats, grid: Floats) -> tuple[NDArray[np.int64], Floats]:
    """Index of the interval and fraction of it; the ends hold beyond them."""
    x = np.clip((value - grid[0]) / (grid[1] - grid[0]), 0, grid.size - 1.000001)
    index = x.astype(np.int64)
    return index, x - index
