"""The best possible prediction of v_los from five-parameter astrometry on the embedded sky.

Because the sky's distribution function is known, the distribution of v_los given position,
parallax and proper motions is an integral over distance (and, for the parallax error and the
selection, over magnitude), summed over components. Its mean and standard deviation are the
Gaussian prediction of least mean loss: what a perfect network would return.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mwatlas.astrometry.frames import KMS_PER_MASYR_KPC, sky_basis
from mwatlas.config.release import SkySource
from mwatlas.sky import survey as measured
from mwatlas.sky.galaxy import SKY_FRAME, galaxy

Floats = NDArray[np.float64]

_DISTANCE_NODES = 121
_MAGNITUDE_NODES = 44
_REACH_SIGMA = 5.0
_CHUNK_STARS = 500


@dataclass(frozen=True)
class Selection:
    """Cuts of the sample the prediction is for; magnitudes in G, parallaxes in mas."""

    g_min: float
    g_max: float
    max_fractional_parallax_error: float


@dataclass(frozen=True)
class Optimum:
    """Mean and standard deviation of v_los in km/s; shape (N,) each."""

    mean: Floats
    sigma: Floats


def optimal_prediction(
    source: SkySource,
    selection: Selection,
    ra: Floats,
    dec: Floats,
    parallax_corr: Floats,
    pmra: Floats,
    pmdec: Floats,
) -> Optimum:
    """Conditional mean and spread of the measured radial velocity of sky stars that have one.

    Parameters
    ----------
    source
        Settings of the sky.
    selection
        Cuts of the sample.
    ra, dec, parallax_corr, pmra, pmdec
        Astrometry in degrees, mas and mas/yr, the parallax free of its zero point; shape (N,).
    """
    chunks = [
        _chunk(
            source,
            selection,
            *(c[i : i + _CHUNK_STARS] for c in (ra, dec, parallax_corr, pmra, pmdec)),
        )
        for i in range(0, len(ra), _CHUNK_STARS)
    ]
    return Optimum(
        np.concatenate([c.mean for c in chunks]), np.concatenate([c.sigma for c in chunks])
    )


def _chunk(
    source: SkySource,
    selection: Selection,
    ra: Floats,
    dec: Floats,
    parallax: Floats,
    pmra: Floats,
    pmdec: Floats,
) -> Optimum:
    survey = source.survey
    magnitude = np.linspace(
        max(selection.g_min, survey.g_bright),
        min(selection.g_max, survey.g_faint),
        _MAGNITUDE_NODES,
    )
    parallax_error = measured.parallax_error_mas(magnitude)
    # Nodes equal in parallax over the range the faintest selected star could scatter from.
    reach = _REACH_SIGMA * np.minimum(
        parallax_error.max(), selection.max_fractional_parallax_error * parallax
    )
    nearest = parallax + reach
    farthest = np.maximum(parallax - reach, 1 / survey.max_distance_kpc)
    farthest = np.minimum(farthest, nearest * (1 - 1e-9))
    steps = np.linspace(0, 1, _DISTANCE_NODES)
    true_parallax = farthest[:, None] + (nearest - farthest)[:, None] * steps
    distance = 1 / true_parallax
    stars, nodes = distance.shape

    radial, east, north = sky_basis(np.radians(ra), np.radians(dec))
    rotation, offset = SKY_FRAME.affine()
    position = (distance[..., None] * (radial @ rotation.T)[:, None] + offset).reshape(-1, 3)
    sight = np.stack([radial, east, north], axis=1) @ rotation.T
    solar = sight @ np.asarray(SKY_FRAME.v_sun_kms)

    seen = _magnitude_integrals(source, selection, magnitude, parallax_error, parallax, distance)
    weights, means, variances = [], [], []
    for component, visible in zip(galaxy(source.components), seen, strict=True):
        ellipsoid = component.velocities(position)
        mean = np.einsum("nki,nmi->nmk", sight, ellipsoid.mean.reshape(stars, nodes, 3))
        mean -= solar[:, None]
        covariance = np.einsum(
            "nki,nmij,nlj->nmkl", sight, ellipsoid.covariance.reshape(stars, nodes, 3, 3), sight
        )
        log_likelihood, v_los, variance = _condition(mean, covariance, distance, pmra, pmdec)
        density = component.density(position).reshape(stars, nodes)
        # d^2 dd = d^4 d(parallax)
        weights.append(density * visible * distance**4 * np.exp(log_likelihood))
        means.append(v_los)
        variances.append(variance)
    weight = np.stack(weights, axis=1).reshape(stars, -1)
    weight /= weight.sum(axis=1, keepdims=True)
    v_los = np.stack(means, axis=1).reshape(stars, -1)
    variance = np.stack(variances, axis=1).reshape(stars, -1)
    mean_v = (weight * v_los).sum(axis=1)
    spread = (weight * (variance + v_los**2)).sum(axis=1) - mean_v**2
    return Optimum(mean_v, np.sqrt(spread))


def _magnitude_integrals(
    source: SkySource,
    selection: Selection,
    magnitude: Floats,
    parallax_error: Floats,
    parallax: Floats,
    distance: Floats,
) -> list[Floats]:
    """Probability of the parallax and of being selected, for each component: (N, D)."""
    survey = source.survey
    residual = (parallax[:, None] - 1 / distance)[..., None] / parallax_error
    likelihood = np.exp(-0.5 * residual**2) / parallax_error
    kept = parallax_error < selection.max_fractional_parallax_error * parallax[:, None]
    chance = measured.radial_velocity_probability(magnitude, survey) * kept
    m_g = magnitude - measured.distance_modulus(distance)[..., None]
    step = magnitude[1] - magnitude[0]
    by_share: dict[float, Floats] = {}
    out = []
    for component in galaxy(source.components):
        share = component.giant_share
        if share not in by_share:
            law = measured.magnitude_density(m_g, share, survey)
            by_share[share] = (law * likelihood * chance[:, None]).sum(axis=-1) * step
        out.append(by_share[share])
    return out


def _condition(
    mean: Floats, covariance: Floats, distance: Floats, pmra: Floats, pmdec: Floats
) -> tuple[Floats, Floats, Floats]:
    """Condition a normal velocity on the transverse velocity.

    Parameters
    ----------
    mean, covariance
        In the axes (line of sight, east, north), relative to the Sun: (N, D, 3), (N, D, 3, 3).
    distance
        Shape (N, D), kpc.
    pmra, pmdec
        Shape (N,), mas/yr. Their errors are below 0.1 mas/yr, 1 km/s at 2 kpc, and left out.

    Returns
    -------
    log_likelihood, mean, variance
        Of the proper motions, and of v_los given them; shape (N, D) each.
    """
    scale = KMS_PER_MASYR_KPC * distance
    d_east = scale * pmra[:, None] - mean[..., 1]
    d_north = scale * pmdec[:, None] - mean[..., 2]
    c = covariance
    determinant = c[..., 1, 1] * c[..., 2, 2] - c[..., 1, 2] ** 2
    inverse_east = (c[..., 2, 2] * d_east - c[..., 1, 2] * d_north) / determinant
    inverse_north = (c[..., 1, 1] * d_north - c[..., 1, 2] * d_east) / determinant
    chi_square = d_east * inverse_east + d_north * inverse_north
    log_likelihood = -0.5 * chi_square - 0.5 * np.log(determinant) + 2 * np.log(scale)
    v_los = mean[..., 0] + c[..., 0, 1] * inverse_east + c[..., 0, 2] * inverse_north
    explained = (
        c[..., 0, 1] ** 2 * c[..., 2, 2]
        - 2 * c[..., 0, 1] * c[..., 0, 2] * c[..., 1, 2]
        + c[..., 0, 2] ** 2 * c[..., 1, 1]
    ) / determinant
    return log_likelihood, v_los, c[..., 0, 0] - explained
