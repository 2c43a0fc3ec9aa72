"""Train the network of one cross-validation round."""

from pathlib import Path
from typing import TYPE_CHECKING

from mwatlas.config.line_of_sight import LineOfSight
from mwatlas.job import job
from mwatlas.studies.line_of_sight.training import train_round

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake) as progress:
    train_round(
        test=int(snakemake.wildcards.round),
        training_files=[Path(path) for path in snakemake.input.training],
        validation_file=Path(snakemake.input.validation),
        study=LineOfSight.model_validate(snakemake.params.study),
        seed=snakemake.params.seed,
        code=snakemake.params.code,
        model_file=Path(snakemake.output.model),
        history_file=Path(snakemake.output.history),
        progress=progress,
    )
