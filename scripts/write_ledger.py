"""Compare every number with paper and truth."""

from pathlib import Path
from typing import TYPE_CHECKING

from mwatlas.config import Settings
from mwatlas.config.published import Published
from mwatlas.job import by_name, job
from mwatlas.ledger import write_ledger
from mwatlas.studies.line_of_sight.claims import ledger_rows, switched_off

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    settings = Settings.model_validate(snakemake.params.settings)
    (study,) = settings.studies
    variants = snakemake.params.variants
    rows = ledger_rows(
        settings,
        Published.model_validate(snakemake.params.published[0]),
        by_name(variants, snakemake.input.numbers),
        by_name(variants, snakemake.input.recovered),
    )
    write_ledger(
        rows,
        settings.release,
        settings.adapter,
        {study: switched_off(settings)},
        Path(snakemake.output.json),
        Path(snakemake.output.parquet),
    )
