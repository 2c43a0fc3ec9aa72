"""Draw the stars of one partition of the embedded sky and observe them with Gaia."""

from pathlib import Path
from typing import TYPE_CHECKING

from mwatlas.config.release import ReleaseAdapter
from mwatlas.job import job
from mwatlas.sky.partition import write_partition

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake) as progress:
    write_partition(
        number=int(snakemake.wildcards.part),
        adapter=ReleaseAdapter.model_validate(snakemake.params.adapter),
        seed=snakemake.params.seed,
        galaxy=Path(snakemake.input.galaxy),
        stellar_library=Path(snakemake.input.stellar_library),
        dust=Path(snakemake.input.dust),
        plan=Path(snakemake.input.plan),
        source=snakemake.output.source,
        truth=snakemake.output.truth,
        progress=progress,
    )
