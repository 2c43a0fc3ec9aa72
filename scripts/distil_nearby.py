"""Learn ln p(v|x) of real stars near the Sun, from their flow, by a network with quick scores."""

from pathlib import Path
from typing import TYPE_CHECKING

from mwatlas.config.flows import Distillation
from mwatlas.files import write_json
from mwatlas.job import job
from mwatlas.studies.conditional_potential.distilling import distil_flow
from mwatlas.studies.conditional_potential.nearby_learning import flows_of

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake) as progress:
    record = distil_flow(
        "velocities",
        int(snakemake.wildcards.member),
        flows_of(
            snakemake.params.device,
            distillation=Distillation.model_validate(snakemake.params.distillation),
        ),
        snakemake.params.radius_kpc,
        snakemake.params.seed,
        flow_file=Path(snakemake.input.flow),
        stars=[Path(snakemake.input.stars)],
        code=snakemake.params.code,
        model_file=Path(snakemake.output.model),
        progress=progress,
    )
    write_json(snakemake.output.record, record)
