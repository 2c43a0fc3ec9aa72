"""Write Table 1 beside the published one."""

from pathlib import Path
from typing import TYPE_CHECKING

from mwatlas.config.line_of_sight import Cuts
from mwatlas.config.published import Published
from mwatlas.job import job
from mwatlas.studies.line_of_sight.tables import write_table_1

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    write_table_1(
        data=Path(snakemake.input[0]),
        published=Published.model_validate(snakemake.params.published),
        cuts=Cuts.model_validate(snakemake.params.study["cuts"]),
        csv=Path(snakemake.output.csv),
        tex=Path(snakemake.output.tex),
    )
