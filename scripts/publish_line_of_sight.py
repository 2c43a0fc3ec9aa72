"""Write one catalogue of the study."""

from pathlib import Path
from typing import TYPE_CHECKING

from mwatlas.config.line_of_sight import LineOfSight
from mwatlas.job import job
from mwatlas.studies.line_of_sight.catalogues import write_catalogue

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake) as progress:
    write_catalogue(
        catalogue=snakemake.wildcards.catalogue,
        samples=[Path(path) for path in snakemake.input.sample],
        predictions=[Path(path) for path in snakemake.input.predictions],
        orbits=[Path(path) for path in snakemake.input.orbits],
        study=LineOfSight.model_validate(snakemake.params.study),
        seed=snakemake.params.seed,
        healpix_order=snakemake.params.healpix_order,
        output=Path(snakemake.output[0]),
        progress=progress,
    )
