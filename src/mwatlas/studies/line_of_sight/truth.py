"""What the embedded sky knows about the sample: true orbits and best possible predictions.

With :mod:`mwatlas.studies.line_of_sight.comparison` the only modules of the study that read
truth. They feed the ledger, Figure 13 and Table 3, nothing else.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mwatlas.astrometry.frames import phase_space
from mwatlas.config.line_of_sight import LineOfSight
from mwatlas.config.sky import SkySource
from mwatlas.cuts import passes
from mwatlas.dynamics.orbits import Integration, integrate_orbits
from mwatlas.progress import Advance, Progress
from mwatlas.random import keyed_uniform
from mwatlas.sky.galaxy import SKY_FRAME
from mwatlas.sky.model import SkyModel, load_model
from mwatlas.sky.optimum import Selection, optimal_prediction
from mwatlas.statistics import Statistics
from mwatlas.studies.line_of_sight.accumulate import no_matches
from mwatlas.studies.line_of_sight.debris import accumulate_debris
from mwatlas.studies.line_of_sight.views import View, empty_view, match_rows
from mwatlas.tables.parquet import CellLookup, cell_writer, number_of_rows, read_cells
from mwatlas.tables.schemas import LINE_OF_SIGHT_TRUTH
from mwatlas.tables.table import Columns

TRUE_VIEWS = {"true_rv": "rv", "true_ml_rv": "ml_rv"}
"""Views of the truth, and the catalogue whose stars they hold."""


def reveal_partition(
    sample: Path,
    matches: Path,
    truth: Path,
    galaxy: Path,
    stellar_library: Path,
    dust: Path,
    source: SkySource,
    study: LineOfSight,
    seed: int,
    healpix_order: int,
    statistics_file: Path,
    stars_file: Path,
    progress: Progress,
) -> None:
    """Measure on the truth what the study measures on catalogues, for one partition.

    Parameters
    ----------
    sample, matches, truth
        Partitions of the sample, of the survey matches, and of the truth table.
    galaxy, stellar_library, dust
        Populations of the sky, what their stars look like, and what dims them.
    source
        Settings of the sky.
    study, seed
        Settings and seed of the run.
    healpix_order
        Order of the cells.
    statistics_file, stars_file
        To write: statistics of the true catalogues, and one row for each star.
    progress
        Where to report.
    """
    statistics = Statistics()
    for name in TRUE_VIEWS:
        accumulate_debris(empty_view(name, 1), study, statistics)
    truths, matched = CellLookup(truth), CellLookup(matches)
    share = min(1.0, study.closure.optimum_sources / source.n_stars)
    model = load_model(source, galaxy=galaxy, stellar_library=stellar_library, dust=dust)
    with (
        cell_writer(stars_file, LINE_OF_SIGHT_TRUTH, healpix_order) as writer,
        progress.task("revealing", number_of_rows(sample), "stars") as advance,
    ):
        for cell, data in read_cells(sample):
            known = _rows_of(truths.rows(cell), data["source_id"])
            rows = matched.rows(cell) or no_matches()
            view = _true_view(data, known, rows, study, advance)
            for name, catalogue in TRUE_VIEWS.items():
                mine = (view.fold >= 0) == (catalogue == "rv")
                accumulate_debris(view[mine].of(name, slice(None)), study, statistics)
            chosen = (data["fold"] >= 0) & (
                keyed_uniform(seed, "line_of_sight/optimum", data["source_id"]) < share
            )
            mean, sigma = _optimum(data, chosen, source, model, study)
            writer.write(
                cell,
                {
                    "source_id": data["source_id"],
                    "component": known["component"],
                    "eccentricity_true": view.eccentricity[:, 0],
                    "optimal_mean": mean,
                    "optimal_sigma": sigma,
                },
            )
    statistics.save(statistics_file)


def _rows_of(truth: Columns, source_id: NDArray[np.generic]) -> Columns:
    rows = np.searchsorted(truth["source_id"], source_id)
    return {name: values[rows] for name, values in truth.items()}


def _true_view(
    data: Columns, truth: Columns, matches: Columns, study: LineOfSight, advance: Advance
) -> View:
    """The stars of a cell where they are and as they move, in the sky's own frame."""
    phase = phase_space(
        SKY_FRAME,
        data["ra"],
        data["dec"],
        1 / truth["distance_kpc_true"],
        truth["pmra_true"],
        truth["pmdec_true"],
    )
    velocity = truth["radial_velocity_true"]
    orbits = integrate_orbits(
        phase.position_kpc,
        phase.velocity_kms(velocity),
        Integration(**study.orbits.model_dump()),
        advance,
    )
    _, sun = SKY_FRAME.affine()
    return View(
        "truth",
        phase,
        sun,
        data["fold"].astype(np.int64),
        velocity[:, None],
        orbits.eccentricity[:, None],
        passes(study.cuts.complete, data["phot_g_mean_mag"]),
        match_rows(data["source_id"], matches),
    )


def _optimum(
    data: Columns,
    chosen: NDArray[np.bool_],
    source: SkySource,
    model: SkyModel,
    study: LineOfSight,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Best possible normal prediction of the chosen stars, NaN for others; shape (N,) each."""
    mean, sigma = np.full((2, chosen.size), np.nan)
    if chosen.any():
        base = study.cuts.base
        optimum = optimal_prediction(
            source,
            model,
            Selection(
                float(base.magnitude.min or -math.inf),
                float(base.magnitude.max or math.inf),
                float(base.parallax_error.below or math.inf),
            ),
            *(
                data[name][chosen].astype(float)
                for name in ("ra", "dec", "parallax_corr", "pmra", "pmdec")
            ),
        )
        # The measured velocity scatters by its error about the true one.
        error = data["radial_velocity_error"][chosen].astype(float)
        mean[chosen], sigma[chosen] = optimum.mean, np.hypot(optimum.sigma, error)
    return mean, sigma
