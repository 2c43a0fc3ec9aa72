"""Cells that hold arrays, often as text, as in the archives' tables of spectra."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mwatlas.errors import ArchiveError
from mwatlas.tables.column import Column

_BRACKETS = "[]() "


def array_cells(cells: pa.StringArray, kind: pa.DataType, name: str, where: str) -> pa.Array:
    """Fixed-size lists from text such as ``[1.5, null]`` or ``(1.5, 2.0)``.

    Parameters
    ----------
    cells
        The text. A missing cell becomes an array of NaN, as a missing spectrum is stored.
    kind
        Type of the result: a list of fixed size of numbers.
    name, where
        Column and file, to name in an error.

    Raises
    ------
    ArchiveError
        If an array has another length, or holds something that is no number.
    """
    size = kind.list_size
    missing = pa.scalar(",".join(["nan"] * size))
    text = pc.fill_null(pc.ascii_trim(cells, _BRACKETS), missing)
    lists = pc.split_pattern(text, ",")
    lengths = pc.list_value_length(lists)
    odd = pc.filter(lengths, pc.not_equal(lengths, size))
    if len(odd):
        raise _broken(
            name,
            where,
            f"{len(odd)} array(s) of another length, the first of {odd[0]}",
            f"{size} numbers",
        )
    values = pc.utf8_trim_whitespace(lists.flatten())
    numbers = pc.if_else(pc.is_in(values, pa.array(["null", "None", "NaN"])), "nan", values)
    try:
        return pa.FixedSizeListArray.from_arrays(pc.cast(numbers, kind.value_type), size)
    except pa.ArrowInvalid as error:
        raise _broken(name, where, str(error), "numbers") from error


def stacked_arrays(values: NDArray[Any], column: Column, where: str) -> NDArray[Any]:
    """Arrays of one length from what a file holds in a column of arrays.

    Parameters
    ----------
    values
        Text, arrays or None, shape (rows,); arrays, shape (rows, length); or, where all are
        missing, NaN.
    column
        The column, for its length and type.
    where
        File to name in an error.

    Returns
    -------
    ndarray
        Shape (rows, length); missing arrays are NaN.

    Raises
    ------
    ArchiveError
        If an array has another length, or holds something that is no number.
    """
    kind = pa.list_(pa.from_numpy_dtype(column.dtype), column.length)
    if values.ndim == 1 and values.dtype.kind == "f" and np.isnan(values).all():
        values = np.full(values.size, None)
    if values.dtype.kind in "OUT" and any(isinstance(value, str) for value in values.flat):
        lists = array_cells(pa.array(values, pa.string()), kind, column.name, where)
        flat: NDArray[Any] = lists.flatten().to_numpy()
        return flat.reshape(-1, column.length)
    missing = np.full(column.length, np.nan, dtype=column.dtype)
    arrays = [missing if value is None else np.ma.filled(value, np.nan) for value in values]
    lengths = {np.size(array) for array in arrays} - {column.length}
    if lengths:
        found = f"array(s) of another length, the first of {min(lengths)}"
        raise _broken(column.name, where, found, f"{column.length} numbers")
    return np.stack(arrays) if arrays else np.empty((0, column.length), dtype=column.dtype)


def _broken(name: str, where: str, found: str, expected: str) -> ArchiveError:
    return ArchiveError(
        "a column of arrays cannot be read",
        file=where,
        item=name,
        found=found,
        expected=expected,
        remedy="fetch the file again; if it stays like this, correct the length of the column in "
        "the table's contract",
    )
