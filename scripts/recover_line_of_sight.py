"""Set a run against the truth of the embedded sky."""

from pathlib import Path
from typing import TYPE_CHECKING

from mwatlas.config import Settings
from mwatlas.job import job
from mwatlas.ledger import read_measurements
from mwatlas.statistics import merge_all
from mwatlas.studies.line_of_sight.claims import recover, write_recovered

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    comparison = merge_all(snakemake.input.comparison)
    recovered = recover(
        revealed=merge_all(snakemake.input.revealed),
        comparison=comparison,
        settings=Settings.model_validate(snakemake.params.settings),
        variant=snakemake.params.variant,
        measurements=read_measurements(Path(snakemake.input.numbers)),
    )
    write_recovered(recovered, Path(snakemake.output.recovered))
    comparison.save(Path(snakemake.output.recovery))
