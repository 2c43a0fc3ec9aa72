"""Draw velocities, integrate orbits and accumulate statistics of one partition."""

from pathlib import Path
from typing import TYPE_CHECKING

from mwatlas.config.line_of_sight import LineOfSight
from mwatlas.job import job
from mwatlas.studies.line_of_sight.accumulate import accumulate_partition

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake) as progress:
    accumulate_partition(
        sample=Path(snakemake.input.sample),
        predictions=Path(snakemake.input.predictions),
        matches=Path(snakemake.input.matches),
        study=LineOfSight.model_validate(snakemake.params.study),
        seed=snakemake.params.seed,
        healpix_order=snakemake.params.healpix_order,
        statistics_file=Path(snakemake.output.statistics),
        orbits_file=Path(snakemake.output.orbits),
        candidates_file=Path(snakemake.output.candidates),
        progress=progress,
    )
