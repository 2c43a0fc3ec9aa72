"""Cells that hold arrays as text, as in the archives' tables of spectra."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from mwatlas.errors import ArchiveError

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
