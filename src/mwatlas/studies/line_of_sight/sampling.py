"""Error sampling: draws of the velocity, and the eccentricities they imply (section 2.1)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mwatlas.astrometry.frames import GalactocentricFrame, PhaseSpace, phase_space
from mwatlas.config.line_of_sight import LineOfSight, SolarFrame
from mwatlas.dynamics.orbits import Integration, integrate_orbits
from mwatlas.progress import Progress
from mwatlas.random import keyed_normal
from mwatlas.tables.parquet import cell_writer, number_of_rows, read_cells
from mwatlas.tables.schemas import LINE_OF_SIGHT_ORBITS
from mwatlas.tables.table import Columns, TableSchema

Floats = NDArray[np.float64]

ASTROMETRY = ("ra", "dec", "parallax_corr", "pmra", "pmdec")


def orbits_schema(draws: int) -> TableSchema:
    """Table of eccentricities for a number of draws."""
    return LINE_OF_SIGHT_ORBITS.with_length("eccentricity_draws", draws)


def galactocentric(frame: SolarFrame, data: Columns) -> PhaseSpace:
    """Phase space of stars of the sample as a function of their line-of-sight velocity."""
    axes = GalactocentricFrame(frame.galcen_distance_kpc, frame.z_sun_pc, frame.v_sun_kms)
    return phase_space(axes, *(data[name] for name in ASTROMETRY))


def velocity_draws(seed: int, draws: int, source_id: Floats, predicted: Columns) -> Floats:
    """Draws from the predicted normal distribution of each star, in km/s.

    Parameters
    ----------
    seed, draws
        Seed of the run, and number of draws.
    source_id
        Shape (N,).
    predicted
        Columns ``vlos_pred`` and ``sigma_los``.

    Returns
    -------
    float64, shape (N, draws)
    """
    noise = keyed_normal(seed, "line_of_sight/draw", source_id[:, None], np.arange(draws))
    mean = predicted["vlos_pred"].astype(float)[:, None]
    return mean + predicted["sigma_los"].astype(float)[:, None] * noise


def sample_orbits(
    sample: Path,
    predictions: Path,
    study: LineOfSight,
    seed: int,
    healpix_order: int,
    output: Path,
    progress: Progress,
) -> None:
    """Eccentricities of one partition with measured, predicted and drawn velocities.

    Parameters
    ----------
    sample, predictions
        Partitions of the sample and of the predictions.
    study, seed
        Settings and seed of the run.
    healpix_order
        Order of the cells.
    output
        Partition of eccentricities to write.
    progress
        Where to report.
    """
    draws = study.error_sampling.draws
    integration = Integration(**study.orbits.model_dump())
    names = ["source_id", *ASTROMETRY, "radial_velocity"]
    total = number_of_rows(sample) * (draws + 1)
    with (
        cell_writer(output, orbits_schema(draws), healpix_order) as writer,
        progress.task("integrating", total, "orbits") as advance,
    ):
        for (cell, data), (_, predicted) in zip(
            read_cells(sample, names), read_cells(predictions), strict=True
        ):
            drawn = velocity_draws(seed, draws, data["source_id"], predicted)
            measured = data["radial_velocity"].astype(float)
            velocities = np.column_stack([measured, predicted["vlos_pred"], drawn])
            stars = galactocentric(study.solar_frame, data)
            orbits = np.flatnonzero(np.isfinite(velocities).ravel())
            star = orbits // velocities.shape[1]
            result = integrate_orbits(
                stars.position_kpc[star],
                stars.velocity_kms(velocities).reshape(-1, 3)[orbits],
                integration,
                advance,
            )
            value = np.full(velocities.shape, np.nan)
            value.ravel()[orbits] = result.eccentricity
            flag = np.zeros(len(measured), dtype=np.int8)
            np.maximum.at(flag, star, result.flag)
            writer.write(
                cell,
                {
                    "source_id": data["source_id"],
                    "eccentricity_true": value[:, 0],
                    "eccentricity_pred": value[:, 1],
                    "eccentricity_draws": value[:, 2:],
                    "orbit_flag": flag,
                },
            )
