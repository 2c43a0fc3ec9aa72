"""Write the report of a run."""

from pathlib import Path
from typing import TYPE_CHECKING

from mwatlas.config import Settings
from mwatlas.config.published import Paper
from mwatlas.job import job
from mwatlas.report.page import Shown, merge_counts, write_report

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    write_report(
        settings=Settings.model_validate(snakemake.params.settings),
        root=Path(snakemake.params.root),
        ledger=Path(snakemake.input.ledger),
        shown=Shown.from_paths(
            png=snakemake.input.png,
            pdf=snakemake.input.pdf,
            data=snakemake.input.data,
            tables=snakemake.input.tables,
            captions=snakemake.params.captions,
        ),
        counts={
            stage: merge_counts([Path(path) for path in snakemake.input[stage]])
            for stage in ("clean_stars", "select_line_of_sight")
        },
        papers={
            study: Paper.model_validate(paper) for study, paper in snakemake.params.papers.items()
        },
        benchmarks=Path(snakemake.params.benchmarks),
        output=Path(snakemake.output[0]),
    )
