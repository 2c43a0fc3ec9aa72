"""Set the study and its variants side by side."""

from pathlib import Path
from typing import TYPE_CHECKING

from mwatlas.job import by_name, job
from mwatlas.studies.line_of_sight import contrast

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    variants, predictors = snakemake.params.variants, snakemake.params.predictors
    contrast.write_figure_calibration(
        by_name(predictors, snakemake.input.statistics), Path(snakemake.output.fig12)
    )
    if snakemake.input.recovery:
        contrast.write_figure_recovery(
            by_name(predictors, snakemake.input.recovery), Path(snakemake.output.fig13)
        )
    contrast.write_table_variants(
        by_name(variants, snakemake.input.numbers),
        by_name(variants, snakemake.input.recovered),
        Path(snakemake.output.tab03),
        Path(snakemake.output.tex),
    )
