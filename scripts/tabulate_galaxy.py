"""Tabulate densities and velocity moments of the embedded sky's populations."""

from pathlib import Path
from typing import TYPE_CHECKING

from mwatlas.config.release import Components
from mwatlas.job import job
from mwatlas.sky.galaxy import Galaxy

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake) as progress:
    components = Components.model_validate(snakemake.params.components)
    Galaxy.compute(components, progress).save(Path(snakemake.output[0]))
