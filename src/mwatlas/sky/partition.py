"""Writing a partition of the embedded sky: its stars and what Gaia makes of them."""

from __future__ import annotations

from pathlib import Path

from mwatlas.config.release import ReleaseAdapter
from mwatlas.config.sky import SkySource
from mwatlas.healpix import balanced_partitions
from mwatlas.progress import Progress
from mwatlas.random import block_generator
from mwatlas.sky.gaia import observe_gaia
from mwatlas.sky.generate import Sky
from mwatlas.sky.model import load_model
from mwatlas.sky.plan import Plan
from mwatlas.tables.gaia import GAIA_SOURCE_FULL
from mwatlas.tables.parquet import cell_writer
from mwatlas.tables.schemas import SKY_TRUTH


def write_partition(
    number: int,
    adapter: ReleaseAdapter,
    seed: int,
    galaxy: Path,
    stellar_library: Path,
    dust: Path,
    plan: Path,
    source: str | Path,
    truth: str | Path,
    progress: Progress,
) -> None:
    """Draw the stars of one partition and observe them with Gaia.

    Parameters
    ----------
    number
        Number of the partition.
    adapter
        The release, with a source of kind ``sky``.
    seed
        Seed of the run.
    galaxy, stellar_library, dust, plan
        Populations, what their stars look like, what dims them, and where the visible ones are.
    source, truth
        Files to write: the table a study may read, and the one it may not.
    progress
        Where to report.
    """
    settings = adapter.source
    assert isinstance(settings, SkySource)
    model = load_model(settings, galaxy=galaxy, stellar_library=stellar_library, dust=dust)
    sky = Sky(settings, seed, adapter.healpix_order, model, Plan.load(plan))
    cells = balanced_partitions(sky.counts, adapter.partitions)[number]
    table = GAIA_SOURCE_FULL[settings.gaia.columns]
    with (
        cell_writer(source, table, adapter.healpix_order) as stars,
        cell_writer(truth, SKY_TRUTH, adapter.healpix_order) as truths,
        progress.task(
            "drawing", int(sky.counts[cells.start : cells.stop].sum()), "stars"
        ) as advance,
    ):
        for cell in cells:
            known = sky.cell(cell)
            served, flaws = observe_gaia(
                known, settings.gaia, block_generator(seed, "sky/gaia", cell)
            )
            stars.write(cell, served)
            truths.write(cell, {**known, **flaws})
            advance(len(known["source_id"]))
