"""Export of published catalogues to FITS, in a stream."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from astropy.io import fits
from astropy.table import Table
from numpy.typing import NDArray

from mwatlas.errors import InputError
from mwatlas.files import atomic_path
from mwatlas.tables.parquet import from_arrow

# FITS has no signed byte: the next larger integer holds it.
_FORMATS = {
    "int8": ("I", ">i2"),
    "int16": ("I", ">i2"),
    "int32": ("J", ">i4"),
    "int64": ("K", ">i8"),
    "float32": ("E", ">f4"),
    "float64": ("D", ">f8"),
}
_BLOCK = 2880


def export_fits(catalogue: Path, output: Path) -> int:
    """Write a HATS catalogue as one FITS binary table.

    Columns keep names, units, UCDs and descriptions; missing values become NaN. Rows are
    copied file by file, so memory does not grow with the catalogue.

    Parameters
    ----------
    catalogue
        Folder of the catalogue.
    output
        FITS file to write.

    Returns
    -------
    int
        Number of rows.

    Raises
    ------
    InputError
        If the folder holds no catalogue, a column cannot be kept in FITS, or the file exists or
        is not called ``.fits``.
    """
    if output.suffix != ".fits" or output.exists() or not output.parent.is_dir():
        raise InputError(
            "a catalogue cannot be exported to this file",
            file=output,
            found="a file of that name"
            if output.exists()
            else f"ending {output.suffix!r} in folder {output.parent}",
            expected="a new file ending in .fits, in a folder that exists",
            remedy="choose another name, or remove the file first",
        )
    paths = sorted(
        (catalogue / "dataset").glob("Norder=*/Dir=*/Npix=*.parquet"),
        key=lambda path: int(path.stem.removeprefix("Npix=")),
    )
    if not paths:
        raise InputError(
            "there is no catalogue to export",
            file=catalogue,
            found="no dataset/Norder=*/Dir=*/Npix=*.parquet",
            expected="the folder of a catalogue of this workflow, with at least one star",
            remedy="name a folder of results/<release>/line_of_sight/catalogs",
        )
    rows = sum(pq.read_metadata(path).num_rows for path in paths)
    layout, header = _layout(Table.read(paths[0]), catalogue)
    header["NAXIS2"] = rows
    with atomic_path(output) as partial, partial.open("wb") as stream:
        stream.write(fits.PrimaryHDU().header.tostring().encode("ascii"))
        stream.write(header.tostring().encode("ascii"))
        for path in paths:
            stream.write(_rows(path, layout).tobytes())
        stream.write(b"\0" * (-rows * layout.itemsize % _BLOCK))
    return rows


def _layout(example: Table, catalogue: Path) -> tuple[np.dtype, fits.Header]:
    """Row of the binary table and its header."""
    columns, fields = [], []
    for name in example.colnames:
        column = example[name]
        if column.dtype.name not in _FORMATS:
            raise InputError(
                "a column cannot be written to FITS",
                file=catalogue,
                item=name,
                found=f"values of type {column.dtype.name}",
                expected=f"one of {', '.join(_FORMATS)}",
                remedy="read the Parquet files instead",
            )
        code, kind = _FORMATS[column.dtype.name]
        length = column.shape[1] if column.ndim > 1 else 1
        unit = column.unit.to_string("fits") if column.unit is not None else None
        columns.append(fits.Column(name, f"{length if length > 1 else ''}{code}", unit))
        fields.append((name, kind, (length,)) if length > 1 else (name, kind))
    header = fits.BinTableHDU.from_columns(columns, nrows=0).header
    header["EXTNAME"] = catalogue.name.upper()
    for number, name in enumerate(example.colnames, 1):
        header[f"TUCD{number}"] = example[name].meta.get("ucd", "")
        header[f"TCOMM{number}"] = example[name].description or ""
    return np.dtype(fields), header


def _rows(path: Path, layout: np.dtype) -> NDArray[np.void]:
    data = from_arrow(pq.read_table(path))
    out = np.empty(len(next(iter(data.values()))), dtype=layout)
    for name in layout.names or ():
        out[name] = data[name]
    return out
