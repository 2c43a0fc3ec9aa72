"""What one partition contributes to the figures, tables and numbers of the study."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mwatlas.astrometry.frames import spherical_basis, spherical_velocity
from mwatlas.config.line_of_sight import Axis, LineOfSight
from mwatlas.cuts import passes
from mwatlas.progress import Progress
from mwatlas.statistics import Bins, Statistics
from mwatlas.studies.line_of_sight.sampling import (
    ASTROMETRY,
    galactocentric,
    velocity_draws,
)
from mwatlas.tables.parquet import number_of_rows, read_cells
from mwatlas.tables.table import Columns

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

COMPONENTS = ("v_r", "v_theta", "v_phi")
HALF_LOG_2PI = 0.5 * np.log(2 * np.pi)


@dataclass(frozen=True)
class Stars:
    """Stars of one cell with everything the statistics need; N stars, D draws."""

    cell: int
    fold: NDArray[np.int64]
    complete: Mask
    velocity: Floats
    predicted: Floats
    sigma: Floats
    draws: Floats
    eccentricity: Floats
    eccentricity_pred: Floats
    eccentricity_draws: Floats
    spherical_true: Floats
    spherical_pred: Floats
    spherical_draws: Floats
    spherical_sigma: Floats

    def __getitem__(self, keep: Mask) -> Stars:
        """Return the stars selected by a mask."""
        return Stars(
            self.cell,
            *(getattr(self, name)[keep] for name in list(self.__dataclass_fields__)[1:]),
        )


def gather(
    cell: int, data: Columns, predicted: Columns, orbits: Columns, study: LineOfSight, seed: int
) -> Stars:
    """Put the tables of a cell together and transform the velocities."""
    phase = galactocentric(study.solar_frame, data)
    draws = velocity_draws(seed, study.error_sampling.draws, data["source_id"], predicted)
    measured = data["radial_velocity"].astype(float)
    mean, sigma = predicted["vlos_pred"].astype(float), predicted["sigma_los"].astype(float)
    position = phase.position_kpc
    # Spherical velocities are linear in v_los at a fixed position, and so is their error.
    slope = np.einsum("nij,nj->ni", spherical_basis(position), phase.line_of_sight)
    return Stars(
        cell=cell,
        fold=data["fold"].astype(np.int64),
        complete=passes(study.cuts.complete, data["phot_g_mean_mag"]),
        velocity=measured,
        predicted=mean,
        sigma=sigma,
        draws=draws,
        eccentricity=orbits["eccentricity_true"].astype(float),
        eccentricity_pred=orbits["eccentricity_pred"].astype(float),
        eccentricity_draws=orbits["eccentricity_draws"].astype(float),
        spherical_true=spherical_velocity(position, phase.velocity_kms(measured)),
        spherical_pred=spherical_velocity(position, phase.velocity_kms(mean)),
        spherical_draws=spherical_velocity(position, phase.velocity_kms(draws)),
        spherical_sigma=np.abs(slope) * sigma[:, None],
    )


def accumulate_partition(
    sample: Path,
    predictions: Path,
    orbits: Path,
    study: LineOfSight,
    seed: int,
    output: Path,
    progress: Progress,
) -> None:
    """Accumulate the statistics of one partition.

    Parameters
    ----------
    sample, predictions, orbits
        Tables of the partition.
    study, seed
        Settings and seed of the run.
    output
        HDF5 file to write.
    progress
        Where to report.
    """
    names = ["source_id", "fold", "phot_g_mean_mag", "radial_velocity", *ASTROMETRY]
    statistics = empty_statistics(study)
    with progress.task("accumulating", number_of_rows(sample), "stars") as advance:
        for (cell, data), (_, predicted), (_, eccentricities) in zip(
            read_cells(sample, names), read_cells(predictions), read_cells(orbits), strict=True
        ):
            stars = gather(cell, data, predicted, eccentricities, study, seed)
            accumulate(stars, study, statistics)
            advance(len(data["source_id"]))
    statistics.save(output)


def _bins(axis: Axis) -> Bins:
    return Bins(axis.low, axis.high, axis.bins)


def empty_statistics(study: LineOfSight) -> Statistics:
    """Statistics of no stars, so that every histogram and counter exists."""
    nothing = Statistics()
    draws, none, three = study.error_sampling.draws, np.empty(0), np.empty((0, 3))
    many = np.empty((0, draws))
    stars = Stars(
        -1,
        np.empty(0, dtype=np.int64),
        np.empty(0, dtype=bool),
        none,
        none,
        none,
        many,
        none,
        none,
        many,
        three,
        three,
        np.empty((0, draws, 3)),
        three,
    )
    accumulate(stars, study, nothing)
    return nothing


def accumulate(stars: Stars, study: LineOfSight, statistics: Statistics) -> None:
    """Add the stars of one cell to the statistics."""
    known = stars[stars.fold >= 0]
    unknown = stars[stars.fold < 0]
    _count_table_1(known, unknown, study, statistics)
    _add_velocity_quality(known, study, statistics)
    _add_eccentricity_quality(known, study, statistics)
    _fill_figures(known, study, statistics)


def _count_table_1(
    known: Stars, unknown: Stars, study: LineOfSight, statistics: Statistics
) -> None:
    high = study.cuts.high_eccentricity
    for name, stars in (("rv", known), ("test_set", known), ("ml_rv", unknown)):
        statistics.count(f"table1/{name}/row0", stars.fold.size)
        statistics.count(f"table1/{name}/row1", stars.complete.sum())
        if name == "rv":
            selected = (stars.eccentricity > high)[:, None]
        else:
            selected = stars.eccentricity_draws > high
        statistics.count(f"table1/{name}/row2", (selected & stars.complete[:, None]).sum(axis=0))
        statistics.count(f"table1/{name}/row0_high", selected.sum(axis=0))


def _add_velocity_quality(known: Stars, study: LineOfSight, statistics: Statistics) -> None:
    residual = known.predicted - known.velocity
    pull = residual / known.sigma
    loss = 0.5 * pull**2 + np.log(known.sigma) + HALF_LOG_2PI
    statistics.fill("fig02/pull", (_bins(study.binning.pull),), pull)
    for k in range(study.cross_validation.folds):
        mine = known.fold == k
        if known.cell >= 0:
            for name, values in (
                ("pull", pull),
                ("nll", loss),
                ("residual", residual),
                ("residual_square", residual**2),
                ("velocity", known.velocity),
                ("velocity_square", known.velocity**2),
                ("predicted", known.predicted),
                ("predicted_square", known.predicted**2),
                ("product", known.velocity * known.predicted),
                ("inside_1", (np.abs(pull) < 1).astype(float)),
                ("inside_2", (np.abs(pull) < 2).astype(float)),
            ):
                statistics.add(f"{name}/{k}", known.cell, values[mine])
        statistics.fill(f"pull/{k}", (_bins(study.binning.pull),), pull[mine])


def _add_eccentricity_quality(known: Stars, study: LineOfSight, statistics: Statistics) -> None:
    true = known.eccentricity
    if known.cell >= 0:
        for k in range(study.cross_validation.folds):
            mine = known.fold == k
            for kind, values in (
                ("pred", known.eccentricity_pred),
                ("draw", known.eccentricity_draws[:, 0]),
            ):
                for name, product in (
                    ("x", true),
                    ("y", values),
                    ("xx", true**2),
                    ("yy", values**2),
                    ("xy", true * values),
                ):
                    statistics.add(f"eccentricity/{kind}/{name}/{k}", known.cell, product[mine])
    for name in ("high_eccentricity", "moderate_eccentricity"):
        limit = getattr(study.cuts, name)
        low = (true < limit)[:, None]
        statistics.count(
            f"contamination/{name}/draws", ((known.eccentricity_draws > limit) & low).sum(axis=0)
        )
        statistics.count(
            f"contamination/{name}/point", ((known.eccentricity_pred > limit) & low[:, 0]).sum()
        )


def _fill_figures(known: Stars, study: LineOfSight, statistics: Statistics) -> None:
    binning = study.binning
    velocity, error = _bins(binning.velocity), _bins(binning.velocity_error)
    box = _bins(binning.velocity_box)
    draws = known.draws.shape[1]
    for i, name in enumerate(COMPONENTS):
        true = np.repeat(known.spherical_true[:, i, None], draws, axis=1)
        statistics.fill(f"fig01/{name}", (velocity, velocity), known.spherical_draws[..., i], true)
        statistics.fill(
            f"fig01/error/{name}",
            (box, error),
            known.spherical_pred[:, i],
            known.spherical_sigma[:, i],
        )
    axis = _bins(binning.eccentricity)
    true = np.repeat(known.eccentricity[:, None], draws, axis=1)
    statistics.fill("fig03/eccentricity", (axis, axis), known.eccentricity_draws, true)
    limit = study.cuts.high_eccentricity
    inside = (axis.index(known.eccentricity_draws) >= 0) & (axis.index(true) >= 0)
    high_pred, high_true = known.eccentricity_draws > limit, true > limit
    for name, chosen in (
        ("all", inside),
        ("upper_right", inside & high_pred & high_true),
        ("upper_left", inside & ~high_pred & high_true),
        ("lower_right", inside & high_pred & ~high_true),
        (
            "lower_right_moderate",
            inside & high_pred & ~high_true & (true > study.cuts.moderate_eccentricity),
        ),
    ):
        statistics.count(f"fig03/{name}", chosen.sum(axis=0))
