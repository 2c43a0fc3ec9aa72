"""Energy, angular momentum and actions of stars.

Radial and vertical action come from the Staeckel fudge (Binney 2012, MNRAS 426, 1324): in prolate
spheroidal coordinates R = D sinh u sin v, z = D cosh u cos v the potential is taken to be of
Staeckel form along the lines of constant u and v through the star, so that motion separates and
each action is one integral. The focal distance D is fitted to the potential at the star (Sanders
2012, MNRAS 426, 128, eq. 9). Sanders & Binney (2016, MNRAS 457, 2107) compare the method with
others.

The kernels use rho = D sinh u, the cylindrical radius where the line of constant u meets the
plane, and w = sin(v)**2, of which the potential is an algebraic function.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numba import njit
from numpy.typing import NDArray

from mwatlas.dynamics.orbits import RESOLVED, UNBOUND, require_finite
from mwatlas.dynamics.potential import KPC_PER_MYR, MilkyWay2014, Potential, total_energy
from mwatlas.dynamics.tabulated import FARTHEST_KPC, potential_at, spherical_row, tabulate

Floats = NDArray[np.float64]
# Energy, square of L_z and of the focal distance, rho**2 and cos(v)**2 of the star, and the
# constants of the motion in u and in v; in kpc and kpc/Myr.
Orbit = tuple[float, float, float, float, float, float, float]

# Points of each quadrature.
_NODES = 24
# The focal distance is at least this share of the radius: a sphere for all purposes.
_ROUND = 2e-3
# Relative precision of turning points, and a bound on the steps to find one.
_PRECISION = 1e-8
_MOST_STEPS = 150
# Share by which stars at a turning point are moved.
_NUDGE = 1e-6
# Distance to the axis (kpc) and angular momentum (kpc**2/Myr) that count as none.
_AXIS_KPC = 1e-6
_LEAST_MOMENTUM = 1e-9


@dataclass(frozen=True)
class Integrals:
    """Integrals of motion; every array has shape (N,) and is finite.

    Parameters
    ----------
    energy
        Per mass, in (km/s)**2; zero at rest at infinity.
    l_z
        ``x v_y - y v_x`` in kpc km/s: negative for the disc, if the Sun is at negative x and
        moves to positive y.
    j_r, j_z
        Radial and vertical action in kpc km/s; zero for unbound stars, which have none.
    flag
        ``RESOLVED`` or ``UNBOUND`` of :mod:`mwatlas.dynamics.orbits`. So close to zero energy that
        an orbit leaves the potential's table, at 65 Mpc, stars count as unbound here.
    """

    energy: Floats
    l_z: Floats
    j_r: Floats
    j_z: Floats
    flag: NDArray[np.int8]


def integrals_of_motion(
    position_kpc: Floats, velocity_kms: Floats, potential: Potential | None = None
) -> Integrals:
    """Integrals of motion of each star.

    Parameters
    ----------
    position_kpc, velocity_kms
        Galactocentric; shape (N, 3).
    potential
        MWPotential2014 if None.

    Raises
    ------
    InputError
        If a position or velocity is not finite.
    """
    position_kpc, velocity_kms = np.asarray(position_kpc), np.asarray(velocity_kms)
    require_finite(position_kpc, velocity_kms)
    potential = potential or MilkyWay2014()
    table = tabulate(potential)
    energy = total_energy(position_kpc, velocity_kms, potential)
    x, y, z = np.asarray(position_kpc, dtype=float).T
    vx, vy, vz = np.asarray(velocity_kms, dtype=float).T
    l_z = x * vy - y * vx
    radius = np.hypot(x, y)
    outward = np.divide(x * vx + y * vy, radius, out=np.hypot(vx, vy), where=radius > 0)
    edge = np.array([[FARTHEST_KPC, 0.0, 0.0]])
    bound = energy < total_energy(edge, np.zeros_like(edge), potential)[0]
    focus = focal_distance(radius, np.abs(z), potential)
    actions = _actions(
        radius[bound],
        np.abs(z)[bound],
        outward[bound] * KPC_PER_MYR,
        np.where(z < 0, -vz, vz)[bound] * KPC_PER_MYR,
        l_z[bound] * KPC_PER_MYR,
        focus[bound],
        _nodes(),
        table.energy,
        table.disc,
    )
    j_r, j_z = np.zeros_like(energy), np.zeros_like(energy)
    j_r[bound], j_z[bound] = actions / KPC_PER_MYR
    flag = np.where(bound, RESOLVED, UNBOUND).astype(np.int8)
    return Integrals(energy, l_z, j_r, j_z, flag)


def focal_distance(
    radius_kpc: Floats, height_kpc: Floats, potential: Potential | None = None
) -> Floats:
    """Focal distance that fits the potential at a point (Sanders 2012, eq. 9), in kpc.

    Parameters
    ----------
    radius_kpc, height_kpc
        Cylindrical; shape (N,).
    potential
        MWPotential2014 if None.
    """
    table = tabulate(potential or MilkyWay2014())
    return _focal_distance(radius_kpc, height_kpc, table.force, table.disc)


@lru_cache(maxsize=1)
def _nodes() -> tuple[Floats, Floats]:
    """Sines of Gauss-Legendre nodes between -pi/2 and pi/2, and weights times cosines.

    A momentum vanishes as a square root at turning points and is smooth in this angle.
    """
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    angle = 0.5 * np.pi * nodes
    return np.sin(angle), 0.5 * np.pi * weights * np.cos(angle)


@njit(cache=True, nogil=True, error_model="numpy")
def _focal_distance(
    radius: Floats, height: Floats, force: Floats, disc: tuple[float, float, float]
) -> Floats:
    gm, a, b_square = disc
    out = np.empty_like(radius)
    for n in range(radius.size):
        planar_square, height_square = radius[n] ** 2, height[n] ** 2
        square = planar_square + height_square
        row, t, inverse_width = spherical_row(square)
        slope = (force[row, 1] + t * (2 * force[row, 2] + 3 * t * force[row, 3])) * inverse_width
        zb = np.sqrt(height_square + b_square)
        inverse_square = 1 / (planar_square + (a + zb) ** 2)
        thin = gm * inverse_square * np.sqrt(inverse_square)
        ratio = (a + zb) / zb
        # Equation 9 with the derivatives of the disc put in: the spherical part remains in the
        # denominator alone, d2Phi / dR dz over R z, and nothing cancels far out.
        shape = 4 - 3 * (planar_square + height_square * ratio) * inverse_square
        shape -= height_square / zb**2
        mixed = 3 * thin * ratio * inverse_square - 2 * slope
        focus_square = thin * (ratio - 1) * shape / mixed
        out[n] = np.sqrt(max(focus_square, _ROUND * _ROUND * square, _ROUND**4))
    return out


@njit(error_model="numpy")
def _radial(q: float, o: Orbit, energy: Floats, disc: tuple[float, float, float]) -> float:
    """``q p_u**2 / 2`` at ``q = rho**2``, on the star's line of constant v."""
    total, l_z_square, focus_square, _, c, third, _ = o
    w = 1 - c
    potential = potential_at(q * w, (q + focus_square) * c, energy, disc)
    value = total * q - third - (q + focus_square * w) * potential
    return q * value - 0.5 * l_z_square * focus_square


