"""Apply the base cut of the line-of-sight study to one partition."""

from pathlib import Path
from typing import TYPE_CHECKING

from mwatlas.config.line_of_sight import LineOfSight
from mwatlas.config.release import ReleaseAdapter
from mwatlas.job import job
from mwatlas.studies.line_of_sight.selection import select_sample

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake) as progress:
    select_sample(
        stars=Path(snakemake.input[0]),
        adapter=ReleaseAdapter.model_validate(snakemake.params.adapter),
        study=LineOfSight.model_validate(snakemake.params.study),
        sample=Path(snakemake.output.sample),
        counts=Path(snakemake.output.counts),
        progress=progress,
    )
