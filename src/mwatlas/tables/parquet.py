"""Star tables on disk: one Parquet file per partition, one row group per HEALPix cell.

A cell is the unit in which tables are read, processed and written, so memory is bounded by
the largest cell, and results do not depend on how cells are shared among partitions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from mwatlas.errors import InputError
from mwatlas.files import atomic_path
from mwatlas.healpix import cell_of_source
from mwatlas.tables.metadata import arrow_schema
from mwatlas.tables.table import Columns, TableSchema

_ORDER_KEY = b"mwatlas.healpix_order"
# Floating point does not hold all of these.
_WIDE = (pa.int64(), pa.uint64())


class CellWriter:
    """Writes a partition cell by cell; made by :func:`cell_writer`."""

    def __init__(self, writer: pq.ParquetWriter, table: TableSchema, order: int, name: str) -> None:
        self._writer = writer
        self._table = table
        self._order = order
        self._name = name
        self._last_cell = -1
        self.rows = 0

    def write(self, cell: int, data: Columns) -> None:
        """Append one cell; cells must come in ascending order, empty ones are left out."""
        if cell <= self._last_cell:
            raise ValueError(f"cell {cell} after cell {self._last_cell} in {self._name}")
        self._last_cell = cell
        checked = self._table.conform(data, self._name)
        stars = checked["source_id"]
        if not stars.size:
            return
        if (cell_of_source(stars, self._order) != cell).any():
            raise ValueError(f"stars outside cell {cell} in {self._name}")
        rows = arrow_rows(self._writer.schema, checked)
        self._writer.write_table(rows, row_group_size=stars.size)
        self.rows += stars.size


@contextmanager
def cell_writer(path: str | Path, table: TableSchema, order: int) -> Iterator[CellWriter]:
    """Open ``path`` for writing cell by cell; it appears only when all went well.

    Parameters
    ----------
    path
        The partition's Parquet file.
    table
        Its contract.
    order
        HEALPix order of the cells.
    """
    schema = arrow_schema(table)
    schema = schema.with_metadata({**schema.metadata, _ORDER_KEY: str(order).encode()})
    with atomic_path(path) as partial, _parquet_writer(partial, schema) as writer:
        yield CellWriter(writer, table, order, str(path))


def _parquet_writer(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    return pq.ParquetWriter(path, schema, compression="zstd", version="2.6")


def to_arrow(table: TableSchema, data: Columns) -> pa.Table:
    """Arrow table of conformed columns; missing values become null, those of arrays NaN."""
    return arrow_rows(arrow_schema(table), data)


def arrow_rows(schema: pa.Schema, data: Columns) -> pa.Table:
    """Arrow table of conformed columns, for those who make the schema of a table once."""
    arrays = []
    for field in schema:
        values = data[field.name]
        if pa.types.is_fixed_size_list(field.type):
            flat = pa.array(values.ravel(), type=field.type.value_type)
            arrays.append(pa.FixedSizeListArray.from_arrays(flat, field.type.list_size))
        else:
            arrays.append(pa.array(values, type=field.type, from_pandas=field.nullable))
    return pa.Table.from_arrays(arrays, schema=schema)


def write_table(path: str | Path, table: TableSchema, data: Columns) -> None:
    """Write a small table that is not organised by cells."""
    checked = table.conform(data, str(path))
    with atomic_path(path) as partial, _parquet_writer(partial, arrow_schema(table)) as writer:
        writer.write_table(to_arrow(table, checked))


class RowWriter:
    """Writes a table piece by piece; made by :func:`row_writer`."""

    def __init__(self, writer: pq.ParquetWriter, table: TableSchema, name: str) -> None:
        self._writer = writer
        self._table = table
        self._name = name
        self._last_cell = -1

    def write(self, cell: int, data: Columns) -> None:
        """Append the rows of one cell; cells must come in ascending order."""
        if cell <= self._last_cell:
            raise ValueError(f"cell {cell} after cell {self._last_cell} in {self._name}")
        self._last_cell = cell
        checked = self._table.conform(data, self._name)
        self._writer.write_table(arrow_rows(self._writer.schema, checked))


@contextmanager
def row_writer(path: str | Path, table: TableSchema) -> Iterator[RowWriter]:
    """Open ``path`` for writing a table without Gaia identifiers cell by cell.

    It appears only when all went well.
    """
    with atomic_path(path) as partial, _parquet_writer(partial, arrow_schema(table)) as writer:
        yield RowWriter(writer, table, str(path))


def open_parquet(path: str | Path) -> pq.ParquetFile:
    """Open a Parquet file, or say which file is broken.

    Raises
    ------
    InputError
        If the file is absent, empty, truncated or no Parquet at all.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(
            "an input table is missing",
            file=path,
            remedy="check `data_dir` and the release's `source.paths`, or make the file first",
        )
    try:
        return pq.ParquetFile(path)
    except (pa.ArrowInvalid, OSError) as error:
        with path.open("rb") as stream:
            start = stream.read(24)
        raise InputError(
            "a table cannot be read as Parquet",
            file=path,
            found=f"{path.stat().st_size} bytes starting with {start!r} ({error})",
            expected="a complete Parquet file",
            remedy="the file is truncated or not Parquet: delete it and fetch or make it again",
        ) from error


