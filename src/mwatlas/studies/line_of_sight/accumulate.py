"""Draw velocities, integrate orbits and accumulate statistics, cell by cell.

Nothing is kept of a draw but what it adds to histograms and sums, and the draws that make a
star a candidate of high eccentricity.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mwatlas.astrometry.frames import GalactocentricFrame, PhaseSpace, phase_space
from mwatlas.config.line_of_sight import LineOfSight, SolarFrame
from mwatlas.cuts import passes
from mwatlas.dynamics.actions import integrals_of_motion
from mwatlas.dynamics.orbits import Integration, integrate_orbits
from mwatlas.predictive import Predictive, predictive_of
from mwatlas.progress import Advance, Progress
from mwatlas.statistics import Statistics
from mwatlas.studies.line_of_sight.debris import COMPONENTS, accumulate_debris, bins
from mwatlas.studies.line_of_sight.names import SAMPLES
from mwatlas.studies.line_of_sight.quality import (
    Known,
    accumulate_quality,
    accumulate_survey_check,
)
from mwatlas.studies.line_of_sight.views import (
    SURVEYS,
    Floats,
    View,
    empty_view,
    entries,
    match_rows,
)
from mwatlas.tables.parquet import (
    CellLookup,
    CellWriter,
    cell_writer,
    number_of_rows,
    read_cells,
)
from mwatlas.tables.schemas import GSE_CANDIDATES, LINE_OF_SIGHT_ORBITS, SURVEY_MATCHES
from mwatlas.tables.table import Columns

ASTROMETRY = ("ra", "dec", "parallax_corr", "pmra", "pmdec")
SAMPLE_COLUMNS = ("source_id", "fold", "phot_g_mean_mag", "radial_velocity", *ASTROMETRY)

# Columns of the velocities whose orbits are integrated, before the draws.
_MEASURED, _PREDICTED, _DRAWS = 0, 1, 2


def solar_axes(frame: SolarFrame) -> GalactocentricFrame:
    """Galactocentric axes of a solar frame of the configuration."""
    return GalactocentricFrame(frame.galcen_distance_kpc, frame.z_sun_pc, frame.v_sun_kms)


@dataclass(frozen=True)
class CellOrbits:
    """Stars of one cell with their draws and orbits; N stars, D draws.

    Parameters
    ----------
    data
        Columns of the sample.
    phase
        Phase space as a function of the line-of-sight velocity.
    predictive
        Predicted densities.
    velocities
        Measured (NaN without), mean predicted and drawn velocities; shape (N, 2 + D).
    eccentricity
        Of each; shape (N, 2 + D).
    z_max_kpc
        Of each; shape (N, 2 + D).
    flag
        Of each, zero where there is no velocity; shape (N, 2 + D).
    """

    data: Columns
    phase: PhaseSpace
    predictive: Predictive
    velocities: Floats
    eccentricity: Floats
    z_max_kpc: Floats
    flag: NDArray[np.int8]


def integrate_cell(
    data: Columns, predicted: Columns, study: LineOfSight, seed: int, advance: Advance
) -> CellOrbits:
    """Draw the velocities of a cell's stars and integrate all their orbits.

    Parameters
    ----------
    data
        Columns :data:`SAMPLE_COLUMNS` of the sample.
    predicted
        Columns of the predictions.
    study, seed
        Settings and seed of the run.
    advance
        Called with the number of orbits done now and then.
    """
    phase = phase_space(solar_axes(study.solar_frame), *(data[name] for name in ASTROMETRY))
    predictive = predictive_of(predicted)
    drawn = predictive.draw(seed, study.error_sampling.draws, data["source_id"])
    velocities = np.column_stack([data["radial_velocity"].astype(float), predictive.mean(), drawn])
    which = np.flatnonzero(np.isfinite(velocities).ravel())
    star = which // velocities.shape[1]
    stars = phase[star]
    orbits = integrate_orbits(
        stars.position_kpc,
        stars.velocity_kms(velocities.ravel()[which]),
        Integration(**study.orbits.model_dump()),
        advance,
    )

    def placed(values: NDArray[Any], otherwise: float) -> NDArray[Any]:
        out = np.full(velocities.shape, otherwise, dtype=values.dtype)
        out.ravel()[which] = values
        return out

    return CellOrbits(
        data,
        phase,
        predictive,
        velocities,
        placed(orbits.eccentricity, np.nan),
        placed(orbits.z_max_kpc, np.nan),
        placed(orbits.flag, 0),
    )


def whole_view(cell: CellOrbits, matches: Columns, study: LineOfSight) -> View:
    """All stars of a cell with all their velocities.

    Parameters
    ----------
    cell
        The stars with their orbits.
    matches
        Rows of table ``survey_matches`` of the same cell.
    study
        Settings.
    """
    _, sun = solar_axes(study.solar_frame).affine()
    return View(
        "all",
        cell.phase,
        sun,
        cell.data["fold"].astype(np.int64),
        cell.velocities,
        cell.eccentricity,
        passes(study.cuts.complete, cell.data["phot_g_mean_mag"]),
        match_rows(cell.data["source_id"], matches),
    )


def catalogues_of(view: View) -> dict[str, View]:
    """The three catalogues of a cell: RV, Test-Set and ML-RV."""
    known = view.fold >= 0
    return {
        "rv": view[known].of("rv", slice(_MEASURED, _MEASURED + 1)),
        "test_set": view[known].of("test_set", slice(_DRAWS, None)),
        "ml_rv": view[~known].of("ml_rv", slice(_DRAWS, None)),
    }


def accumulate_partition(
    sample: Path,
    predictions: Path,
    matches: Path,
    study: LineOfSight,
    seed: int,
    healpix_order: int,
    statistics_file: Path,
    orbits_file: Path,
    candidates_file: Path,
    progress: Progress,
) -> None:
    """Everything one partition adds to the study.

    Parameters
    ----------
    sample, predictions, matches
        Tables of the partition: sample, predictions, survey matches.
    study, seed
        Settings and seed of the run.
    healpix_order
        Order of the cells.
    statistics_file, orbits_file, candidates_file
        To write: statistics as HDF5, one row per star, one row per draw of high eccentricity.
    progress
        Where to report.
    """
    statistics = empty_statistics(study)
    matched = CellLookup(matches)
    total = number_of_rows(sample) * (study.error_sampling.draws + 1)
    with (
        cell_writer(orbits_file, LINE_OF_SIGHT_ORBITS, healpix_order) as orbits,
        cell_writer(candidates_file, GSE_CANDIDATES, healpix_order) as candidates,
        progress.task("integrating", total, "orbits") as advance,
    ):
        for (number, data), (_, predicted) in zip(
            read_cells(sample, SAMPLE_COLUMNS), read_cells(predictions), strict=True
        ):
            cell = integrate_cell(data, predicted, study, seed, advance)
            view = whole_view(cell, matched.rows(number) or no_matches(), study)
            accumulate_cell(view, cell, study, statistics)
            _write_orbits(orbits, number, cell, study)
            candidates.write(number, _candidates(view, cell, study))
    for _, rows in read_cells(matches):
        _add_cross_match(rows, study, statistics)
    statistics.save(statistics_file)


def no_matches() -> Columns:
    """Survey matches of a cell without any."""
    return SURVEY_MATCHES.empty()


def accumulate_cell(
    view: View, cell: CellOrbits, study: LineOfSight, statistics: Statistics
) -> None:
    """Add the stars of one cell; a cell must be added as a whole, as its sums are rounded.

    Parameters
    ----------
    view, cell
        Of :func:`whole_view` and :func:`integrate_cell`.
    study
        Settings.
    statistics
        To add to.
    """
    views = catalogues_of(view)
    known = cell.data["fold"] >= 0
    for view in views.values():
        accumulate_debris(view, study, statistics)
    accumulate_quality(
        Known(
            views["rv"],
            views["test_set"],
            cell.predictive[known],
            cell.eccentricity[known, _PREDICTED],
        ),
        study,
        statistics,
    )
    accumulate_survey_check(views["ml_rv"], cell.predictive[~known], study, statistics)


def empty_statistics(study: LineOfSight) -> Statistics:
    """Statistics of no stars, so that every histogram, counter and sum exists."""
    statistics = Statistics()
    draws = study.error_sampling.draws
    views = {name: empty_view(name, 1 if name == "rv" else draws) for name in SAMPLES}
    none = np.empty((0, 1))
    for view in views.values():
        accumulate_debris(view, study, statistics)
    predictive = Predictive(none, none, none)
    known = Known(views["rv"], views["test_set"], predictive, np.empty(0))
    accumulate_quality(known, study, statistics)
    accumulate_survey_check(views["ml_rv"], predictive, study, statistics)
    _add_cross_match(no_matches(), study, statistics)
    return statistics


def _add_cross_match(matches: Columns, study: LineOfSight, statistics: Statistics) -> None:
    """Every star of the cross-matches, also those that fail the base cut."""
    fe_axis, mg_axis = bins(study.binning.fe_h), bins(study.binning.mg_fe)
    for survey in SURVEYS:
        mine = matches["survey"] == survey
        fe_h, mg_fe = matches["fe_h"][mine], matches["mg_fe"][mine]
        statistics.count(f"cross_match/{survey}", mine.sum())
        statistics.fill(f"mdf/{survey}/all", (fe_axis,), fe_h)
        if survey == "apogee":
            statistics.fill("chemistry/all", (fe_axis, mg_axis), fe_h, mg_fe)


def _write_orbits(writer: CellWriter, number: int, cell: CellOrbits, study: LineOfSight) -> None:
    high = cell.eccentricity[:, _DRAWS:] > study.cuts.high_eccentricity
    writer.write(
        number,
        {
            "source_id": cell.data["source_id"],
            "eccentricity_rv": cell.eccentricity[:, _MEASURED],
            "eccentricity_pred": cell.eccentricity[:, _PREDICTED],
            "p_high_eccentricity": high.mean(axis=1),
            "orbit_flag_rv": cell.flag[:, _MEASURED],
            "orbit_flag": cell.flag[:, _PREDICTED:].max(axis=1),
        },
    )


def _candidates(view: View, cell: CellOrbits, study: LineOfSight) -> Columns:
    """Draws whose eccentricity passes the limit, with everything known about their orbits."""
    drawn = view.of("candidates", slice(_DRAWS, None))
    chosen = entries(drawn, drawn.eccentricity > study.cuts.high_eccentricity)
    star, draw = chosen.star, chosen.draw
    integrals = integrals_of_motion(chosen.position_kpc, chosen.velocity_kms)
    return {
        **{
            name: cell.data[name][star]
            for name in ("source_id", "ra", "dec", "phot_g_mean_mag", "fold")
        },
        "draw": draw,
        "vlos_draw": drawn.v_los_kms[star, draw],
        "eccentricity": drawn.eccentricity[star, draw],
        "z_max": cell.z_max_kpc[star, _DRAWS + draw],
        "orbit_flag": cell.flag[star, _DRAWS + draw],
        **{name: getattr(integrals, name) for name in ("energy", "l_z", "j_r", "j_z")},
        **dict(zip(COMPONENTS, chosen.spherical_kms.T, strict=True)),
    }
