"""What stars of each population look like: a library to draw them from.

For a population with a range of ages and a metallicity, rows of evolutionary tracks are weighted
by the initial mass function and by how long a star looks like that within the ages. A sample
of them, dense among the luminous stars, stands for the population.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from numba import njit
from numpy.typing import NDArray

from mwatlas.files import atomic_path
from mwatlas.progress import Progress
from mwatlas.random import block_generator
from mwatlas.sky.colours import BANDS, absolute_magnitudes
from mwatlas.sky.evolution import Tracks, evolve

Floats = NDArray[np.float64]

# Metallicities of the tracks; stars beyond the ends use the last ones.
M_H_GRID = np.round(np.arange(-2.1, 0.301, 0.06), 2)
PROPERTIES = ("age_gyr", "mass", "teff", "logg", "m_g", *(f"m_{band}" for band in BANDS))
"""What the library knows of a star: Gyr, solar masses, K, log10(cm/s**2), absolute magnitudes."""

# Initial masses: sparse where stars do not evolve, dense about the turn-offs of all ages.
_MASSES = ((0.1, 0.68, 60), (0.70, 2.0, 110), (2.02, 8.0, 90))
_STARS = 2000
# The share of a row among the sampled stars grows with its luminosity as L**_BOOST: a survey
# limited in magnitude sees luminous stars out to volumes larger by L**1.5.
_BOOST = 0.75
_FAINTEST_M_G = 17.0


def initial_masses() -> tuple[Floats, Floats]:
    """Initial masses in solar units and the number of stars each stands for (Kroupa 2001)."""
    masses = np.concatenate([np.geomspace(*limits) for limits in _MASSES])
    edges = np.sqrt(masses[1:] * masses[:-1])
    edges = np.concatenate([[masses[0]], edges, [masses[-1]]])

    def number_below(mass: Floats) -> Floats:
        low = (np.minimum(mass, 0.5) ** -0.3 - 0.1**-0.3) / -0.3
        # Continuous at half a solar mass: 0.5**-1.3 = 0.5 * 0.5**-2.3.
        high = 0.5 * (np.maximum(mass, 0.5) ** -1.3 - 0.5**-1.3) / -1.3
        return low + high

    return masses, np.diff(number_below(edges))


def _shares(tracks: Tracks, number: Floats, ages: tuple[float, float]) -> Floats:
    """Number of stars of a range of ages that each row of the tracks stands for."""
    young, old = ages
    overlap = np.minimum(tracks.end_gyr, old) - np.maximum(tracks.start_gyr, young)
    overlap = np.clip(overlap, 0.0, None)
    return number[tracks.track] * overlap


@dataclass(frozen=True)
class Library:
    """Stars of each population and metallicity, ascending in absolute magnitude G.

    Parameters
    ----------
    properties
        :data:`PROPERTIES` by populations, metallicities, stars and property.
    cumulative
        Share of all stars, seen or not, up to each one; shape (P, M, N).
    """

    properties: Floats
    cumulative: Floats

    @classmethod
    def compute(cls, ages: list[tuple[float, float]], seed: int, progress: Progress) -> Library:
        """Evolve stars of all metallicities and sample them for each range of ages in Gyr."""
        masses, number = initial_masses()
        oldest = max(old for _, old in ages)
        shape = (len(ages), len(M_H_GRID), _STARS)
        properties, cumulative = np.empty((*shape, len(PROPERTIES))), np.empty(shape)
        with progress.task("stellar evolution", len(M_H_GRID), "metallicities") as advance:
            for k, m_h in enumerate(M_H_GRID):
                tracks = evolve(masses, float(m_h), oldest)
                m_g, others = absolute_magnitudes(
                    tracks.teff, tracks.logg, np.full(tracks.teff.shape, m_h), tracks.log_luminosity
                )
                rows = np.stack(
                    [tracks.age_gyr, tracks.mass, tracks.teff, tracks.logg, m_g, *others], axis=-1
                )
                luminous = 10 ** (-0.4 * _BOOST * np.nan_to_num(m_g, nan=_FAINTEST_M_G))
                for p, limits in enumerate(ages):
                    share = _shares(tracks, number, limits)
                    share = np.where(np.isfinite(m_g) & (m_g < _FAINTEST_M_G), share, 0.0)
                    rng = block_generator(seed, "sky/library", p, k)
                    chosen = _systematic(share * luminous, _STARS, rng)
                    weight = 1 / luminous[chosen]
                    stars = rows[chosen]
                    # A row stands for a stretch of ages, long for stars that do not evolve.
                    young = np.maximum(tracks.start_gyr[chosen], limits[0])
                    old = np.minimum(tracks.end_gyr[chosen], limits[1])
                    stars[:, 0] = young + (old - young) * rng.random(_STARS)
                    order = np.argsort(stars[:, PROPERTIES.index("m_g")], kind="stable")
                    properties[p, k] = stars[order]
                    cumulative[p, k] = np.cumsum(weight[order]) / weight.sum()
                advance(1)
        return cls(properties, cumulative)

    def save(self, path: Path) -> None:
        """Write to HDF5."""
        with atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
            for name in ("properties", "cumulative"):
                file.create_dataset(name, data=getattr(self, name), track_times=False)
            file["properties"].attrs["names"] = list(PROPERTIES)
            file["properties"].attrs["m_h"] = M_H_GRID

    @classmethod
    def load(cls, path: Path) -> Library:
        """Read from HDF5."""
        with h5py.File(path) as file:
            return cls(file["properties"][()], file["cumulative"][()])

    def share_between(
        self, population: int, track: NDArray[np.int64], bright: Floats, faint: Floats
    ) -> tuple[Floats, Floats]:
        """Share of all stars up to a bright and up to a faint limit.

        Parameters
        ----------
        population
            Its index.
        track
            Index of the metallicity in :data:`M_H_GRID`; shape (N,).
        bright, faint
            Absolute magnitudes; shape (N,).
        """
        m_g = self.properties[population, :, :, PROPERTIES.index("m_g")]
        steps = self.cumulative[population]
        return _up_to(m_g, steps, track, bright), _up_to(m_g, steps, track, faint)

    def pick(self, population: int, track: NDArray[np.int64], share: Floats) -> Floats:
        """Stars of metallicities ``track`` at given shares of all stars; (N, properties)."""
        index = _first_at(self.cumulative[population], track, share)
        return self.properties[population, track, index]


@njit(cache=True)
def _up_to(m_g: Floats, steps: Floats, track: NDArray[np.int64], limit: Floats) -> Floats:
    out = np.empty(limit.size)
    for i in range(limit.size):
        k = np.searchsorted(m_g[track[i]], limit[i])
        out[i] = steps[track[i], k - 1] if k else 0.0
    return out


@njit(cache=True)
def _first_at(steps: Floats, track: NDArray[np.int64], share: Floats) -> NDArray[np.int64]:
    out = np.empty(share.size, dtype=np.int64)
    for i in range(share.size):
        out[i] = min(np.searchsorted(steps[track[i]], share[i]), steps.shape[1] - 1)
    return out


def _systematic(weight: Floats, number: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Systematic sample: every weight-th row, from a random start."""
    cumulative = np.cumsum(weight) / weight.sum()
    return np.searchsorted(cumulative, (np.arange(number) + rng.random()) / number)
