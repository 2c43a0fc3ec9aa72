"""Write Tables 1 to 3: the methods and the networks."""

from pathlib import Path
from typing import TYPE_CHECKING

from mwatlas.config.conditional_potential import ConditionalPotential
from mwatlas.config.published import Published
from mwatlas.job import job
from mwatlas.studies.conditional_potential.evaluated_tables import NETWORKS
from mwatlas.studies.conditional_potential.methods_tables import (
    write_table_methods,
    write_table_networks,
)
from mwatlas.studies.conditional_potential.networks import general_choices
from mwatlas.tables.parquet import from_arrow, open_parquet

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    out = {name: Path(path) for name, path in snakemake.output.items()}
    write_table_methods(Path(snakemake.input.numbers), out["tab01"], out["tab01_tex"])
    for name, networks, study in zip(
        ("tab02", "tab03"), snakemake.input.networks, snakemake.params.studies, strict=False
    ):
        write_table_networks(
            NETWORKS.conform(from_arrow(open_parquet(networks).read()), networks),
            Published.model_validate(snakemake.params.published),
            general_choices(ConditionalPotential.model_validate(study)),
            out[name],
            out[f"{name}_tex"],
        )
