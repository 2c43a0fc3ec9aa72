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
from scipy.ndimage import map_coordinates

from mwatlas.astrometry.frames import KMS_PER_MASYR_KPC, galactic_angles, sky_basis
from mwatlas.config.sky import SkySource
from mwatlas.config.sky_gaia import GaiaSpectrometer
from mwatlas.photometry import EXTINCTION_RATIOS
from mwatlas.sky.chemistry import fe_h_shift, metallicity_shares
from mwatlas.sky.gaia_astrometry import parallax_error_factor, parallax_error_mas
from mwatlas.sky.gaia_spectrometer import (
    grvs_magnitude,
    radial_velocity_error,
    radial_velocity_probability,
)
from mwatlas.sky.galaxy import SKY_FRAME
from mwatlas.sky.model import GalaxyModel, SkyModel
from mwatlas.sky.stars import PROPERTIES, Library
from mwatlas.sky.visibility import distance_modulus

Floats = NDArray[np.float64]

_DISTANCE_NODES = 61
_MAGNITUDE_NODES = 44
_REACH_SIGMA = 5.0
_CHUNK_STARS = 100
_ABSOLUTE = np.arange(-6.0, 17.01, 0.1)
# Rare metallicities do not matter here, and a part of the library's stars is enough.
_RARE, _EVERY = 3e-3, 4
# By how much G_RVS at given G gets brighter per magnitude of A_V: reddening changes G - RP by 0.2.
_REDDENING_OF_GRVS = 0.26
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
    model: SkyModel,
    selection: Selection,
    ra: Floats,
    dec: Floats,
    parallax_corr: Floats,
    pmra: Floats,
    pmdec: Floats,
) -> Optimum:
    """Conditional mean and spread of the measured radial velocity of sky stars that have one.

    Stars in clusters, and solutions and velocities that are wrong, are left out of the model.

    Parameters
    ----------
    source
        Settings of the sky.
    model
        Its populations, what their stars look like, and what dims them.
    selection
        Cuts of the sample.
    ra, dec, parallax_corr, pmra, pmdec
        Astrometry in degrees, mas and mas/yr, the parallax free of its zero point; shape (N,).
    """
    survey = source.survey
    magnitude = np.linspace(
        max(selection.g_min, survey.g_bright),
        min(selection.g_max, survey.g_faint),
        _MAGNITUDE_NODES,
    )
    sun = SKY_FRAME.affine()[1][None]
    seen = [
        _magnitudes_with_velocity(
            model.stellar_library,
            member,
            metallicity_shares(
                population, float(fe_h_shift(population, sun)[0]), source.xp.alpha_strength
            ),
            magnitude,
            source.gaia.spectrometer,
        )
        for member, population in enumerate(model.galaxy.populations)
    ]
    chunks = [
        _chunk(
            source,
            model,
            selection,
            magnitude,
            seen,
            *(c[i : i + _CHUNK_STARS] for c in (ra, dec, parallax_corr, pmra, pmdec)),
        )
        for i in range(0, len(ra), _CHUNK_STARS)
    ]
    return Optimum(
        np.concatenate([c.mean for c in chunks]), np.concatenate([c.sigma for c in chunks])
    )


