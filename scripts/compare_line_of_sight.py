"""Compare one partition with the truth of the embedded sky."""

from pathlib import Path
from typing import TYPE_CHECKING

from mwatlas.config.line_of_sight import LineOfSight
from mwatlas.config.release import ReleaseAdapter
from mwatlas.job import job
from mwatlas.studies.line_of_sight.truth import compare_partition

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake) as progress:
    compare_partition(
        sample=Path(snakemake.input.sample),
        predictions=Path(snakemake.input.predictions),
        truth=Path(snakemake.input.truth),
        galaxy=Path(snakemake.input.galaxy),
        stellar_library=Path(snakemake.input.stellar_library),
        dust=Path(snakemake.input.dust),
        source=ReleaseAdapter.model_validate(snakemake.params.adapter).source,
        study=LineOfSight.model_validate(snakemake.params.study),
        seed=snakemake.params.seed,
        output=Path(snakemake.output[0]),
        progress=progress,
    )
