"""Published catalogues in HATS layout: one Parquet file per HEALPix cell.

HATS is what LSDB and the archives' HEALPix tools read (IVOA Note "HATS", 2025). The files of
a catalogue do not depend on how the workflow was partitioned.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

import pyarrow.parquet as pq
from hats.catalog import PartitionInfo, TableProperties
from hats.io import write_parquet_metadata
from hats.pixel_math import HealpixPixel

from mwatlas.tables.metadata import arrow_schema
from mwatlas.tables.parquet import to_arrow
from mwatlas.tables.table import Columns, TableSchema


def write_hats(
    path: Path, table: TableSchema, cells: Iterable[tuple[int, Columns]], order: int
) -> int:
    """Write a catalogue; the folder appears only when it is complete.

    Parameters
    ----------
    path
        Folder to write; an existing one is replaced.
    table
        Contract of the rows, with columns ``ra`` and ``dec``.
    cells
        Cells in ascending order with their rows; empty ones are left out.
    order
        HEALPix order of the cells.

    Returns
    -------
    int
        Number of rows.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}-") as scratch:
        folder = Path(scratch) / path.name
        rows, pixels = 0, []
        for cell, data in cells:
            checked = table.conform(data, str(path))
            number = len(checked["ra"])
            if not number:
                continue
            target = folder / "dataset" / f"Norder={order}" / f"Dir={cell // 10_000 * 10_000}"
            target.mkdir(parents=True, exist_ok=True)
            pq.write_table(
                to_arrow(table, checked),
                target / f"Npix={cell}.parquet",
                compression="zstd",
                version="2.6",
            )
            pixels.append(HealpixPixel(order, cell))
            rows += number
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "dataset").mkdir(exist_ok=True)
        PartitionInfo.from_healpix(pixels).write_to_file(folder / "partition_info.csv")
        TableProperties(
            catalog_name=path.name,
            catalog_type="object",
            total_rows=rows,
            ra_column="ra",
            dec_column="dec",
        ).to_properties_file(folder)
        if pixels:
            write_parquet_metadata(folder)
        else:
            pq.write_metadata(arrow_schema(table), folder / "dataset" / "_common_metadata")
        if path.exists():
            shutil.rmtree(path)
        folder.rename(path)
    return rows
