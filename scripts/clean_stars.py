"""Correct parallaxes and give columns their standard names."""

from pathlib import Path
from typing import TYPE_CHECKING

from mwatlas.catalogs import clean_stars
from mwatlas.config.release import ReleaseAdapter
from mwatlas.job import job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake) as progress:
    clean_stars(
        raw=Path(snakemake.input[0]),
        adapter=ReleaseAdapter.model_validate(snakemake.params.adapter),
        stars=Path(snakemake.output.stars),
        counts=Path(snakemake.output.counts),
        progress=progress,
    )
