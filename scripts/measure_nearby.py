"""Measure the potential near the Sun, with the scatter of the members."""

from pathlib import Path
from typing import TYPE_CHECKING

from mwatlas.config.nearby import Nearby
from mwatlas.job import job
from mwatlas.studies.conditional_potential.nearby_numbers import measure_nearby

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    measure_nearby(
        Nearby.model_validate(snakemake.params.nearby),
        snakemake.params.seed,
        models=[Path(path) for path in snakemake.input.models],
        records=[Path(path) for path in snakemake.input.records],
        stars=Path(snakemake.input.stars),
        numbers=Path(snakemake.output.numbers),
        figure=Path(snakemake.output.figure),
    )
