"""What files say of their columns, and the check that their units are those expected."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from xml.etree import ElementTree

import pyarrow as pa
from astropy.io import fits
from astropy.table import Table
from astropy.table.meta import get_header_from_yaml

from mwatlas.archive.drift import Served, arrow_type_name, compare_columns
from mwatlas.archive.ecsv import served_columns
from mwatlas.archive.readers import broken_files_explained, file_format
from mwatlas.archive.request import archive_table
from mwatlas.config.column_map import ColumnMap
from mwatlas.errors import InputError
from mwatlas.tables.parquet import open_parquet


def described_columns(path: Path) -> list[Served]:
    """Columns of a file with the types and units it names, without reading its rows.

    Raises
    ------
    ArchiveError, InputError
        If the file is absent or not what its suffix says.
    """
    kind = file_format(path)
    if kind == "csv":
        return [_as_said(c.name, c.dtype, c.unit) for c in served_columns(path).columns]
    with broken_files_explained(path):
        if kind == "ascii.ecsv":
            return [_as_said(c["name"], c["datatype"], c.get("unit")) for c in _ecsv_header(path)]
        if kind == "fits":
            with fits.open(path) as hdus:
                return [
                    _as_said(c.name, c.dtype.base.newbyteorder("=").name, c.unit)
                    for c in hdus[1].columns
                ]
        if kind == "parquet":
            schema = open_parquet(path).schema_arrow
            units = _parquet_units(schema)
            return [
                _as_said(field.name, arrow_type_name(field.type), units.get(field.name))
                for field in schema
            ]
        table = Table.read(path, format=kind)
    return [_as_said(c.name, c.dtype.name, c.unit) for c in table.itercols()]


def _as_said(name: str, dtype: str, unit: object) -> Served:
    """A column of a user's file, which may leave out a unit that its values have."""
    return Served(name, dtype, str(unit or "") or None)


def _ecsv_header(path: Path) -> list[dict[str, str]]:
    """Entries of the columns in the header of an ECSV file of any delimiter."""
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8") as text:
        lines = [line[1:].strip("\n").removeprefix(" ") for line in _comments(text)]
    entries: list[dict[str, str]] = get_header_from_yaml(lines[1:])["datatype"]
    return entries


def _comments(text: Iterator[str]) -> Iterator[str]:
    return takewhile(lambda line: line.startswith("#"), text)


def _parquet_units(schema: pa.Schema) -> dict[str, str | None]:
    """Units by column in either convention of `mwatlas.tables.metadata`; none without them."""
    metadata = schema.metadata or {}
    if b"IVOA.VOTable-Parquet.content" in metadata:
        root = ElementTree.fromstring(metadata[b"IVOA.VOTable-Parquet.content"])
        fields = root.iterfind(".//{*}FIELD")
        return {field.get("name", ""): field.get("unit") for field in fields}
    if b"table_meta_yaml" in metadata:
        header = get_header_from_yaml(metadata[b"table_meta_yaml"].decode().split("\n"))
        return {entry["name"]: entry.get("unit") for entry in header["datatype"]}
    return {}


def check_units(source: ColumnMap, path: Path, section: str = "source") -> None:
    """Make sure that the units a file declares are those its columns are taken to have.

    A unit that the release adapter names is believed, and so is a file that declares none.

    Parameters
    ----------
    source
        The mapping.
    path
        The file.
    section
        Where the mapping stands in the release adapter.

    Raises
    ------
    InputError
        Naming each column, the unit the file declares and the one expected.
    """
    named = {source.columns.get(name, name) for name in source.units}
    expected = [c for c in archive_table(source).columns if c.name not in named]
    wrong = [d for d in compare_columns(expected, described_columns(path)) if d.what == "unit"]
    if not wrong:
        return
    ours = {theirs: name for name, theirs in source.columns.items()}
    example = f"{ours.get(wrong[0].column, wrong[0].column)}: {wrong[0].found}"
    raise InputError(
        f"a file declares another unit than expected of {len(wrong)} column(s)",
        file=path,
        item=", ".join(d.column for d in wrong),
        found=", ".join(f"{d.column} in {d.found}" for d in wrong),
        expected=", ".join(f"{d.column} in {d.expected}" for d in wrong),
        remedy=f"name the unit of the values under {section}.units of the release adapter "
        f"({{{example}}}), and they are converted; or the right unit, if the file is wrong",
    )
