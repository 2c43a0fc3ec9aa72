"""Write Tables 1 and 2 beside the published ones."""

from pathlib import Path
from typing import TYPE_CHECKING

from mwatlas.config.line_of_sight import LineOfSight
from mwatlas.config.published import Published
from mwatlas.job import job
from mwatlas.studies.line_of_sight.tables import write_table_1, write_table_2

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    study = LineOfSight.model_validate(snakemake.params.study)
    published = Published.model_validate(snakemake.params.published)
    out = {name: Path(path) for name, path in snakemake.output.items()}
    write_table_1(
        data=Path(snakemake.input.tab01),
        published=published,
        cuts=study.cuts,
        csv=out["tab01"],
        tex=out["tab01_tex"],
    )
    write_table_2(
        numbers=Path(snakemake.input.numbers),
        published=published,
        within_kpc=study.debris.within_kpc,
        csv=out["tab02"],
        tex=out["tab02_tex"],
    )
