"""Inputs of the network, from five columns of astrometry.

``paper`` are the six of section 2.1: cos l, sin l, b, both proper motions, parallax.
``physical`` are ten of our own, in which the velocity is a smoother function: the unit vector
to the star in Galactic axes, the logarithm of its distance, and its transverse velocity and
proper motion, each as the arcsinh of three Galactic components. They are plain geometry; no
motion of the Sun and no model of the Galaxy enters.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mwatlas.astrometry.frames import KMS_PER_MASYR_KPC, galactic_axes
from mwatlas.tables.table import Columns

Inputs = Literal["paper", "physical"]

COLUMNS = ("l", "b", "pmra", "pmdec", "parallax_corr")

FEATURES: dict[Inputs, tuple[str, ...]] = {
    "paper": ("cos_l", "sin_l", "b", "pmra", "pmdec", "parallax"),
    "physical": (
        "x",
        "y",
        "z",
        "ln_distance",
        "arcsinh_v_x",
        "arcsinh_v_y",
        "arcsinh_v_z",
        "arcsinh_pm_x",
        "arcsinh_pm_y",
        "arcsinh_pm_z",
    ),
}
"""Names of the inputs, in order."""

# Where arcsinh turns from a line to a logarithm: typical transverse velocities and motions.
_VELOCITY_KMS = 30.0
_MOTION_MASYR = 10.0


def astrometry(data: Columns) -> NDArray[np.float64]:
    """The columns :data:`COLUMNS` side by side; shape (N, 5)."""
    return np.stack([np.asarray(data[name], dtype=float) for name in COLUMNS], axis=-1)


def features(columns: Any, inputs: Inputs, operations: ModuleType = np) -> Any:
    """Network inputs in the order of :data:`FEATURES`.

    Parameters
    ----------
    columns
        ``l``, ``b`` (degrees), ``pmra``, ``pmdec`` (mas/yr) and ``parallax_corr`` (mas), side by
        side; shape (N, 5). With ``physical``, parallaxes must be positive.
    inputs
        Which ones.
    operations
        The module whose functions compute them: :mod:`numpy`, or :mod:`keras.ops` to make
        them part of a network.

    Returns
    -------
    shape (N, C)
    """
    ops = operations
    longitude, latitude = columns[:, 0:1] * (np.pi / 180), columns[:, 1:2] * (np.pi / 180)
    cos_l, sin_l = ops.cos(longitude), ops.sin(longitude)
    if inputs == "paper":
        # Longitude enters as a point on the circle, which has no jump at l = 0.
        return ops.concatenate([cos_l, sin_l, columns[:, 1:]], axis=-1)
    x, y, z = ops.cos(latitude) * cos_l, ops.cos(latitude) * sin_l, ops.sin(latitude)
    # East and north of ICRS in Galactic axes: across the celestial pole and the star, and up.
    pole = galactic_axes()[:, 2].tolist()
    east = _cross(pole, (x, y, z))
    length = ops.sqrt(east[0] ** 2 + east[1] ** 2 + east[2] ** 2)
    east = tuple(component / length for component in east)
    north = _cross((x, y, z), east)
    pmra, pmdec, parallax = columns[:, 2:3], columns[:, 3:4], columns[:, 4:5]
    motion = [pmra * e + pmdec * n for e, n in zip(east, north, strict=True)]
    velocity = [component * float(KMS_PER_MASYR_KPC) / parallax for component in motion]
    return ops.concatenate(
        [
            x,
            y,
            z,
            -ops.log(parallax),
            *(ops.arcsinh(component / _VELOCITY_KMS) for component in velocity),
            *(ops.arcsinh(component / _MOTION_MASYR) for component in motion),
        ],
        axis=-1,
    )


def _cross(a: Any, b: Any) -> tuple[Any, Any, Any]:
    """Cross product of vectors whose components are given one by one."""
    return (a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0])
