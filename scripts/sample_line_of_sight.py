"""Draw velocities and integrate the orbits of one partition."""

from pathlib import Path
from typing import TYPE_CHECKING

from mwatlas.config.line_of_sight import LineOfSight
from mwatlas.job import job
from mwatlas.studies.line_of_sight.sampling import sample_orbits

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake) as progress:
    sample_orbits(
        sample=Path(snakemake.input.sample),
        predictions=Path(snakemake.input.predictions),
        study=LineOfSight.model_validate(snakemake.params.study),
        seed=snakemake.params.seed,
        healpix_order=snakemake.params.healpix_order,
        output=Path(snakemake.output[0]),
        progress=progress,
    )
