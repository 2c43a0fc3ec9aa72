"""The `files` source: a user's own tables of stars become HEALPix-sorted raw partitions.

Three passes keep memory at one partition, whatever the size of the input: count the stars of
each cell, scatter rows to partitions, sort each partition.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path

import astropy.units as u
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from astropy.coordinates import SkyCoord

from mwatlas.archive.adapt import adapt, check_columns, file_types
from mwatlas.archive.described import check_units
from mwatlas.archive.readers import column_names, read_batches
from mwatlas.config.column_map import ColumnMap
from mwatlas.errors import InputError
from mwatlas.healpix import balanced_partitions, cell_of_position, cell_of_source, number_of_cells
from mwatlas.progress import Progress
from mwatlas.tables.metadata import arrow_schema
from mwatlas.tables.parquet import arrow_rows, cell_writer, from_arrow
from mwatlas.tables.table import Columns, TableSchema

# Share of stars whose source_id may disagree with their position: high proper motions only.
_MAX_MISPLACED = 0.01
# Galactic coordinates in a file must agree with ra and dec to this, a tenth of a cell of the check.
_MAX_GALACTIC_OFFSET_DEG = 0.02
# Working folder beside the outputs; a killed run leaves it.
_SCRATCH = ".scatter-"


def import_files(
    paths: Sequence[Path],
    source: ColumnMap,
    outputs: Sequence[Path],
    healpix_order: int,
    progress: Progress,
) -> int:
    """Read files into raw partitions.

    Parameters
    ----------
    paths
        Files to read.
    source
        Their mapping to archive columns.
    outputs
        Partition files to write.
    healpix_order
        Order of the cells.
    progress
        Where to report rows done.

    Returns
    -------
    int
        Number of stars.

    Raises
    ------
    InputError
        On a missing file or column, a unit that is not the one expected, an unreadable or empty
        table, a value that breaks the column's contract, a duplicate star, and a source_id that
        disagrees with the position.
    """
    for path in paths:
        check_columns(source, path, column_names(path))
        check_units(source, path)
    counts = _count_cells(paths, source, healpix_order)
    if not counts.sum():
        raise InputError(
            "the input has no rows",
            file=", ".join(str(path) for path in paths),
            found="0 rows",
            expected="at least one star",
            remedy="check the query or the script that made the file",
        )
    ranges = balanced_partitions(counts, len(outputs))
    partition_of_cell = np.empty(counts.size, dtype=np.int64)
    for i, cells in enumerate(ranges):
        partition_of_cell[cells.start : cells.stop] = i
    schema = source.served_table
    outputs[0].parent.mkdir(parents=True, exist_ok=True)
    for stale in outputs[0].parent.glob(f"{_SCRATCH}*"):
        shutil.rmtree(stale)
    with (
        tempfile.TemporaryDirectory(dir=outputs[0].parent, prefix=_SCRATCH) as scratch,
        progress.task("reading", int(counts.sum()), "stars") as advance,
    ):
        pieces = [Path(scratch) / f"{i}.parquet" for i in range(len(outputs))]
        unsorted = pa.schema(list(arrow_schema(schema)))
        with ExitStack() as stack:
            writers = [
                stack.enter_context(pq.ParquetWriter(piece, unsorted, compression="lz4"))
                for piece in pieces
            ]
            for path in paths:
                for data in _adapted(path, source, schema):
                    if "ra" in data and "dec" in data:
                        check_positions(data, path)
                    home = partition_of_cell[cell_of_source(data["source_id"], healpix_order)]
                    for i in np.unique(home):
                        rows = {name: values[home == i] for name, values in data.items()}
                        writers[i].write_table(arrow_rows(unsorted, rows))
                    advance(len(home))
        for piece, output in zip(pieces, outputs, strict=True):
            _sort_partition(piece, output, schema, healpix_order)
    return int(counts.sum())


def _adapted(path: Path, source: ColumnMap, schema: TableSchema) -> Iterator[Columns]:
    types = file_types(source)
    for batch in read_batches(path, types, types):
        data = adapt(batch, source, str(path))
        order = np.argsort(data["source_id"], kind="stable")
        yield schema.conform({n: v[order] for n, v in data.items()}, str(path))


def _count_cells(paths: Sequence[Path], source: ColumnMap, order: int) -> np.ndarray:
    counts = np.zeros(number_of_cells(order), dtype=np.int64)
    column = source.columns.get("source_id", "source_id")
    for path in paths:
        for batch in read_batches(path, [column], {column: pa.int64()}):
            ids = batch[column]
            gaps = np.ma.is_masked(ids) or (ids != ids).any()
            if gaps or not np.issubdtype(ids.dtype, np.integer):
                raise InputError(
                    "source_id is not stored as a whole number",
                    file=path,
                    item=column,
                    found=f"type {ids.dtype}" + (", with missing values" if gaps else ""),
                    expected="int64 without missing values; floating point rounds source_id",
                    remedy="write the file again with source_id as a 64-bit integer",
                )
            cells = cell_of_source(ids, order)
            bad = (cells < 0) | (cells >= counts.size)
            if bad.any():
                raise InputError(
                    "source_id is no Gaia identifier: its HEALPix bits are out of range",
                    file=path,
                    item=column,
                    found=f"{int(bad.sum())} value(s), for instance {ids[bad][0]}",
                    expected="identifiers of Gaia DR2 or later",
                    remedy="map source.columns.source_id to the column of Gaia identifiers",
                )
            counts += np.bincount(cells, minlength=counts.size)
    return counts


def check_positions(data: Columns, path: Path) -> None:
    """Make sure that identifiers and positions belong together, as far as both are there.

    Level-8 pixels (0.2 deg) of identifier and position agree for all but a few stars.

    Raises
    ------
    InputError
        If too many stars lie elsewhere than their source_id or their l and b say.
    """
    from_id = cell_of_source(data["source_id"], 8)
    from_position = cell_of_position(data["ra"], data["dec"], 8)
    misplaced = float((from_id != from_position).mean())
    if misplaced > _MAX_MISPLACED:
        raise InputError(
            "source_id and position disagree",
            file=path,
            item="source_id, ra, dec",
            found=f"{misplaced:.1%} of the stars lie outside the pixel in their source_id",
            expected=f"at most {_MAX_MISPLACED:.0%}",
            remedy="check that ra and dec are ICRS degrees and that source_id was not rounded",
        )
    if "l" not in data or "b" not in data:
        return
    served = SkyCoord(data["l"] * u.deg, data["b"] * u.deg, frame="galactic")
    offset = SkyCoord(data["ra"] * u.deg, data["dec"] * u.deg).separation(served).deg
    wrong = float((offset > _MAX_GALACTIC_OFFSET_DEG).mean())
    if wrong > _MAX_MISPLACED:
        raise InputError(
            "Galactic and equatorial coordinates disagree",
            file=path,
            item="l, b",
            found=f"{wrong:.1%} of the stars are more than {_MAX_GALACTIC_OFFSET_DEG} deg off",
            expected=f"at most {_MAX_MISPLACED:.0%}",
            remedy="check the columns l and b, or derive them (source.derive, galactic_l and "
            "galactic_b)",
        )


def _sort_partition(piece: Path, output: Path, schema: TableSchema, order: int) -> None:
    data = from_arrow(pq.read_table(piece))
    rank = np.argsort(data["source_id"], kind="stable")
    data = {name: values[rank] for name, values in data.items()}
    cells = cell_of_source(data["source_id"], order)
    with cell_writer(output, schema, order) as writer:
        starts = np.flatnonzero(np.diff(cells, prepend=-1))
        for start, stop in pairwise([*starts, cells.size]):
            writer.write(
                int(cells[start]), {name: values[start:stop] for name, values in data.items()}
            )
