"""Reading users' files piece by piece: Parquet, FITS, CSV, ECSV and VOTable."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
from astropy.io import fits
from astropy.table import Table
from numpy.typing import NDArray

from mwatlas.archive.drift import dtype_of
from mwatlas.archive.ecsv import served_columns, stream_batches
from mwatlas.errors import InputError, MwatlasError
from mwatlas.tables.column import Column, DType
from mwatlas.tables.parquet import from_arrow, open_parquet
from mwatlas.tables.table import Columns, TableSchema

BATCH_ROWS = 500_000
# Rows with arrays are large; a piece is no larger than this, about.
_BATCH_BYTES = 1 << 28

_FORMATS = {
    ".parquet": "parquet",
    ".fits": "fits",
    ".fit": "fits",
    ".csv": "csv",
    ".ecsv": "ascii.ecsv",
    ".vot": "votable",
    ".xml": "votable",
}

# What the first line of an ECSV file starts with.
_ECSV = b"# %ECSV"


def file_format(path: Path) -> str:
    """Format of a file by its suffix; ``.gz`` is looked through.

    Raises
    ------
    InputError
        If the suffix is none of those read here.
    """
    suffixes = [s for s in path.suffixes if s != ".gz"]
    suffix = suffixes[-1].lower() if suffixes else ""
    if suffix not in _FORMATS:
        raise InputError(
            "the format of a file is not known",
            file=path,
            found=f"suffix '{suffix}'",
            expected=", ".join(sorted(_FORMATS)),
            remedy="convert the file, or give it the suffix of its format",
        )
    return _FORMATS[suffix]


def column_names(path: Path) -> list[str]:
    """Names of the columns of a file, without reading its rows."""
    kind = file_format(path)
    if kind == "parquet":
        return list(open_parquet(path).schema_arrow.names)
    with broken_files_explained(path):
        if kind == "fits":
            with fits.open(path) as hdus:
                return list(hdus[1].columns.names)
        if kind == "csv" and _has_ecsv_header(path):
            return served_columns(path).names
        if kind == "csv":
            with pa.csv.open_csv(path) as reader:
                return list(reader.schema.names)
        return list(Table.read(path, format=kind).colnames)


def read_batches(
    path: Path, columns: Iterable[str], types: Mapping[str, pa.DataType] | None = None
) -> Iterator[Columns]:
    """Yield pieces of the named columns; missing values as said of `Columns`.

    Parquet, CSV and FITS are streamed, and the archives' ECSV, whose suffix is that of CSV; other
    ECSV and VOTable are read whole.

    Parameters
    ----------
    path
        The file.
    columns
        Names of its columns.
    types
        Types of columns of a CSV file, which names none itself; guessed from the first rows where
        not given.

    Raises
    ------
    ArchiveError, InputError
        If the file is absent, truncated or not what its suffix says.
    """
    kind, names = file_format(path), list(dict.fromkeys(columns))
    if kind == "parquet":
        file = open_parquet(path)
        for batch in file.iter_batches(_rows_of_parquet(file, names), columns=names):
            yield from_arrow(pa.Table.from_batches([batch]))
        return
    with broken_files_explained(path):
        if kind == "csv" and _has_ecsv_header(path):
            for batch in stream_batches(path, _as_described(path, names)):
                yield from_arrow(pa.Table.from_batches([batch]))
        elif kind == "csv":
            options = pa.csv.ConvertOptions(
                include_columns=names,
                column_types=dict(types or {}),
                null_values=["", "null", "NaN", "nan", "--"],
                strings_can_be_null=True,
            )
            with pa.csv.open_csv(path, convert_options=options) as reader:
                for batch in reader:
                    yield from_arrow(pa.Table.from_batches([batch]))
        elif kind == "fits":
            with fits.open(path, memmap=True) as hdus:
                rows = hdus[1].data
                step = _batch_rows(rows.dtype.itemsize)
                for start in range(0, len(rows), step):
                    piece = rows[start : start + step]
                    yield {name: _of_fits(piece, name) for name in names}
        else:
            table = Table.read(path, format=kind)
            for name in names:
                # Astropy's strings of VOTables have masks of their own.
                if table[name].dtype.kind in "SU":
                    table[name] = table[name].astype(object)
            yield {
                name: _marked(
                    np.asarray(table[name]), np.ma.getmaskarray(np.ma.asarray(table[name]))
                )
                for name in names
            }


def _has_ecsv_header(path: Path) -> bool:
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rb") as stream:
        return bytes(stream.read(len(_ECSV))) == _ECSV


def _as_described(path: Path, names: list[str]) -> TableSchema:
    """Contract of some columns as the header of an ECSV file describes them."""
    header = served_columns(path)
    there = {column.name: column for column in header.columns}
    columns = []
    for name in names:
        dtype = dtype_of(there[name].dtype)
        if dtype not in get_args(DType):
            raise InputError(
                "the type of a column is not known",
                file=path,
                item=name,
                found=there[name].dtype,
                expected=", ".join(get_args(DType)),
                remedy="write the file again with the column in one of these types",
            )
        length = header.lengths.get(name, 1)
        kind, unit = cast("DType", dtype), there[name].unit or ""
        columns.append(Column(name, kind, unit, "", "", nullable=True, length=length))
    return TableSchema(path.name, "", tuple(columns), key="")


def _batch_rows(row_bytes: float) -> int:
    return max(1, min(BATCH_ROWS, int(_BATCH_BYTES / max(row_bytes, 1))))


def _rows_of_parquet(file: pq.ParquetFile, names: list[str]) -> int:
    metadata = file.metadata
    size = 0
    for group in range(metadata.num_row_groups):
        row_group = metadata.row_group(group)
        chunks = (row_group.column(i) for i in range(row_group.num_columns))
        size += sum(
            chunk.total_uncompressed_size
            for chunk in chunks
            if chunk.path_in_schema.partition(".")[0] in names
        )
    return _batch_rows(size / max(metadata.num_rows, 1))


def _of_fits(rows: fits.FITS_rec, name: str) -> NDArray[Any]:
    """Column in the machine's byte order, which FITS does not use."""
    column = rows.columns[name]
    if column.format.endswith("L"):
        # A byte of zero is neither true nor false (FITS standard 4.0, section 7.3.3.1).
        letters = rows.view(np.ndarray)[name]
        return _marked(letters == ord("T"), letters == 0)
    values = rows[name]
    values = values.astype(values.dtype.newbyteorder("="))
    if values.dtype.kind in "iu" and column.null is not None:
        return _marked(values, values == int(column.null) + int(column.bzero or 0))
    return values


