"""List the open clusters of the embedded sky and their members."""

from pathlib import Path
from typing import TYPE_CHECKING

from mwatlas.config.release import ReleaseAdapter
from mwatlas.job import job
from mwatlas.sky.surveys import write_clusters

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake) as progress:
    write_clusters(
        gaia=[Path(path) for path in snakemake.input.gaia],
        truth=[Path(path) for path in snakemake.input.truth],
        source=ReleaseAdapter.model_validate(snakemake.params.adapter).source,
        seed=snakemake.params.seed,
        clusters=Path(snakemake.output.clusters),
        members=Path(snakemake.output.members),
        progress=progress,
    )
