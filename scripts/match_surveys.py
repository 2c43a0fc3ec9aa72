"""Find the rows of spectroscopic surveys that belong to the stars of a partition."""

from pathlib import Path
from typing import TYPE_CHECKING

from mwatlas.job import job
from mwatlas.surveys import match_surveys

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake) as progress:
    radius = snakemake.params.radius_arcsec
    match_surveys(
        stars=Path(snakemake.input.stars),
        surveys=dict(zip(radius, map(Path, snakemake.input.surveys), strict=True)),
        radius_arcsec=radius,
        epoch=snakemake.params.epoch,
        healpix_order=snakemake.params.healpix_order,
        matches=Path(snakemake.output[0]),
        progress=progress,
    )
