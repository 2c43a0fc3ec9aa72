"""Compare the Galaxy of the embedded sky near the Sun with published properties."""

from pathlib import Path
from typing import TYPE_CHECKING

from mwatlas.config.sky import Components
from mwatlas.job import job
from mwatlas.sky.galaxy import Galaxy
from mwatlas.sky.properties import local_properties, write_properties

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    components = Components.model_validate(snakemake.params.components)
    galaxy = Galaxy.load(components, Path(snakemake.input[0]))
    write_properties(local_properties(galaxy), Path(snakemake.output.csv))
