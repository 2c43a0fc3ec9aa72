"""Fields of an archive's table, and how they differ from what was expected."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

import astropy.units as u

from mwatlas.tables.table import TableSchema

# Units of archives that astropy cannot read, as the column registry writes them.
_SPELLINGS = {"log(cm.s**-2)": "dex"}


@dataclass(frozen=True)
class Field:
    """Name, storage type and unit of a column as an archive serves it."""

    name: str
    dtype: str
    unit: str


def fields_of(table: TableSchema) -> tuple[Field, ...]:
    """Fields a table must have by its contract."""
    return tuple(
        Field(c.name, c.dtype if c.length == 1 else f"{c.dtype}[{c.length}]", c.unit)
        for c in table.columns
    )


def same_unit(first: str, second: str) -> bool:
    """Whether two spellings mean the same unit, without any factor."""
    return _unit(first) == _unit(second)


def _unit(text: str) -> object:
    # Quotes mark units that are not of the VOUnits standard ('electron').
    bare = _SPELLINGS.get(text.strip(), text.strip().replace("'", ""))
    try:
        return u.Unit(bare)
    except ValueError:
        return bare


def differences(expected: Iterable[Field], found: Iterable[Field]) -> list[str]:
    """One sentence for each column that is missing, new, or of another type or unit."""
    wanted, there = {f.name: f for f in expected}, {f.name: f for f in found}
    new = [name for name in there if name not in wanted]
    out = []
    for name, field in wanted.items():
        other = there.get(name)
        if other is None:
            close = difflib.get_close_matches(name, new, n=1)
            out.append(f"{name} is missing" + (f" (renamed to {close[0]}?)" if close else ""))
            continue
        if other.dtype != field.dtype:
            out.append(f"{name} has type {other.dtype}, not {field.dtype}")
        if not same_unit(other.unit, field.unit):
            out.append(f"{name} has unit '{other.unit}', not '{field.unit}'")
    return out + [f"{name} is new" for name in new]
