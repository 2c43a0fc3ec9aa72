"""Files as the Gaia archive writes them, of real or random rows."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import MaskedColumn, Table

from mwatlas.tables.column import Column
from mwatlas.tables.table import TableSchema

STARS = TableSchema(
    "stars",
    "Rows of every type",
    (
        Column("source_id", "int64", "", "meta.id", "Identifier"),
        Column("ra", "float64", "deg", "pos.eq.ra", "Right ascension"),
        Column("parallax", "float64", "mas", "pos.parallax", "Parallax", nullable=True),
        Column("parallax_error", "float32", "mas", "stat.error", "Its error", nullable=True),
        Column("n_obs", "int16", "", "meta.number", "Observations"),
        Column("method", "int8", "", "meta.code", "Method", nullable=True),
        Column("has_xp", "bool", "", "meta.code", "Whether there is a spectrum"),
        Column("library", "string", "", "meta.id", "Library", nullable=True),
        Column("flux", "float32", "electron / s", "phot.flux", "Flux", nullable=True, length=3),
    ),
)
CSV_NAMES = ["solution_id", *STARS.names, "designation"]


def random_rows(number: int, seed: int = 0, first: int = 1 << 60) -> Table:
    """Rows of :data:`STARS` and of two columns nobody wants, some values missing."""
    rng = np.random.default_rng(seed)

    def gaps(values: Any, share: float = 0.3) -> MaskedColumn:
        return MaskedColumn(values, mask=rng.random(number) < share)

    table = Table()
    table["solution_id"] = np.full(number, 1636148068921376768)
    table["source_id"] = first + np.arange(number) * 7
    table["ra"] = rng.uniform(0, 360, number)
    table["parallax"] = gaps(rng.normal(1, 1, number))
    table["parallax_error"] = gaps(rng.uniform(0.01, 0.5, number).astype("f4"))
    table["n_obs"] = rng.integers(0, 32767, number).astype("i2")
    table["method"] = gaps(rng.integers(-128, 127, number).astype("i1"))
    table["has_xp"] = rng.random(number) < 0.5
    table["library"] = gaps(rng.choice(["MARCS", "OB, hot", 'say "A"'], number).astype("U8"))
    table["flux"] = rng.normal(0, 10, (number, 3)).astype("f4")
    table["designation"] = [f"Gaia DR3 {i}" for i in table["source_id"]]
    for column in STARS.columns:
        table[column.name].unit = column.unit or None
    return table


def archive_text(table: Table, folder: Path) -> str:
    """Text of astropy's ECSV with the archive's marker of missing values and quoted texts."""
    path = folder / "astropy.ecsv"
    table.write(path, format="ascii.ecsv", delimiter=",", overwrite=True, fast_writer=False)
    head = [line for line in path.read_text().splitlines() if line.startswith("#")]
    lines = [",".join(table.colnames)]
    lines += [",".join(map(_cell, row)) for row in table.iterrows()]
    return "\n".join([*head, *lines]) + "\n"


def _cell(value: Any) -> str:
    if value is np.ma.masked:
        return "null"
    if np.ndim(value):
        return '"[' + ",".join(str(v) for v in value) + ']"'
    if isinstance(value, str | np.bool_):
        return '"' + str(value).replace('"', '""') + '"'
    return str(value)


def write_gzip(path: Path, text: str) -> Path:
    """Write text as gzip, the same bytes each time."""
    path.write_bytes(gzip.compress(text.encode(), mtime=0))
    return path


def md5(path: Path) -> str:
    """MD5 of a file."""
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
