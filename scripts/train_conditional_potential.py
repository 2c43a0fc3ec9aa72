"""Train one member of a flow."""

from pathlib import Path
from typing import TYPE_CHECKING

from mwatlas.config.conditional_potential import Flows
from mwatlas.files import write_json
from mwatlas.job import job
from mwatlas.studies.conditional_potential.training import train_flow

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake) as progress:
    record = train_flow(
        snakemake.wildcards.flow,
        int(snakemake.wildcards.member),
        Flows.model_validate(snakemake.params.flows),
        snakemake.params.seed,
        stars=[Path(path) for path in snakemake.input.stars],
        truth=[Path(path) for path in snakemake.input.truth],
        code=snakemake.params.code,
        model_file=Path(snakemake.output.model),
        progress=progress,
    )
    write_json(snakemake.output.record, record)
