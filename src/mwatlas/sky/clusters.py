"""Open clusters of the embedded sky, and their member stars cell by cell.

The stars of a cluster come from a generator of its own and are then handed out by HEALPix
cell, so neither the order of the cells nor the partitioning changes a star.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import healpy
import numpy as np
from numpy.typing import NDArray

from mwatlas.astrometry.frames import phase_space
from mwatlas.astrometry.heliocentric import galactocentric_position, sky_motion, sky_position
from mwatlas.config.sky_chemistry import Chemistry
from mwatlas.config.sky_clusters import NebulaCluster, SkyClusters
from mwatlas.dynamics.potential import circular_velocity
from mwatlas.healpix import number_of_cells
from mwatlas.random import block_generator
from mwatlas.sky.distribution import SOLAR_RADIUS_KPC
from mwatlas.sky.galaxy import SKY_FRAME
from mwatlas.tables.table import Columns

Floats = NDArray[np.float64]

FINEST_ORDER = 29
"""Order of the HEALPix indices that place stars."""

_KPC_PER_PC = 1e-3
# Ages of clusters the stellar library holds, and half the relative width of each.
_WINDOWS, _WINDOW = 8, 0.03
_AGE_NODES = 2001


@dataclass(frozen=True)
class Clusters:
    """Clusters and their members.

    Parameters
    ----------
    catalogue
        One row per cluster, in order of ``cluster``: ``cluster`` (its number), ``name``,
        ``listed`` (whether the cluster catalogue may contain it), ``ra``, ``dec`` (deg),
        ``distance_kpc``, ``position_kpc`` and ``velocity_kms`` (Galactocentric, shape (C, 3)),
        ``age_gyr``, ``fe_h``, ``members``, ``half_mass_radius_pc``, ``tidal_radius_pc``,
        ``internal_dispersion_kms``.
    seed
        Seed of the run.
    """

    catalogue: Columns
    seed: int

    @classmethod
    def generate(
        cls, settings: SkyClusters, seed: int, n_sources: int, chemistry: Chemistry
    ) -> Clusters:
        """Draw the clusters of a sky.

        Parameters
        ----------
        settings
            Their distribution.
        seed
            Seed of the run.
        n_sources
            Number of sources of the whole sky, to which the number of members is scaled.
        chemistry
            Law of the thin disc's [Fe/H].
        """
        rng = block_generator(seed, "sky/clusters", 0)
        number = max(1, round(settings.member_share * n_sources / settings.mean_members))
        position = _draw_positions(settings, number, rng)
        radius = np.hypot(position[:, 0], position[:, 1])
        # Galactic rotation is clockwise seen from the north pole.
        direction = np.stack([position[:, 1], -position[:, 0], np.zeros(number)], axis=1)
        velocity = (circular_velocity(radius) / radius)[:, None] * direction
        velocity += settings.velocity_dispersion_kms * rng.standard_normal((number, 3))
        age = _nearest_window(settings, _draw_ages(settings, number, rng))
        fe_h = (
            chemistry.fe_h
            + chemistry.age_slope * age
            + chemistry.radial_slope * (radius - SOLAR_RADIUS_KPC)
            + chemistry.vertical_slope * np.abs(position[:, 2])
            + settings.fe_h_scatter * rng.standard_normal(number)
        )
        low, high = settings.half_mass_radius_range_pc
        half_mass = low * (high / low) ** rng.random(number)
        ra, dec, distance = sky_position(SKY_FRAME, position)
        drawn: Columns = {
            "name": np.array([f"Atlas {n + 1}" for n in range(number)], dtype=object),
            "listed": np.ones(number, dtype=bool),
            "ra": ra,
            "dec": dec,
            "distance_kpc": distance,
            "position_kpc": position,
            "velocity_kms": velocity,
            "age_gyr": age,
            "fe_h": fe_h,
            "members": _draw_members(settings, number, rng),
            "half_mass_radius_pc": half_mass,
            "tidal_radius_pc": settings.tidal_ratio * half_mass,
            "internal_dispersion_kms": np.full(number, settings.internal_dispersion_kms),
        }
        nebula = _nebula(settings.nebula, settings.tidal_ratio, n_sources)
        catalogue = {name: np.concatenate([drawn[name], nebula[name]]) for name in drawn}
        return cls({"cluster": np.arange(number + 1), **catalogue}, seed)

    @cached_property
    def stars(self) -> Columns:
        """All members, in order of their HEALPix index."""
        stars = [self._draw_stars(n) for n in self.catalogue["cluster"].tolist()]
        together = {name: np.concatenate([part[name] for part in stars]) for name in stars[0]}
        order = np.argsort(together["index"], kind="stable")
        return {name: values[order] for name, values in together.items()}

    def _draw_stars(self, cluster: int) -> Columns:
        """Members of one cluster."""
        mine = {name: values[cluster] for name, values in self.catalogue.items()}
        rng = block_generator(self.seed, "sky/cluster members", cluster)
        number = int(mine["members"])
        radius = _KPC_PER_PC * plummer_radius(
            rng.random(number), mine["half_mass_radius_pc"], mine["tidal_radius_pc"]
        )
        direction = rng.standard_normal((number, 3))
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        velocity = mine["velocity_kms"] + mine["internal_dispersion_kms"] * rng.standard_normal(
            (number, 3)
        )
        ra, dec, distance = sky_position(
            SKY_FRAME, mine["position_kpc"] + radius[:, None] * direction
        )
        index = healpy.ang2pix(2**FINEST_ORDER, ra, dec, nest=True, lonlat=True)
        # Stars lie at the centres of the finest pixels, as all sources of the sky do.
        ra, dec = healpy.pix2ang(2**FINEST_ORDER, index, nest=True, lonlat=True)
        pmra, pmdec, v_los = sky_motion(SKY_FRAME, ra, dec, distance, velocity)
        return {
            "index": index,
            "ra": ra,
            "dec": dec,
            "distance_kpc": distance,
            "pmra": pmra,
            "pmdec": pmdec,
            "radial_velocity": v_los,
            "position_kpc": galactocentric_position(SKY_FRAME, ra, dec, distance),
            "velocity_kms": velocity,
            "age_gyr": np.full(number, mine["age_gyr"]),
            "fe_h": np.full(number, mine["fe_h"]),
            "cluster": np.full(number, cluster),
        }

    def members(self, cell: int, healpix_order: int) -> Columns:
        """Members in one HEALPix cell.

        Parameters
        ----------
        cell
            Nested index of the cell.
        healpix_order
            Its order, at most 29.

        Returns
        -------
        Columns
            In order of ``index`` (nested, order 29): ``ra``, ``dec`` (deg), ``distance_kpc``,
            ``pmra``, ``pmdec`` (mas/yr), ``radial_velocity`` (km/s), ``position_kpc`` and
            ``velocity_kms`` (Galactocentric, shape (N, 3)), ``age_gyr``, ``fe_h``, ``cluster``.
        """
        width = 4 ** (FINEST_ORDER - healpix_order)
        edges = np.searchsorted(self.stars["index"], [cell * width, (cell + 1) * width])
        return {name: values[edges[0] : edges[1]] for name, values in self.stars.items()}

    def counts(self, healpix_order: int) -> NDArray[np.int64]:
        """Number of members in every cell of an order; shape (cells,)."""
        cells = self.stars["index"] >> 2 * (FINEST_ORDER - healpix_order)
        return np.bincount(cells, minlength=number_of_cells(healpix_order))


def age_windows(settings: SkyClusters) -> list[tuple[float, float]]:
    """Narrow ranges of ages the stars of clusters are evolved for, in Gyr.

    Cluster ages are moved to the middle of the nearest; the last is the nebula's.
    """
    middle = [*_window_ages(settings), settings.nebula.age_gyr]
    return [(age * (1 - _WINDOW), age * (1 + _WINDOW)) for age in middle]


def _window_ages(settings: SkyClusters) -> Floats:
    return np.geomspace(*settings.age_range_gyr, _WINDOWS)


def _nearest_window(settings: SkyClusters, age: Floats) -> Floats:
    windows = _window_ages(settings)
    edges = np.sqrt(windows[1:] * windows[:-1])
    return windows[np.searchsorted(edges, age)]


def plummer_radius(share: Floats, half_mass_radius: float, tidal_radius: float) -> Floats:
    """Radii that hold given shares of a truncated Plummer (1911) sphere.

    A sphere of scale length a holds M(r) ~ r**3 / (r**2 + a**2)**1.5 within r. The scale length
    is such that half of the mass within ``tidal_radius`` lies within ``half_mass_radius``.

    Parameters
    ----------
    share
        Shares of the mass, between 0 and 1; shape (N,).
    half_mass_radius, tidal_radius
        In one unit, which is that of the result. The second exceeds 2**(1/3) times the first.
    """
    steepness = 2 ** (2 / 3)
    square = (steepness - 1) / (half_mass_radius**-2 - steepness * tidal_radius**-2)
    inside = (1 + square / tidal_radius**2) ** -1.5
    # r = a / sqrt(m**(-2/3) - 1), written so that it holds at m = 0.
    power = (share * inside) ** (2 / 3)
    return np.sqrt(square * power / (1 - power))


def _draw_positions(settings: SkyClusters, number: int, rng: np.random.Generator) -> Floats:
    """Galactocentric positions of clusters in an exponential disc around the Sun."""
    nearest, farthest = settings.distance_range_kpc
    _, sun = SKY_FRAME.affine()
    innermost = np.hypot(sun[0], sun[1]) - farthest
    taken = np.empty((0, 3))
    while len(taken) < number:
        size = 4 * number
        reach, angle = farthest * np.sqrt(rng.random(size)), 2 * np.pi * rng.random(size)
        height = settings.scale_height_kpc * rng.laplace(size=size)
        place = np.stack(
            [sun[0] + reach * np.cos(angle), sun[1] + reach * np.sin(angle), height], axis=1
        )
        radius = np.hypot(place[:, 0], place[:, 1])
        density = np.exp(-(radius - max(innermost, 0.0)) / settings.scale_length_kpc)
        distance = np.linalg.norm(place - sun, axis=1)
        kept = (rng.random(size) < density) & (distance > nearest) & (distance < farthest)
        taken = np.concatenate([taken, place[kept]])
    return taken[:number]


def _draw_ages(settings: SkyClusters, number: int, rng: np.random.Generator) -> Floats:
    low, high = settings.age_range_gyr
    log_age = np.linspace(np.log(low), np.log(high), _AGE_NODES)
    density = np.exp(-np.exp(log_age) / settings.age_timescale_gyr)
    below = np.concatenate([[0.0], np.cumsum(0.5 * (density[1:] + density[:-1]))])
    return np.exp(np.interp(rng.random(number), below / below[-1], log_age))


def _draw_members(
    settings: SkyClusters, number: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    power = 1 - settings.members_slope
    low, high = (float(limit) ** power for limit in settings.members_range)
    return np.rint((low + (high - low) * rng.random(number)) ** (1 / power)).astype(np.int64)


def _nebula(settings: NebulaCluster, tidal_ratio: float, n_sources: int) -> Columns:
    """The one cluster at a given place, as a row of the catalogue."""
    ra, dec, distance, pmra, pmdec = (
        np.array([value])
        for value in (
            settings.ra,
            settings.dec,
            settings.distance_kpc,
            settings.pmra,
            settings.pmdec,
        )
    )
    space = phase_space(SKY_FRAME, ra, dec, 1 / distance, pmra, pmdec)
    return {
        "name": np.array([settings.name], dtype=object),
        "listed": np.array([False]),
        "ra": ra,
        "dec": dec,
        "distance_kpc": distance,
        "position_kpc": space.position_kpc,
        "velocity_kms": space.velocity_kms(np.array([settings.radial_velocity_kms])),
        "age_gyr": np.array([settings.age_gyr]),
        "fe_h": np.array([settings.fe_h]),
        "members": np.array([round(settings.member_share * n_sources)]),
        "half_mass_radius_pc": np.array([settings.half_mass_radius_pc]),
        "tidal_radius_pc": np.array([tidal_ratio * settings.half_mass_radius_pc]),
        "internal_dispersion_kms": np.array([settings.internal_dispersion_kms]),
    }
