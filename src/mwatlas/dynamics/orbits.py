"""Orbital eccentricities in MWPotential2014, by leapfrog integration.

All orbits are integrated with one step; those whose pericentre the step does not resolve are
integrated again with a shorter one. Tests hold the result to gala and galpy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from mwatlas.dynamics.potential import (
    KPC_PER_MYR,
    TABLE_OCTAVES,
    TABLE_PARTS,
    energy,
    tabulated,
)
from mwatlas.errors import InputError

Floats = NDArray[np.float64]

RESOLVED, APOCENTRE_BEYOND, UNBOUND = 0, 1, 2

# Stars are integrated side by side in blocks this long, which the compiler vectorises.
_LANES = 16
# Each refinement shortens the step by this factor ...
_REFINEMENT = 4.0
_MAX_REFINEMENTS = 4
# ... as long as a step near pericentre covers more than this share of the pericentre radius.
_MAX_ADVANCE = 0.25
# Bits of a float64 below the parts of an octave, and the table's first octave with its bias.
_PART_BITS = TABLE_PARTS.bit_length() - 1
_SHIFT = 52 - _PART_BITS
_FIRST_BIN = (1023 + TABLE_OCTAVES[0]) << _PART_BITS


@dataclass(frozen=True)
class Integration:
    """How orbits are integrated.

    Parameters
    ----------
    duration_gyr
        Length of the integration.
    step_myr
        Longest leapfrog step.
    """

    duration_gyr: float
    step_myr: float


@dataclass(frozen=True)
class Eccentricity:
    """Result of :func:`eccentricity`.

    Parameters
    ----------
    value
        ``(r_apo - r_peri) / (r_apo + r_peri)``, with the largest and smallest spherical radius
        of the integration; 1 for unbound orbits. Other conventions average the turning points
        (gala) or take those of an approximate integral (galpy's Staeckel estimate).
    flag
        ``RESOLVED``, ``APOCENTRE_BEYOND`` or ``UNBOUND``; see ``orbit_flag`` in the column
        registry.
    """

    value: Floats
    flag: NDArray[np.int8]


def eccentricity(
    position_kpc: Floats,
    velocity_kms: Floats,
    settings: Integration,
    advance: Callable[[int], None] | None = None,
) -> Eccentricity:
    """Orbital eccentricity of each star (section 2.2 of Dropulic et al. 2022).

    Parameters
    ----------
    position_kpc, velocity_kms
        Galactocentric; shape (N, 3).
    settings
        Integration.
    advance
        Called with the number of orbits done now and then.

    Raises
    ------
    InputError
        If a position or velocity is not finite.
    """
    finite = np.isfinite(position_kpc).all(axis=1) & np.isfinite(velocity_kms).all(axis=1)
    if not finite.all():
        raise InputError(
            "orbits cannot be integrated",
            item="position, velocity",
            found=f"{int((~finite).sum())} stars with values that are not finite",
            expected="finite phase-space coordinates",
            remedy="check parallax_corr, proper motions and velocities of the sample",
        )
    value, flag = np.ones(len(position_kpc)), np.full(len(position_kpc), UNBOUND, dtype=np.int8)
    kinetic = 0.5 * (velocity_kms**2).sum(axis=1)
    bound = np.flatnonzero(kinetic + energy(position_kpc) < 0)
    piece = 64 * _LANES
    for start in range(0, bound.size, piece):
        stars = bound[start : start + piece]
        extremes, outgoing = _extremes(
            position_kpc[stars].T, velocity_kms[stars].T * KPC_PER_MYR, settings
        )
        low, high = np.sqrt(extremes)
        value[stars] = (high - low) / (high + low)
        flag[stars] = np.where(outgoing, APOCENTRE_BEYOND, RESOLVED)
        if advance is not None:
            advance(stars.size)
    if advance is not None:
        advance(len(position_kpc) - bound.size)
    return Eccentricity(value, flag)


def _extremes(
    position: Floats, velocity: Floats, settings: Integration
) -> tuple[Floats, NDArray[np.bool_]]:
    """Smallest and largest squared radius of orbits, and whether they still move outward.

    Parameters
    ----------
    position, velocity
        In kpc and kpc/Myr; shape (3, N).
    """
    step = settings.step_myr
    extremes = np.empty((2, position.shape[1]))
    outgoing = np.zeros(position.shape[1], dtype=bool)
    todo = np.arange(position.shape[1])
    for refinement in range(_MAX_REFINEMENTS + 1):
        steps = round(settings.duration_gyr * 1000 / step)
        low, high, fastest, last = _run(position[:, todo], velocity[:, todo], step, steps)
        extremes[:, todo] = low, high
        outgoing[todo] = last >= high
        # At pericentre the star moves fastest, so this is the angle a step covers there.
        covered = step * np.sqrt(fastest / np.maximum(low, 1e-300))
        todo = todo[covered > _MAX_ADVANCE] if refinement < _MAX_REFINEMENTS else todo[:0]
        if not todo.size:
            break
        step /= _REFINEMENT
    return extremes, outgoing


def _run(
    position: Floats, velocity: Floats, step: float, steps: int
) -> tuple[Floats, Floats, Floats, Floats]:
    """Integrate stars in full blocks; the last block is filled up with copies."""
    number = position.shape[1]
    filled = np.minimum(np.arange(-(-number // _LANES) * _LANES), number - 1)
    potential = tabulated()
    out = np.empty((4, filled.size))
    _leapfrog(
        np.ascontiguousarray(position[:, filled]),
        np.ascontiguousarray(velocity[:, filled]),
        step,
        steps,
        potential.cubic,
        potential.low,
        potential.inverse_width,
        potential.disc_gm,
        potential.disc_a,
        potential.disc_b_square,
        out,
    )
    low, high, fastest, last = out[:, :number]
    return low, high, fastest, last


@njit(cache=True, error_model="numpy", fastmath={"contract", "nsz", "arcp"})
def _leapfrog(
    position: Floats,
    velocity: Floats,
    step: float,
    steps: int,
    cubic: Floats,
    low_edge: Floats,
    inverse_width: Floats,
    disc_gm: float,
    disc_a: float,
    disc_b_square: float,
    out: Floats,
) -> None:
    """Drift-kick-drift leapfrog of full blocks.

    ``out`` receives, for each star, the smallest and largest squared radius, the largest squared
    speed, and the squared radius at the end. A turning point between steps is refined by the
    parabola through three squared radii.
    """
    x, y, z = np.empty(_LANES), np.empty(_LANES), np.empty(_LANES)
    vx, vy, vz = np.empty(_LANES), np.empty(_LANES), np.empty(_LANES)
    square = np.empty(_LANES)
    # The exponent and leading bits of r**2 are the number of its bin.
    bits = square.view(np.int64)
    before, previous = np.empty(_LANES), np.empty(_LANES)
    lowest, highest, fastest = np.empty(_LANES), np.empty(_LANES), np.empty(_LANES)
    c0, c1, c2, c3 = cubic[0], cubic[1], cubic[2], cubic[3]
    last_bin = c0.size - 1
    half = 0.5 * step
    for block in range(position.shape[1] // _LANES):
        first = block * _LANES
        for j in range(_LANES):
            vx[j], vy[j] = velocity[0, first + j], velocity[1, first + j]
            vz[j] = velocity[2, first + j]
            x[j], y[j] = position[0, first + j], position[1, first + j]
            z[j] = position[2, first + j]
            previous[j] = x[j] * x[j] + y[j] * y[j] + z[j] * z[j]
            before[j] = previous[j]
            lowest[j] = previous[j]
            highest[j] = previous[j]
            fastest[j] = 0.0
            x[j] += half * vx[j]
            y[j] += half * vy[j]
            z[j] += half * vz[j]
        for _ in range(steps):
            for j in range(_LANES):
                square[j] = x[j] * x[j] + y[j] * y[j] + z[j] * z[j]
            for j in range(_LANES):
                now = square[j]
                rise, next_rise = previous[j] - before[j], now - previous[j]
                change = rise + next_rise
                turned = rise * next_rise < 0.0
                refined = previous[j] - change * change / (8.0 * (next_rise - rise))
                extreme = max(refined, 0.0) if turned else now
                lowest[j] = min(lowest[j], extreme)
                highest[j] = max(highest[j], extreme)
                before[j] = previous[j]
                previous[j] = now
            for j in range(_LANES):
                k = min(max((bits[j] >> _SHIFT) - _FIRST_BIN, 0), last_bin)
                t = (square[j] - low_edge[k]) * inverse_width[k]
                spherical = ((c3[k] * t + c2[k]) * t + c1[k]) * t + c0[k]
                zb = np.sqrt(z[j] * z[j] + disc_b_square)
                az = disc_a + zb
                denominator = x[j] * x[j] + y[j] * y[j] + az * az
                disc = disc_gm / (denominator * np.sqrt(denominator))
                planar = (spherical + disc) * step
                vx[j] -= planar * x[j]
                vy[j] -= planar * y[j]
                vz[j] -= (spherical + disc * az / zb) * step * z[j]
                speed = vx[j] * vx[j] + vy[j] * vy[j] + vz[j] * vz[j]
                fastest[j] = max(fastest[j], speed)
                x[j] += step * vx[j]
                y[j] += step * vy[j]
                z[j] += step * vz[j]
        for j in range(_LANES):
            out[0, first + j] = lowest[j]
            out[1, first + j] = highest[j]
            out[2, first + j] = fastest[j]
            out[3, first + j] = previous[j]
