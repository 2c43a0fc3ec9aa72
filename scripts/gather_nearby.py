"""Gather the real stars near the Sun that teach the conditional method."""

from pathlib import Path
from typing import TYPE_CHECKING

from mwatlas.config.nearby import NearbySample
from mwatlas.job import job
from mwatlas.studies.conditional_potential.nearby_stars import gather_stars

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake) as progress:
    gather_stars(
        [Path(path) for path in snakemake.input],
        NearbySample.model_validate(snakemake.params.sample),
        stars=Path(snakemake.output.stars),
        counts=Path(snakemake.output.counts),
        progress=progress,
    )
