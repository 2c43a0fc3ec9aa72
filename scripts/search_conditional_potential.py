"""Search for hyper-parameters of one flow or of one method's solver."""

from pathlib import Path
from typing import TYPE_CHECKING

from mwatlas.config.conditional_potential import ConditionalPotential
from mwatlas.job import by_name, job
from mwatlas.studies.conditional_potential.search import search_network

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake) as progress:
    search_network(
        snakemake.wildcards.network,
        ConditionalPotential.model_validate(snakemake.params.study),
        snakemake.params.seed,
        stars=[Path(path) for path in snakemake.input.stars],
        flow_files=by_name(snakemake.params.learned, snakemake.input.flows),
        quick_files=by_name(snakemake.params.learned, snakemake.input.quick),
        code=snakemake.params.code,
        table_file=Path(snakemake.output.table),
        settings_file=Path(snakemake.output.settings),
        progress=progress,
    )
