"""Fetch a table from the archives."""

from pathlib import Path
from typing import TYPE_CHECKING

from mwatlas.archive.acquire import acquire, polite
from mwatlas.archive.request import TableRequest
from mwatlas.archive.transport import Transport
from mwatlas.config.archives import Archives
from mwatlas.job import job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake) as progress:
    settings = Archives.model_validate(snakemake.params.settings)
    acquire(
        request=TableRequest.of(snakemake.params.request),
        folder=Path(snakemake.output[0]).parent,
        settings=settings,
        transport=Transport(polite(settings)),
        progress=progress,
        id_files=[Path(path) for path in snakemake.input.ids],
    )
