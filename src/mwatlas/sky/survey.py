"""What the synthetic Gaia measures: magnitudes, errors, and which stars get a velocity."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pygaia.errors.astrometric import parallax_uncertainty, proper_motion_uncertainty
from scipy.special import expit, ndtr, ndtri

from mwatlas.config.release import SkySurvey

Floats = NDArray[np.float64]

DWARF, GIANT = 0, 1


def distance_modulus(distance_kpc: ArrayLike) -> Floats:
    """Distance modulus of distances in kpc."""
    return 5 * np.log10(np.asarray(distance_kpc, dtype=float)) + 10


def _magnitudes(survey: SkySurvey, kind: int) -> tuple[float, float]:
    law = survey.giant_m_g if kind == GIANT else survey.dwarf_m_g
    return law.mean, law.sigma


def visible_share(distance_kpc: Floats, giant_share: float, survey: SkySurvey) -> Floats:
    """Share of dwarfs and of giants at a distance that lie within the magnitude limits.

    Returns
    -------
    float64, shape (2, N)
        Dwarfs, giants; their sum is the visible share of all stars.
    """
    modulus = distance_modulus(distance_kpc)
    out = np.empty((2, modulus.size))
    for kind, share in ((DWARF, 1 - giant_share), (GIANT, giant_share)):
        mean, sigma = _magnitudes(survey, kind)
        bright = ndtr((survey.g_bright - modulus - mean) / sigma)
        faint = ndtr((survey.g_faint - modulus - mean) / sigma)
        out[kind] = share * (faint - bright)
    return out


def draw_absolute_magnitude(
    kind: NDArray[np.int64], distance_kpc: Floats, uniform: Floats, survey: SkySurvey
) -> Floats:
    """Absolute magnitudes of visible stars by inversion of their truncated normal law."""
    modulus = distance_modulus(distance_kpc)
    laws = np.array([_magnitudes(survey, DWARF), _magnitudes(survey, GIANT)])
    mean, sigma = laws[kind].T
    low = ndtr((survey.g_bright - modulus - mean) / sigma)
    high = ndtr((survey.g_faint - modulus - mean) / sigma)
    return mean + sigma * ndtri(low + uniform * (high - low))


def magnitude_density(m_g: Floats, giant_share: float, survey: SkySurvey) -> Floats:
    """Distribution of absolute magnitude of all stars of a component, per mag."""
    out = np.zeros_like(m_g)
    for kind, share in ((DWARF, 1 - giant_share), (GIANT, giant_share)):
        mean, sigma = _magnitudes(survey, kind)
        out += share * np.exp(-0.5 * ((m_g - mean) / sigma) ** 2) / (sigma * np.sqrt(2 * np.pi))
    return out


def colour(m_g: Floats, kind: NDArray[np.int64]) -> Floats:
    """BP - RP of the mean main sequence and giant branch: straight lines in M_G."""
    return np.where(kind == GIANT, 1.20 - 0.10 * (m_g - 0.8), 0.85 + 0.24 * (m_g - 4.6))


def parallax_error_mas(g: ArrayLike) -> Floats:
    """Standard error of a Gaia DR3 parallax at magnitude G (PyGaia)."""
    return parallax_uncertainty(np.asarray(g, dtype=float), release="dr3") / 1000


def proper_motion_errors_masyr(g: ArrayLike) -> tuple[Floats, Floats]:
    """Standard errors of pmra and pmdec of Gaia DR3 at magnitude G (PyGaia)."""
    pmra, pmdec = proper_motion_uncertainty(np.asarray(g, dtype=float), release="dr3")
    return pmra / 1000, pmdec / 1000


def radial_velocity_probability(g: ArrayLike, survey: SkySurvey) -> Floats:
    """Probability that a star of magnitude G has a radial velocity."""
    depth = (survey.radial_velocity_g_limit - np.asarray(g, float)) / survey.radial_velocity_g_width
    return expit(depth)


def radial_velocity_error_kms(g: ArrayLike, survey: SkySurvey) -> Floats:
    """Standard error of the radial velocity: a floor plus photon noise."""
    noise = 10 ** (0.4 * (np.asarray(g, dtype=float) - survey.radial_velocity_g_limit))
    return (
        survey.radial_velocity_error_floor_kms + survey.radial_velocity_error_at_limit_kms * noise
    )
