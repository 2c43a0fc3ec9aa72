"""Compare every number with paper and truth."""

from pathlib import Path
from typing import TYPE_CHECKING

from mwatlas.config import Settings
from mwatlas.config.published import Published
from mwatlas.job import by_name, job
from mwatlas.ledger import write_ledger
from mwatlas.studies.conditional_potential import claims as conditional_potential
from mwatlas.studies.conditional_potential.nearby_numbers import nearby_rows
from mwatlas.studies.line_of_sight import claims as line_of_sight

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    settings = Settings.model_validate(snakemake.params.settings)
    given, params = snakemake.input, snakemake.params
    published = {name: Published.model_validate(p) for name, p in params.published.items()}
    rows, left_out = [], {}
    if paper := published.get(line_of_sight.STUDY):
        numbers = by_name(params.variants, given.numbers)
        recovered = by_name(params.variants, given.recovered)
        rows += line_of_sight.ledger_rows(settings, paper, numbers, recovered)
        left_out[line_of_sight.STUDY] = line_of_sight.switched_off(settings)
    if paper := published.get(conditional_potential.STUDY):
        numbers = by_name(params.cases, given.potentials)
        study = settings.conditional_potential
        own = conditional_potential.ledger_rows(study, paper, numbers)
        rows += own
        for path in given.nearby:
            rows += nearby_rows(
                conditional_potential.STUDY, study.nearby, settings.adapter, Path(path)
            )
        left_out[conditional_potential.STUDY] = conditional_potential.left_out(paper, own)
    write_ledger(
        rows,
        settings.release,
        settings.adapter,
        left_out,
        Path(snakemake.output.json),
        Path(snakemake.output.parquet),
    )
