"""Release adapters: how one data release becomes the workflow's raw tables."""

from __future__ import annotations

import itertools
from typing import Annotated, Literal

from pydantic import Field, model_validator

from mwatlas.config.fields import Strict
from mwatlas.tables.schemas import GAIA_SOURCE, STARS, ZERO_POINT_INPUTS

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
    giant_share: float = Field(ge=0, le=1, description="share of giants by number in space")

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
    giant_share: float = Field(ge=0, le=1, description="share of giants by number in space")

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
    giant_share: float = Field(ge=0, le=1, description="share of giants by number in space")


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


class NormalMagnitude(Strict):
    """Absolute magnitudes of one type of star, a normal distribution."""

    mean: float = Field(description="mean absolute magnitude in G")
    sigma: float = Field(gt=0, description="its scatter")


class SkySurvey(Strict):
    """What the synthetic survey measures, and how well."""

    g_bright: float = Field(description="bright limit of the source table in G")
    g_faint: float = Field(description="faint limit of the source table in G")
    max_distance_kpc: float = Field(gt=0, description="no source lies beyond")
    dwarf_m_g: NormalMagnitude
    giant_m_g: NormalMagnitude
    six_parameter_share: float = Field(
        ge=0, le=1, description="share of sources with six-parameter solutions"
    )
    ruwe_scatter: float = Field(ge=0, description="scatter of ln(ruwe) of single stars")
    ruwe_outlier_share: float = Field(ge=0, le=1, description="share of ill-fitted sources")
    radial_velocity_g_limit: float = Field(description="half of the stars have a velocity here")
    radial_velocity_g_width: float = Field(gt=0, description="width of that limit")
    radial_velocity_error_floor_kms: float = Field(gt=0, description="error of bright stars")
    radial_velocity_error_at_limit_kms: float = Field(
        gt=0, description="photon-noise error at the limit; it grows as 10**(0.4 G)"
    )

    @model_validator(mode="after")
    def _limits_are_ordered(self) -> SkySurvey:
        if self.g_bright >= self.g_faint:
            raise ValueError(f"g_bright ({self.g_bright}) must be below g_faint ({self.g_faint})")
        return self


class SkySource(Strict):
    """The embedded synthetic Milky Way."""

    kind: Literal["sky"] = Field(description="the embedded synthetic Milky Way")
    n_stars: int = Field(ge=1, description="number of sources")
    components: Components
    survey: SkySurvey


class Derivation(Strict):
    """A raw column computed from others by a published relation."""

    method: Literal["g_from_johnson", "galactic_l", "galactic_b"] = Field(
        description="relation: G from V and B - V, or Galactic coordinates from ra and dec"
    )
    inputs: list[str] = Field(min_length=1, description="columns of the file, in order")


class FilesSource(Strict):
    """A user's own tables: Parquet, FITS, CSV, ECSV or VOTable."""

    kind: Literal["files"] = Field(description="tables on disk")
    paths: list[str] = Field(
        min_length=1, description="files or glob patterns, relative to data_dir"
    )
    columns: dict[str, str] = Field(
        default_factory=dict,
        description="archive column: column of the file; the same name where not listed",
    )
    units: dict[str, str] = Field(
        default_factory=dict,
        description="archive column: unit in the file, where it is not the archive's",
    )
    derive: dict[str, Derivation] = Field(
        default_factory=dict, description="archive column: how to compute it"
    )
    absent: dict[str, str] = Field(
        default_factory=dict,
        description="archive column: why the file has none; what needs it is disabled and reported",
    )

    @model_validator(mode="after")
    def _columns_exist(self) -> FilesSource:
        served = [*self.columns, *self.derive]
        for kind, names in (
            ("columns", self.columns),
            ("units", self.units),
            ("derive", self.derive),
            ("absent", self.absent),
        ):
            unknown = sorted(set(names) - set(GAIA_SOURCE.names))
            if unknown:
                raise ValueError(
                    f"{kind} names {unknown}, which is no raw column; "
                    f"raw columns are {', '.join(GAIA_SOURCE.names)}"
                )
        twice = sorted(set(served) & set(self.absent)) + sorted(
            set(self.columns) & set(self.derive)
        )
        if twice:
            raise ValueError(f"{twice} is given in two of columns, derive and absent")
        essential = {"source_id", "ra", "dec", "parallax", "parallax_error", "pmra", "pmdec"}
        lost = sorted(essential & set(self.absent))
        if lost:
            raise ValueError(f"{lost} cannot be absent: no study works without it")
        return self


class StandardNames(Strict):
    """Which archive column serves a standard name, where releases differ."""

    radial_velocity: str = Field("radial_velocity", description="archive column of that name")
    radial_velocity_error: str = Field("radial_velocity_error", description="its error")

    @model_validator(mode="after")
    def _are_raw_columns(self) -> StandardNames:
        for field in type(self).model_fields:
            if getattr(self, field) not in GAIA_SOURCE.names:
                raise ValueError(f"{field}: {getattr(self, field)!r} is no raw column")
        return self


class ReleaseAdapter(Strict):
    """One data release."""

    title: str = Field(description="what the report calls it")
    description: str = Field(description="what the sample is and what it cannot show")
    healpix_order: int = Field(ge=0, le=8, description="order of the cells work is done in")
    partitions: int = Field(ge=1, description="files per table, and jobs per stage")
    source: Annotated[SkySource | FilesSource, Field(discriminator="kind")] = Field(
        description="where the rows come from; keys by kind below"
    )
    names: StandardNames = StandardNames()
    parallax_zero_point: Literal["lindegren2021", "none"] = Field(
        description="correction of the parallax; none where its inputs are absent"
    )
    sample_of: list[str] = Field(
        default_factory=list,
        description="studies whose paper used exactly this sample, so that counts can be compared",
    )
    study_overrides: dict[str, dict[str, object]] = Field(
        default_factory=dict, description="settings of studies that this release changes, with why"
    )

    @model_validator(mode="after")
    def _partitions_fit(self) -> ReleaseAdapter:
        cells = 12 * 4**self.healpix_order
        if self.partitions > cells:
            raise ValueError(
                f"{self.partitions} partitions, but healpix_order {self.healpix_order} has only "
                f"{cells} cells"
            )
        if isinstance(self.source, SkySource) and self.healpix_order > MAX_SKY_ORDER:
            raise ValueError(
                f"healpix_order of an embedded sky is at most {MAX_SKY_ORDER}, "
                f"found {self.healpix_order}"
            )
        return self

    def absent_raw(self) -> dict[str, str]:
        """Raw columns this release does not have, with the reason."""
        if isinstance(self.source, FilesSource):
            return dict(self.source.absent)
        carried = "a column of Gaia EDR3 only"
        return {name: carried for name in GAIA_SOURCE.names if name.startswith("dr2_")}

    def absent_standard(self) -> dict[str, str]:
        """Standard columns (table `stars`) this release does not have, with the reason."""
        absent = self.absent_raw()
        out = {}
        for name in STARS.names:
            raw = getattr(self.names, name, name)
            if raw in absent:
                out[name] = absent[raw]
        if self.parallax_zero_point == "none":
            missing = [name for name in ZERO_POINT_INPUTS if name in absent]
            out["parallax_zero_point"] = (
                f"its inputs are missing: {', '.join(missing)}"
                if missing
                else "parallax_zero_point is none in the release adapter"
            )
        return out
