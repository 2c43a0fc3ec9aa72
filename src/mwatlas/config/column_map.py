"""How the columns of a user's file become the columns of one of our tables."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from mwatlas.config.fields import Strict
from mwatlas.tables.table import TableSchema


class Derivation(Strict):
    """A column computed from others by a published relation."""

    method: Literal["g_from_johnson", "galactic_l", "galactic_b", "difference"] = Field(
        description="relation: G from V and B - V, Galactic coordinates from ra and dec, or the "
        "first minus the second, as [Mg/Fe] is from [Mg/H] and [Fe/H]"
    )
    inputs: list[str] = Field(min_length=1, description="columns of the file, in order")


class ColumnMap(Strict):
    """Where each column of a table comes from."""

    table: ClassVar[TableSchema]
    """The table that is filled."""

    columns: dict[str, str] = Field(
        default_factory=dict,
        description="our column: column of the file; the same name where not listed",
    )
    units: dict[str, str] = Field(
        default_factory=dict,
        description="our column: unit in the file, where it is not ours",
    )
    derive: dict[str, Derivation] = Field(
        default_factory=dict, description="our column: how to compute it"
    )
    absent: dict[str, str] = Field(
        default_factory=dict,
        description="our column: why the file has none; what needs it is disabled and reported",
    )

    @model_validator(mode="after")
    def _columns_exist(self) -> ColumnMap:
        served = [*self.columns, *self.derive]
        known = self.table.names
        for kind, names in (
            ("columns", self.columns),
            ("units", self.units),
            ("derive", self.derive),
            ("absent", self.absent),
        ):
            unknown = sorted(set(names) - set(known))
            if unknown:
                raise ValueError(
                    f"{kind} names {unknown}, which is no column of table {self.table.name}; "
                    f"its columns are {', '.join(known)}"
                )
        twice = sorted(set(served) & set(self.absent)) + sorted(
            set(self.columns) & set(self.derive)
        )
        if twice:
            raise ValueError(f"{twice} is given in two of columns, derive and absent")
        return self

    @property
    def served_table(self) -> TableSchema:
        """The table without the columns the file does not have."""
        return self.table.without(self.absent)
