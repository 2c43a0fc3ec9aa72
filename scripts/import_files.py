"""Sort a release's files into raw partitions."""

from pathlib import Path
from typing import TYPE_CHECKING

from mwatlas.archive.files import import_files
from mwatlas.archive.request import listed_files
from mwatlas.config.release import ReleaseAdapter
from mwatlas.job import job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake) as progress:
    adapter = ReleaseAdapter.model_validate(snakemake.params.adapter)
    import_files(
        paths=listed_files([Path(path) for path in snakemake.input]),
        source=adapter.source,
        outputs=[Path(path) for path in snakemake.output],
        healpix_order=adapter.healpix_order,
        progress=progress,
    )
