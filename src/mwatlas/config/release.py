"""Release adapters: how one data release becomes the workflow's raw tables."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from mwatlas.config.fields import Strict
from mwatlas.config.sky import MAX_SKY_ORDER, SkySource
from mwatlas.tables.gaia import GAIA_SOURCE_FULL
from mwatlas.tables.schemas import GAIA_SOURCE, STARS, ZERO_POINT_INPUTS


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
        columns = self.source.gaia.columns
        served = GAIA_SOURCE_FULL[columns].names
        return {
            name: f"not a column of {columns}" for name in GAIA_SOURCE.names if name not in served
        }

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
