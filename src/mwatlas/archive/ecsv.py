"""Streaming reader of the archives' gzip ECSV: inflating and parsing run side by side.

One thread inflates with ISA-L, the caller's drops unwanted fields, and in a third Arrow parses the
rest.
Types and units come from the header and are checked against the contract before any row is read.
Missing values are ``null`` in the Gaia archive's files, nothing in astropy's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
from isal import igzip, igzip_threaded, isal_zlib

from mwatlas.archive.array_cells import array_cells
from mwatlas.archive.csv_fields import PADDING, STRAY_QUOTE, Bytes, keep_fields
from mwatlas.archive.ecsv_header import EcsvHeader, check_header, read_header
from mwatlas.archive.lanes import ahead
from mwatlas.errors import ArchiveError
from mwatlas.tables.column import Column
from mwatlas.tables.metadata import arrow_schema
from mwatlas.tables.table import TableSchema

BLOCK_BYTES = 1 << 23
"""Text that is parsed at a time; a few times this is the memory of a reader."""
# The inflating thread is this far ahead, times three; small enough for a processor's own cache.
_AHEAD_BYTES = 1 << 20
# Blocks that wait to be parsed.
_BLOCKS_AHEAD = 4
_NULLS = ["", "null", "NaN", "nan"]
_NEWLINE = ord("\n")
# The library's types call its own error an instance.
_DAMAGE: tuple[type[Exception], ...] = (
    EOFError,
    igzip.BadGzipFile,
    isal_zlib.IsalError,  # type: ignore[assignment]
    UnicodeDecodeError,
)


@dataclass
class _Seen:
    rows: int = 0


def served_columns(path: Path) -> EcsvHeader:
    """Columns of a file, from its start.

    Raises
    ------
    ArchiveError
        If the file is no table.
    """
    with _broken_files_explained(path, _Seen()), _open(path) as text:
        return read_header(text, path)


def stream_batches(path: Path, table: TableSchema) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a CSV or ECSV file in the order of the file.

    Parameters
    ----------
    path
        The file; gzip if its name ends in ``.gz``.
    table
        Contract of the wanted columns, with the archive's names and units. Others are skipped.

    Yields
    ------
    pyarrow.RecordBatch
        Columns in the contract's order and types; missing values are null, also NaN. Missing
        arrays are arrays of NaN.

    Raises
    ------
    ArchiveError
        If the file is damaged or cut off, is no table, differs from the contract, or has a value
        that does not fit its column.
    """
    seen = _Seen()
    with _broken_files_explained(path, seen), _open(path) as text:
        header = read_header(text, path)
        check_header(header, table, path)
        keep = np.isin(header.names, table.names)
        in_file = [name for name in header.names if name in table.names]
        parser = _Parser(path, table, in_file)
        yield from ahead(_thinned(text, keep, path, seen), parser.batch, _BLOCKS_AHEAD)


def _open(path: Path) -> BufferedReader:
    if path.suffix == ".gz":
        # The library gives this function no types.
        text: BufferedReader = igzip_threaded.open(path, "rb", block_size=_AHEAD_BYTES)  # type: ignore[no-untyped-call]
        return text
    return path.open("rb")


def _thinned(text: BufferedReader, keep: np.ndarray, path: Path, seen: _Seen) -> Iterator[Bytes]:
    """Text of complete rows with the wanted fields."""
    buffer = np.zeros(BLOCK_BYTES + 1 + PADDING, dtype=np.uint8)
    out = np.empty_like(buffer)
    view = memoryview(buffer.data)
    filled, ended = 0, False
    while not ended:
        got = text.readinto(view[filled:BLOCK_BYTES])
        filled += got
        ended = not got
        if ended and filled and buffer[filled - 1] != _NEWLINE:
            buffer[filled] = _NEWLINE
            filled += 1
        rows, used, length = keep_fields(buffer, filled, keep, out)
        if rows < 0:
            raise _broken_row(
                path, seen.rows - rows, length, keep.size, bytes(buffer[used:filled][:60])
            )
        if rows:
            seen.rows += rows
            yield out[:length].copy()
        buffer[: filled - used] = buffer[used:filled]
        filled -= used
        if filled and (ended or filled == BLOCK_BYTES):
            raise _bad_row(
                path,
                seen.rows + 1,
                f"no end within {filled} bytes",
                f"a row shorter than {BLOCK_BYTES} bytes, with closed quotes",
            )


