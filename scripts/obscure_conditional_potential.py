"""Make the dust of the mock, its extinction, and the plan of how many stars are observed."""

from pathlib import Path
from typing import TYPE_CHECKING

from mwatlas.config.conditional_mock import Mock
from mwatlas.job import job
from mwatlas.studies.conditional_potential.mock import obscure

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake) as progress:
    obscure(
        Mock.model_validate(snakemake.params.mock),
        snakemake.params.seed,
        # The study itself is like no other.
        like=Path(snakemake.input.like) if snakemake.input.like else None,
        dust_file=Path(snakemake.output.dust),
        extinction_file=Path(snakemake.output.extinction),
        plan_file=Path(snakemake.output.plan),
        progress=progress,
    )
