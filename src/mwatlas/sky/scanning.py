"""Gaia's scanning law: how often, when and in which direction each place was scanned.

The spin axis stays 45 deg from the Sun and precesses about it so that its speed on the sky,
per unit of solar longitude, is constant. From these scans follow the number of transits and
the covariance of the five astrometric parameters, up to a factor that depends on magnitude.
Lindegren & Bastian (2010, EAS 45, 109); Gaia Collaboration (2016, A&A 595, A1, section 5.2).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import healpy
import numpy as np
from numba import njit
from numpy.typing import NDArray

from mwatlas.astrometry.ecliptic import OBLIQUITY_RAD
from mwatlas.astrometry.frames import sky_basis

Floats = NDArray[np.float64]

SCAN_ORDER = 6
"""HEALPix order of the places scans are counted at: 0.9 deg, about Gaia's field of view."""

_SUN_ANGLE_RAD = np.radians(45.0)
_AXIS_SPEED = 4.220745
# Start of the nominal law (BJD, 2014 August 22, 21 h) and reference epoch J2016.0:
# Lindegren et al. (2021, A&A 649, A2), section 2.2; the data end 1009 days later.
_START = 2456892.375
_REFERENCE = 2457388.75
_DAYS_PER_YEAR = 365.25
# Spells of scanning in days since the start, with the phase of precession extrapolated to the
# start. The first continues the scan of the ecliptic poles (phase 180 deg), the phase of the rest
# was fitted to the correlations of 2000 archive rows (mean correlation coefficient 0.70).
# The gaps are decontaminations.
_SPELLS = ((0.0, 31.1, 180.0), (49.2, 283.2, 291.5), (302.4, 1009.0, 291.5))
_STEP_DAYS = 1.5 / 24
_SPINS_PER_DAY = 4
_FIELDS = 2
_HALF_FIELD = np.sin(np.radians(0.35))
# The axis moves at most this far in a step, so that steps before it reaches a place are skipped.
_STEP_REACH_RAD = _AXIS_SPEED * np.radians(1.02) * _STEP_DAYS
# Distance of Gaia from the barycentre relative to the Earth's.
_L2 = 1.01
_VISIBILITY_GAP_DAYS = 4.0
# A transit is lost to dead time, and a visibility period with it: the archive's counts over those
# of the law, in 2000 archive rows.
OBSERVED_SHARE = 0.87
VISIBILITY_SHARE = 0.89
_FEWEST_TRANSITS = 6
# astrometric_sigma5d_max scales parallax and proper motion by sin 45 deg and half the time span.
_HALF_SPAN_YR = 2.76383 / 2


@dataclass(frozen=True)
class Scans:
    """What the scanning law gives at N places.

    Parameters
    ----------
    transits
        Expected number of field transits; shape (N,).
    visibility_periods
        Groups of transits more than four days apart; shape (N,).
    sigma
        Standard errors of ra, dec, parallax, pmra and pmdec in units of the sky-averaged
        parallax error (and per year); shape (N, 5).
    cholesky
        Lower triangular factor of their correlations; shape (N, 5, 5).
    sigma5d
        Longest axis of the scaled covariance, in the same unit; shape (N,).
    """

    transits: Floats
    visibility_periods: NDArray[np.int64]
    sigma: Floats
    cholesky: Floats
    sigma5d: Floats


def scans_at(pixel: NDArray[np.int64]) -> Scans:
    """Scans of nested HEALPix pixels of order :data:`SCAN_ORDER`; shape (N,), repeats allowed."""
    unique, back = np.unique(pixel, return_inverse=True)
    covariance, transits, periods = _covariance(unique, SCAN_ORDER)
    covariance /= _mean_parallax_sigma() ** 2
    sigma = np.sqrt(np.einsum("nii->ni", covariance))
    correlation = covariance / sigma[:, :, None] / sigma[:, None, :]
    scale = np.array([1, 1, np.sin(_SUN_ANGLE_RAD), _HALF_SPAN_YR, _HALF_SPAN_YR])
    largest = np.linalg.eigvalsh(covariance * scale[:, None] * scale)[:, -1]
    return Scans(
        transits[back],
        periods[back],
        sigma[back],
        np.linalg.cholesky(correlation)[back],
        np.sqrt(largest)[back],
    )


