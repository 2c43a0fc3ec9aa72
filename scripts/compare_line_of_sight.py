"""Compare one partition with the truth of the embedded sky."""

from pathlib import Path
from typing import TYPE_CHECKING

from mwatlas.config.line_of_sight import LineOfSight
from mwatlas.job import job
from mwatlas.studies.line_of_sight.comparison import compare_partition

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake) as progress:
    compare_partition(
        sample=Path(snakemake.input.sample),
        predictions=Path(snakemake.input.predictions),
        orbits=Path(snakemake.input.orbits),
        candidates=Path(snakemake.input.candidates),
        truth=Path(snakemake.input.truth),
        study=LineOfSight.model_validate(snakemake.params.study),
        output=Path(snakemake.output[0]),
        progress=progress,
    )