def _chunk(
    source: SkySource,
    model: SkyModel,
    selection: Selection,
    magnitude: Floats,
    seen: list[Floats],
    ra: Floats,
    dec: Floats,
    parallax: Floats,
    pmra: Floats,
    pmdec: Floats,
) -> Optimum:
    parallax_error = parallax_error_factor(ra, dec)[:, None] * parallax_error_mas(magnitude)
    # Nodes equal in parallax over the range the faintest selected star could scatter from.
    reach = _REACH_SIGMA * np.minimum(
        parallax_error.max(axis=1), selection.max_fractional_parallax_error * parallax
    )
    nearest = parallax + reach
    farthest = np.maximum(parallax - reach, 1 / source.survey.max_distance_kpc)
    farthest = np.minimum(farthest, nearest * (1 - 1e-9))
    steps = np.linspace(0, 1, _DISTANCE_NODES)
    distance = 1 / (farthest[:, None] + (nearest - farthest)[:, None] * steps)
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
    l_deg, b_deg = galactic_angles(ra, dec)
    a_v = model.dust.a_v(l_deg[:, None], b_deg[:, None], distance)
    residual = (parallax[:, None] - 1 / distance)[..., None] / parallax_error[:, None]
    kept = parallax_error < selection.max_fractional_parallax_error * parallax[:, None]
    likelihood = np.exp(-0.5 * residual**2) / parallax_error[:, None] * kept[:, None]
    # d^2 dd = d^4 d(parallax), and d(v_t) = (k d)^2 d(pm).
    volume = distance**6
    node, node_weight = np.polynomial.legendre.leggauss(_VELOCITY_NODES)
    moments = np.zeros((3, stars))
    for number, table in enumerate(seen):
        visible = _integrate_magnitudes(table, magnitude, distance, a_v, likelihood)
        centre, width = _line(model.galaxy, number, position, resting, sight)
        v_los = centre[..., None] + _VELOCITY_REACH * width[..., None] * node
        velocity = resting[..., None, :] + v_los[..., None] * sight[:, None, None, 0]
        log_density = model.galaxy.log_phase_density(
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
    galaxy: GalaxyModel, number: int, position: Floats, resting: Floats, sight: Floats
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


def _magnitudes_with_velocity(
    library: Library,
    member: int,
    mix: Floats,
    magnitude: Floats,
    settings: GaiaSpectrometer,
) -> Floats:
    """Stars of a population with a velocity, by absolute and apparent magnitude.

    Returns
    -------
    float64, shape (absolute magnitudes, magnitudes)
        Density in absolute magnitude, per mag, times the probability of a velocity without
        extinction.
    """
    tracks = np.flatnonzero(mix > _RARE)
    kept = slice(_EVERY // 2, None, _EVERY)
    looks = library.properties[member, tracks, kept].reshape(-1, len(PROPERTIES))
    star = dict(zip(PROPERTIES, looks.T, strict=True))
    steps = _EVERY * np.diff(library.cumulative[member, tracks], axis=1, prepend=0.0)[:, kept]
    weight = (mix[tracks, None] * steps).ravel()
    inside = (star["m_g"] >= _ABSOLUTE[0]) & (star["m_g"] < _ABSOLUTE[-1])
    bins = np.searchsorted(_ABSOLUTE, star["m_g"][inside], side="right") - 1
    out = np.zeros((_ABSOLUTE.size - 1, magnitude.size))
    for column, g in enumerate(magnitude):
        grvs = grvs_magnitude(g, g - (star["m_g"] - star["m_rp"]))
        error = radial_velocity_error(grvs, star["teff"], star["logg"])
        chance = radial_velocity_probability(grvs, star["teff"], error, settings)
        out[:, column] = np.bincount(bins, (weight * chance)[inside], minlength=len(out))
    return out / (_ABSOLUTE[1] - _ABSOLUTE[0])


def _integrate_magnitudes(
    table: Floats, magnitude: Floats, distance: Floats, a_v: Floats, likelihood: Floats
) -> Floats:
    """Probability of the parallax and of being selected, summed over magnitude: (N, D)."""
    m_g = magnitude - (distance_modulus(distance) + EXTINCTION_RATIOS["g"] * a_v)[..., None]
    step = magnitude[1] - magnitude[0]
    column = np.arange(magnitude.size) - _REDDENING_OF_GRVS * a_v[..., None] / step
    row = (m_g - _ABSOLUTE[0]) / (_ABSOLUTE[1] - _ABSOLUTE[0]) - 0.5
    law = map_coordinates(table, [row, column], order=1, mode="nearest", prefilter=False)
    inside = (m_g > _ABSOLUTE[0]) & (m_g < _ABSOLUTE[-1])
    return (law * inside * likelihood).sum(axis=-1) * step
