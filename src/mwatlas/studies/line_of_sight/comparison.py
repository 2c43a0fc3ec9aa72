"""How well one set of predictions recovers what the embedded sky knows, star by star."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mwatlas.config.line_of_sight import LineOfSight
from mwatlas.cuts import passes
from mwatlas.predictive import CENTRAL, in_interval, normal, predictive_of
from mwatlas.progress import Progress
from mwatlas.sky.properties import GSE
from mwatlas.statistics import Bins, Statistics
from mwatlas.studies.line_of_sight.debris import bins, draw_bins
from mwatlas.studies.line_of_sight.names import SAMPLES
from mwatlas.tables.parquet import CellLookup, number_of_rows, read_cells
from mwatlas.tables.table import Columns

_CANDIDATE_COLUMNS = ("source_id", "draw", "eccentricity", "phot_g_mean_mag", "fold")


def eccentricity_bins(study: LineOfSight) -> Bins:
    """Bins of eccentricity above the study's limit."""
    axis = bins(study.binning.eccentricity)
    limit = study.cuts.high_eccentricity
    width = axis.edges[1] - axis.low
    return Bins(limit, 1.0, max(round((1.0 - limit) / width), 1))


def compare_partition(
    sample: Path,
    predictions: Path,
    orbits: Path,
    candidates: Path,
    truth: Path,
    study: LineOfSight,
    output: Path,
    progress: Progress,
) -> None:
    """Accumulate one partition's comparison with the truth.

    Parameters
    ----------
    sample, predictions, orbits, candidates
        Partitions of the run's tables.
    truth
        Partition of table ``line_of_sight_truth``.
    study
        Settings.
    output
        HDF5 file to write.
    progress
        Where to report.
    """
    statistics = Statistics()
    draws = study.error_sampling.draws
    for catalogue in SAMPLES:
        none = np.empty(0)
        number = 1 if catalogue == "rv" else draws
        _add_selected(statistics, catalogue, number, none, none, _no_truth(), study)
    _add_sample(statistics, {}, _no_truth(), study)
    chosen = CellLookup(candidates, _CANDIDATE_COLUMNS)
    columns = ["source_id", "fold", "phot_g_mean_mag", "radial_velocity"]
    with progress.task("comparing", number_of_rows(sample), "stars") as advance:
        for (cell, data), (_, predicted), (_, orbit), (_, known) in zip(
            read_cells(sample, columns),
            read_cells(predictions),
            read_cells(orbits, ["eccentricity_rv"]),
            read_cells(truth),
            strict=True,
        ):
            complete = passes(study.cuts.complete, data["phot_g_mean_mag"])
            _add_sample(statistics, {**data, "complete": complete}, known, study)
            measured = complete & (data["fold"] >= 0)
            _add_selected(
                statistics,
                "rv",
                1,
                np.zeros(int(measured.sum())),
                orbit["eccentricity_rv"][measured],
                {name: values[measured] for name, values in known.items()},
                study,
            )
            if mine := chosen.rows(cell):
                _add_candidates(statistics, mine, data, known, study)
            _compare_with_optimum(statistics, data, predicted, known)
            advance(len(data["source_id"]))
    statistics.save(output)


def _no_truth() -> Columns:
    return {"component": np.empty(0, dtype=np.int8), "eccentricity_true": np.empty(0)}


def _add_sample(statistics: Statistics, data: Columns, truth: Columns, study: LineOfSight) -> None:
    """Count what there is to find: true high eccentricities and GSE stars."""
    complete = data.get("complete", np.empty(0, dtype=bool))
    fold = data.get("fold", np.empty(0))
    axis = eccentricity_bins(study)
    for catalogue in SAMPLES:
        mine = complete & ((fold < 0) if catalogue == "ml_rv" else (fold >= 0))
        true = truth["eccentricity_true"][mine]
        gse = truth["component"][mine] == GSE
        statistics.count(f"recovery/{catalogue}/gse", gse.sum())
        statistics.fill(f"recovery/{catalogue}/high", (axis,), true)
        statistics.fill(f"recovery/{catalogue}/high_gse", (axis,), true[gse])


def _add_candidates(
    statistics: Statistics,
    candidates: Columns,
    data: Columns,
    truth: Columns,
    study: LineOfSight,
) -> None:
    """Count the candidates of one cell."""
    star = np.searchsorted(data["source_id"], candidates["source_id"])
    complete = passes(study.cuts.complete, candidates["phot_g_mean_mag"])
    for catalogue in ("test_set", "ml_rv"):
        mine = complete & ((candidates["fold"] < 0) == (catalogue == "ml_rv"))
        _add_selected(
            statistics,
            catalogue,
            study.error_sampling.draws,
            candidates["draw"][mine].astype(float),
            candidates["eccentricity"][mine],
            {name: truth[name][star[mine]] for name in ("component", "eccentricity_true")},
            study,
        )


def _add_selected(
    statistics: Statistics,
    catalogue: str,
    draws: int,
    draw: NDArray[np.floating],
    eccentricity: NDArray[np.floating],
    truth: Columns,
    study: LineOfSight,
) -> None:
    """Count selected entries by draw and eccentricity, all and those that are right."""
    axes = (draw_bins(draws), eccentricity_bins(study))
    high = eccentricity > study.cuts.high_eccentricity
    right = truth["eccentricity_true"] > study.cuts.high_eccentricity
    gse = truth["component"] == GSE
    for name, keep in (("selected", high), ("right", high & right), ("true_gse", high & gse)):
        statistics.fill(
            f"recovery/{catalogue}/{name}", axes, draw[keep], eccentricity[keep].astype(float)
        )


def _compare_with_optimum(
    statistics: Statistics, data: Columns, predicted: Columns, truth: Columns
) -> None:
    chosen = np.isfinite(truth["optimal_mean"])
    velocity = data["radial_velocity"][chosen].astype(float)
    optimum = normal(truth["optimal_mean"][chosen], truth["optimal_sigma"][chosen])
    ours = predictive_of({name: values[chosen] for name, values in predicted.items()})
    best = -optimum.log_prob(velocity)
    excess = -ours.log_prob(velocity) - best
    probability = optimum.cdf(velocity)
    mean = optimum.mean()
    for name, values in (
        ("excess", excess),
        ("excess_square", excess**2),
        ("loss", best),
        ("velocity", velocity),
        ("velocity_square", velocity**2),
        ("distance_square", (ours.mean() - mean) ** 2),
        ("mean", mean),
        ("mean_square", mean**2),
        ("log_sigma_ratio", np.log(ours.std() / optimum.std())),
        *((f"inside_{level}", in_interval(probability, ends)) for level, ends in CENTRAL.items()),
    ):
        statistics.add(f"optimum/{name}", values)
