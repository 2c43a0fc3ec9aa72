"""Train the flow of velocities of real stars near the Sun, one member."""

from pathlib import Path
from typing import TYPE_CHECKING

from mwatlas.config.flows import Flow
from mwatlas.files import write_json
from mwatlas.job import job
from mwatlas.studies.conditional_potential.nearby_learning import flows_of
from mwatlas.studies.conditional_potential.training import train_flow

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake) as progress:
    record = train_flow(
        "velocities",
        int(snakemake.wildcards.member),
        flows_of(
            snakemake.params.device, velocities=Flow.model_validate(snakemake.params.velocities)
        ),
        snakemake.params.seed,
        stars=[Path(path) for path in snakemake.input],
        truth=[],
        code=snakemake.params.code,
        model_file=Path(snakemake.output.model),
        progress=progress,
    )
    write_json(snakemake.output.record, record)
