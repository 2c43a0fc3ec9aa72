"""Real spectra as rows of text, and a DataLink service that answers with them."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from astropy.table import MaskedColumn, Table

from mwatlas.tables.xp import XP_CONTINUOUS_MEAN_SPECTRUM as XP
from tests.faulty_answers import Reply
from tests.faulty_server import Exchange

Rows = dict[int, dict[str, str]]
"""Cells of a row as the archive writes them, by source."""


def archive_rows(folder: Path) -> Rows:
    """All spectra of the fixtures, one of them without BP."""
    folder = folder / "xp_continuous"
    csv.field_size_limit(1 << 24)
    with (folder / "XP_CONTINUOUS_RAW_with_missing_BP.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    table = pq.read_table(folder / "xp_continuous_mean_spectrum_30.parquet").to_pylist()
    rows += [{name: str(value) for name, value in row.items()} for row in table]
    return {int(row["source_id"]): row for row in rows}


def numbers(cell: str, length: int) -> np.ndarray:
    """Values of a cell, read by other means than the package's."""
    if not cell:
        return np.full(length, np.nan)
    return np.array(cell.strip("()").split(","), dtype=float)


def assert_same(table: pa.Table, rows: Rows) -> None:
    """Hold a table to the archive's text, value by value."""
    ids = table["source_id"].to_pylist()
    assert ids == sorted(rows)
    for column in XP.columns:
        expected = np.stack([numbers(rows[i][column.name], column.length) for i in ids])
        kind = np.dtype(column.dtype)
        values = table[column.name].combine_chunks()
        if column.length > 1:
            found = values.flatten().to_numpy().reshape(-1, column.length)
            assert found.dtype == kind
        else:
            assert values.type.to_pandas_dtype() == kind
            if kind.kind == "i":
                # Whole numbers are compared as such: a float would round identifiers.
                whole = [int(rows[i][column.name]) if rows[i][column.name] else None for i in ids]
                assert values.to_pylist() == whole
                continue
            found = np.array(values.to_pylist(), dtype=float)[:, None]
        # The text holds all digits that a number of the column's type has.
        np.testing.assert_array_equal(found.astype(kind), expected.astype(kind))


def csv_text(rows: Iterable[dict[str, str]]) -> bytes:
    """A table as the service writes it."""
    out = io.StringIO()
    writer = csv.DictWriter(out, XP.names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def as_table(rows: Iterable[dict[str, str]]) -> Table:
    """A table of astropy's with arrays in cells."""
    rows = list(rows)
    out = Table()
    for column in XP.columns:
        cells = [numbers(row[column.name], column.length) for row in rows]
        values = np.array(cells).reshape(-1, column.length)
        if column.dtype == "int64":
            values = np.array([[int(row[column.name])] for row in rows])
        missing = np.isnan(values)
        filled = np.where(missing, 0, values).astype(column.dtype)
        if column.length == 1:
            filled, missing = filled[:, 0], missing[:, 0]
        unit = column.unit or None
        out[column.name] = MaskedColumn(filled, mask=missing, unit=unit)
    return out


def votable(rows: Iterable[dict[str, str]]) -> bytes:
    """A table as VOTable, which has no type as short as int8."""
    out, table = io.BytesIO(), as_table(rows)
    for prism in ("bp", "rp"):
        table[f"{prism}_n_parameters"] = table[f"{prism}_n_parameters"].astype("int16")
    table.write(out, format="votable", tabledata_format="binary2")
    return out.getvalue()


def zipped(**files: bytes) -> bytes:
    """A zip file; underscores in names stand for dots."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name.replace("_", "."), data)
    return out.getvalue()


class Service:
    """Answers calls with the rows of the sources asked for.

    Parameters
    ----------
    rows
        What it has.
    pack
        How it sends them.
    """

    def __init__(
        self,
        rows: Rows,
        pack: Callable[[list[dict[str, str]]], bytes] = lambda rows: zipped(raw_csv=csv_text(rows)),
    ) -> None:
        self.rows, self.pack = rows, pack

    def body(self, exchange: Exchange, **changes: Any) -> bytes:
        """The right answer to a call, but for rows that are replaced, or left out with None."""
        asked = [int(i) for i in exchange.request_made.form["ID"].split(",")]
        rows = {i: self.rows[i] for i in asked if i in self.rows}
        rows |= {int(i.removeprefix("s")): row for i, row in changes.items()}
        return self.pack([row for row in rows.values() if row is not None])

    def __call__(self, exchange: Exchange) -> None:
        Reply(200, self.body(exchange))(exchange)
