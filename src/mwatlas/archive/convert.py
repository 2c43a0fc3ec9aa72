"""One file of an archive becomes one piece: wanted columns and rows, as Parquet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mwatlas.archive.cuts import Cut, cut_columns, expression
from mwatlas.archive.ecsv import stream_batches
from mwatlas.archive.lanes import ahead
from mwatlas.errors import ArchiveError
from mwatlas.files import atomic_path
from mwatlas.tables.metadata import arrow_schema
from mwatlas.tables.table import TableSchema

# Rows of a row group: enough for good compression, few enough to be written beside the parsing of
# the next.
_GROUP_ROWS = 1 << 16
_GROUP_BYTES = 1 << 27


@dataclass(frozen=True)
class Converted:
    """Rows of a file, and how many of them passed the cuts."""

    rows_read: int
    rows_kept: int


def convert(
    path: Path, columns: Sequence[str], schema: TableSchema, keep: Sequence[Cut], output: Path
) -> Converted:
    """Write the wanted part of a CSV or ECSV file as Parquet.

    The same file gives the same bytes, whoever converts it.

    Parameters
    ----------
    path
        The archive's file.
    columns
        Columns to write, in this order.
    schema
        Contract of these columns and of those the cuts need.
    keep
        Cuts that rows must pass, all of them.
    output
        File to write; it appears when it is complete. Units and descriptions are in its metadata.

    Raises
    ------
    ArchiveError
        If the file is damaged or not as the contract says, or holds a row twice.
    OSError
        If ``output`` cannot be written, for instance since the disk is full.
    """
    read = 0

    def batches() -> Iterator[pa.RecordBatch]:
        nonlocal read
        wanted = list(dict.fromkeys([*columns, *cut_columns(keep)]))
        for batch in stream_batches(path, subset(schema, wanted)):
            read += batch.num_rows
            yield batch

    kept = write_piece(batches(), subset(schema, columns), keep, output)
    return Converted(read, kept)


def subset(schema: TableSchema, columns: Iterable[str]) -> TableSchema:
    """Contract of some columns, in the order given; without a key if that is not among them."""
    by_name = {column.name: column for column in schema.columns}
    wanted = tuple(by_name[name] for name in columns)
    key = schema.key if by_name.get(schema.key) in wanted else ""
    return replace(schema, columns=wanted, key=key)


def write_piece(
    batches: Iterable[pa.RecordBatch], table: TableSchema, keep: Sequence[Cut], output: Path
) -> int:
    """Write the rows that pass all cuts, and return their number.

    Parameters
    ----------
    batches
        Rows with the columns of ``table`` and of the cuts, in the types of their contracts.
    table
        Columns to write. Values of its key, if it has one, must differ; rows need not be sorted.
    keep
        Cuts.
    output
        File to write; it appears when it is complete.

    Raises
    ------
    ArchiveError
        If a key is there twice.
    """
    schema, wanted = arrow_schema(table), expression(keep)
    rows = 0
    keys: list[pa.ChunkedArray] = []

    def groups() -> Iterator[pa.Table]:
        nonlocal rows
        pending: list[pa.Table] = []
        for batch in batches:
            piece = pa.Table.from_batches([batch])
            piece = piece if wanted is None else piece.filter(wanted)
            piece = piece.select(schema.names).replace_schema_metadata(schema.metadata)
            pending.append(piece)
            rows += piece.num_rows
            if table.key:
                keys.append(piece.column(table.key))
            if _is_group(pending):
                yield pa.concat_tables(pending)
                pending = []
        if pending:
            yield pa.concat_tables(pending)

    with atomic_path(output) as partial, _disk_named(output), _writer(partial, schema) as writer:
        for _ in ahead(groups(), writer.write_table, 1):
            pass
        if keys:
            _check_keys(pa.chunked_array([c for key in keys for c in key.chunks]), table, output)
    return rows


def _check_keys(keys: pa.ChunkedArray, table: TableSchema, output: Path) -> None:
    """Make sure that each row is there once."""
    # As the archives write them; only others need to be counted.
    if pc.all(pc.less(keys.slice(0, len(keys) - 1), keys.slice(1))).as_py():
        return
    counted = pc.value_counts(keys)
    again = counted.filter(pc.greater(counted.field("counts"), 1))
    if len(again):
        raise ArchiveError(
            "an archive's file holds rows twice",
            file=output,
            item=table.key,
            found=f"{len(again)} repeated value(s), for instance {again[0]['values']}",
            expected="each value once",
            remedy="run again: the file is fetched anew; if it stays like this, the archive's "
            "file is wrong: use another mirror",
        )


def _is_group(pending: list[pa.Table]) -> bool:
    return (
        sum(piece.num_rows for piece in pending) >= _GROUP_ROWS
        or sum(piece.nbytes for piece in pending) >= _GROUP_BYTES
    )


def _writer(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    # Measured numbers hardly repeat, so a dictionary of them costs time and saves nothing.
    texts = [field.name for field in schema if pa.types.is_string(field.type)]
    return pq.ParquetWriter(
        path, schema, compression="zstd", version="2.6", use_dictionary=texts or False
    )


@contextmanager
def _disk_named(output: Path) -> Iterator[None]:
    """Say which file could not be written: Arrow's errors do not."""
    try:
        yield
    except OSError as error:
        if error.errno is None or error.filename is not None:
            raise
        raise OSError(error.errno, error.strerror or str(error), str(output)) from error
