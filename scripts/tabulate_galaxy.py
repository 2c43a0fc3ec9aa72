"""Integrate the distribution functions of the embedded sky."""

from pathlib import Path
from typing import TYPE_CHECKING

from mwatlas.config.sky import Components
from mwatlas.job import job
from mwatlas.sky.model import write_galaxy

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake) as progress:
    settings = snakemake.params.components
    components = None if settings is None else Components.model_validate(settings)
    write_galaxy(components, Path(snakemake.output[0]), progress)
