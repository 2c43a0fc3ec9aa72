"""Writing a partition of the embedded sky."""

from __future__ import annotations

from pathlib import Path

from mwatlas.config.release import ReleaseAdapter, SkySource
from mwatlas.healpix import balanced_partitions
from mwatlas.progress import Progress
from mwatlas.sky.galaxy import Galaxy
from mwatlas.sky.generate import Sky
from mwatlas.tables.parquet import cell_writer
from mwatlas.tables.schemas import GAIA_SOURCE, SKY_TRUTH


def write_partition(
    number: int,
    adapter: ReleaseAdapter,
    seed: int,
    galaxy: Path,
    source: str | Path,
    truth: str | Path,
    progress: Progress,
) -> None:
    """Draw the stars of one partition.

    Parameters
    ----------
    number
        Number of the partition.
    adapter
        The release, with a source of kind ``sky``.
    seed
        Seed of the run.
    galaxy
        Tables of the populations.
    source, truth
        Files to write: the table a study may read, and the one it may not.
    progress
        Where to report.
    """
    assert isinstance(adapter.source, SkySource)
    populations = Galaxy.load(adapter.source.components, galaxy)
    sky = Sky(adapter.source, seed, adapter.healpix_order, populations)
    per_cell = sky.counts.sum(axis=1)
    cells = balanced_partitions(per_cell, adapter.partitions)[number]
    table = GAIA_SOURCE.without(adapter.absent_raw())
    with (
        cell_writer(source, table, adapter.healpix_order) as stars,
        cell_writer(truth, SKY_TRUTH, adapter.healpix_order) as truths,
        progress.task("drawing", int(per_cell[cells.start : cells.stop].sum()), "stars") as advance,
    ):
        for cell in cells:
            served, known = sky.cell(cell)
            stars.write(cell, served)
            truths.write(cell, known)
            advance(len(served["source_id"]))
