"""Draw one figure from its data file."""

from pathlib import Path
from typing import TYPE_CHECKING

from mwatlas.figures.draw import draw_figure
from mwatlas.job import job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    draw_figure(
        study=snakemake.wildcards.study,
        figure=snakemake.wildcards.figure,
        data=Path(snakemake.input[0]),
        title=snakemake.params.title,
        pdf=Path(snakemake.output.pdf),
        png=Path(snakemake.output.png),
    )
