"""The `hats` route: a catalogue in HATS layout, by URL or path, becomes Parquet pieces."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa
import pyarrow.compute as pc
from hats import read_hats
from hats.catalog import Dataset
from hats.io.file_io import get_upath, read_parquet_dataset
from hats.io.paths import pixel_catalog_file
from hats.pixel_math import HealpixPixel
from upath import UPath

from mwatlas.archive.bulk import Wanted
from mwatlas.archive.convert import subset, write_piece
from mwatlas.archive.cuts import cut_columns, expression
from mwatlas.archive.drift import Served, arrow_type_name, compare_columns
from mwatlas.archive.lanes import in_lanes
from mwatlas.archive.manifest import Manifest
from mwatlas.errors import ArchiveError
from mwatlas.progress import Progress
from mwatlas.tables.metadata import arrow_schema
from mwatlas.tables.table import TableSchema

_BATCH_ROWS = 1 << 17


def fetch_hats(
    address: str,
    wanted: Wanted,
    manifest: Manifest,
    *,
    progress: Progress,
    workers: int = 1,
    user_agent: str = "",
) -> None:
    """Fetch a catalogue, a piece for each of its pixels.

    Only wanted columns travel, and of those only the row groups that may pass the cuts.

    Parameters
    ----------
    address
        Folder of the catalogue, or of a collection of catalogues whose main one is meant.
    wanted
        What to keep.
    manifest
        Where pieces are listed. It is not said to be complete: that is for the caller to say.
    progress
        Where to report rows done.
    workers
        Pixels at a time.
    user_agent
        Who asks, where the catalogue is on the web.

    Raises
    ------
    ArchiveError
        If there is no catalogue, a column is missing or of another type, a pixel cannot be read,
        or the pixels have not as many rows as the catalogue says.
    OSError
        If a piece cannot be written.
    """
    with _explained(address, "the catalogue"):
        catalogue = read_hats(_place(address, user_agent))
        # Of a collection, the catalogue that it is about.
        catalogue = getattr(catalogue, "main_catalog", catalogue)
        info, pixels = catalogue.catalog_info, catalogue.get_healpix_pixels()
    names = list(dict.fromkeys([*wanted.columns, *cut_columns(wanted.cuts)]))
    table = subset(wanted.schema, names)
    kept = subset(wanted.schema, wanted.columns)

    def work(pixel: HealpixPixel) -> int:
        dataset = _open(catalogue, pixel, address, table)
        with _explained(address, _part(pixel)):
            rows = int(dataset.count_rows())
        batches = _batches(dataset, table, wanted, address, pixel)
        # Once more: the catalogue's NaN passed some of the cuts, which a missing value does not.
        write_piece(batches, kept, wanted.cuts, manifest.folder / _piece(pixel))
        return rows

    todo = [pixel for pixel in pixels if not manifest.has(_piece(pixel))]
    with progress.task("catalogue", info.total_rows or 0, "rows") as advance:
        advance(_rows_read(manifest), "there already")
        for pixel, rows in in_lanes(todo, work, workers):
            manifest.add(
                _piece(pixel), address, order=pixel.order, pixel=pixel.pixel, rows_read=rows
            )
            advance(rows)
    found = _rows_read(manifest)
    if info.total_rows is not None and found != info.total_rows:
        raise ArchiveError(
            "a catalogue has not as many rows as it says",
            file=address,
            item=f"{len(pixels)} pixels",
            found=f"{found:,} rows",
            expected=f"{info.total_rows:,} rows (hats_nrows in its properties)",
            remedy="the mirror is incomplete, or was changed while it was read: take another one",
        )


def served_by_hats(address: str) -> list[Served]:
    """Columns of a catalogue, from its own description of them; it names no units.

    Raises
    ------
    ArchiveError
        If there is no catalogue.
    """
    with _explained(address, "the catalogue"):
        catalogue = read_hats(address)
        catalogue = getattr(catalogue, "main_catalog", catalogue)
        schema = catalogue.schema
    if schema is None:
        raise ArchiveError(
            "a HATS catalogue does not describe its columns",
            file=address,
            expected="dataset/_common_metadata",
            remedy="take another mirror",
        )
    return [Served(field.name, arrow_type_name(field.type)) for field in schema]


def _place(address: str, user_agent: str) -> UPath:
    on_web = address.startswith(("http://", "https://"))
    headers = {"client_kwargs": {"headers": {"User-Agent": user_agent}}}
    return get_upath(address, **(headers if on_web and user_agent else {}))


def _open(
    catalogue: Dataset, pixel: HealpixPixel, address: str, table: TableSchema
) -> pa.dataset.Dataset:
    """A pixel's rows, not read yet, with the columns of the contract."""
    path = pixel_catalog_file(
        catalogue.catalog_base_dir, pixel, npix_suffix=catalogue.catalog_info.npix_suffix
    )
    with _explained(address, _part(pixel)):
        # Folders such as Norder=5 are for finding files, no columns.
        _, dataset = read_parquet_dataset(path, partitioning=None)
    served = [Served(field.name, arrow_type_name(field.type)) for field in dataset.schema]
    differences = [d for d in compare_columns(table.columns, served) if d.fatal]
    if differences:
        raise ArchiveError(
            f"the catalogue has {len(differences)} column(s) that are not as expected",
            file=address,
            item=_part(pixel),
            found="; ".join(map(str, differences)),
            expected="the columns and types of the release adapter",
            remedy="correct the release adapter, or take another catalogue; nothing of this pixel "
            "was kept",
        )
    return dataset


