"""What files say of their columns; only checks need it, and the ECSV reader is slow to load."""

from __future__ import annotations

from pathlib import Path

from astropy.io import fits
from astropy.table import Table

from mwatlas.archive.drift import Served, arrow_type_name
from mwatlas.archive.ecsv import served_columns
from mwatlas.archive.readers import broken_files_explained, file_format
from mwatlas.tables.parquet import open_parquet


def described_columns(path: Path) -> list[Served]:
    """Columns of a file with the types and units it names, without reading its rows.

    Raises
    ------
    InputError
        If the file is absent or not what its suffix says.
    """
    kind = file_format(path)
    if kind in ("csv", "ascii.ecsv"):
        return list(served_columns(path).columns)
    with broken_files_explained(path):
        if kind == "fits":
            with fits.open(path) as hdus:
                return [
                    Served(c.name, c.dtype.base.newbyteorder("=").name, c.unit)
                    for c in hdus[1].columns
                ]
        if kind == "parquet":
            fields = open_parquet(path).schema_arrow
            return [Served(field.name, arrow_type_name(field.type)) for field in fields]
        table = Table.read(path, format=kind)
    return [Served(c.name, c.dtype.name, str(c.unit or "")) for c in table.itercols()]
