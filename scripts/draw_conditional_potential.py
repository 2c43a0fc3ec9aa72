"""Draw the observed stars of one part of the mock."""

from pathlib import Path
from typing import TYPE_CHECKING

from mwatlas.config.conditional_mock import Mock
from mwatlas.files import read_json
from mwatlas.job import job
from mwatlas.studies.conditional_potential.mock import selection_of
from mwatlas.studies.conditional_potential.plummer import Plummer
from mwatlas.studies.conditional_potential.stars import write_partition

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake) as progress:
    mock = Mock.model_validate(snakemake.params.mock)
    write_partition(
        int(snakemake.wildcards.part),
        snakemake.params.partitions,
        read_json(snakemake.input.plan)["observed_stars"],
        Plummer.of(mock.tracer),
        selection_of(mock, Path(snakemake.input.extinction)),
        snakemake.params.seed,
        stars=Path(snakemake.output.stars),
        truth=Path(snakemake.output.truth),
        counts=Path(snakemake.output.counts),
        progress=progress,
    )
