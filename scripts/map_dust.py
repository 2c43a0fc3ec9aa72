"""Draw the dust of the embedded sky and integrate its extinction."""

from pathlib import Path
from typing import TYPE_CHECKING

from mwatlas.config.sky_dust import Dust
from mwatlas.job import job
from mwatlas.sky.dust import SkyDust

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake) as progress:
    settings = Dust.model_validate(snakemake.params.dust)
    SkyDust.compute(settings, snakemake.params.seed, progress).save(Path(snakemake.output[0]))
