"""The best possible prediction of v_los from five-parameter astrometry on the embedded sky.

Because the sky's distribution function is known, the distribution of v_los given position,
parallax and proper motions is an integral over distance and v_los (and, for the parallax error
and the selection, over magnitude), summed over populations. Its mean and standard deviation are the
Gaussian prediction of least mean loss: what a perfect network would return.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mwatlas.astrometry.frames import KMS_PER_MASYR_KPC, sky_basis
from mwatlas.config.release import SkySource
from mwatlas.sky import survey as measured
from mwatlas.sky.galaxy import SKY_FRAME, Galaxy

Floats = NDArray[np.float64]

_DISTANCE_NODES = 61
_MAGNITUDE_NODES = 44
_REACH_SIGMA = 5.0
_CHUNK_STARS = 100
# Nodes in v_los, out to this many standard deviations of the normal law of equal moments.
_VELOCITY_NODES = 24
_VELOCITY_REACH = 6.0


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
    galaxy: Galaxy,
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
    galaxy
        Its populations.
    selection
        Cuts of the sample.
    ra, dec, parallax_corr, pmra, pmdec
        Astrometry in degrees, mas and mas/yr, the parallax free of its zero point; shape (N,).
    """
    chunks = [
        _chunk(
            source,
            galaxy,
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
    galaxy: Galaxy,
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
    stars = len(distance)

    radial, east, north = sky_basis(np.radians(ra), np.radians(dec))
    rotation, offset = SKY_FRAME.affine()
    position = (distance[..., None] * (radial @ rotation.T)[:, None] + offset).reshape(-1, 3)
    sight = np.stack([radial, east, north], axis=1) @ rotation.T
    scale = KMS_PER_MASYR_KPC * distance[..., None]
    # Galactocentric velocity of a star at rest along the line of sight: (N, D, 3).
    resting = np.asarray(SKY_FRAME.v_sun_kms) + scale * (
        pmra[:, None, None] * sight[:, None, 1] + pmdec[:, None, None] * sight[:, None, 2]
    )
    seen = _magnitude_integrals(
        source, galaxy, selection, magnitude, parallax_error, parallax, distance
    )
    # d^2 dd = d^4 d(parallax), and d(v_t) = (k d)^2 d(pm).
    volume = distance**6
    node, node_weight = np.polynomial.legendre.leggauss(_VELOCITY_NODES)
    moments = np.zeros((3, stars))
    for number, visible in enumerate(seen):
        centre, width = _line(galaxy, number, position, resting, sight)
        v_los = centre[..., None] + _VELOCITY_REACH * width[..., None] * node
        velocity = resting[..., None, :] + v_los[..., None] * sight[:, None, None, 0]
        log_density = galaxy.log_phase_density(
            number,
            np.repeat(position, _VELOCITY_NODES, axis=0),
            velocity.reshape(-1, 3),
        ).reshape(v_los.shape)
        weight = np.exp(log_density) * node_weight * (visible * volume * width)[..., None]
        for power in range(3):
            moments[power] += (weight * v_los**power).sum(axis=(1, 2))
    mean = moments[1] / moments[0]
    return Optimum(mean, np.sqrt(moments[2] / moments[0] - mean**2))


def _line(
    galaxy: Galaxy, number: int, position: Floats, resting: Floats, sight: Floats
) -> tuple[Floats, Floats]:
    """Where a population's velocities lie along the line of sight, given the transverse ones.

    Returns
    -------
    centre, width
        Mean and standard deviation of v_los of the normal law with the population's moments,
        in km/s; shape (N, D).
    """
    stars, nodes, _ = resting.shape
    mean, axes, sigma = galaxy.moments(number, position)
    covariance = np.einsum("nki,nk,nkj->nij", axes, sigma**2, axes).reshape(stars, nodes, 3, 3)
    offset = resting - mean.reshape(stars, nodes, 3)
    inverse = np.linalg.inv(covariance)
    pull = np.einsum("nmij,nj->nmi", inverse, sight[:, 0])
    precision = np.einsum("nmi,ni->nm", pull, sight[:, 0])
    return -np.einsum("nmi,nmi->nm", pull, offset) / precision, 1 / np.sqrt(precision)


def _magnitude_integrals(
    source: SkySource,
    galaxy: Galaxy,
    selection: Selection,
    magnitude: Floats,
    parallax_error: Floats,
    parallax: Floats,
    distance: Floats,
) -> list[Floats]:
    """Probability of the parallax and of being selected, for each population: (N, D)."""
    survey = source.survey
    residual = (parallax[:, None] - 1 / distance)[..., None] / parallax_error
    likelihood = np.exp(-0.5 * residual**2) / parallax_error
    kept = parallax_error < selection.max_fractional_parallax_error * parallax[:, None]
    chance = measured.radial_velocity_probability(magnitude, survey) * kept
    m_g = magnitude - measured.distance_modulus(distance)[..., None]
    step = magnitude[1] - magnitude[0]
    by_share: dict[float, Floats] = {}
    out = []
    for population in galaxy.populations:
        share = population.giant_share
        if share not in by_share:
            law = measured.magnitude_density(m_g, share, survey)
            by_share[share] = (law * likelihood * chance[:, None]).sum(axis=-1) * step
        out.append(by_share[share])
    return out
