"""What a DataLink service answers: tables of products, alone or in a zip file."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
from astropy.io import votable
from numpy.typing import NDArray

from mwatlas.archive.drift import Served, compare_columns
from mwatlas.archive.ecsv import stream_batches
from mwatlas.errors import ArchiveError
from mwatlas.tables.column import Column
from mwatlas.tables.metadata import arrow_schema
from mwatlas.tables.table import TableSchema

_TEXT = {".csv", ".ecsv"}
_VOTABLE = {".xml", ".vot", ".votable"}
_ZIP = b"PK"


class BrokenAnswer(Exception):  # noqa: N818 - says what it is
    """The bytes are no complete answer: another try may bring one."""


def shows_its_end(head: bytes) -> bool:
    """Whether an answer that starts like this shows when it is cut off: zip files and VOTables."""
    return head[:2] == _ZIP or _is_xml(head)


def _is_xml(head: bytes) -> bool:
    return head.lstrip()[:1] == b"<"


def read_products(path: Path, table: TableSchema, url: str) -> pa.Table:
    """Rows of an answer in the columns and types of a contract.

    Parameters
    ----------
    path
        The answer: one table as CSV, ECSV or VOTable, or a zip file of such.
    table
        Contract of the columns. Missing values become null, missing arrays arrays of NaN.
    url
        Where it is from, to name in an error.

    Raises
    ------
    BrokenAnswer
        If the answer is cut off or damaged, or a text that is no table of the contract, as that of
        an error is.
    ArchiveError
        If it is whole, but of another kind, or a VOTable that differs from the contract.
    """
    with path.open("rb") as stream:
        start = stream.read(512)
    if start[:2] != _ZIP:
        suffix = ".xml" if _is_xml(start) else ".csv"
        batches = list(_batches(path, suffix, table, url))
        return pa.Table.from_batches(batches, schema=arrow_schema(table))
    with TemporaryDirectory(dir=path.parent, prefix=".products-") as folder:
        batches = []
        for file in _unpacked(path, Path(folder)):
            batches += _batches(file, _kind(file), table, url)
            file.unlink()
    return pa.Table.from_batches(batches, schema=arrow_schema(table))


def _kind(file: Path) -> str:
    return Path(file.name.removesuffix(".gz")).suffix.lower()


def _unpacked(path: Path, folder: Path) -> Iterator[Path]:
    """Files of a zip file one after the other, each with its checksum checked."""
    try:
        with zipfile.ZipFile(path) as archive:
            for number, member in enumerate(archive.infolist()):
                if member.is_dir():
                    continue
                # Only the suffix of a name is used: names of others may lead out of the folder.
                file = folder / f"{number}-{Path(member.filename).name}"
                with archive.open(member) as packed, file.open("wb") as out:
                    shutil.copyfileobj(packed, out, 1 << 20)
                yield file
    except (zipfile.BadZipFile, EOFError) as error:
        raise BrokenAnswer(f"a zip file that is damaged or cut off ({error})") from error


def _batches(file: Path, suffix: str, table: TableSchema, url: str) -> Iterator[pa.RecordBatch]:
    if suffix in _TEXT:
        yield from _from_text(file, table)
    elif suffix in _VOTABLE:
        yield _from_votable(file, table, url)
    else:
        raise ArchiveError(
            "an archive's answer holds a file of a kind that is not read here",
            file=url,
            found=file.name,
            expected=", ".join(sorted(_TEXT | _VOTABLE)),
            remedy="set archives.datalink_format to csv",
        )


def _from_text(file: Path, table: TableSchema) -> Iterator[pa.RecordBatch]:
    try:
        yield from stream_batches(file, table)
    except ArchiveError as error:  # it names a file that is gone when it is read
        part = f" ({error.item})" if error.item else ""
        text = f"{error.problem}{part}: found {error.found}; expected {error.expected}"
        raise BrokenAnswer(text) from error


def _from_votable(file: Path, table: TableSchema, url: str) -> pa.RecordBatch:
    try:
        document = votable.parse(file, verify="ignore")
        found = document.get_first_table()
    except Exception as error:  # the parser has no common base of its many errors
        raise BrokenAnswer(f"no complete VOTable ({type(error).__name__}: {error})") from error
    # The lengths of arrays are seen with their values: a field may leave them open.
    served = [Served(f.name, f.datatype, str(f.unit or "")) for f in found.fields]
    changed = [d for d in compare_columns(table.columns, served) if d.fatal]
    if changed:
        raise ArchiveError(
            "an archive's answer differs from the contract of the table",
            file=url,
            found="; ".join(str(d) for d in changed),
            expected=", ".join(table.names),
            remedy="correct the table's contract, or see what the archive says of the product",
        )
    ids = {f.name: f.ID for f in found.fields}
    schema = arrow_schema(table)
    arrays = [
        _column(found.array[ids[column.name]], column, field.type, url)
        for column, field in zip(table.columns, schema, strict=True)
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _column(values: Any, column: Column, kind: pa.DataType, url: str) -> pa.Array:
    if column.length == 1:
        missing = np.ma.getmaskarray(values)
        return pa.array(np.asarray(values.data), mask=missing, from_pandas=True).cast(kind)
    cells = np.full((len(values), column.length), np.nan, dtype=column.dtype)
    for row, cell in enumerate(values):
        numbers: NDArray[Any] = np.ma.filled(np.ma.asarray(cell, dtype=float), np.nan).ravel()
        # A missing array has no numbers, or is masked throughout.
        if numbers.size not in (0, column.length):
            raise ArchiveError(
                "an array of an archive's answer has another length",
                file=url,
                item=column.name,
                found=numbers.size,
                expected=column.length,
                remedy="correct the length of the column in the table's contract",
            )
        if numbers.size:
            cells[row] = numbers
    return pa.FixedSizeListArray.from_arrays(pa.array(cells.ravel()), column.length)
