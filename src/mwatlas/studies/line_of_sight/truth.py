"""How well the study recovers what the embedded sky knows.

The only module of the study that reads truth. It feeds the ledger and nothing else.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mwatlas.astrometry.frames import phase_space
from mwatlas.config.line_of_sight import Closure, LineOfSight
from mwatlas.config.sky import SkySource
from mwatlas.dynamics.orbits import Integration, integrate_orbits
from mwatlas.ledger import Measurement, Truth
from mwatlas.progress import Progress
from mwatlas.random import keyed_uniform
from mwatlas.sky.galaxy import SKY_FRAME
from mwatlas.sky.model import SkyModel, load_model
from mwatlas.sky.optimum import Selection, optimal_prediction
from mwatlas.statistics import Statistics
from mwatlas.studies.line_of_sight.accumulate import HALF_LOG_2PI
from mwatlas.tables.parquet import number_of_rows, read_cells
from mwatlas.tables.table import Columns

Floats = NDArray[np.float64]


def compare_partition(
    sample: Path,
    predictions: Path,
    truth: Path,
    galaxy: Path,
    stellar_library: Path,
    dust: Path,
    source: SkySource,
    study: LineOfSight,
    seed: int,
    output: Path,
    progress: Progress,
) -> None:
    """Accumulate one partition's comparison with the truth.

    Parameters
    ----------
    sample, predictions, truth
        Partitions of the sample, of the predictions, and of the truth table.
    galaxy, stellar_library, dust
        Populations of the sky, what their stars look like, and what dims them.
    source
        Settings of the sky.
    study, seed
        Settings and seed of the run.
    output
        HDF5 file to write.
    progress
        Where to report.
    """
    statistics = Statistics()
    for name in ("rv", "ml_rv"):
        statistics.count(f"truth/{name}/row2", 0)
        statistics.count(f"truth/{name}/row0_high", 0)
    share = min(1.0, study.closure.optimum_stars / (0.25 * source.n_stars))
    truths = dict(read_cells(truth))
    model = load_model(source, galaxy=galaxy, stellar_library=stellar_library, dust=dust)
    with progress.task("comparing", number_of_rows(sample), "stars") as advance:
        for (cell, data), (_, predicted) in zip(
            read_cells(sample), read_cells(predictions), strict=True
        ):
            known = _rows_of(truths[cell], data["source_id"])
            _count_true_high(data, known, study, statistics)
            chosen = (data["fold"] >= 0) & (
                keyed_uniform(seed, "line_of_sight/optimum", data["source_id"]) < share
            )
            if chosen.any():
                _compare_with_optimum(
                    cell,
                    {name: values[chosen] for name, values in data.items()},
                    {name: values[chosen] for name, values in predicted.items()},
                    source,
                    model,
                    study,
                    statistics,
                )
            advance(len(data["source_id"]))
    statistics.save(output)


def _rows_of(truth: Columns, source_id: NDArray[np.generic]) -> Columns:
    rows = np.searchsorted(truth["source_id"], source_id)
    return {name: values[rows] for name, values in truth.items()}


def _count_true_high(
    data: Columns, truth: Columns, study: LineOfSight, statistics: Statistics
) -> None:
    """Count stars whose true orbit passes the eccentricity limit."""
    stars = phase_space(
        SKY_FRAME,
        data["ra"],
        data["dec"],
        1 / truth["distance_kpc_true"],
        truth["pmra_true"],
        truth["pmdec_true"],
    )
    orbits = integrate_orbits(
        stars.position_kpc,
        stars.velocity_kms(truth["radial_velocity_true"]),
        Integration(**study.orbits.model_dump()),
    )
    high = orbits.eccentricity > study.cuts.high_eccentricity
    limits = study.cuts.complete
    g = data["phot_g_mean_mag"]
    complete = (g >= limits.min) & (g <= limits.max)
    for name, mine in (("rv", data["fold"] >= 0), ("ml_rv", data["fold"] < 0)):
        statistics.count(f"truth/{name}/row2", (high & mine & complete).sum())
        statistics.count(f"truth/{name}/row0_high", (high & mine).sum())


def _compare_with_optimum(
    cell: int,
    data: Columns,
    predicted: Columns,
    source: SkySource,
    model: SkyModel,
    study: LineOfSight,
    statistics: Statistics,
) -> None:
    base = study.cuts.base
    optimum = optimal_prediction(
        source,
        model,
        Selection(
            float(base.magnitude.min or -math.inf),
            float(base.magnitude.max or math.inf),
            float(base.parallax_error.below or math.inf),
        ),
        *(data[n].astype(float) for n in ("ra", "dec", "parallax_corr", "pmra", "pmdec")),
    )
    velocity = data["radial_velocity"].astype(float)
    mean, sigma = predicted["vlos_pred"].astype(float), predicted["sigma_los"].astype(float)
    error = data["radial_velocity_error"].astype(float)
    spread = np.sqrt(optimum.sigma**2 + error**2)
    pull = (optimum.mean - velocity) / spread
    best = 0.5 * pull**2 + np.log(spread) + HALF_LOG_2PI
    ours = 0.5 * ((mean - velocity) / sigma) ** 2 + np.log(sigma) + HALF_LOG_2PI
    for name, values in (
        ("excess", ours - best),
        ("excess_square", (ours - best) ** 2),
        ("loss", best),
        ("velocity", velocity),
        ("velocity_square", velocity**2),
        ("distance_square", (mean - optimum.mean) ** 2),
        ("mean", optimum.mean),
        ("mean_square", optimum.mean**2),
        ("log_sigma_ratio", np.log(sigma / spread)),
        ("inside_1", (np.abs(pull) < 1).astype(float)),
        ("inside_2", (np.abs(pull) < 2).astype(float)),
    ):
        statistics.add(f"optimum/{name}", cell, values)


def truths(comparison: Statistics, measurements: list[Measurement]) -> list[Truth]:
    """What the measured quantities should be.

    Parameters
    ----------
    comparison
        Merged statistics of :func:`compare_partition`.
    measurements
        Of the study.
    """
    measured = {m.quantity: m for m in measurements}
    out = [
        Truth("pull_mean", 0.0, None, 0.02, "an unbiased prediction has mean zero"),
        Truth(
            "pull_width",
            1.0,
            None,
            0.10,
            "a calibrated prediction has width one; 0.9 to 1.1 allows for its training error",
        ),
    ]
    number = comparison.number("optimum/excess")
    for reach, name in ((1, "coverage_68"), (2, "coverage_95")):
        share = comparison.mean(f"optimum/inside_{reach}")
        error = math.sqrt(share * (1 - share) / number)
        out.append(
            Truth(
                name,
                share,
                error,
                0.02 + 2 * error,
                "the share of the optimal prediction, within 0.02 and its sampling error",
            )
        )
    for sample, source in (("rv", "rv"), ("test_set", "rv"), ("ml_rv", "ml_rv")):
        for row in ("row2", "row0_high"):
            count = float(comparison.counts[f"truth/{source}/{row}"])
            # Both counts are of the same stars, so their sampling noise is common.
            part = 0.05 if sample == "rv" else 0.2
            out.append(
                Truth(f"count_{sample}_{row}", count, None, part * count, f"tolerance {part:.0%}")
            )
    return [truth for truth in out if math.isfinite(measured[truth.quantity].value)]


def optimum_measurements(
    comparison: Statistics, closure: Closure
) -> tuple[list[Measurement], list[Truth]]:
    """How far the network is from the best possible prediction, and how far it may be.

    The scales are what the optimum gains over one normal distribution for all stars, and the
    scatter of the optimal means. A linear prediction stays within neither limit.

    Parameters
    ----------
    comparison
        Merged statistics of :func:`compare_partition`.
    closure
        Limits.
    """

    def mean(name: str) -> float:
        return comparison.mean(f"optimum/{name}")

    number = comparison.number("optimum/excess")
    excess = mean("excess")
    scatter = math.sqrt(mean("excess_square") - excess**2)
    variance = mean("velocity_square") - mean("velocity") ** 2
    gain = 0.5 * math.log(2 * math.pi * math.e * variance) - mean("loss")
    distance = math.sqrt(mean("distance_square"))
    range_ = math.sqrt(mean("mean_square") - mean("mean") ** 2)
    ratio = math.exp(mean("log_sigma_ratio"))
    measurements = [
        Measurement(
            "closure",
            "excess_loss_over_optimum",
            "mean loss above that of the best possible Gaussian prediction",
            "nat",
            excess,
            scatter / math.sqrt(number),
            number,
        ),
        Measurement(
            "closure",
            "distance_from_optimal_mean",
            "root mean square distance of vlos_pred from the true conditional mean",
            "km/s",
            distance,
            None,
            number,
        ),
        Measurement(
            "closure",
            "sigma_over_optimal_sigma",
            "geometric mean of sigma_los over the true conditional spread",
            "",
            ratio,
            None,
            number,
        ),
    ]
    truths = [
        Truth(
            "excess_loss_over_optimum",
            0.0,
            None,
            (1 - closure.least_gain) * gain,
            f"the optimum gains {gain:.2f} nat over a constant; {closure.least_gain:.0%} of that "
            "are asked",
        ),
        Truth(
            "distance_from_optimal_mean",
            0.0,
            None,
            closure.largest_miss * range_,
            f"the optimal mean scatters by {range_:.1f} km/s; {closure.largest_miss:.0%} of that "
            "are allowed",
        ),
        Truth("sigma_over_optimal_sigma", 1.0, None, 0.1, "10 per cent"),
    ]
    return measurements, truths
