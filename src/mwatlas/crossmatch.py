"""Cross-matches by position: which rows of two lists lie within an angle of each other.

Rows are sorted by zones of declination and by right ascension within a zone, and the two lists
are walked through side by side (Gray, Nieto-Santisteban & Szalay 2007, "The zones algorithm",
arXiv:cs/0701171). The sort only proposes pairs; what decides is the haversine of the pair's own
coordinates, so nothing depends on zones, and rounding moves the limit by less than 1e-9 arcsec.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]

_ARCSEC_PER_DEG = 3600.0
_RAD_PER_MAS = np.pi / (180 * 3600 * 1000)
# A sort key holds the zone above these bits, and the right ascension in units of 360 deg / 2**40
# (1.2e-6 arcsec) within them. Two units of margin cover the rounding of both rows of a pair.
_RA_BITS = 40
_TURN = 1 << _RA_BITS
_MARGIN = 2
# Only speed depends on these: rows of a zone to look at per row, and the largest zone.
_ROWS_IN_WINDOW = 0.05
_LARGEST_ZONE_DEG = 0.5
_SKY_DEG2 = 41252.96


@dataclass(frozen=True)
class Pairs:
    """Pairs of rows of two lists.

    Parameters
    ----------
    left, right
        Row numbers in the two lists; shape (pairs,).
    separation_arcsec
        Angles between them; shape (pairs,).
    """

    left: Rows
    right: Rows
    separation_arcsec: Floats


def propagate(
    ra: ArrayLike, dec: ArrayLike, pmra: ArrayLike, pmdec: ArrayLike, years: ArrayLike
) -> tuple[Floats, Floats]:
    """Positions after some years of uniform motion across the line of sight.

    The direction moves along the tangent of the sphere, which is exact for a star without
    radial velocity (ESA 1997, The Hipparcos and Tycho Catalogues, vol. 1, eq. 1.5.13 with zeta
    = 0). A radial velocity changes the result by mu * v_r / d * t**2: at most 0.17 arcsec in 16
    years, for Barnard's star, and less than 1e-4 arcsec for stars beyond 50 pc. The parallax is
    left out too.

    Parameters
    ----------
    ra, dec
        Position in deg.
    pmra, pmdec
        Proper motion in mas/yr, pmra with cos(dec); a missing one (NaN) counts as none.
    years
        Julian years between the two epochs; negative into the past.

    Returns
    -------
    ra, dec
        Position in deg, ra from 0 to 360.
    """
    alpha, delta = np.radians(ra), np.radians(dec)
    scale = _RAD_PER_MAS * np.asarray(years, dtype=np.float64)
    east, north = np.nan_to_num(pmra) * scale, np.nan_to_num(pmdec) * scale
    # Components towards (alpha, 0), eastward, and towards the pole.
    inward = np.cos(delta) - north * np.sin(delta)
    upward = np.sin(delta) + north * np.cos(delta)
    moved = alpha + np.arctan2(east, inward)
    return np.degrees(moved) % 360.0, np.degrees(np.arctan2(upward, np.hypot(inward, east)))


class PositionIndex:
    """A list of positions, prepared for matches within one radius.

    Parameters
    ----------
    ra, dec
        Positions in deg; shape (rows,).
    radius_arcsec
        Largest separation of a match, included; below 90 deg.

    Raises
    ------
    ValueError
        If a position is not finite, a declination is beyond a pole, or the radius is not
        positive and below 90 deg.
    """

    def __init__(self, ra: ArrayLike, dec: ArrayLike, radius_arcsec: float) -> None:
        if not 0 < radius_arcsec < 90 * _ARCSEC_PER_DEG:
            raise ValueError(f"radius {radius_arcsec} arcsec is not between 0 and 90 deg")
        self._radius_deg = radius_arcsec / _ARCSEC_PER_DEG
        rows = np.size(ra)
        wide = _ROWS_IN_WINDOW * _SKY_DEG2 / (2 * max(rows, 1) * self._radius_deg)
        # Somewhat more than the radius, so that a match is at most one zone away.
        height = max(min(wide, _LARGEST_ZONE_DEG), self._radius_deg * (1 + 1e-9) + 1e-12)
        self._zones = max(int(180 / height), 1)
        self._list = self._sorted(ra, dec)
        self._starts = np.searchsorted(self._list[0], np.arange(self._zones + 1) << _RA_BITS)
        self._windows = self._half_windows()

    def nearest(self, ra: ArrayLike, dec: ArrayLike) -> tuple[Rows, Floats]:
        """Nearest row within the radius for each position.

        Returns
        -------
        row, separation_arcsec
            Row of this list, -1 where none is near, and the angle, NaN there; shape (rows,). Of
            rows at the same angle the first counts.
        """
        left = self._sorted(ra, dec)
        place, square = _nearest(self._list[3], *left[:3], *self._list[:3], *self._walk)
        row, angle = np.empty_like(place), np.empty_like(square)
        row[left[3]] = np.append(self._list[3], -1)[place]
        angle[left[3]] = np.where(place >= 0, _angle_arcsec(square), np.nan)
        return row, angle

    def pairs(self, ra: ArrayLike, dec: ArrayLike) -> Pairs:
        """All pairs of a position and a row of this list within the radius.

        Sorted by position, then by row.
        """
        left = self._sorted(ra, dec)
        first, second, square = _pairs(*left[:3], *self._list[:3], *self._walk)
        mine, theirs = left[3][first], self._list[3][second]
        order = np.argsort(mine * self._list[3].size + theirs)
        return Pairs(mine[order], theirs[order], _angle_arcsec(square[order]))

    @property
    def _walk(self) -> tuple[NDArray[np.int64], NDArray[np.int64], float, float]:
        limit = np.sin(np.radians(self._radius_deg) / 2) ** 2
        return self._starts, self._windows, self._radius_deg, float(limit)

    def _sorted(
        self, ra: ArrayLike, dec: ArrayLike
    ) -> tuple[NDArray[np.int64], Floats, Floats, Rows]:
        """Sort key, ra and dec in key order, and the row each came from."""
        ra, dec = np.atleast_1d(np.asarray(ra, float)), np.atleast_1d(np.asarray(dec, float))
        if not (np.isfinite(ra).all() and (np.abs(dec) <= 90).all()):
            raise ValueError("positions must be finite, and declinations within 90 deg")
        turn = (ra % 360.0 / 360.0 * _TURN).astype(np.int64)
        key = (self._zone(dec) << _RA_BITS) | np.minimum(turn, _TURN - 1)
        order = np.argsort(key)
        return key[order], ra[order], dec[order], order

    def _zone(self, dec: Floats) -> NDArray[np.int64]:
        zone = ((dec + 90) / 180 * self._zones).astype(np.int64)
        return np.minimum(zone, self._zones - 1)

    def _half_windows(self) -> NDArray[np.int64]:
        """Largest difference in right ascension of a match, for positions in each zone.

        ``sin(d_ra) = sin(radius) / cos(dec)`` at the zone's edge towards the pole; where the
        circle reaches the pole, all right ascensions.
        """
        edge = 180 * np.arange(self._zones + 1) / self._zones - 90
        polar = np.maximum(np.abs(edge[:-1]), np.abs(edge[1:])) + 1e-9
        whole = polar + self._radius_deg >= 90
        sine = np.sin(np.radians(self._radius_deg)) / np.cos(np.radians(np.where(whole, 0, polar)))
        window = np.degrees(np.arcsin(np.minimum(sine, 1))) / 360 * _TURN
        return np.where(whole, _TURN, np.ceil(window).astype(np.int64) + _MARGIN)


def match_nearest(
    left_ra: ArrayLike,
    left_dec: ArrayLike,
    right_ra: ArrayLike,
    right_dec: ArrayLike,
    radius_arcsec: float,
) -> tuple[Rows, Floats]:
    """Nearest right row within a radius for each left row; see :class:`PositionIndex`."""
    return PositionIndex(right_ra, right_dec, radius_arcsec).nearest(left_ra, left_dec)


def match_pairs(
    left_ra: ArrayLike,
    left_dec: ArrayLike,
    right_ra: ArrayLike,
    right_dec: ArrayLike,
    radius_arcsec: float,
) -> Pairs:
    """All pairs of rows within a radius; see :class:`PositionIndex`."""
    return PositionIndex(right_ra, right_dec, radius_arcsec).pairs(left_ra, left_dec)


def _angle_arcsec(square: Floats) -> Floats:
    """Angle from the square of the sine of its half."""
    return 2 * np.degrees(np.arcsin(np.sqrt(np.minimum(square, 1)))) * _ARCSEC_PER_DEG


# A generator from the cache cannot be used by a function that is compiled; its users are cached.
# numba's types know no compiled generator that compiled code walks through, so these three have
# none; the methods that call them are checked.
@njit
def _candidates(  # type: ignore[no-untyped-def]
    l_key, l_ra, l_dec, r_key, r_ra, r_dec, starts, windows, radius, limit
) -> Iterator[tuple[int, int, float]]:
    """Yield the places of both rows and the squared sine of the half angle of every pair."""
    zones = windows.size
    degree = np.pi / 180
    first = np.zeros(3, np.int64)
    zone = -1
    for i in range(l_key.size):
        if l_key[i] >> _RA_BITS != zone:
            zone = l_key[i] >> _RA_BITS
            first[:] = -1
        turn, window = l_key[i] & (_TURN - 1), windows[zone]
        for side in range(3):
            other = zone + side - 1
            if other < 0 or other >= zones:
                continue
            # Zone edges with a margin for the rounding of a zone number.
            if side == 0 and l_dec[i] - radius > 180 * zone / zones - 90 + 1e-9:
                continue
            if side == 2 and l_dec[i] + radius < 180 * (zone + 1) / zones - 90 - 1e-9:
                continue
            base = other << _RA_BITS
            start, stop = starts[other], starts[other + 1]
            # The window as up to two ranges of keys: the second is what lies across ra = 0.
            low, high = turn - window, turn + window
            if 2 * window >= _TURN:
                low, high = 0, _TURN - 1
            if first[side] < 0:
                first[side] = start + np.searchsorted(r_key[start:stop], base + max(low, 0))
            while first[side] < stop and r_key[first[side]] < base + low:
                first[side] += 1
            for half in range(2):
                if half == 0:
                    j, end = first[side], base + high
                elif low < 0:
                    j = start + np.searchsorted(r_key[start:stop], base + low + _TURN)
                    end = base + _TURN
                elif high >= _TURN:
                    j, end = start, base + high - _TURN
                else:
                    break
                while j < stop and r_key[j] <= end:
                    d_dec = r_dec[j] - l_dec[i]
                    if abs(d_dec) <= radius * (1 + 1e-9):
                        s_dec = np.sin(0.5 * degree * d_dec)
                        s_ra = np.sin(0.5 * degree * (r_ra[j] - l_ra[i]))
                        cosines = np.cos(degree * l_dec[i]) * np.cos(degree * r_dec[j])
                        square = s_dec * s_dec + cosines * s_ra * s_ra
                        if square <= limit:
                            yield i, j, square
                    j += 1


@njit(cache=True)
def _nearest(  # type: ignore[no-untyped-def]
    r_row, l_key, l_ra, l_dec, r_key, r_ra, r_dec, starts, windows, radius, limit
):
    place = np.full(l_key.size, -1)
    best = np.full(l_key.size, 2.0)
    for i, j, square in _candidates(
        l_key, l_ra, l_dec, r_key, r_ra, r_dec, starts, windows, radius, limit
    ):
        if square < best[i] or (square == best[i] and r_row[j] < r_row[place[i]]):
            place[i], best[i] = j, square
    return place, best


@njit(cache=True)
def _pairs(  # type: ignore[no-untyped-def]
    l_key, l_ra, l_dec, r_key, r_ra, r_dec, starts, windows, radius, limit
):
    number, room = 0, l_key.size + 16
    rows, squares = np.empty((2, room), np.int64), np.empty(room)
    for i, j, square in _candidates(
        l_key, l_ra, l_dec, r_key, r_ra, r_dec, starts, windows, radius, limit
    ):
        if number == room:
            room *= 2
            more_rows, more_squares = np.empty((2, room), np.int64), np.empty(room)
            more_rows[:, :number], more_squares[:number] = rows, squares
            rows, squares = more_rows, more_squares
        rows[0, number], rows[1, number], squares[number] = i, j, square
        number += 1
    return rows[0, :number], rows[1, :number], squares[:number]