@njit(error_model="numpy")
def _vertical(c: float, o: Orbit, energy: Floats, disc: tuple[float, float, float]) -> float:
    """``w p_v**2 / 2`` at ``c = 1 - w = cos(v)**2``, on the star's line of constant u."""
    total, l_z_square, focus_square, q, _, _, third = o
    w = 1 - c
    potential = potential_at(q * w, (q + focus_square) * c, energy, disc)
    value = total * focus_square * w + third - (q + focus_square * w) * potential
    return w * value - 0.5 * l_z_square


@njit(error_model="numpy")
def _scaled_square(
    radial: bool, place: float, o: Orbit, energy: Floats, disc: tuple[float, float, float]
) -> float:
    """The function of one of the two motions."""
    if radial:
        return _radial(place, o, energy, disc)
    return _vertical(place, o, energy, disc)


@njit(error_model="numpy")
def _turning_point(
    radial: bool,
    inside: float,
    outside: float,
    o: Orbit,
    energy: Floats,
    disc: tuple[float, float, float],
) -> float:
    """Where the function of one of the motions, positive inside, vanishes between two points.

    False position in the Illinois variant (Dowell & Jarratt 1971, BIT 11, 168).
    """
    value = _scaled_square(radial, inside, o, energy, disc)
    beyond = _scaled_square(radial, outside, o, energy, disc)
    if beyond > 0.0:
        return outside
    side = 0
    for _ in range(_MOST_STEPS):
        point = (inside * beyond - outside * value) / (beyond - value)
        there = _scaled_square(radial, point, o, energy, disc)
        if there == 0.0:
            return point
        # An end that stays for two steps counts half.
        if there > 0.0:
            inside, value = point, there
            beyond, side = (0.5 * beyond, 1) if side == 1 else (beyond, 1)
        else:
            outside, beyond = point, there
            value, side = (0.5 * value, -1) if side == -1 else (value, -1)
        # A small step is not enough: it is also one where the function is small inside.
        if abs(outside - inside) <= _PRECISION * point:
            break
    return inside


