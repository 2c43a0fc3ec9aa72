"""Time the binary pulsars of the embedded sky."""

from pathlib import Path
from typing import TYPE_CHECKING

from mwatlas.config.release import ReleaseAdapter
from mwatlas.job import job
from mwatlas.sky.surveys import write_pulsars

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    write_pulsars(
        source=ReleaseAdapter.model_validate(snakemake.params.adapter).source,
        seed=snakemake.params.seed,
        timing=Path(snakemake.output.timing),
        accelerations=Path(snakemake.output.accelerations),
    )
