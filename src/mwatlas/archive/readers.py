"""Reading users' files piece by piece: Parquet, FITS, CSV, ECSV and VOTable."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
from astropy.io import fits
from astropy.table import Table
from numpy.typing import NDArray

from mwatlas.errors import InputError
from mwatlas.tables.parquet import from_arrow, open_parquet
from mwatlas.tables.table import Columns

BATCH_ROWS = 500_000

_FORMATS = {
    ".parquet": "parquet",
    ".fits": "fits",
    ".fit": "fits",
    ".csv": "csv",
    ".ecsv": "ascii.ecsv",
    ".vot": "votable",
    ".xml": "votable",
}


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
        if kind == "csv":
            with pa.csv.open_csv(path) as reader:
                return list(reader.schema.names)
        return list(Table.read(path, format=kind).colnames)


def read_batches(path: Path, columns: Iterable[str]) -> Iterator[Columns]:
    """Yield pieces of the named columns, missing values as NaN.

    Parquet, CSV and FITS are streamed; ECSV and VOTable are read whole.

    Raises
    ------
    InputError
        If the file is absent, truncated or not what its suffix says.
    """
    kind, names = file_format(path), list(dict.fromkeys(columns))
    if kind == "parquet":
        for batch in open_parquet(path).iter_batches(BATCH_ROWS, columns=names):
            yield from_arrow(pa.Table.from_batches([batch]))
        return
    with broken_files_explained(path):
        if kind == "csv":
            options = pa.csv.ConvertOptions(
                include_columns=names, null_values=["", "null", "NaN", "nan", "--"]
            )
            with pa.csv.open_csv(path, convert_options=options) as reader:
                for batch in reader:
                    yield from_arrow(pa.Table.from_batches([batch]))
        elif kind == "fits":
            with fits.open(path, memmap=True) as hdus:
                rows = hdus[1].data
                for start in range(0, len(rows), BATCH_ROWS):
                    piece = rows[start : start + BATCH_ROWS]
                    yield {name: _native(piece[name]) for name in names}
        else:
            table = Table.read(path, format=kind)
            yield {name: _filled(table[name]) for name in names}


def _native(values: NDArray[Any]) -> NDArray[Any]:
    """Copy in the machine's byte order, which FITS does not use."""
    return values.astype(values.dtype.newbyteorder("="))


def _filled(column: Any) -> NDArray[Any]:
    if np.ma.is_masked(column):
        return np.ma.filled(np.ma.asarray(column).astype(float), np.nan)
    return np.asarray(column)


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
        if isinstance(error, Exception) and not isinstance(error, InputError):
            with self._path.open("rb") as stream:
                start = stream.read(24)
            raise InputError(
                f"a table cannot be read as {file_format(self._path)}",
                file=self._path,
                found=f"{self._path.stat().st_size} bytes starting with {start!r} ({error})",
                expected=f"a complete {file_format(self._path)} file",
                remedy="the file is truncated or of another format: fetch or make it again",
            ) from error
