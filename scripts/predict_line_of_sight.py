"""Predict the line-of-sight velocities of one partition."""

from pathlib import Path
from typing import TYPE_CHECKING

from mwatlas.job import job
from mwatlas.studies.line_of_sight.prediction import predict_sample

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake) as progress:
    predict_sample(
        sample=Path(snakemake.input.sample),
        models=[Path(path) for path in snakemake.input.models],
        round_without_velocity=snakemake.params.round_without_velocity,
        healpix_order=snakemake.params.healpix_order,
        output=Path(snakemake.output[0]),
        progress=progress,
    )
