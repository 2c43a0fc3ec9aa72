"""From Galactocentric positions and velocities to what an observer at the Sun sees."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mwatlas.astrometry.frames import KMS_PER_MASYR_KPC, GalactocentricFrame, sky_basis

Floats = NDArray[np.float64]


def sky_position(
    frame: GalactocentricFrame, position_kpc: ArrayLike
) -> tuple[Floats, Floats, Floats]:
    """ICRS right ascension and declination in degrees, and distance in kpc.

    Parameters
    ----------
    frame
        Axes of the positions.
    position_kpc
        Galactocentric positions; shape (N, 3). None may be the Sun's.

    Returns
    -------
    ra, dec, distance_kpc
        Shape (N,) each; 0 <= ra < 360.
    """
    rotation, offset = frame.affine()
    x, y, z = ((np.asarray(position_kpc, dtype=float) - offset) @ rotation).T
    ra = np.degrees(np.arctan2(y, x)) % 360.0
    # The remainder of a tiny negative angle rounds to 360.
    ra = np.where(ra >= 360.0, 0.0, ra)
    return ra, np.degrees(np.arctan2(z, np.hypot(x, y))), np.sqrt(x**2 + y**2 + z**2)


def galactocentric_position(
    frame: GalactocentricFrame, ra: ArrayLike, dec: ArrayLike, distance_kpc: ArrayLike
) -> Floats:
    """Inverse of :func:`sky_position`; shape (N, 3), kpc."""
    rotation, offset = frame.affine()
    sight, _, _ = sky_basis(np.radians(ra), np.radians(dec))
    return np.asarray(distance_kpc, dtype=float)[:, None] * (sight @ rotation.T) + offset


def sky_motion(
    frame: GalactocentricFrame,
    ra: ArrayLike,
    dec: ArrayLike,
    distance_kpc: ArrayLike,
    velocity_kms: ArrayLike,
) -> tuple[Floats, Floats, Floats]:
    """Proper motions and radial velocities of Galactocentric velocities.

    Parameters
    ----------
    frame
        Axes of the velocities.
    ra, dec, distance_kpc
        ICRS position in degrees and distance in kpc; shape (N,).
    velocity_kms
        Galactocentric velocities; shape (N, 3).

    Returns
    -------
    pmra, pmdec, radial_velocity
        mas/yr (``pmra`` including cos(dec)) and km/s; shape (N,) each.
    """
    rotation, _ = frame.affine()
    velocity = (np.asarray(velocity_kms, dtype=float) - np.asarray(frame.v_sun_kms)) @ rotation
    sight, east, north = sky_basis(np.radians(ra), np.radians(dec))
    scale = KMS_PER_MASYR_KPC * np.asarray(distance_kpc, dtype=float)
    return (
        (velocity * east).sum(axis=1) / scale,
        (velocity * north).sum(axis=1) / scale,
        (velocity * sight).sum(axis=1),
    )
