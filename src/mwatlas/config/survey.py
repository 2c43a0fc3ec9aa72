"""Spectroscopic surveys whose rows are matched with the stars of a release."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from mwatlas.config.archives import Fetch
from mwatlas.config.column_map import ColumnMap
from mwatlas.config.fields import CHOSEN, Strict, setting
from mwatlas.tables.schemas import SURVEY_ROWS
from mwatlas.tables.sky_surveys import SURVEYS
from mwatlas.tables.table import TableSchema

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
"""Name of a survey or of one of its tables."""

Measured = Literal["fe_h", "mg_fe", "survey_radial_velocity", "survey_radial_velocity_error"]
"""Columns a flag may take away."""


class Flag(Strict):
    """A quality flag of the file; the values it spoils become missing, the row stays."""

    column: str = Field(description="integer column of the file")
    bits: list[Annotated[int, Field(ge=0, le=62)]] = Field(
        default_factory=list, description="bits that count; any value but zero where none is listed"
    )
    spoils: list[Measured] = Field(min_length=1, description="our columns that become missing")


class SurveyTable(ColumnMap):
    """A table of a survey; what tables of the same origin share is in config/surveys."""

    table: ClassVar[TableSchema] = SURVEY_ROWS.without(["position_epoch"])

    paths: list[str] = Field(
        default_factory=list, description="files or glob patterns, relative to data_dir"
    )
    fetch: Fetch | None = Field(
        None, description="where its files are fetched from if they are not there"
    )
    sky_table: str = Field("", description="or a raw table of the embedded sky")
    epoch: float | None = Field(
        None, ge=1900, le=2100, description="Julian year of its positions, where it has any"
    )
    missing: list[float] = Field(
        default_factory=list, description="numbers that stand for a missing measurement"
    )
    flags: list[Flag] = Field(default_factory=list, description="quality: column, bits, spoils")

    @model_validator(mode="after")
    def _can_be_matched(self) -> SurveyTable:
        if bool(self.paths) == bool(self.sky_table):
            raise ValueError("a survey's table needs either paths or sky_table")
        if self.sky_table and self.sky_table not in SURVEYS:
            raise ValueError(
                f"sky_table {self.sky_table!r} is none of the sky's: {', '.join(SURVEYS)}"
            )
        placed = [name not in self.absent for name in ("ra", "dec")]
        if placed[0] != placed[1]:
            raise ValueError("of ra and dec only one is absent")
        if not placed[0] and "source_id" in self.absent:
            raise ValueError("without source_id, ra and dec its rows cannot be matched")
        if placed[0] and self.epoch is None:
            raise ValueError("epoch of ra and dec is missing")
        return self


class Survey(Strict):
    """A survey: its tables, and how its rows find their stars."""

    title: str = Field(description="what the report calls it")
    tables: dict[Name, SurveyTable] = Field(
        min_length=1, description="its tables by name; of equal rows those of the first count"
    )
    radius_arcsec: float = setting(
        1.0,
        "largest separation of a row without Gaia identifier from its star",
        source=CHOSEN,
        gt=0,
        le=60,
    )
    left_out: str = Field(
        "", description="why the survey is not used, for instance for want of its files; or empty"
    )