class _Parser:
    """Rows of one file as Arrow batches; what does not change from block to block is made once."""

    def __init__(self, path: Path, table: TableSchema, in_file: list[str]) -> None:
        self._path = path
        self._table = table
        self._in_file = in_file
        self._rows = 0
        self._schema = arrow_schema(table)
        types = {f.name: pa.string() if _is_array(f.type) else f.type for f in self._schema}
        self._options = pa.csv.ConvertOptions(
            column_types=types,
            null_values=_NULLS,
            strings_can_be_null=True,
            true_values=["True", "true", "TRUE"],
            false_values=["False", "false", "FALSE"],
        )

    def batch(self, rows: Bytes) -> pa.RecordBatch:
        """Rows from their text."""
        try:
            parsed = pa.csv.read_csv(
                pa.BufferReader(rows),
                read_options=pa.csv.ReadOptions(
                    column_names=self._in_file, use_threads=False, block_size=rows.size + 1
                ),
                parse_options=pa.csv.ParseOptions(ignore_empty_lines=False),
                convert_options=self._options,
            )
        except pa.ArrowInvalid as error:
            raise self._bad_value(error) from error
        arrays = [
            self._checked(column, field.type, parsed.column(column.name).combine_chunks())
            for column, field in zip(self._table.columns, self._schema, strict=True)
        ]
        self._rows += parsed.num_rows
        return pa.RecordBatch.from_arrays(arrays, schema=self._schema)

    def _checked(self, column: Column, kind: pa.DataType, values: pa.Array) -> pa.Array:
        if values.null_count and not column.nullable:
            raise ArchiveError(
                "values are missing in a column that must be complete",
                file=self._path,
                item=column.name,
                found=f"{values.null_count} missing value(s) after row {self._rows:,}",
                expected="no missing value",
                remedy="fetch the file again; if it stays like this, the archive's table differs "
                "from the contract of the release",
            )
        if _is_array(kind):
            values = array_cells(values, kind, column.name, str(self._path))
        self._check_finite(column, kind, values)
        return values

    def _check_finite(self, column: Column, kind: pa.DataType, values: pa.Array) -> None:
        """Refuse infinite numbers, which is also what those beyond the type are read as."""
        numbers = values.flatten() if _is_array(kind) else values
        if not pa.types.is_floating(numbers.type):
            return
        infinite = pc.index(pc.is_inf(numbers), True).as_py()
        if infinite >= 0:
            row = self._rows + infinite // column.length + 1
            raise ArchiveError(
                "a value of an archive's file is beyond its column",
                file=self._path,
                item=f"{column.name}, row {row:,}",
                found=f"infinite, or too large for {column.dtype}",
                expected="finite numbers, or missing",
                remedy="fetch the file again; if it stays like this, the archive changed the type "
                "of the column",
            )

    def _bad_value(self, error: Exception) -> ArchiveError:
        number = re.search(r"column #(\d+)", str(error))
        name = self._in_file[int(number[1])] if number else self._table.name
        kinds = {column.name: column.dtype for column in self._table.columns}
        return ArchiveError(
            "a value of an archive's file does not fit its column",
            file=self._path,
            item=name,
            found=f"{error}, after row {self._rows:,}",
            expected=kinds.get(name, "values of the types in the contract"),
            remedy="fetch the file again; if it stays like this, the archive changed the type of "
            "the column",
        )


def _is_array(kind: pa.DataType) -> bool:
    return pa.types.is_fixed_size_list(kind)


def _broken_row(path: Path, row: int, fields: int, expected: int, start: bytes) -> ArchiveError:
    """What is wrong with a row that fields cannot be taken from."""
    line = f"{start!r}..."
    if fields == STRAY_QUOTE:
        return _bad_row(
            path, row, f"a quote inside a field: {line}", 'quotes around whole fields, "" for one'
        )
    found = f"{fields} or more" if fields > expected else f"{fields}"
    return _bad_row(path, row, f"{found} fields: {line}", f"{expected} fields")


def _bad_row(path: Path, row: int, found: str, expected: str) -> ArchiveError:
    return ArchiveError(
        "a row of an archive's file is broken",
        file=path,
        item=f"row {row:,}",
        found=found,
        expected=expected,
        remedy="remove the file, so that it is fetched again",
    )


@contextmanager
def _broken_files_explained(path: Path, seen: _Seen) -> Iterator[None]:
    """Turn what inflating a damaged file raises into one error that says what to do."""
    try:
        yield
    except _DAMAGE as error:
        with path.open("rb") as stream:
            start = stream.read(24)
        cut_off = isinstance(error, EOFError)
        raise ArchiveError(
            "an archive's file is " + ("cut off" if cut_off else "damaged"),
            file=path,
            found=f"{path.stat().st_size:,} bytes starting with {start!r}, of which "
            f"{seen.rows:,} row(s) could be read ({error})",
            expected="a complete gzip file",
            remedy="remove the file, so that it is fetched again; nothing of it was kept",
        ) from error
