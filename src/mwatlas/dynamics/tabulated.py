"""Potentials as the kernels want them: tables for the spherical part, a formula for the disc."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from mwatlas.dynamics.potential import KPC_PER_MYR, SMALLEST_RADIUS_KPC, Potential

Floats = NDArray[np.float64]

# Octaves of r**2 in kpc**2, from SMALLEST_RADIUS_KPC to 65,536 kpc, in equal parts, whose number
# the leading bits of a float64 give.
_OCTAVES = (2 * int(np.log2(SMALLEST_RADIUS_KPC)), 32)
PARTS = 16
FARTHEST_KPC = 2.0 ** (_OCTAVES[1] // 2)
"""Radius where the tables end."""

FAST_MATH = {"contract", "nsz", "arcp"}
"""Rules for kernels that leave one result for one input: sums keep their order, NaN stays NaN."""

# Bits of a float64: the exponent and the leading bits of the fraction are the number of its bin,
# the rest is the place in it.
FRACTION_BITS = 52
BIAS = 1023
REST_BITS = FRACTION_BITS - (PARTS.bit_length() - 1)
REST = (1 << REST_BITS) - 1
ONE = BIAS << FRACTION_BITS
FIRST = (BIAS + _OCTAVES[0]) << FRACTION_BITS
LAST = ((BIAS + _OCTAVES[1]) << FRACTION_BITS) - 1
FIRST_BIN = FIRST >> REST_BITS
# Integer whose difference from the exponent bits of 2**e are those of 2**-e.
INVERSE = 2 * BIAS << FRACTION_BITS


@dataclass(frozen=True)
class TabulatedPotential:
    """A potential as the kernels want it: tables of the spherical part, and the disc.

    Parameters
    ----------
    force
        Coefficients of ``(dPhi/dr) / r`` of the spherical part in 1/Myr**2, a cubic in the
        fraction of each bin of r**2; shape (bins, 4), constant term first.
    energy
        The same for Phi in (kpc/Myr)**2.
    disc
        G M in kpc**3/Myr**2, scale length in kpc, square of the scale height in kpc**2.
    """

    force: Floats
    energy: Floats
    disc: tuple[float, float, float]


@lru_cache(maxsize=8)
def tabulate(potential: Potential) -> TabulatedPotential:
    """Tabulate a potential.

    The cubics interpolate at Chebyshev nodes, for MWPotential2014 with a relative error below
    1e-6 between 0.1 and 1000 kpc.
    """
    first, last = _OCTAVES
    edge = np.arange((last - first) * PARTS + 1)
    edges = 2.0 ** (first + edge // PARTS) * (1 + (edge % PARTS) / PARTS)
    nodes = 0.5 + 0.5 * np.cos((2 * np.arange(4) + 1) * np.pi / 8)
    radius = np.sqrt(edges[:-1, None] + np.diff(edges)[:, None] * nodes)

    def cubics(values: Floats) -> Floats:
        by_bin = values.reshape(radius.shape) * KPC_PER_MYR**2
        coefficients = np.linalg.solve(np.vander(nodes, 4, increasing=True), by_bin.T)
        return np.ascontiguousarray(coefficients.T)

    flat = radius.ravel()
    disc = potential.disc()
    return TabulatedPotential(
        force=cubics(potential.spherical_force(flat) / flat),
        energy=cubics(potential.spherical_energy(flat)),
        disc=(disc.gm * KPC_PER_MYR**2, disc.a_kpc, disc.b_kpc**2),
    )


@njit(error_model="numpy", fastmath=FAST_MATH)
def spherical_row(square: float) -> tuple[Any, float, float]:
    """Row of a table for ``r**2``, place in it from 0 to 1, and inverse width of the row."""
    bits = min(max(np.float64(square).view(np.int64), np.int64(FIRST)), np.int64(LAST))
    row = (bits >> REST_BITS) - FIRST_BIN
    place = np.int64(((bits & REST) << (FRACTION_BITS - REST_BITS)) | ONE)
    power = np.int64(INVERSE - ((bits >> FRACTION_BITS) << FRACTION_BITS))
    # Unsigned, or numba would look for rows counted from the end.
    return np.uint64(row), place.view(np.float64) - 1.0, PARTS * power.view(np.float64)


@njit(error_model="numpy", fastmath=FAST_MATH)
def row_value(table: Floats, row: Any, place: float) -> float:
    """Value of a table at a place of a row."""
    above = table[row, 2] + place * table[row, 3]
    return table[row, 0] + place * (table[row, 1] + place * above)


@njit(error_model="numpy", fastmath=FAST_MATH)
def potential_at(
    planar_square: float, height_square: float, energy: Floats, disc: tuple[float, float, float]
) -> float:
    """Potential in (kpc/Myr)**2 at a point given by the squares of R and z in kpc**2."""
    gm, a, b_square = disc
    row, place, _ = spherical_row(planar_square + height_square)
    across = a + np.sqrt(height_square + b_square)
    return row_value(energy, row, place) - gm / np.sqrt(planar_square + across * across)
