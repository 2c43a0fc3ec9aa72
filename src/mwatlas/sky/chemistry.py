"""Abundances of the embedded sky's stars."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from mwatlas.config.sky_bulge import BulgeMetallicity
from mwatlas.config.sky_chemistry import Chemistry
from mwatlas.sky.bulge import bulge_share_below, bulge_shift, draw_bulge_fe_h
from mwatlas.sky.distribution import SOLAR_RADIUS_KPC
from mwatlas.sky.stars import M_H_GRID

Floats = NDArray[np.float64]


class Abundant(Protocol):
    """A population with abundances and ages."""

    @property
    def chemistry(self) -> Chemistry | BulgeMetallicity:
        """Its law."""
        ...

    @property
    def mean_age_gyr(self) -> float:
        """Its mean age."""
        ...


def overall_metallicity(fe_h: Floats, alpha_m: Floats) -> Floats:
    """[M/H] of stars rich in alpha elements (Salaris, Chieffi & Straniero 1993, eq. 3).

    It decides on the tracks and colours of a star.
    """
    return fe_h + np.log10(0.638 * 10**alpha_m + 0.362)


def fe_h_shift(population: Abundant, position_kpc: Floats) -> Floats:
    """How much [Fe/H] differs from that of the population's reference place.

    Parameters
    ----------
    population
        The population. The reference is the Sun's radius in the plane, or the centre of the
        bulge.
    position_kpc
        Galactocentric; shape (N, 3).
    """
    law = population.chemistry
    if isinstance(law, BulgeMetallicity):
        return bulge_shift(law, position_kpc[:, 2])
    radius = np.hypot(position_kpc[:, 0], position_kpc[:, 1])
    return law.radial_slope * (radius - SOLAR_RADIUS_KPC) + law.vertical_slope * np.abs(
        position_kpc[:, 2]
    )


def share_below(population: Abundant, shift: float, fe_h: Floats) -> Floats:
    """Share of stars with less than given [Fe/H] where all are shifted; shape of ``fe_h``."""
    law = population.chemistry
    if isinstance(law, BulgeMetallicity):
        return bulge_share_below(law, fe_h - shift)
    return ndtr((fe_h - _reference_fe_h(law, population) - shift) / law.scatter)


def _reference_fe_h(law: Chemistry, population: Abundant) -> float:
    return law.fe_h + law.age_slope * population.mean_age_gyr


def draw_abundances(
    population: Abundant, position_kpc: Floats, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Draw [Fe/H] and [alpha/M] of stars; shape (N,) each."""
    law, size = population.chemistry, len(position_kpc)
    if isinstance(law, BulgeMetallicity):
        fe_h = draw_bulge_fe_h(law, position_kpc, rng)
    else:
        mean = _reference_fe_h(law, population) + fe_h_shift(population, position_kpc)
        fe_h = mean + law.scatter * rng.standard_normal(size)
    return fe_h, _mean_alpha_m(law, fe_h) + law.alpha_scatter * rng.standard_normal(size)


def _mean_alpha_m(law: Chemistry | BulgeMetallicity, fe_h: Floats) -> Floats:
    pivot = law.rich_fe_h if isinstance(law, BulgeMetallicity) else law.fe_h
    return law.alpha_m + law.alpha_slope * (fe_h - pivot)


def nearest_track(m_h: Floats) -> NDArray[np.int64]:
    """Index of the metallicity of the tracks that is nearest."""
    middle = 0.5 * (M_H_GRID[1:] + M_H_GRID[:-1])
    return np.searchsorted(middle, m_h)


def metallicity_shares(population: Abundant, shift: float, alpha_strength: float) -> Floats:
    """Share of a population's stars nearest to each metallicity of the tracks.

    Parameters
    ----------
    population
        The population.
    shift
        Difference of [Fe/H] from the reference place.
    alpha_strength
        1, or 0 where alpha elements leave no trace in what a star looks like.

    Returns
    -------
    float64, shape (metallicities,)
        For the mean [alpha/M] at each [Fe/H].
    """
    fe_h = np.linspace(-5, 3, 4001)
    alpha_m = alpha_strength * _mean_alpha_m(population.chemistry, fe_h)
    m_h = overall_metallicity(fe_h, alpha_m)
    middle = np.interp(0.5 * (M_H_GRID[1:] + M_H_GRID[:-1]), m_h, fe_h)
    below = share_below(population, shift, middle)
    return np.diff(np.concatenate([[0.0], below, [1.0]]))
