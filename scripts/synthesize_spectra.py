"""Serve the XP spectra of the stars APOGEE observed in one partition of the embedded sky."""

from pathlib import Path
from typing import TYPE_CHECKING

from mwatlas.config.release import ReleaseAdapter
from mwatlas.job import job
from mwatlas.sky.surveys import write_spectra

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake) as progress:
    adapter = ReleaseAdapter.model_validate(snakemake.params.adapter)
    write_spectra(
        gaia=Path(snakemake.input.gaia),
        apogee=Path(snakemake.input.apogee),
        truth=Path(snakemake.input.truth),
        source=adapter.source,
        seed=snakemake.params.seed,
        healpix_order=adapter.healpix_order,
        served=snakemake.output.served,
        known=snakemake.output.known,
        progress=progress,
    )
