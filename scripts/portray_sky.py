"""Write the data of the figures that show the embedded sky."""

from pathlib import Path
from typing import TYPE_CHECKING

from mwatlas.job import job
from mwatlas.sky.dust import SkyDust
from mwatlas.sky.portrait import write_portrait_of_gaia, write_portrait_of_spectra

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake) as progress:
    folder = Path(snakemake.output[0]).parent
    write_portrait_of_gaia(
        source=[Path(path) for path in snakemake.input.gaia],
        dust=SkyDust.load(Path(snakemake.input.dust)),
        folder=folder,
        progress=progress,
    )
    write_portrait_of_spectra(
        apogee=[Path(path) for path in snakemake.input.apogee],
        xp=[Path(path) for path in snakemake.input.xp],
        folder=folder,
    )
