"""Release adapters: how one data release becomes the workflow's raw tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from mwatlas.config.archives import Fetch, InputTable
from mwatlas.config.column_map import ColumnMap
from mwatlas.config.fields import Strict, setting
from mwatlas.config.sky import MAX_SKY_ORDER, SkySource
from mwatlas.config.survey import Name, Survey
from mwatlas.errors import ConfigError
from mwatlas.tables.gaia import GAIA_SOURCE_FULL
from mwatlas.tables.schemas import GAIA_SOURCE, GAIA_SOURCE_OF_FILES, STARS, ZERO_POINT_INPUTS
from mwatlas.tables.table import TableSchema

_ZERO_POINT = "parallax_zero_point"


class FilesSource(ColumnMap):
    """A user's own tables: Parquet, FITS, CSV, ECSV or VOTable."""

    table: ClassVar[TableSchema] = GAIA_SOURCE_OF_FILES

    kind: Literal["files"] = Field(description="tables on disk")
    paths: list[str] = Field(
        min_length=1, description="files or glob patterns, relative to data_dir"
    )
    fetch: Fetch | None = Field(
        None, description="where the rows are fetched from if no file is there; keys below"
    )

    @model_validator(mode="after")
    def _essentials_are_there(self) -> FilesSource:
        essential = {"source_id", "ra", "dec", "parallax", "parallax_error", "pmra", "pmdec"}
        lost = sorted(essential & set(self.absent))
        if lost:
            raise ValueError(f"{lost} cannot be absent: no study works without it")
        return self

    @property
    def has_zero_point(self) -> bool:
        """Whether a column of the file is said to be the zero point of the parallax."""
        return _ZERO_POINT in {*self.columns, *self.derive}

    @property
    def served_table(self) -> TableSchema:
        """The table without the columns the file does not have; few have a zero point."""
        return super().served_table.without([] if self.has_zero_point else [_ZERO_POINT])


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


class Expected(Strict):
    """How large a release is, for `python -m mwatlas estimate` before anything is downloaded."""

    rows: int = Field(ge=1, description="rows its query returns")
    sample: int | None = Field(
        None, ge=1, description="stars after the base cut, where that is known"
    )
    with_radial_velocity: int | None = Field(
        None, ge=1, description="those of them with a radial velocity, where that is known"
    )
    source: str = Field(description="where these numbers are from, and which are our estimate")

    @model_validator(mode="after")
    def _are_nested(self) -> Expected:
        numbers = [n for n in (self.rows, self.sample, self.with_radial_velocity) if n]
        if numbers != sorted(numbers, reverse=True):
            raise ValueError(
                "with_radial_velocity is part of sample, and sample of rows; found "
                + ", ".join(f"{number:,}" for number in reversed(numbers))
            )
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
    parallax_zero_point: Literal["lindegren2021", "column", "none"] = Field(
        description="correction of the parallax: by recipe; by the release's own column, which "
        "source.columns.parallax_zero_point names; none where there is neither"
    )
    epoch: float = setting(
        2016.0,
        "Julian year of the stars' positions",
        source="Lindegren et al. (2021), for EDR3 and DR3",
        ge=1990,
        le=2100,
    )
    surveys: dict[Name, Survey] = Field(
        default_factory=dict, description="spectroscopic surveys to match, by name"
    )
    inputs: dict[Name, InputTable] = Field(
        default_factory=dict, description="tables for studies that are not in this project yet"
    )
    expected: Expected | None = Field(
        None, description="rows of a release of files, for the estimate of a run; keys below"
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

    @model_validator(mode="after")
    def _zero_point_fits(self) -> ReleaseAdapter:
        has = isinstance(self.source, FilesSource) and self.source.has_zero_point
        if self.parallax_zero_point == "column" and not has:
            raise ValueError(
                "parallax_zero_point is column, but source.columns.parallax_zero_point does not "
                "say which column of the files it is"
            )
        if self.parallax_zero_point != "column" and has:
            raise ValueError(
                "source.columns.parallax_zero_point is given, but parallax_zero_point is "
                f"{self.parallax_zero_point}: set it to column to use it"
            )
        return self

    @model_validator(mode="after")
    def _surveys_fit(self) -> ReleaseAdapter:
        is_sky = isinstance(self.source, SkySource)
        for name, survey in self.used_surveys().items():
            for key, table in survey.tables.items():
                if bool(table.sky_table) != is_sky:
                    raise ValueError(
                        f"surveys.{name}.tables.{key} needs "
                        + (
                            "sky_table, since"
                            if is_sky
                            else "paths: sky_table is for releases whose"
                        )
                        + " source.kind is sky; or leave the survey out (left_out)"
                    )
        return self

    @model_validator(mode="after")
    def _size_is_given_once(self) -> ReleaseAdapter:
        if self.expected is not None and isinstance(self.source, SkySource):
            raise ValueError("expected is for files: source.n_stars is the size of a sky")
        return self

    def used_surveys(self) -> dict[str, Survey]:
        """Surveys that are matched with the stars."""
        return {name: survey for name, survey in self.surveys.items() if not survey.left_out}

    def absent_surveys(self) -> dict[str, str]:
        """Surveys that are left out, with the reason."""
        return {name: survey.left_out for name, survey in self.surveys.items() if survey.left_out}

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
        for name in STARS.without([_ZERO_POINT]).names:
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

    def need_standard(
        self, columns: Sequence[str], release: str, message: str, otherwise: str
    ) -> None:
        """Make sure of some standard columns.

        Parameters
        ----------
        columns
            Names that must be there.
        release
            Name of this release.
        message, otherwise
            What cannot be done without them, and what to do if they cannot be had.

        Raises
        ------
        ConfigError
            If one of them is absent.
        """
        absent = self.absent_standard()
        for name in columns:
            if name in absent:
                raise ConfigError(
                    message,
                    file=f"config/releases/{release}.yaml",
                    item=f"source.absent.{name}",
                    found=absent[name],
                    expected=f"a column for {name}",
                    remedy=f"map or derive the column, or {otherwise}",
                )
