"""Merge statistics into the data behind figures and tables."""

from pathlib import Path
from typing import TYPE_CHECKING

from mwatlas.config.line_of_sight import LineOfSight
from mwatlas.job import job
from mwatlas.ledger import write_measurements
from mwatlas.statistics import merge_all
from mwatlas.studies.line_of_sight import figure_data, plane_data
from mwatlas.studies.line_of_sight.numbers import measure

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    study = LineOfSight.model_validate(snakemake.params.study)
    statistics = merge_all(snakemake.input)
    out = {name: Path(path) for name, path in snakemake.output.items()}
    figure_data.write_figure_velocities(statistics, out["fig01"])
    figure_data.write_figure_pull(statistics, out["fig02"])
    figure_data.write_figure_eccentricities(statistics, study, out["fig03"])
    for figure in plane_data.PLANE_FIGURES:
        plane_data.write_planes(statistics, study, figure, out[figure])
    plane_data.write_figure_metallicities(statistics, out["fig09"])
    figure_data.write_table_counts(statistics, study, out["tab01"])
    write_measurements(measure(statistics, study), out["numbers"])
    statistics.save(out["statistics"])
