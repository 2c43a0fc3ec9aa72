"""Learn the ln p of one flow, and of its stars, by a network that gives scores in one pass."""

from pathlib import Path
from typing import TYPE_CHECKING

from mwatlas.config.conditional_potential import Flows
from mwatlas.files import write_json
from mwatlas.job import job
from mwatlas.studies.conditional_potential.distilling import distil_flow

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake) as progress:
    record = distil_flow(
        snakemake.wildcards.flow,
        int(snakemake.wildcards.member),
        Flows.model_validate(snakemake.params.flows),
        snakemake.params.radius_kpc,
        snakemake.params.seed,
        flow_file=Path(snakemake.input.flow),
        stars=[Path(path) for path in snakemake.input.stars],
        code=snakemake.params.code,
        model_file=Path(snakemake.output.model),
        progress=progress,
    )
    write_json(snakemake.output.record, record)