def _marked(values: NDArray[Any], missing: NDArray[np.bool_]) -> NDArray[Any]:
    """Values of which some are missing, as said of `Columns`."""
    if not missing.any():
        return values
    if values.dtype.kind == "O":
        out = values.copy()
        out[missing] = None
        return out
    if values.dtype.kind == "f":
        return np.where(missing, values.dtype.type(np.nan), values)
    if values.dtype.kind in "iu" and values.dtype.itemsize < 8:
        return np.where(missing, np.nan, values.astype(np.float64))
    return np.ma.array(values, mask=missing)


class broken_files_explained:  # noqa: N801 - reads as a statement
    """Turn the many errors of the readers into one that says what to do."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        if not self._path.exists():
            raise InputError(
                "an input table is missing",
                file=self._path,
                remedy="check `data_dir` and the release's `source.paths`",
            )

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Exception) and not isinstance(error, MwatlasError):
            with self._path.open("rb") as stream:
                start = stream.read(24)
            raise InputError(
                f"a table cannot be read as {file_format(self._path)}",
                file=self._path,
                found=f"{self._path.stat().st_size} bytes starting with {start!r} ({error})",
                expected=f"a complete {file_format(self._path)} file",
                remedy="the file is truncated, of another format, or a value does not fit its "
                "column: fetch or make it again",
            ) from error
