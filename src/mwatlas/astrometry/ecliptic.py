"""Ecliptic coordinates as Gaia's catalogue gives them."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

OBLIQUITY_RAD = float(np.radians(84381.411 / 3600))
"""Obliquity of the ecliptic of Gaia's catalogue (Gaia DR3 documentation, 4.1.7)."""
_ORIGIN_RAD = float(np.radians(0.05542 / 3600))
"""Offset of its ecliptic's node from the origin of right ascension (the same section)."""


def ecliptic(ra: ArrayLike, dec: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Ecliptic longitude and latitude in degrees, from ICRS ra and dec in degrees."""
    alpha = np.radians(np.asarray(ra, dtype=float)) + _ORIGIN_RAD
    delta = np.radians(np.asarray(dec, dtype=float))
    x, y, z = np.cos(delta) * np.cos(alpha), np.cos(delta) * np.sin(alpha), np.sin(delta)
    sine, cosine = np.sin(OBLIQUITY_RAD), np.cos(OBLIQUITY_RAD)
    longitude = np.degrees(np.arctan2(y * cosine + z * sine, x)) % 360
    return longitude, np.degrees(np.arcsin(z * cosine - y * sine))