@njit(error_model="numpy")
def _radial_action(
    q: float,
    o: Orbit,
    nodes: tuple[Floats, Floats],
    energy: Floats,
    disc: tuple[float, float, float],
) -> float:
    """Integral of p_u over a radial period / 2 pi, from ``q`` where p_u is not zero."""
    outer = 2 * q
    for _ in range(_MOST_STEPS):
        if _radial(outer, o, energy, disc) <= 0.0:
            break
        outer *= 2
    focus = np.sqrt(o[2])
    first = np.arcsinh(np.sqrt(_turning_point(True, q, 0.0, o, energy, disc)) / focus)
    last = np.arcsinh(np.sqrt(_turning_point(True, q, outer, o, energy, disc)) / focus)
    sines, weights = nodes
    sum_ = 0.0
    for k in range(sines.size):
        rho = focus * np.sinh(0.5 * (first + last) + 0.5 * (last - first) * sines[k])
        square = _radial(rho * rho, o, energy, disc) / (rho * rho)
        sum_ += weights[k] * np.sqrt(max(2 * square, 0.0))
    return 0.5 * (last - first) * sum_ / np.pi


@njit(error_model="numpy")
def _vertical_action(
    c: float,
    first_step: float,
    o: Orbit,
    nodes: tuple[Floats, Floats],
    energy: Floats,
    disc: tuple[float, float, float],
) -> float:
    """Integral of p_v over a vertical period / 2 pi, from ``c`` where p_v is not zero."""
    step, outer = first_step, c
    for _ in range(_MOST_STEPS):
        outer = min(c + step, 1.0)
        if outer == 1.0 or _vertical(outer, o, energy, disc) <= 0.0:
            break
        step *= 2
    # The range of v, symmetric about the plane.
    half = np.arcsin(np.sqrt(_turning_point(False, c, outer, o, energy, disc)))
    sines, weights = nodes
    sum_ = 0.0
    for k in range(sines.size // 2, sines.size):
        place = np.sin(half * sines[k]) ** 2
        square = _vertical(place, o, energy, disc) / (1 - place)
        sum_ += weights[k] * np.sqrt(max(2 * square, 0.0))
    return 2 * half * sum_ / np.pi


@njit(cache=True, nogil=True, error_model="numpy")
def _actions(
    radius: Floats,
    height: Floats,
    v_radius: Floats,
    v_z: Floats,
    l_z: Floats,
    focus: Floats,
    nodes: tuple[Floats, Floats],
    energy: Floats,
    disc: tuple[float, float, float],
) -> Floats:
    """Radial and vertical action in kpc**2/Myr, of stars on or above the plane; shape (2, N)."""
    out = np.zeros((2, radius.size))
    for n in range(radius.size):
        planar_square, height_square = max(radius[n], _AXIS_KPC) ** 2, height[n] ** 2
        focus_square = focus[n] ** 2
        sum_ = planar_square + height_square - focus_square
        root = np.sqrt(sum_ * sum_ + 4 * focus_square * planar_square)
        # Of the two ways to solve the quadratic, the one without cancellation.
        near = 2 * focus_square * planar_square / (root - sum_) if sum_ <= 0 else 0.0
        q = 0.5 * (sum_ + root) if sum_ > 0 else near
        c, w = height_square / (q + focus_square), planar_square / q
        sinh_cos, cosh_sin = np.sqrt(q * c), np.sqrt((q + focus_square) * w)
        radial = 0.5 * (v_radius[n] * cosh_sin + v_z[n] * sinh_cos) ** 2
        vertical = 0.5 * (v_radius[n] * sinh_cos - v_z[n] * cosh_sin) ** 2
        # Without angular momentum there would be no barrier at the axis to look for.
        l_z_square = max(l_z[n] ** 2, _LEAST_MOMENTUM**2)
        potential = potential_at(planar_square, height_square, energy, disc)
        squares = v_radius[n] ** 2 + v_z[n] ** 2 + l_z_square / planar_square
        total = 0.5 * squares + potential
        weighted = (q + focus_square * w) * potential
        barrier = 0.5 * l_z_square
        o = (
            total,
            l_z_square,
            focus_square,
            q,
            c,
            total * q - weighted - barrier * focus_square / q - radial,
            vertical - total * focus_square * w + weighted + barrier / w,
        )
        # A star at a turning point is moved a little to where the radial motion is.
        for factor in (1.0, 1 - _NUDGE, 1 + _NUDGE):
            if _radial(q * factor, o, energy, disc) > 0.0:
                out[0, n] = _radial_action(q * factor, o, nodes, energy, disc)
                break
        first_step = vertical / (-potential * (q + focus_square))
        for factor in (1.0, 1 - _NUDGE):
            if _vertical(c * factor, o, energy, disc) > 0.0:
                step = max(first_step, 2 * _NUDGE * c)
                out[1, n] = _vertical_action(c * factor, step, o, nodes, energy, disc)
                break
    return out
