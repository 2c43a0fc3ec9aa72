"""Make the data behind the figures from the evaluated tables."""

from pathlib import Path
from typing import TYPE_CHECKING

from mwatlas.config.conditional_potential import ConditionalPotential
from mwatlas.job import job
from mwatlas.studies.conditional_potential.figure_data import Run, write_figure

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    given, params = snakemake.input, snakemake.params
    run = Run.read(
        Path(given.tables[0]).parent,
        Path(given.numbers),
        ConditionalPotential.model_validate(params.study),
    )
    figures = {name: Path(path) for name, path in snakemake.output.items()}
    if dust_free := figures.pop("fig06", None):
        settings = ConditionalPotential.model_validate(params.dust_free)
        folder, numbers = Path(given.dust_free[0]).parent, Path(given.dust_free_numbers)
        write_figure("fig06", Run.read(folder, numbers, settings), dust_free)
    for name, path in figures.items():
        write_figure(name, run, path)
