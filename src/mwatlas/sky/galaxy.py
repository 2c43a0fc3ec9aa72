"""The populations of the embedded sky: their densities, and velocities drawn from them.

Each population is a distribution function (:mod:`mwatlas.sky.distribution`). Its density and
velocity moments are integrals over velocity, tabulated once on a grid of R and |z|; velocities
are drawn by rejection, so they follow the function itself and not its moments.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import h5py
import numpy as np
from numba import njit
from numpy.typing import NDArray

from mwatlas.astrometry.frames import GalactocentricFrame, spherical_basis
from mwatlas.config.sky import BulgeComponent, Components, DiscComponent, HaloComponent
from mwatlas.config.sky_bulge import BulgeMetallicity
from mwatlas.config.sky_chemistry import Chemistry
from mwatlas.files import atomic_path
from mwatlas.progress import Progress
from mwatlas.sky.distribution import (
    SOLAR_RADIUS_KPC,
    BulgeFunction,
    DiscFunction,
    DistributionFunction,
    HaloFunction,
)

Floats = NDArray[np.float64]

# Frame the sky is observed in: parameter set v4.0 of astropy.
SKY_FRAME = GalactocentricFrame(SOLAR_RADIUS_KPC, 20.8, (12.9, 245.6, 7.78))

# The grid is even in asinh(R / scale) and asinh(|z| / scale): linear near zero, then logarithmic.
_GRID_SCALE_KPC = (2.0, 0.3)
_GRID_END_KPC = (40.0, 40.0)
_GRID_SHAPE = (48, 60)
# Where the density is below this, in e-folds from the Sun's, there are no stars.
_LOWEST_LOG_DENSITY = -40.0
# Columns of a tabulated population.
_LOG_DENSITY, _MEAN_PHI, _SIGMA, _LOG_BOUND = 0, 1, slice(2, 5), 5
_COLUMNS = 6
# Velocities are proposed from Student's t: its tails are above those of every population.
_FREEDOM = 5.0
# Added to the largest ratio of density to proposal on the nodes, which may miss the maximum.
_MARGIN = 0.4


@dataclass(frozen=True)
class Population:
    """Stars that share a distribution function.

    Parameters
    ----------
    component
        Code of the component in the truth table.
    function
        Its distribution function.
    share
        Relative number of its stars at the Sun's position within the component, or, for
        ``by_surface``, on the column through it.
    age_gyr
        Youngest and oldest age.
    chemistry
        Abundances.
    """

    component: int
    function: DistributionFunction
    share: float
    age_gyr: tuple[float, float]
    chemistry: Chemistry | BulgeMetallicity

    @property
    def mean_age_gyr(self) -> float:
        """Middle of its range of ages."""
        return 0.5 * sum(self.age_gyr)


def _disc_populations(code: int, settings: DiscComponent) -> Iterator[Population]:
    """One population per age; dispersions grow with age as a power law."""
    edges = settings.age_edges_gyr
    for young, old in itertools.pairwise(edges):
        relative_age = 0.5 * (young + old) / 10.0
        function = DiscFunction(
            scale_length_kpc=settings.scale_length_kpc,
            sigma_r_kms=settings.sigma_r_kms * relative_age**settings.heating_r,
            sigma_z_kms=settings.sigma_z_kms * relative_age**settings.heating_z,
            sigma_scale_length_kpc=settings.sigma_scale_length_kpc,
            inner_radius_kpc=settings.inner_radius_kpc,
            fit_height_kpc=settings.fit_height_kpc,
        )
        timescale = settings.star_formation_timescale_gyr
        born = timescale * (np.exp(old / timescale) - np.exp(young / timescale))
        yield Population(code, function, born, (young, old), settings.chemistry)


def _halo_population(code: int, settings: HaloComponent) -> Population:
    function = HaloFunction(
        settings.density_slope,
        settings.anisotropy,
        settings.core_angular_momentum,
        settings.fit_height_kpc,
    )
    return Population(code, function, 1.0, settings.age_range_gyr, settings.chemistry)


def _bulge_population(code: int, settings: BulgeComponent) -> Population:
    function = BulgeFunction(
        settings.index, settings.pattern_speed_kms_kpc, settings.outer_radius_kpc
    )
    return Population(code, function, 1.0, settings.age_range_gyr, settings.chemistry)


def populations(components: Components) -> list[Population]:
    """All populations; the component codes are those of the truth table."""
    return [
        *_disc_populations(0, components.thin_disc),
        *_disc_populations(1, components.thick_disc),
        _halo_population(2, components.halo),
        _halo_population(3, components.gse),
        _bulge_population(4, components.bulge),
    ]


def tabulate(function: DistributionFunction) -> Floats:
    """Integrate a distribution function over velocity on the grid.

    Returns
    -------
    float64, shape (R, z, 6)
        ln density (up to the function's factor), mean v_phi, three dispersions in km/s
        (v_R, v_phi, v_z or v_r, v_phi, v_theta), and ln of the largest ratio of the density of
        velocities, normalised, to their proposal.
    """
    table = np.zeros((*_GRID_SHAPE, _COLUMNS))
    table[..., _LOG_DENSITY] = -np.inf
    table[..., _SIGMA] = 1.0
    for i, radius in enumerate(_grid(0)):
        for j, height in enumerate(_grid(1)):
            velocity, weight = function.velocity_nodes(float(radius), float(height))
            place = np.full(len(weight), radius), np.full(len(weight), height)
            log_f = function.log_density(*place, velocity)
            top = log_f.max()
            if not np.isfinite(top):
                continue
            mass = weight * np.exp(log_f - top)
            total = mass.sum()
            log_density = top + np.log(total)
            own = _own_axes(function, radius, height, velocity)
            # Halos do not rotate, and their nodes cover half of v_phi.
            mean = 0.0 if function.spherical else (mass * own[:, 1]).sum() / total
            about = own - np.array([0.0, mean, 0.0])
            sigma = np.sqrt((mass[:, None] * about**2).sum(axis=0) / total)
            row = table[i, j]
            row[_LOG_DENSITY], row[_MEAN_PHI], row[_SIGMA] = log_density, mean, sigma
            ratio = log_f - log_density - _log_proposal(own, row[None])
            row[_LOG_BOUND] = ratio[np.isfinite(ratio)].max() + _MARGIN
            if log_density < table[..., _LOG_DENSITY].max() + 2 * _LOWEST_LOG_DENSITY:
                break
    return table


def _grid(axis: int) -> Floats:
    scale, end = _GRID_SCALE_KPC[axis], _GRID_END_KPC[axis]
    nodes = np.linspace(0, np.arcsinh(end / scale), _GRID_SHAPE[axis])
    # Not exactly the axis or the plane, where coordinates are singular.
    nodes[0] = 1e-3
    return scale * np.sinh(nodes)


def _own_axes(
    function: DistributionFunction, radius: Floats, height: Floats, velocity: Floats
) -> Floats:
    """Velocities along the axes of a population's ellipsoid; cylindrical in, shape (N, 3)."""
    if not function.spherical:
        return velocity.copy()
    distance = np.hypot(radius, height)
    sine, cosine = radius / distance, height / distance
    v_radius, v_phi, v_z = velocity.T
    return np.stack(
        [v_radius * sine + v_z * cosine, v_phi, v_radius * cosine - v_z * sine], axis=-1
    )


def _log_proposal(own: Floats, row: Floats) -> Floats:
    """Ln of the proposal at velocities in a population's own axes, up to a constant."""
    scaled = own.copy()
    scaled[:, 1] -= row[:, _MEAN_PHI]
    scaled /= row[:, _SIGMA]
    tails = -0.5 * (_FREEDOM + 1) * np.log1p(scaled**2 / _FREEDOM).sum(axis=1)
    return tails - np.log(row[:, _SIGMA]).sum(axis=1)


@njit(cache=True)
def _interpolate(table: Floats, x: Floats, y: Floats) -> Floats:
    """Bilinear interpolation of all columns at fractional rows (x, y)."""
    rows, columns, width = table.shape
    out = np.empty((x.size, width))
    for n in range(x.size):
        i, j = min(int(x[n]), rows - 2), min(int(y[n]), columns - 2)
        s, t = min(x[n] - i, 1.0), min(y[n] - j, 1.0)
        for k in range(width):
            lower = table[i, j, k] * (1 - s) + table[i + 1, j, k] * s
            upper = table[i, j + 1, k] * (1 - s) + table[i + 1, j + 1, k] * s
            out[n, k] = lower * (1 - t) + upper * t
    return out


def _rows_at(table: Floats, radius: Floats, height: Floats) -> Floats:
    place = []
    for axis, coordinate in enumerate((radius, np.abs(height))):
        step = np.arcsinh(_GRID_END_KPC[axis] / _GRID_SCALE_KPC[axis]) / (_GRID_SHAPE[axis] - 1)
        place.append(np.arcsinh(coordinate / _GRID_SCALE_KPC[axis]) / step)
    return _interpolate(table, *place)


class Galaxy:
    """The populations with their tables.

    Parameters
    ----------
    components
        Settings.
    tables
        One table of :func:`tabulate` per population.
    """

    def __init__(self, components: Components, tables: list[Floats]) -> None:
        self.populations: Sequence[Population] = populations(components)
        self._components = components
        self._tables = [np.where(np.isfinite(t), t, -1e3) for t in tables]

    @classmethod
    def compute(cls, components: Components, progress: Progress) -> Galaxy:
        """Tabulate all populations."""
        tables = []
        members = populations(components)
        with progress.task("distribution functions", len(members), "populations") as advance:
            for population in members:
                tables.append(tabulate(population.function))
                advance(1)
        return cls(components, tables)

    def save(self, path: Path) -> None:
        """Write the tables to an HDF5 file."""
        with atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
            for number, table in enumerate(self._tables):
                file.create_dataset(f"population{number:02d}", data=table, track_times=False)

    @classmethod
    def load(cls, components: Components, path: Path) -> Galaxy:
        """Read the tables from an HDF5 file."""
        with h5py.File(path) as file:
            return cls(components, [file[name][()] for name in sorted(file)])

    @cached_property
    def log_norms(self) -> Floats:
        """Ln of what a population's tabulated density is multiplied by; shape (populations,).

        Densities are relative to that of all stars at the Sun.
        """
        _, offset = SKY_FRAME.affine()
        radius, height = np.array([np.hypot(offset[0], offset[1])]), np.array([offset[2]])
        out = np.zeros(len(self.populations))
        column = _grid(1)
        for code, name in enumerate(type(self._components).model_fields):
            members = [n for n, p in enumerate(self.populations) if p.component == code]
            settings = getattr(self._components, name)
            shares = []
            for n in members:
                here = _rows_at(self._tables[n], radius, height)[0, _LOG_DENSITY]
                rows = _rows_at(self._tables[n], np.full_like(column, radius[0]), column)
                surface = np.trapezoid(np.exp(rows[:, _LOG_DENSITY] - here), column)
                # Ages of a disc are formed on a column of it, thicker the older.
                shares.append(self.populations[n].share / surface)
                out[n] = -here
            if isinstance(settings, BulgeComponent):
                centre = np.array([_GRID_SCALE_KPC[1]])
                reference = _rows_at(self._tables[members[0]], centre, centre)[0, _LOG_DENSITY]
                out[members[0]] = np.log(settings.inner_density) - reference
                continue
            for n, share in zip(members, shares, strict=True):
                out[n] += np.log(settings.local_fraction * share / sum(shares))
        return out

    def density(self, number: int, position_kpc: Floats) -> Floats:
        """Number density of a population relative to that of all stars at the Sun.

        Parameters
        ----------
        number
            Index of the population.
        position_kpc
            Galactocentric positions; shape (N, 3).
        """
        radius = np.hypot(position_kpc[:, 0], position_kpc[:, 1])
        rows = _rows_at(self._tables[number], radius, position_kpc[:, 2])
        log_density = rows[:, _LOG_DENSITY] + self.log_norms[number]
        return np.where(log_density > _LOWEST_LOG_DENSITY, np.exp(log_density), 0.0)

    def moments(self, number: int, position_kpc: Floats) -> tuple[Floats, Floats, Floats]:
        """Mean velocity and dispersions along the axes of a population's ellipsoid.

        Returns
        -------
        mean, axes, sigma
            Galactocentric mean velocity in km/s, (N, 3); unit vectors by rows, (N, 3, 3);
            dispersions along them in km/s, (N, 3).
        """
        axes, rotation = _axes(self.populations[number].function.spherical, position_kpc)
        radius = np.hypot(position_kpc[:, 0], position_kpc[:, 1])
        rows = _rows_at(self._tables[number], radius, position_kpc[:, 2])
        return rows[:, _MEAN_PHI, None] * rotation, axes, rows[:, _SIGMA]

    def log_phase_density(self, number: int, position_kpc: Floats, velocity_kms: Floats) -> Floats:
        """Ln of the phase-space density of a population.

        Parameters
        ----------
        number
            Index of the population.
        position_kpc, velocity_kms
            Galactocentric; shape (N, 3).

        Returns
        -------
        float64, shape (N,)
            Relative to the number density of all stars at the Sun, per (km/s)**3.
        """
        x, y, z = position_kpc.T
        radius = np.hypot(x, y)
        v_radius = (x * velocity_kms[:, 0] + y * velocity_kms[:, 1]) / radius
        v_phi = (y * velocity_kms[:, 0] - x * velocity_kms[:, 1]) / radius
        cylindrical = np.stack([v_radius, v_phi, velocity_kms[:, 2]], axis=-1)
        function = self.populations[number].function
        return function.log_density(radius, z, cylindrical) + self.log_norms[number]

    def draw_velocities(
        self, number: int, position_kpc: Floats, rng: np.random.Generator
    ) -> Floats:
        """Draw Galactocentric velocities of stars of a population; shape (N, 3), km/s."""
        function = self.populations[number].function
        radius = np.hypot(position_kpc[:, 0], position_kpc[:, 1])
        height = np.ascontiguousarray(position_kpc[:, 2])
        rows = _rows_at(self._tables[number], radius, height)
        own = np.empty_like(position_kpc)
        todo = np.arange(len(radius))
        while todo.size:
            row = rows[todo]
            trial = rng.standard_t(_FREEDOM, (todo.size, 3)) * row[:, _SIGMA]
            trial[:, 1] += row[:, _MEAN_PHI]
            # The axes are orthogonal and the change from cylindrical ones is its own inverse.
            cylindrical = _own_axes(function, radius[todo], height[todo], trial)
            log_f = function.log_density(radius[todo], height[todo], cylindrical)
            ratio = log_f - row[:, _LOG_DENSITY] - _log_proposal(trial, row) - row[:, _LOG_BOUND]
            taken = np.log(rng.random(todo.size)) < ratio
            own[todo[taken]] = cylindrical[taken]
            todo = todo[~taken]
        cosine, sine = position_kpc[:, 0] / radius, position_kpc[:, 1] / radius
        v_radius, v_phi, v_z = own.T
        # Galactic rotation is clockwise seen from the north pole.
        return np.stack(
            [v_radius * cosine + v_phi * sine, v_radius * sine - v_phi * cosine, v_z], axis=-1
        )


def _axes(spherical: bool, position_kpc: Floats) -> tuple[Floats, Floats]:
    """Axes of the ellipsoid in the order of the table, and the direction of rotation."""
    x, y, _ = position_kpc.T
    radius = np.hypot(x, y)
    zero, one = np.zeros_like(x), np.ones_like(x)
    rotation = np.stack([y / radius, -x / radius, zero], axis=-1)
    if spherical:
        radial, theta, _ = np.moveaxis(spherical_basis(position_kpc), 1, 0)
        return np.stack([radial, rotation, theta], axis=1), rotation
    outward = np.stack([x / radius, y / radius, zero], axis=-1)
    return np.stack([outward, rotation, np.stack([zero, zero, one], axis=-1)], axis=1), rotation