def number_of_rows(path: str | Path) -> int:
    """Rows of a Parquet file, from its footer."""
    return int(open_parquet(path).metadata.num_rows)


def read_cells(
    path: str | Path, columns: Iterable[str] | None = None
) -> Iterator[tuple[int, Columns]]:
    """Yield ``(cell, columns)`` of a partition in ascending order.

    Parameters
    ----------
    path
        A file written through :func:`cell_writer`.
    columns
        Names to read; all by default. ``source_id`` need not be among them.
    """
    file = open_parquet(path)
    metadata = file.schema_arrow.metadata or {}
    if _ORDER_KEY not in metadata:
        raise InputError(
            "a table is not organised by HEALPix cells",
            file=path,
            expected=f"Parquet metadata '{_ORDER_KEY.decode()}'",
            remedy="read it through the `files` source of a release, which sorts it into cells",
        )
    order = int(metadata[_ORDER_KEY])
    names = file.schema_arrow.names if columns is None else list(columns)
    absent = sorted(set(names) - set(file.schema_arrow.names))
    if absent:
        raise InputError(
            "a table lacks a column",
            file=path,
            item=", ".join(absent),
            found=", ".join(file.schema_arrow.names),
            expected=", ".join(names),
            remedy="the file was made by another version: delete it and run again",
        )
    for group in range(file.num_row_groups):
        data = from_arrow(
            file.read_row_group(group, columns=[*dict.fromkeys([*names, "source_id"])])
        )
        cell = int(cell_of_source(data["source_id"][:1], order)[0])
        yield cell, {name: data[name] for name in names}


class CellLookup:
    """Rows of a partition by cell, for cells asked for in ascending order; holds one at a time.

    Parameters
    ----------
    path, columns
        As for :func:`read_cells`.
    """

    def __init__(self, path: str | Path, columns: Iterable[str] | None = None) -> None:
        self._cells = read_cells(path, columns)
        self._next = next(self._cells, None)

    def rows(self, cell: int) -> Columns:
        """Rows of a cell; no columns at all if the partition has none of it."""
        while self._next is not None and self._next[0] < cell:
            self._next = next(self._cells, None)
        return self._next[1] if self._next is not None and self._next[0] == cell else {}


def from_arrow(table: pa.Table) -> Columns:
    """Arrays of an Arrow table: nulls become NaN, a missing array one of NaN.

    Integers narrower than 64 bits come back as floating point, which holds them all, if some are
    null; wider ones and truth values are masked.
    """
    out: Columns = {}
    for name in table.column_names:
        column = table.column(name).combine_chunks()
        kind = column.type
        if pa.types.is_fixed_size_list(kind):
            present = column.flatten().to_numpy(zero_copy_only=False).reshape(-1, kind.list_size)
            out[name] = _spread(present, column) if column.null_count else present
        elif pa.types.is_null(kind):
            out[name] = np.full(len(column), np.nan)
        elif column.null_count and (kind in _WIDE or pa.types.is_boolean(kind)):
            filled = column.fill_null(False if pa.types.is_boolean(kind) else 0)
            missing = column.is_null().to_numpy(zero_copy_only=False)
            out[name] = np.ma.array(filled.to_numpy(zero_copy_only=False), mask=missing)
        else:
            out[name] = column.to_numpy(zero_copy_only=False)
    return out


def _spread(present: NDArray[Any], column: pa.Array) -> NDArray[Any]:
    """Rows of arrays, of which those that are not null are ``present``."""
    out = np.full((len(column), present.shape[1]), np.nan, dtype=np.result_type(present, "f4"))
    out[column.is_valid().to_numpy(zero_copy_only=False)] = present
    return out


def read_rows(paths: Iterable[str | Path], columns: Iterable[str]) -> Columns:
    """Concatenate columns of small tables that are not organised by cells."""
    names = list(columns)
    return from_arrow(pa.concat_tables([open_parquet(path).read(names) for path in paths]))


def read_columns(paths: Iterable[str | Path], columns: Iterable[str]) -> Columns:
    """Concatenate a few columns of several partitions; for training sets, not catalogues."""
    names = list(columns)
    pieces: dict[str, list[NDArray[np.generic]]] = {name: [] for name in names}
    for path in paths:
        for _, data in read_cells(path, names):
            for name in names:
                pieces[name].append(data[name])
    return {name: np.concatenate(parts) if parts else np.empty(0) for name, parts in pieces.items()}