def observed_transits(scans: Scans, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw how many of the expected transits were observed; shape (N,)."""
    expected = np.rint(scans.transits).astype(np.int64)
    return np.maximum(rng.binomial(expected, OBSERVED_SHARE), _FEWEST_TRANSITS)


def scan_pixel(ra: Floats, dec: Floats) -> NDArray[np.int64]:
    """Pixel of :data:`SCAN_ORDER` of positions in degrees."""
    return healpy.ang2pix(2**SCAN_ORDER, ra, dec, nest=True, lonlat=True)


@lru_cache(maxsize=1)
def _mean_parallax_sigma() -> float:
    """Mean over the sky of the parallax error, for scans of unit weight."""
    covariance, _, _ = _covariance(np.arange(12 * 16**2), 4)
    return float(np.sqrt(covariance[:, 2, 2]).mean())


def _covariance(pixel: NDArray[np.int64], order: int) -> tuple[Floats, Floats, NDArray[np.int64]]:
    ra, dec = healpy.pix2ang(2**order, pixel, nest=True, lonlat=True)
    radial, east, north = sky_basis(np.radians(ra), np.radians(dec))
    information = np.zeros((pixel.size, 5, 5))
    transits, periods = np.zeros(pixel.size), np.zeros(pixel.size, dtype=np.int64)
    last = np.full(pixel.size, -np.inf)
    for days, axis, sun in _attitude():
        _scan(radial, east, north, days, axis, sun, information, transits, periods, last)
    information += np.swapaxes(np.tril(information, -1), 1, 2)
    covariance: Floats = np.linalg.inv(information).astype(np.float64)
    return covariance, transits, periods


@lru_cache(maxsize=1)
def _attitude() -> list[tuple[Floats, Floats, Floats]]:
    """Days since the start, spin axis and Sun's position in au (ICRS), spell by spell."""
    steps = int(_SPELLS[-1][1] / _STEP_DAYS)
    days: Floats = (np.arange(steps, dtype=np.float64) + 0.5) * _STEP_DAYS
    # Low-precision Sun: Astronomical Almanac, page C5 (0.01 deg).
    j2000 = _START - 2451545.0 + days
    anomaly = np.radians(357.529 + 0.98560028 * j2000)
    longitude = np.radians(280.459 + 0.98564736 * j2000) + np.radians(
        1.915 * np.sin(anomaly) + 0.020 * np.sin(2 * anomaly)
    )
    distance = _L2 * (1.00014 - 0.01671 * np.cos(anomaly) - 0.00014 * np.cos(2 * anomaly))
    none = np.zeros(steps)
    sun = np.stack([np.cos(longitude), np.sin(longitude), none], axis=1)
    ahead = np.stack([-np.sin(longitude), np.cos(longitude), none], axis=1)
    tilt = np.array(
        [
            [1, 0, 0],
            [0, np.cos(OBLIQUITY_RAD), -np.sin(OBLIQUITY_RAD)],
            [0, np.sin(OBLIQUITY_RAD), np.cos(OBLIQUITY_RAD)],
        ]
    )
    out = []
    for begin, end, phase in _SPELLS:
        nu = _precession(longitude, np.radians(phase))[:, None]
        pole = np.array([0, 0, 1])
        axis = np.cos(_SUN_ANGLE_RAD) * sun + np.sin(_SUN_ANGLE_RAD) * (
            np.cos(nu) * ahead + np.sin(nu) * pole
        )
        on = (days >= begin) & (days < end)
        out.append((days[on], (axis @ tilt.T)[on], (distance[:, None] * sun @ tilt.T)[on]))
    return out


@njit(cache=True)
def _precession(longitude: Floats, start: float) -> Floats:
    """Phase of precession that keeps the axis' speed constant, by the midpoint rule."""
    sine, cosine = np.sin(_SUN_ANGLE_RAD), np.cos(_SUN_ANGLE_RAD)
    out = np.empty(longitude.size)
    nu = start
    for i in range(longitude.size):
        out[i] = nu
        if i + 1 < longitude.size:
            step = longitude[i + 1] - longitude[i]
            rate = (np.sqrt(_AXIS_SPEED**2 - np.cos(nu) ** 2) + cosine * np.sin(nu)) / sine
            half = nu + 0.5 * rate * step
            rate = (np.sqrt(_AXIS_SPEED**2 - np.cos(half) ** 2) + cosine * np.sin(half)) / sine
            nu += rate * step
    return out


@njit(cache=True)
def _scan(
    radial: Floats,
    east: Floats,
    north: Floats,
    days: Floats,
    axis: Floats,
    sun: Floats,
    information: Floats,
    transits: Floats,
    periods: NDArray[np.int64],
    last: Floats,
) -> None:
    """Add the scans of one spell to the information matrices (lower half) and counts."""
    weight = _FIELDS * _SPINS_PER_DAY * _STEP_DAYS
    row = np.empty(5)
    for i in range(len(radial)):
        ux, uy, uz = radial[i]
        j = 0
        while j < days.size:
            zx, zy, zz = axis[j]
            across = abs(ux * zx + uy * zy + uz * zz)
            if across > _HALF_FIELD:
                # The sine changes less than the angle: no scan can be missed.
                j += max(1, int((across - _HALF_FIELD) / _STEP_REACH_RAD))
                continue
            ax, ay, az = zy * uz - zz * uy, zz * ux - zx * uz, zx * uy - zy * ux
            year = (_START + days[j] - _REFERENCE) / _DAYS_PER_YEAR
            row[0] = ax * east[i, 0] + ay * east[i, 1] + az * east[i, 2]
            row[1] = ax * north[i, 0] + ay * north[i, 1] + az * north[i, 2]
            row[2] = ax * sun[j, 0] + ay * sun[j, 1] + az * sun[j, 2]
            row[3], row[4] = year * row[0], year * row[1]
            for p in range(5):
                for q in range(p + 1):
                    information[i, p, q] += weight * row[p] * row[q]
            transits[i] += weight
            if days[j] - last[i] > _VISIBILITY_GAP_DAYS:
                periods[i] += 1
            last[i] = days[j]
            j += 1
