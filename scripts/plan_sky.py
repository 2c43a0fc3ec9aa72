"""Tabulate where the visible stars of the embedded sky are."""

from pathlib import Path
from typing import TYPE_CHECKING

from mwatlas.config.release import ReleaseAdapter
from mwatlas.job import job
from mwatlas.sky.model import load_model
from mwatlas.sky.plan import Plan

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake) as progress:
    adapter = ReleaseAdapter.model_validate(snakemake.params.adapter)
    plan = Plan.compute(
        source=adapter.source,
        seed=snakemake.params.seed,
        healpix_order=adapter.healpix_order,
        model=load_model(
            adapter.source,
            galaxy=Path(snakemake.input.galaxy),
            stellar_library=Path(snakemake.input.stellar_library),
            dust=Path(snakemake.input.dust),
        ),
        progress=progress,
    )
    plan.save(Path(snakemake.output[0]))
