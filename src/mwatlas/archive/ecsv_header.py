"""The header of an archive's ECSV file: what its columns are, before any row is read."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import yaml

from mwatlas.archive.drift import Served, compare_columns
from mwatlas.errors import ArchiveError
from mwatlas.tables.table import TableSchema

_COMMENT = b"#"
# Delimiter of a header that names none (APE 6), and the only one the archives write.
_DEFAULT_DELIMITER, _DELIMITER = " ", ","


@dataclass(frozen=True)
class EcsvHeader:
    """Columns of a file in their order.

    Parameters
    ----------
    columns
        Names, and types and units where the file describes them; plain CSV does not.
    lengths
        Number of values in a cell by column, for columns of arrays of one known length.
    """

    columns: tuple[Served, ...]
    lengths: dict[str, int]

    @property
    def names(self) -> list[str]:
        """Names of the columns."""
        return [column.name for column in self.columns]


def read_header(text: BinaryIO, path: Path) -> EcsvHeader:
    """Read the header of an ECSV file, or the names of a CSV file; rows come next.

    Parameters
    ----------
    text
        The file's text from its start.
    path
        The file, to name in an error.

    Raises
    ------
    ArchiveError
        If the file is empty, or its header is not that of a table with commas.
    """
    comments = []
    line = text.readline()
    while line.startswith(_COMMENT):
        comments.append(line[1:].decode().removeprefix(" ").rstrip())
        line = text.readline()
    if not line.strip():
        raise _broken(path, "no line with the names of the columns", "the file is empty")
    try:
        names = next(csv.reader([line.decode("utf-8", "replace").rstrip("\r\n")]))
    except csv.Error as error:
        raise _broken(path, f"{line[:60]!r} ({error})", "the columns have no names") from error
    if line.lstrip().startswith(b"<") or len(set(names)) != len(names):
        raise _broken(path, f"{line[:60]!r}", "the columns have no names")
    if not comments or not comments[0].startswith("%ECSV"):
        return EcsvHeader(tuple(Served(name) for name in names), {})
    return _described(names, comments[1:], path)


def _described(names: list[str], comments: list[str], path: Path) -> EcsvHeader:
    try:
        # Compiled, since a header of the Gaia archive has a thousand lines.
        described = yaml.load("\n".join(comments), Loader=yaml.CSafeLoader)
        delimiter = described.get("delimiter", _DEFAULT_DELIMITER)
        columns = [_column(entry) for entry in described["datatype"]]
    except (yaml.YAMLError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise _broken(path, repr(error), "the header cannot be read") from error
    if delimiter != _DELIMITER:
        raise _broken(
            path, f"fields separated by {delimiter!r}", "fields are not set off by commas"
        )
    if [column.name for column, _ in columns] != names:
        odd = set(names) ^ {column.name for column, _ in columns}
        raise _broken(
            path,
            f"only one has {', '.join(sorted(odd))}" if odd else "another order",
            "the header describes other columns than the line of names has",
        )
    lengths = {column.name: length for column, length in columns if length is not None}
    return EcsvHeader(tuple(column for column, _ in columns), lengths)


def _column(entry: dict[str, Any]) -> tuple[Served, int | None]:
    """Column of an entry of the header; its length is ``None`` where it is not fixed."""
    name, dtype, length = entry["name"], entry["datatype"], None
    if not (isinstance(name, str) and isinstance(dtype, str)):
        # Words such as yes and null mean something else in YAML unless they are quoted.
        raise TypeError(f"a column called {name!r}, of type {dtype!r}")
    # A cell of an array is a string by type; what it holds is the subtype, as "float64[55]".
    subtype, bracket, shape = entry.get("subtype", "").partition("[")
    if bracket:
        dtype = subtype
        sizes = json.loads(bracket + shape)
        length = sizes[0] if len(sizes) == 1 else None
    return Served(name, dtype, str(entry.get("unit") or "")), length


def check_header(header: EcsvHeader, table: TableSchema, path: Path) -> None:
    """Make sure that a file has the columns of a contract, in its types and units.

    Raises
    ------
    ArchiveError
        Naming each column that is missing, or of another unit, length, or narrower type.
    """
    differences = [d for d in compare_columns(table.columns, header.columns) if d.fatal]
    lines = [str(difference) for difference in differences]
    lines += [
        f"{c.name}: length; found {header.lengths[c.name]}, expected {c.length}"
        for c in table.columns
        if header.lengths.get(c.name, c.length) != c.length and c.length != 0
    ]
    if lines:
        raise ArchiveError(
            f"the archive's file has {len(lines)} column(s) that are not as expected",
            file=path,
            item=table.name,
            found="; ".join(lines),
            expected="the columns, types and units of the release adapter",
            remedy="the archive changed its tables: correct the release adapter; nothing of this "
            "file was kept",
        )


def _broken(path: Path, found: str, problem: str) -> ArchiveError:
    return ArchiveError(
        f"an archive's file is no table: {problem}",
        file=path,
        found=found,
        expected="comma-separated values, with an ECSV header or the names of the columns first",
        remedy="fetch the file again; if it stays like this, the archive serves a broken file",
    )
