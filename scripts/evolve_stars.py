"""Evolve the stars of the embedded sky's populations and clusters."""

from pathlib import Path
from typing import TYPE_CHECKING

from mwatlas.config.sky import BarredComponents, Components
from mwatlas.config.sky_clusters import SkyClusters
from mwatlas.job import job
from mwatlas.sky.model import library_ages
from mwatlas.sky.stars import Library

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

MODELS = {"components": Components, "barred": BarredComponents, "clusters": SkyClusters}

with job(snakemake) as progress:
    given = {name: snakemake.params.populations[name] for name in MODELS}
    ages = library_ages(
        **{name: value and MODELS[name].model_validate(value) for name, value in given.items()}
    )
    Library.compute(ages, snakemake.params.seed, progress).save(Path(snakemake.output[0]))
