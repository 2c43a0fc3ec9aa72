"""The Galaxy of a release: axisymmetric and tabulated, or barred and analytic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import h5py
import numpy as np
from numpy.typing import NDArray

from mwatlas.config.sky import BarredComponents, Components, SkySource
from mwatlas.config.sky_chemistry import Chemistry
from mwatlas.config.sky_clusters import SkyClusters
from mwatlas.dynamics.bar import BarredPotential
from mwatlas.files import atomic_path
from mwatlas.progress import Progress
from mwatlas.sky.barred import BarredGalaxy
from mwatlas.sky.chemistry import Abundant
from mwatlas.sky.cluster_stars import visible_members
from mwatlas.sky.clusters import Clusters, age_windows
from mwatlas.sky.dust import SkyDust
from mwatlas.sky.galaxy import Galaxy, populations
from mwatlas.sky.pulsars import Acceleration, galactic_acceleration
from mwatlas.sky.stars import Library
from mwatlas.tables.table import Columns

Floats = NDArray[np.float64]


class SkyPopulation(Abundant, Protocol):
    """What the generator needs to know of a population."""

    @property
    def component(self) -> int:
        """Code in the truth table."""
        ...

    @property
    def age_gyr(self) -> tuple[float, float]:
        """Youngest and oldest age."""
        ...


class GalaxyModel(Protocol):
    """Populations with known distribution functions; see :class:`mwatlas.sky.galaxy.Galaxy`."""

    @property
    def populations(self) -> Sequence[SkyPopulation]:
        """The populations."""
        ...

    def density(self, number: int, position_kpc: Floats) -> Floats:
        """Number density of one."""
        ...

    def moments(self, number: int, position_kpc: Floats) -> tuple[Floats, Floats, Floats]:
        """Mean velocity, axes and dispersions of one."""
        ...

    def log_phase_density(self, number: int, position_kpc: Floats, velocity_kms: Floats) -> Floats:
        """Ln of the phase-space density of one."""
        ...

    def draw_velocities(
        self, number: int, position_kpc: Floats, rng: np.random.Generator
    ) -> Floats:
        """Velocities of stars of one."""
        ...


@dataclass(frozen=True)
class SkyModel:
    """Populations, what their stars look like, and what dims them."""

    galaxy: GalaxyModel
    stellar_library: Library
    dust: SkyDust


def write_galaxy(components: Components | None, path: Path, progress: Progress) -> None:
    """Tabulate what must be; a barred Galaxy has nothing to tabulate and its file is empty."""
    if components is not None:
        Galaxy.compute(components, progress).save(path)
        return
    with atomic_path(path) as temporary, h5py.File(temporary, "w"):
        pass


def load_model(source: SkySource, *, galaxy: Path, stellar_library: Path, dust: Path) -> SkyModel:
    """Load the files of the populations, of the stellar library and of the dust."""
    return SkyModel(load_galaxy(source, galaxy), Library.load(stellar_library), SkyDust.load(dust))


def load_galaxy(source: SkySource, path: Path) -> GalaxyModel:
    """Load what :func:`write_galaxy` wrote."""
    if source.components is not None:
        return Galaxy.load(source.components, path)
    assert source.barred is not None
    return BarredGalaxy(source.barred)


def library_ages(
    components: Components | None, barred: BarredComponents | None, clusters: SkyClusters | None
) -> list[tuple[float, float]]:
    """Ranges of ages of the stellar library: of the populations, then of the clusters."""
    ages = [] if components is None else [p.age_gyr for p in populations(components)]
    ages += [] if barred is None else [p.age_gyr for p in BarredGalaxy(barred).populations]
    return ages if clusters is None else [*ages, *age_windows(clusters)]


def clusters_of(source: SkySource, seed: int) -> Clusters | None:
    """Clusters of the sky."""
    if source.clusters is None:
        return None
    return Clusters.generate(source.clusters, seed, source.n_stars, _law_of_clusters(source))


def _law_of_clusters(source: SkySource) -> Chemistry:
    """Abundances of the thin disc, or of the only stars there are."""
    if source.components is not None:
        return source.components.thin_disc.chemistry
    assert source.barred is not None
    return source.barred.stars.chemistry


def acceleration_of(source: SkySource) -> Acceleration:
    """Field that pulsars feel."""
    if source.barred is None:
        return galactic_acceleration
    return BarredPotential.of(source.barred.bar).acceleration


def members_of(source: SkySource, seed: int, model: SkyModel) -> Columns | None:
    """Visible members of the sky's clusters."""
    clusters = clusters_of(source, seed)
    if clusters is None or source.clusters is None:
        return None
    return visible_members(
        clusters,
        age_windows(source.clusters),
        len(model.galaxy.populations),
        _law_of_clusters(source).alpha_m,
        source.survey,
        model.stellar_library,
        model.dust,
    )