def _batches(
    dataset: pa.dataset.Dataset,
    table: TableSchema,
    wanted: Wanted,
    address: str,
    pixel: HealpixPixel,
) -> Iterator[pa.RecordBatch]:
    schema = arrow_schema(table)
    with _explained(address, _part(pixel)):
        batches = iter(
            dataset.scanner(
                columns=schema.names,
                filter=expression(wanted.cuts),
                batch_size=_BATCH_ROWS,
                batch_readahead=2,
            ).to_batches()
        )
    while True:
        with _explained(address, _part(pixel)):
            batch = next(batches, None)
            if batch is None:
                return
            rows = [_values(batch.column(field.name), field.type) for field in schema]
            _check_complete(rows, table)
        yield pa.RecordBatch.from_arrays(rows, schema=schema)


def _values(values: pa.Array, kind: pa.DataType) -> pa.Array:
    """Values in a type; NaN is missing, as by every other route."""
    if not pa.types.is_floating(kind):
        return values.cast(kind)
    values = values.cast(kind, safe=False)
    return pc.if_else(pc.is_nan(values), pa.scalar(None, kind), values)


def _check_complete(rows: list[pa.Array], table: TableSchema) -> None:
    for column, values in zip(table.columns, rows, strict=True):
        if values.null_count and not column.nullable:
            raise ValueError(f"{values.null_count} missing value(s) in {column.name}")


def _part(pixel: HealpixPixel) -> str:
    return f"Norder={pixel.order}, Npix={pixel.pixel}"


def _piece(pixel: HealpixPixel) -> str:
    return f"Norder{pixel.order}_Npix{pixel.pixel:09d}.parquet"


def _rows_read(manifest: Manifest) -> int:
    return sum(int(piece.detail["rows_read"]) for piece in manifest.pieces)


@contextmanager
def _explained(address: str, part: str) -> Iterator[None]:
    """Turn what the readers raise on a missing or broken file into one error."""
    try:
        yield
    except ArchiveError:
        raise
    except Exception as error:
        raise ArchiveError(
            "a HATS catalogue cannot be read",
            file=address,
            item=part,
            found=f"{type(error).__name__}: {error}",
            expected="a folder with hats.properties and dataset/Norder=*/Dir=*/Npix=*.parquet",
            remedy="check the address and the connection; finished pieces are kept",
        ) from error
