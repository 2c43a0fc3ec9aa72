"""Read a survey's tables into one with standard names."""

from pathlib import Path
from typing import TYPE_CHECKING

from mwatlas.archive.request import listed_files
from mwatlas.config.survey import Survey
from mwatlas.job import job
from mwatlas.surveys import import_survey

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake) as progress:
    import_survey(
        name=snakemake.wildcards.survey,
        survey=Survey.model_validate(snakemake.params.survey),
        paths={
            name: listed_files([Path(path) for path in paths])
            for name, paths in snakemake.input.items()
        },
        output=Path(snakemake.output[0]),
        progress=progress,
    )
