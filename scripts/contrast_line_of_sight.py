"""Set the study and its variants side by side."""

from pathlib import Path
from typing import TYPE_CHECKING

from mwatlas.job import job
from mwatlas.statistics import Statistics
from mwatlas.studies.line_of_sight import contrast

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    variants, predictors = snakemake.params.variants, snakemake.params.predictors

    def _by_name(names: list[str], paths: list[str]) -> dict[str, Path]:
        return dict(zip(names, map(Path, paths), strict=True)) if paths else {}

    def _statistics(paths: list[str]) -> dict[str, Statistics]:
        files = _by_name([name or contrast.STUDY_ITSELF for name in predictors], paths)
        return {name: Statistics.load(path) for name, path in files.items()}

    contrast.write_figure_calibration(
        _statistics(snakemake.input.statistics), Path(snakemake.output.fig12)
    )
    if snakemake.input.recovery:
        contrast.write_figure_recovery(
            _statistics(snakemake.input.recovery), Path(snakemake.output.fig13)
        )
    contrast.write_table_variants(
        _by_name(variants, snakemake.input.numbers),
        _by_name(variants, snakemake.input.recovered),
        Path(snakemake.output.tab03),
        Path(snakemake.output.tex),
    )
