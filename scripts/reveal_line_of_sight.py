"""Measure the true orbits of one partition of the embedded sky."""

from pathlib import Path
from typing import TYPE_CHECKING

from mwatlas.config.line_of_sight import LineOfSight
from mwatlas.config.release import ReleaseAdapter
from mwatlas.job import job
from mwatlas.studies.line_of_sight.truth import reveal_partition

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake) as progress:
    adapter = ReleaseAdapter.model_validate(snakemake.params.adapter)
    reveal_partition(
        sample=Path(snakemake.input.sample),
        matches=Path(snakemake.input.matches),
        truth=Path(snakemake.input.truth),
        galaxy=Path(snakemake.input.galaxy),
        stellar_library=Path(snakemake.input.stellar_library),
        dust=Path(snakemake.input.dust),
        source=adapter.source,
        study=LineOfSight.model_validate(snakemake.params.study),
        seed=snakemake.params.seed,
        healpix_order=adapter.healpix_order,
        statistics_file=Path(snakemake.output.statistics),
        stars_file=Path(snakemake.output.stars),
        progress=progress,
    )
