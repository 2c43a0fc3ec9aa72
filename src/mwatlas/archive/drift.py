"""Columns an archive serves against those a release adapter expects of it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import astropy.units as u
import numpy as np
import pyarrow as pa

from mwatlas.tables.column import Column

_TYPES = {
    "double": "float64",
    "double precision": "float64",
    "float": "float32",
    "real": "float32",
    "long": "int64",
    "bigint": "int64",
    "int": "int32",
    "integer": "int32",
    "short": "int16",
    "smallint": "int16",
    "byte": "int8",
    "unsignedbyte": "int16",
    "bool": "bool",
    "boolean": "bool",
    "char": "string",
    "varchar": "string",
    "unicodechar": "string",
    "character": "string",
    "character varying": "string",
    "clob": "string",
    "text": "string",
    "str": "string",
    "bytes": "string",
}
"""Names of types in TAP_SCHEMA, VOTable and ECSV, and ours."""

_NUMBERS = {"bool", "float32", "float64"} | {
    f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)
}

# Archives write units in several ways; the first that knows one decides.
_UNIT_FORMATS = ("generic", "vounit", "cds", "fits")
_SPELLINGS = {"log(cm.s**-2)": "dex"}
"""Units of archives that no format knows, as our registry of columns writes them."""


@dataclass(frozen=True)
class Served:
    """A column as an archive describes it.

    Parameters
    ----------
    name
        Its name.
    dtype
        Its type in the archive's words; empty where it does not say.
    unit
        Its unit in the archive's words; ``None`` where it describes no units at all.
    """

    name: str
    dtype: str = ""
    unit: str | None = None


@dataclass(frozen=True)
class Difference:
    """Where an archive and an adapter disagree.

    Parameters
    ----------
    column
        Name the adapter expects.
    what
        ``missing`` and ``unit`` make the adapter wrong, ``dtype`` only if values are lost.
    found, expected
        In words.
    fatal
        Whether tables would come out wrong.
    """

    column: str
    what: Literal["missing", "unit", "dtype"]
    found: str
    expected: str
    fatal: bool = True

    def __str__(self) -> str:
        """One line."""
        kind = self.what if self.fatal else f"{self.what}, harmless"
        return f"{self.column}: {kind}; found {self.found}, expected {self.expected}"


def compare_columns(expected: Sequence[Column], served: Sequence[Served]) -> list[Difference]:
    """Disagreements, in the order of ``expected``.

    Parameters
    ----------
    expected
        Columns with the names they should have in the archive, in its units.
    served
        Columns the archive has.
    """
    by_name = {column.name: column for column in served}
    out = []
    for column in expected:
        there = by_name.get(column.name)
        if there is None:
            out.append(Difference(column.name, "missing", _nearest(column, served), "this column"))
            continue
        if there.unit is not None and not same_unit(there.unit, column.unit):
            found, wanted = there.unit or "no unit", column.unit or "no unit"
            out.append(Difference(column.name, "unit", found, wanted))
        found_type = dtype_of(there.dtype)
        if found_type and found_type != column.dtype:
            lossless = _holds(found_type, column.dtype)
            out.append(Difference(column.name, "dtype", found_type, column.dtype, not lossless))
    return out


def dtype_of(archive: str) -> str:
    """Our name of an archive's type, or its own if we have none; empty for one not given."""
    plain = archive.strip().lower().partition("(")[0].strip()
    # Texts of numpy are followed by their length, and objects may be anything.
    plain = re.sub(r"^(str|bytes)\d+$|^object$", r"\1", plain)
    return _TYPES.get(plain, plain)


def arrow_type_name(kind: pa.DataType) -> str:
    """Our name of a type of Arrow; of lists and dictionaries, that of what they hold."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind):
        kind = kind.value_type
    names = {pa.large_string(): "string", pa.string_view(): "string", pa.bool_(): "bool"}
    return names.get(kind, {"double": "float64", "float": "float32"}.get(str(kind), str(kind)))


def same_unit(first: str, second: str) -> bool:
    """Whether two ways of writing a unit mean the same; angles are not numbers."""
    one, other = _unit(first), _unit(second)
    if one is None or other is None:
        return first.strip() == second.strip()
    return bool(one == other)


def _unit(text: str) -> u.UnitBase | None:
    # Quotes mark units that are not of the VOUnits standard ('electron').
    text = _SPELLINGS.get(text.strip(), text.strip().replace("'", ""))
    if text in ("", "-", "--", "none", "dimensionless"):
        return u.dimensionless_unscaled
    for form in _UNIT_FORMATS:
        try:
            return u.Unit(text.lower() if text in ("Mag", "Days") else text, format=form)
        except ValueError:
            continue
    return None


def _holds(wide: str, narrow: str) -> bool:
    """Whether every value of type ``narrow`` can be told from what type ``wide`` stores."""
    if "string" in (wide, narrow) or wide not in _NUMBERS:
        return False
    whole, floating = np.dtype(narrow), np.dtype(wide)
    if floating.kind == "u" and whole.kind == "i":
        # No archive stores negative numbers there: what it stores must fit in ours.
        return np.can_cast(floating, whole, "safe")
    if whole.kind in "iu" and floating.kind == "f":
        # numpy calls 64-bit integers safe in float64, which rounds identifiers.
        return bool(np.iinfo(whole).max < 2 ** (np.finfo(floating).nmant + 1))
    return np.can_cast(whole, floating, "safe")


def _nearest(column: Column, served: Sequence[Served]) -> str:
    """What a column may be called now: a similar name of the same unit."""
    close = difflib.get_close_matches(column.name, [s.name for s in served], n=3, cutoff=0.6)
    units = {s.name: s.unit for s in served}
    alike = [n for n in close if units[n] is None or same_unit(units[n] or "", column.unit)]
    return f"none of that name; renamed to {' or '.join(alike)}?" if alike else "none of that name"
