"""What a column is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

DType = Literal["int8", "int16", "int32", "int64", "float32", "float64", "bool", "string"]


@dataclass(frozen=True)
class Column:
    """Meaning of one column.

    Parameters
    ----------
    name, dtype
        Name in the table and storage type.
    unit
        Astropy unit string; empty for a pure number.
    ucd
        UCD1+ semantic tag.
    description
        One sentence for a reader who does not know the project.
    low, high
        Allowed closed range of finite values; ``None`` leaves a side open.
    nullable
        Whether a value may be missing.
    length
        Number of values in a row: 1 for a plain column, 0 where the table decides.
    """

    name: str
    dtype: DType
    unit: str
    ucd: str
    description: str
    low: float | None = None
    high: float | None = None
    nullable: bool = False
    length: int = 1


def number(
    name: str,
    unit: str,
    ucd: str,
    description: str,
    low: float | None = None,
    high: float | None = None,
    *,
    dtype: DType = "float32",
    length: int = 1,
) -> Column:
    """Column of a measured number, which may be missing."""
    return Column(name, dtype, unit, ucd, description, low, high, nullable=True, length=length)
