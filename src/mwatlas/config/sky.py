"""Settings of the embedded sky: its populations and the surveys that observe it."""

from __future__ import annotations

import itertools
from typing import Literal

from pydantic import Field, model_validator

from mwatlas.config.fields import Strict
from mwatlas.config.sky_bar import Bar, JacobiComponent
from mwatlas.config.sky_bulge import BulgeMetallicity, VertexDeviation
from mwatlas.config.sky_chemistry import Chemistry
from mwatlas.config.sky_clusters import ClusterCensus, SkyClusters
from mwatlas.config.sky_dust import Dust
from mwatlas.config.sky_fidelity import SkyFidelity
from mwatlas.config.sky_gaia import GaiaSurvey
from mwatlas.config.sky_infrared import Infrared
from mwatlas.config.sky_pulsars import SkyPulsars
from mwatlas.config.sky_spectroscopy import Spectroscopy
from mwatlas.config.sky_xp import XpSurvey

MAX_SKY_ORDER = 5
"""Finest cells of the embedded sky: the order its star counts are tabulated at."""


class DiscComponent(Strict):
    """A disc whose dispersions grow with age: one distribution function for each age."""

    kind: Literal["disc"] = Field(description="a disc")
    local_fraction: float = Field(ge=0, le=1, description="share of stars at the Sun's position")
    scale_length_kpc: float = Field(gt=0, description="scale length in guiding radius")
    sigma_r_kms: float = Field(gt=0, description="radial dispersion parameter at age 10 Gyr")
    sigma_z_kms: float = Field(gt=0, description="vertical dispersion parameter at age 10 Gyr")
    heating_r: float = Field(ge=0, description="radial dispersion grows as age**heating_r")
    heating_z: float = Field(ge=0, description="vertical dispersion grows as age**heating_z")
    sigma_scale_length_kpc: float = Field(gt=0, description="scale length of the dispersions")
    inner_radius_kpc: float = Field(gt=0, description="they do not grow further inside this")
    fit_height_kpc: float = Field(gt=0, description="where the third integral is fitted")
    age_edges_gyr: list[float] = Field(min_length=2, description="edges of the ages")
    star_formation_timescale_gyr: float = Field(
        gt=0, description="stars formed per Gyr grow with age over this time"
    )
    chemistry: Chemistry

    @model_validator(mode="after")
    def _ages_ascend(self) -> DiscComponent:
        edges = self.age_edges_gyr
        if edges[0] < 0 or any(b <= a for a, b in itertools.pairwise(edges)):
            raise ValueError(f"age_edges_gyr must ascend from 0 or more, found {edges}")
        return self


class HaloComponent(Strict):
    """A power-law halo of nearly constant velocity anisotropy."""

    kind: Literal["halo"] = Field(description="a power-law halo")
    local_fraction: float = Field(ge=0, le=1, description="share of stars at the Sun's position")
    density_slope: float = Field(gt=0, description="density falls about as r**-density_slope")
    anisotropy: float = Field(lt=1, description="beta = 1 - sigma_theta**2 / sigma_r**2, about")
    core_angular_momentum: float = Field(
        gt=0, description="in kpc km/s; the anisotropy vanishes at angular momenta below it"
    )
    fit_height_kpc: float = Field(gt=0, description="where the third integral is fitted")
    age_range_gyr: tuple[float, float] = Field(description="youngest and oldest age")
    chemistry: Chemistry

    @model_validator(mode="after")
    def _dispersion_is_finite(self) -> HaloComponent:
        if self.density_slope <= 2 * self.anisotropy:
            raise ValueError(
                f"density_slope ({self.density_slope}) must exceed twice the anisotropy "
                f"({self.anisotropy}), or the radial dispersion diverges"
            )
        return self


class BulgeComponent(Strict):
    """A rotating bulge, a power of the Jacobi energy."""

    kind: Literal["bulge"] = Field(description="a rotating bulge")
    inner_density: float = Field(
        ge=0, description="density 0.3 kpc from the centre, relative to that at the Sun"
    )
    index: float = Field(gt=0, description="f = (E_0 - E_J)**index")
    pattern_speed_kms_kpc: float = Field(ge=0, description="rate of rotation")
    outer_radius_kpc: float = Field(gt=0, description="where it ends in the plane")
    age_range_gyr: tuple[float, float] = Field(description="youngest and oldest age")
    chemistry: BulgeMetallicity
    vertex_deviation: VertexDeviation


class Components(Strict):
    """The components of the sky; local fractions of discs and halos add up to one."""

    thin_disc: DiscComponent
    thick_disc: DiscComponent
    halo: HaloComponent
    gse: HaloComponent
    bulge: BulgeComponent

    @model_validator(mode="after")
    def _fractions_add_up(self) -> Components:
        parts = (self.thin_disc, self.thick_disc, self.halo, self.gse)
        total = sum(part.local_fraction for part in parts)
        if abs(total - 1) > 1e-6:
            raise ValueError(f"local_fraction of the components adds up to {total:.6g}, not to 1")
        return self


class BarredComponents(Strict):
    """One population that is stationary in the frame of a rotating bar."""

    bar: Bar
    stars: JacobiComponent


class SkySurvey(Strict):
    """Which stars are in the source table."""

    g_bright: float = Field(description="bright limit of the source table in G")
    g_faint: float = Field(le=21, description="faint limit of the source table in G")
    max_distance_kpc: float = Field(gt=0, description="no source lies beyond")

    @model_validator(mode="after")
    def _limits_are_ordered(self) -> SkySurvey:
        if self.g_bright >= self.g_faint:
            raise ValueError(f"g_bright ({self.g_bright}) must be below g_faint ({self.g_faint})")
        return self


class SkySource(Strict):
    """The embedded synthetic Milky Way and the surveys that observe it."""

    kind: Literal["sky"] = Field(description="the embedded synthetic Milky Way")
    n_stars: int = Field(ge=1, le=2_000_000_000, description="number of sources; Gaia has 1.8e9")
    components: Components | None = Field(
        None, description="populations in an axisymmetric potential; this or barred"
    )
    barred: BarredComponents | None = Field(
        None, description="a population in a potential with a rotating bar; this or components"
    )
    clusters: SkyClusters | None = Field(None, description="open clusters, if any")
    dust: Dust
    survey: SkySurvey
    gaia: GaiaSurvey
    fidelity: SkyFidelity
    infrared: Infrared
    spectroscopy: Spectroscopy
    xp: XpSurvey
    cluster_census: ClusterCensus
    pulsars: SkyPulsars

    @model_validator(mode="after")
    def _fits_together(self) -> SkySource:
        if (self.components is None) == (self.barred is None):
            found = "neither" if self.components is None else "both"
            raise ValueError(f"give either components or barred, found {found}")
        if self.dust.max_distance_kpc < self.survey.max_distance_kpc:
            raise ValueError(
                f"dust.max_distance_kpc ({self.dust.max_distance_kpc}) must reach "
                f"survey.max_distance_kpc ({self.survey.max_distance_kpc})"
            )
        return self
