"""Sort stars with a velocity into cross-validation subsets."""

from pathlib import Path
from typing import TYPE_CHECKING

from mwatlas.config.line_of_sight import LineOfSight
from mwatlas.config.release import ReleaseAdapter
from mwatlas.job import job
from mwatlas.studies.line_of_sight.folds import sort_into_folds

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    sort_into_folds(
        samples=[Path(path) for path in snakemake.input],
        adapter=ReleaseAdapter.model_validate(snakemake.params.adapter),
        settings=LineOfSight.model_validate(snakemake.params.study).cross_validation,
        outputs=[Path(path) for path in snakemake.output],
    )
