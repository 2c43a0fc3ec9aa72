"""Abundances and vertex deviation of the bulge.

The distribution function of the bulge is axisymmetric. The abundances depend on height alone
and leave velocities as they are. The vertex deviation is put on the velocities of metal-rich
stars by a linear map that preserves the volume of velocity space. X and Y are Galactocentric:
X points away from the Sun, Y to l > 0.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from mwatlas.config.sky_bulge import BulgeMetallicity, VertexDeviation

Floats = NDArray[np.float64]


def bulge_shift(law: BulgeMetallicity, height_kpc: Floats) -> Floats:
    """How much [Fe/H] at a height differs from that near the plane."""
    return law.vertical_gradient * np.maximum(np.abs(height_kpc) - law.flat_height_kpc, 0.0)


def draw_bulge_fe_h(
    law: BulgeMetallicity, position_kpc: Floats, rng: np.random.Generator
) -> Floats:
    """Draw [Fe/H] of bulge stars.

    All quantiles, so also the median, have the vertical gradient of the law.

    Parameters
    ----------
    law
        The mixture of metal-rich and metal-poor stars.
    position_kpc
        Galactocentric; shape (N, 3).
    rng
        Source of the random numbers.

    Returns
    -------
    float64, shape (N,)
    """
    rich = rng.random(len(position_kpc)) < law.rich_share
    mean = np.where(rich, law.rich_fe_h, law.poor_fe_h)
    scatter = np.where(rich, law.rich_scatter, law.poor_scatter)
    noise = rng.standard_normal(len(position_kpc))
    return mean + bulge_shift(law, position_kpc[:, 2]) + scatter * noise


def bulge_share_below(law: BulgeMetallicity, fe_h: Floats) -> Floats:
    """Share of bulge stars near the plane with less than given [Fe/H]; shape of ``fe_h``."""
    rich = ndtr((fe_h - law.rich_fe_h) / law.rich_scatter)
    poor = ndtr((fe_h - law.poor_fe_h) / law.poor_scatter)
    return law.rich_share * rich + (1 - law.rich_share) * poor


def shear(settings: VertexDeviation) -> Floats:
    """Map of (v_X, v_Y): symmetric, of determinant 1; shape (2, 2).

    It stretches along ``angle_deg`` and compresses across, so that an isotropic velocity
    distribution gets the axis ratio ``axis_ratio**strength`` and the vertex deviation
    1/2 atan2(2 cov_XY, var_X - var_Y) = ``angle_deg``.
    """
    angle = np.radians(settings.angle_deg)
    major = np.array([np.cos(angle), np.sin(angle)])
    minor = np.array([-major[1], major[0]])
    stretch = settings.axis_ratio ** (-0.5 * settings.strength)
    return stretch * np.outer(major, major) + np.outer(minor, minor) / stretch


def tilt_velocities(
    settings: VertexDeviation,
    fe_h: Floats,
    velocity_kms: Floats,
    mean_velocity_kms: Floats,
    *,
    undo: bool = False,
) -> Floats:
    """Give metal-rich bulge stars a vertex deviation.

    The map acts on velocities relative to the mean at each star's place, so streaming and
    density remain. At every place the ellipsoid of an isotropic population has exactly the
    vertex deviation of the settings. In a sample with an extent in X and Y the streaming adds
    its own variance, for a rotation rate W: W**2 var(Y) to v_X and W**2 var(X) to v_Y.

    Parameters
    ----------
    settings
        The vertex deviation.
    fe_h
        [Fe/H]; shape (N,). Stars below ``min_fe_h`` keep their velocities.
    velocity_kms, mean_velocity_kms
        Galactocentric velocities, and mean of the population at each star; shape (N, 3).
    undo
        Go back. The phase-space density after the map is that before it at the velocity
        this returns, as the Jacobian is 1.

    Returns
    -------
    float64, shape (N, 3)
    """
    forward = shear(settings)
    matrix = np.linalg.inv(forward) if undo else forward
    tilted = np.array(velocity_kms, float)
    rich = fe_h >= settings.min_fe_h
    mean = mean_velocity_kms[rich, :2]
    tilted[rich, :2] = mean + (tilted[rich, :2] - mean) @ matrix.T
    return tilted
