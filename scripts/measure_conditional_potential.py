"""Measure one run: every number from its evaluated tables."""

from pathlib import Path
from typing import TYPE_CHECKING

from mwatlas.config.conditional_potential import ConditionalPotential
from mwatlas.job import job
from mwatlas.ledger import write_measurements
from mwatlas.studies.conditional_potential.evaluated import Evaluated
from mwatlas.studies.conditional_potential.numbers import measure
from mwatlas.studies.conditional_potential.stars import total_counts

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    measurements = measure(
        Evaluated.read(Path(snakemake.input.tables[0]).parent),
        total_counts([Path(path) for path in snakemake.input.counts]),
        ConditionalPotential.model_validate(snakemake.params.study),
    )
    write_measurements(measurements, Path(snakemake.output[0]))
