"""Clean catalogues: raw archive rows become stars under standard names."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from mwatlas.astrometry.zero_point import parallax_zero_point
from mwatlas.config.release import ReleaseAdapter
from mwatlas.errors import InputError
from mwatlas.files import write_json
from mwatlas.progress import Progress
from mwatlas.tables.parquet import cell_writer, number_of_rows, read_cells
from mwatlas.tables.schemas import STARS, ZERO_POINT_INPUTS
from mwatlas.tables.table import Columns, TableSchema

log = logging.getLogger("mwatlas")


def stars_schema(adapter: ReleaseAdapter) -> TableSchema:
    """Table `stars` of a release: the standard columns it has."""
    return STARS.without(adapter.absent_standard())


def clean_stars(
    raw: Path, adapter: ReleaseAdapter, stars: Path, counts: Path, progress: Progress
) -> None:
    """Correct parallaxes and give the columns their standard names.

    Stars without five-parameter astrometry are left out, and so are those without a zero point
    where the release asks for one: the recipe does not cover all. Both are counted.

    Parameters
    ----------
    raw
        Partition of the raw Gaia table.
    adapter
        The release.
    stars, counts
        Partition to write, and its row counts as JSON.
    progress
        Where to report.
    """
    schema = stars_schema(adapter)
    number = {"read": 0, "without_astrometry": 0, "without_zero_point": 0, "kept": 0}
    with (
        cell_writer(stars, schema, adapter.healpix_order) as writer,
        progress.task("cleaning", number_of_rows(raw), "stars") as advance,
    ):
        for cell, data in read_cells(raw):
            cleaned = _clean(data, adapter, str(raw), number)
            writer.write(cell, {name: cleaned[name] for name in schema.names})
            advance(len(data["source_id"]))
    write_json(counts, number)
    log.info("rows: %s", number)
    for name, reason in adapter.absent_standard().items():
        log.info("no %s: %s", name, reason)


def _clean(raw: Columns, adapter: ReleaseAdapter, where: str, number: dict[str, int]) -> Columns:
    number["read"] += len(raw["source_id"])
    five = np.logical_and.reduce(
        [np.isfinite(raw[name]) for name in ("parallax", "parallax_error", "pmra", "pmdec")]
    )
    number["without_astrometry"] += int((~five).sum())
    data = {name: values[five] for name, values in raw.items()}
    if adapter.parallax_zero_point != "none":
        own = adapter.parallax_zero_point == "column"
        inputs = ("parallax_zero_point",) if own else ZERO_POINT_INPUTS
        missing = [name for name in inputs if name not in data]
        if missing:
            raise InputError(
                "the parallax zero point cannot be computed",
                file=where,
                item=", ".join(missing),
                expected=", ".join(inputs),
                remedy="provide the columns, or set `parallax_zero_point: none` in the release "
                "adapter",
            )
        values = [data[name] for name in inputs]
        zero_point = values[0] if own else parallax_zero_point(*values)
        covered = np.isfinite(zero_point)
        number["without_zero_point"] += int((~covered).sum())
        data = {name: values[covered] for name, values in data.items()}
        data["parallax_zero_point"] = zero_point[covered]
        data["parallax_corr"] = data["parallax"] - zero_point[covered]
    else:
        data["parallax_corr"] = data["parallax"]
    for standard in type(adapter.names).model_fields:
        archive = getattr(adapter.names, standard)
        if archive != standard and archive in data:
            data[standard] = data.pop(archive)
    number["kept"] += len(data["source_id"])
    return data
