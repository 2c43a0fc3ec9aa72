"""Set the study and its variants side by side."""

from pathlib import Path
from typing import TYPE_CHECKING

from mwatlas.config.conditional_potential import ConditionalPotential
from mwatlas.job import job
from mwatlas.studies.conditional_potential.cases import Case, write_figure_cases, write_table_cases

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    given, out = snakemake.input, snakemake.output
    files = zip(given.profiles, given.numbers, strict=True)
    cases = [
        Case.read(name, ConditionalPotential.model_validate(study), Path(profile), Path(numbers))
        for (name, study), (profile, numbers) in zip(
            snakemake.params.cases.items(), files, strict=True
        )
    ]
    write_figure_cases(cases, Path(out.fig08))
    write_table_cases(cases, Path(out.tab04), Path(out.tex))
