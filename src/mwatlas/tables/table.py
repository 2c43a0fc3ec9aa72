"""A table's contract: its columns, and the check that data keep to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mwatlas.errors import InputError
from mwatlas.tables.column import Column

Columns = dict[str, NDArray[Any]]
"""A piece of a table in memory: equally long arrays by column name, missing values as NaN.

Truth values and 64-bit integers, which have no NaN and which floating point would round, are
masked arrays where some are missing.
"""


@dataclass(frozen=True)
class TableSchema:
    """Contract of one table.

    Parameters
    ----------
    name, description
        What the table is.
    columns
        Its columns, in storage order.
    key
        Column that identifies a row: unique and ascending. Empty for tables without one.
    """

    name: str
    description: str
    columns: tuple[Column, ...]
    key: str = "source_id"

    @property
    def names(self) -> tuple[str, ...]:
        """Column names in storage order."""
        return tuple(column.name for column in self.columns)

    def empty(self) -> Columns:
        """No rows."""
        return {
            c.name: np.empty(0, object if c.dtype == "string" else c.dtype) for c in self.columns
        }

    def without(self, names: Iterable[str]) -> TableSchema:
        """Return the same table without the columns ``names``, which this release does not have."""
        gone = set(names)
        return replace(self, columns=tuple(c for c in self.columns if c.name not in gone))

    def with_length(self, name: str, length: int) -> TableSchema:
        """Return the same table with ``length`` values per row in column ``name``."""
        return replace(
            self,
            columns=tuple(replace(c, length=length) if c.name == name else c for c in self.columns),
        )

    def conform(self, data: Mapping[str, NDArray[Any]], where: str) -> Columns:
        """Check ``data`` against this contract and cast it to the contract's types.

        Parameters
        ----------
        data
            Arrays by column name. Columns that are not in the contract are refused.
        where
            File or table to name in an error.

        Returns
        -------
        Columns
            The same values in the contract's order and types.

        Raises
        ------
        InputError
            On a missing, unknown, null or out-of-range column, unequal lengths, and
            duplicate or unsorted keys.
        """
        missing = [name for name in self.names if name not in data]
        if missing:
            raise InputError(
                f"table '{self.name}' lacks {len(missing)} column(s)",
                file=where,
                item=", ".join(missing),
                found=", ".join(sorted(data)),
                expected=", ".join(self.names),
                remedy="map the column in config/releases/<release>.yaml under "
                "source.columns, or list it under source.absent with the reason",
            )
        unknown = sorted(set(data) - set(self.names))
        if unknown:
            raise InputError(
                f"table '{self.name}' has no such column",
                file=where,
                item=", ".join(unknown),
                expected=", ".join(self.names),
                remedy="add the column to the registry in mwatlas.tables.columns, or drop it",
            )
        lengths = {name: len(values) for name, values in data.items()}
        if len(set(lengths.values())) > 1:
            raise InputError(
                f"columns of table '{self.name}' differ in length",
                file=where,
                found=", ".join(f"{name}: {n}" for name, n in lengths.items()),
                expected="one length",
                remedy="the writer of this table is at fault; please report it",
            )
        out = {
            column.name: _conform_column(column, data[column.name], where)
            for column in self.columns
        }
        if self.key:
            _check_key(out[self.key], self.key, where)
        return out


def _conform_column(column: Column, values: NDArray[Any], where: str) -> NDArray[Any]:
    if column.dtype == "string":
        return np.asarray(values, dtype=object)
    missing = np.ma.getmaskarray(values) if np.ma.is_masked(values) else None
    values = np.asarray(values)
    numeric = np.issubdtype(values.dtype, np.number) or values.dtype == bool
    if not numeric:
        raise InputError(
            "a numeric column holds something else",
            file=where,
            item=column.name,
            found=f"type {values.dtype}, for instance {values[:1].tolist()}",
            expected=column.dtype,
            remedy="convert the column to numbers in the input file",
        )
    null = missing if missing is not None else values != values
    if null.any() and not column.nullable:
        raise InputError(
            "values are missing in a column that must be complete",
            file=where,
            item=column.name,
            found=f"{int(null.sum())} of {null.size} values missing",
            expected="no missing value",
            remedy="remove those rows or repair the column in the input",
        )
    if np.issubdtype(values.dtype, np.floating) and np.isinf(values).any():
        raise InputError(
            "infinite values in a column",
            file=where,
            item=column.name,
            found=f"{int(np.isinf(values).sum())} infinite values",
            expected="finite numbers, or missing",
            remedy="replace them by missing values in the input",
        )
    with np.errstate(invalid="ignore"):
        low, high = _bounds(column, values.dtype)
        outside = (values < low) | (values > high)
        if missing is not None:
            outside &= ~missing
    if outside.any():
        raise InputError(
            "values outside the allowed range",
            file=where,
            item=column.name,
            found=f"{int(outside.sum())} value(s), for instance {values[outside][0]}",
            expected=f"{low} to {high} {column.unit}".rstrip(),
            remedy="check the unit of the column in the release adapter "
            "(config/releases/<release>.yaml, source.columns), and that it is the right column",
        )
    if np.issubdtype(values.dtype, np.floating) and not column.dtype.startswith("float"):
        fraction = np.isfinite(values) & (values != np.round(values))
        if fraction.any():
            raise InputError(
                "an integer column holds fractions",
                file=where,
                item=column.name,
                found=f"for instance {values[fraction][0]}",
                expected=column.dtype,
                remedy="check which column is mapped to this name in the release adapter",
            )
        if column.name == "source_id" and (values >= 2.0**53).any():
            raise InputError(
                "source_id is stored as a floating-point number, which rounds it",
                file=where,
                item=column.name,
                found=str(values.dtype),
                expected="int64",
                remedy="write the file again with source_id as a 64-bit integer",
            )
    if not column.dtype.startswith("float") and (values != values).any():
        # Integers with missing values stay floating point until they are written.
        return values
    values = values.astype(column.dtype, copy=False)
    return values if missing is None else np.ma.array(values, mask=missing)


def _bounds(column: Column, given: np.dtype[Any]) -> tuple[float, float]:
    """Least and largest value allowed: those of the contract, and what its type can hold."""
    low, high = -np.inf, np.inf
    if not np.can_cast(given, column.dtype, "safe"):
        low, high = _held(np.dtype(column.dtype), given)
    return (
        low if column.low is None else max(low, column.low),
        high if column.high is None else min(high, column.high),
    )


def _held(kind: np.dtype[Any], given: np.dtype[Any]) -> tuple[float, float]:
    """Least and largest value of type ``given`` that type ``kind`` holds."""
    if kind.kind == "b":
        return 0, 1
    if kind.kind == "f":
        largest = float(np.finfo(kind).max)
        return -largest, largest
    low, high = int(np.iinfo(kind).min), int(np.iinfo(kind).max)
    if given.kind == "f":
        with np.errstate(over="ignore"):
            nearest = given.type(high)
        # Floating point may round the limit up to a power of two, which the type does not hold.
        if float(nearest) > high:
            return low, float(np.nextafter(nearest, given.type(0)))
    return low, high


def _check_key(key: NDArray[Any], name: str, where: str) -> None:
    steps = np.diff(key.astype(np.int64))
    if (steps > 0).all():
        return
    ordered = np.sort(key.astype(np.int64))
    repeated = ordered[:-1][np.diff(ordered) == 0]
    if repeated.size:
        raise InputError(
            "the same star appears more than once",
            file=where,
            item=name,
            found=f"{repeated.size} repeated value(s), for instance {repeated[0]}",
            expected="each value once",
            remedy="remove duplicate rows from the input",
        )
    raise InputError(
        "rows are not in ascending order",
        file=where,
        item=name,
        found="descending steps",
        expected="ascending values, which is HEALPix order for Gaia source_id",
        remedy="the writer of this table is at fault; please report it",
    )
