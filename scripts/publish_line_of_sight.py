"""Write one catalogue of the study."""

from pathlib import Path
from typing import TYPE_CHECKING

from mwatlas.config.release import ReleaseAdapter
from mwatlas.job import job
from mwatlas.studies.line_of_sight.catalogues import Tables, write_catalogue

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake) as progress:
    write_catalogue(
        catalogue=snakemake.wildcards.catalogue,
        tables=Tables(
            samples=[Path(path) for path in snakemake.input.sample],
            predictions=[Path(path) for path in snakemake.input.predictions],
            orbits=[Path(path) for path in snakemake.input.orbits],
            candidates=[Path(path) for path in snakemake.input.candidates],
        ),
        adapter=ReleaseAdapter.model_validate(snakemake.params.adapter),
        output=Path(snakemake.output[0]),
        progress=progress,
    )
