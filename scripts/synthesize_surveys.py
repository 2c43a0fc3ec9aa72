"""Observe one partition of the embedded sky with 2MASS, unWISE, APOGEE, LAMOST and GALAH."""

from pathlib import Path
from typing import TYPE_CHECKING

from mwatlas.config.release import ReleaseAdapter
from mwatlas.job import job
from mwatlas.sky.dust import SkyDust
from mwatlas.sky.surveys import write_surveys
from mwatlas.tables.sky_surveys import SURVEYS

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake) as progress:
    adapter = ReleaseAdapter.model_validate(snakemake.params.adapter)
    write_surveys(
        gaia=Path(snakemake.input.gaia),
        truth=Path(snakemake.input.truth),
        dust=SkyDust.load(Path(snakemake.input.dust)),
        source=adapter.source,
        seed=snakemake.params.seed,
        healpix_order=adapter.healpix_order,
        served={name: snakemake.output[name] for name in SURVEYS},
        known=snakemake.output.known,
        progress=progress,
    )
