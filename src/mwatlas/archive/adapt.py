"""From a file's columns to ours, as the release adapter says."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
import pyarrow as pa
from astropy.coordinates import SkyCoord
from numpy.typing import NDArray

from mwatlas.archive.array_cells import stacked_arrays
from mwatlas.config.column_map import ColumnMap
from mwatlas.errors import InputError
from mwatlas.photometry import g_from_johnson
from mwatlas.tables.table import Columns

Values = NDArray[Any]


def _galactic(ra: Values, dec: Values) -> SkyCoord:
    return SkyCoord(ra * u.deg, dec * u.deg).galactic


_DERIVATIONS: dict[str, Callable[..., Values]] = {
    "g_from_johnson": g_from_johnson,
    "galactic_l": lambda ra, dec: _galactic(ra, dec).l.deg,
    "galactic_b": lambda ra, dec: _galactic(ra, dec).b.deg,
    "difference": np.subtract,
}


def file_columns(source: ColumnMap) -> dict[str, list[str]]:
    """Columns of the file that each of our columns needs."""
    return {
        name: source.derive[name].inputs
        if name in source.derive
        else [source.columns.get(name, name)]
        for name in source.served_table.names
    }


def file_types(source: ColumnMap) -> dict[str, pa.DataType]:
    """Types in which the columns of a file without types, CSV, are to be read."""
    types = {}
    for column in source.served_table.columns:
        # Narrow integers may be written with a point, by programs that mark a missing one so.
        kind = pa.float64()
        if column.length != 1:
            kind = pa.string()
        elif column.dtype in ("int64", "bool", "string"):
            kind = pa.type_for_alias(column.dtype)
        for name in file_columns(source)[column.name]:
            types[name] = pa.float64() if column.name in source.derive else kind
    return types


def check_columns(
    source: ColumnMap,
    path: Path,
    found: list[str],
    section: str = "source",
    also: Iterable[str] = (),
) -> None:
    """Make sure a file has every column the adapter expects of it.

    Parameters
    ----------
    source
        The mapping.
    path, found
        The file and the columns it has.
    section
        Where the mapping stands in the release adapter.
    also
        Columns of the file that are needed as they are.

    Raises
    ------
    InputError
        Naming each missing column and the nearest one the file has.
    """
    needed = {**{name: [name] for name in also}, **file_columns(source)}
    missing = {name: [c for c in inputs if c not in found] for name, inputs in needed.items()}
    missing = {name: columns for name, columns in missing.items() if columns}
    if not missing:
        return
    hints = []
    for name, columns in missing.items():
        close = difflib.get_close_matches(columns[0], found, n=1)
        hints.append(
            f"{name} (looked for {', '.join(columns)}"
            + (f"; the file has '{close[0]}')" if close else ")")
        )
    raise InputError(
        f"a file lacks {len(missing)} column(s) that the release needs",
        file=path,
        item="; ".join(hints),
        found=", ".join(found[:40]) + (" ..." if len(found) > 40 else ""),
        remedy=f"map each under {section}.columns of the release adapter, compute it under "
        f"{section}.derive, or list it under {section}.absent with the reason",
    )


def adapt(batch: Columns, source: ColumnMap, where: str, section: str = "source") -> Columns:
    """Our columns, in our units, from a piece of a file.

    Parameters
    ----------
    batch
        The file's columns.
    source
        The mapping.
    where, section
        File, and place of the mapping in the release adapter, to name in an error.

    Raises
    ------
    InputError
        If a unit cannot be converted.
    ArchiveError
        If an array is not as long as its column says.
    """
    out: Columns = {}
    ours = {column.name: column for column in source.table.columns}
    for name, inputs in file_columns(source).items():
        if name in source.derive:
            values = _DERIVATIONS[source.derive[name].method](*(batch[c] for c in inputs))
        else:
            values = batch[inputs[0]]
        if ours[name].length != 1:
            values = stacked_arrays(values, ours[name], where)
        if name in source.units:
            values = values * _factor(name, source.units[name], ours[name].unit, where, section)
        out[name] = _missing_as_nan(values)
    return out


def _missing_as_nan(values: Values) -> Values:
    """Infinite values are how some tables mark a missing number."""
    if np.issubdtype(values.dtype, np.floating) and np.isinf(values).any():
        return np.where(np.isinf(values), np.nan, values)
    return values


def _factor(name: str, unit: str, expected: str, where: str, section: str) -> float:
    try:
        return float(u.Unit(unit).to(u.Unit(expected)))
    except (ValueError, u.UnitConversionError) as error:
        raise InputError(
            "a unit cannot be converted",
            file=where,
            item=name,
            found=f"'{unit}'",
            expected=f"a unit that converts to '{expected}'",
            remedy=f"correct {section}.units in the release adapter",
        ) from error
