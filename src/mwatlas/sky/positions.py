"""Positions of stars in other surveys: their epochs, names and crowding."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mwatlas.astrometry.frames import galactic_angles
from mwatlas.healpix import SOURCE_ID_ORDER, number_of_cells
from mwatlas.tables.table import Columns

Floats = NDArray[np.float64]

GAIA_EPOCH = 2016.0
_KMS_PER_AU_YR = 4.740470464
_MAS = np.pi / 180 / 3.6e6
_ZERO, _POINT, _PLUS, _MINUS = (ord(c) for c in "0.+-")


def positions_at(
    truth: Columns, epoch: ArrayLike, east_arcsec: ArrayLike = 0, north_arcsec: ArrayLike = 0
) -> tuple[Floats, Floats]:
    """Positions of the stars at another epoch, displaced by measurement errors.

    Uniform space motion, with its perspective terms (ESA SP-1200, section 1.2.8).

    Parameters
    ----------
    truth
        True columns of N stars at J2016.
    epoch
        Julian year; one, or one per star.
    east_arcsec, north_arcsec
        Displacements in the tangent plane; one, or one per star.

    Returns
    -------
    ra, dec
        In degrees, shape (N,) each.
    """
    years = np.asarray(epoch, dtype=float) - GAIA_EPOCH
    ra, dec = np.radians(truth["ra"]), np.radians(truth["dec"])
    parallax = _MAS / truth["distance_kpc_true"]
    radial = 1 + truth["radial_velocity_true"] / _KMS_PER_AU_YR * parallax * years
    east = truth["pmra_true"] * _MAS * years + np.asarray(east_arcsec) * 1e3 * _MAS
    north = truth["pmdec_true"] * _MAS * years + np.asarray(north_arcsec) * 1e3 * _MAS
    # Components towards the equator's plane and the pole, in the meridian of the star.
    outward = radial * np.cos(dec) - north * np.sin(dec)
    upward = radial * np.sin(dec) + north * np.cos(dec)
    new_ra = np.degrees(ra + np.arctan2(east, outward)) % 360
    return new_ra, np.degrees(np.arctan2(upward, np.hypot(outward, east)))


def designations(
    ra: ArrayLike, dec: ArrayLike, prefix: str = "", points: bool = False
) -> NDArray[np.object_]:
    """Names made of sexagesimal positions, truncated to 0.01 s and 0.1 arcsec.

    2MASS writes ``hhmmssss+ddmmsss``, LAMOST ``Jhhmmss.ss+ddmmss.s``.

    Parameters
    ----------
    ra, dec
        In degrees, ``0 <= ra < 360``; shape (N,).
    prefix
        Text before the position.
    points
        Whether to write the decimal points.

    Returns
    -------
    object array of str, shape (N,)
    """
    ra, dec = np.asarray(ra, dtype=float), np.asarray(dec, dtype=float)
    # Positions are given to 1e-6 deg: half of that keeps round values on their own side.
    time = np.minimum(((ra + 5e-10) * 24000).astype(np.int64), 24 * 360_000 - 1)
    angle = ((np.abs(dec) + 5e-10) * 36000).astype(np.int64)
    point = [None] if points else []
    fields = [
        *_digits(time // 360_000, time // 6000 % 60, time // 100 % 60),
        *point,
        *_digits(time % 100),
        np.where(dec < 0, _MINUS, _PLUS),
        *_digits(angle // 36_000, angle // 600 % 60, angle // 10 % 60),
        *point,
        angle % 10 + _ZERO,
    ]
    text = np.empty((ra.size, len(prefix) + len(fields)), dtype=np.uint32)
    text[:, : len(prefix)] = [ord(c) for c in prefix]
    for i, field in enumerate(fields):
        text[:, len(prefix) + i] = _POINT if field is None else field
    return text.view(f"U{text.shape[1]}")[:, 0].astype(object)


def _digits(*numbers: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Two digits of each number, as character codes."""
    return [digit + _ZERO for number in numbers for digit in (number // 10, number % 10)]


def galactic(truth: Columns) -> tuple[Floats, Floats]:
    """Galactic longitude (-180 to 180) and latitude of the stars, in degrees."""
    longitude, latitude = galactic_angles(truth["ra"], truth["dec"])
    return (longitude + 180) % 360 - 180, latitude


def crowding(truth: Columns) -> Floats:
    """How crowded the sky is at each star: 1 towards the Galactic centre, 0 at the poles.

    A smooth stand-in for the counts of all stars, of which the embedded sky is a sample:
    an exponential in latitude, brighter towards the centre than away from it.
    """
    longitude, latitude = galactic(truth)
    inner = 0.2 + 0.8 * np.exp(-0.5 * (longitude / 45) ** 2)
    return inner * np.exp(-np.abs(latitude) / 6)


def identifiers(cell: int, order: int, number: int) -> NDArray[np.int64]:
    """Ascending 31-bit identifiers of the rows of one cell, unlike those of any other cell.

    Parameters
    ----------
    cell, order
        HEALPix cell, nested, and its order.
    number
        How many rows there are.

    Returns
    -------
    int64, shape (number,)

    Raises
    ------
    ValueError
        If the cell holds more rows than it has identifiers.
    """
    if not 0 <= order <= SOURCE_ID_ORDER:
        raise ValueError(f"order ({order}) must lie between 0 and {SOURCE_ID_ORDER}")
    capacity = (2**31 - 1) // number_of_cells(order)
    if number > capacity:
        raise ValueError(
            f"cell {cell} of order {order} needs {number} identifiers and has {capacity}: "
            "choose a lower healpix_order"
        )
    return cell * capacity + 1 + np.arange(number)
