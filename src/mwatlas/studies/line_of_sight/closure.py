"""What the numbers of a run should be on the embedded sky, and how much it recovers."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from mwatlas.config.line_of_sight import Closure, LineOfSight
from mwatlas.ledger import Measurement, Truth
from mwatlas.predictive import CENTRAL
from mwatlas.statistics import Statistics
from mwatlas.studies.line_of_sight.debris_numbers import debris_measurements, share
from mwatlas.studies.line_of_sight.names import SAMPLES
from mwatlas.studies.line_of_sight.numbers import row_counts
from mwatlas.studies.line_of_sight.truth import TRUE_VIEWS


def truths(
    revealed: Statistics,
    comparison: Statistics,
    study: LineOfSight,
    measurements: Sequence[Measurement],
) -> list[Truth]:
    """What the measured quantities should be.

    Parameters
    ----------
    revealed
        Merged statistics of the truth, of :func:`mwatlas.studies.line_of_sight.truth`.
    comparison
        Merged statistics of :func:`mwatlas.studies.line_of_sight.comparison`.
    study
        Settings of the run.
    measurements
        Of the run.
    """
    measured = {m.quantity: m for m in measurements}
    true = {
        m.quantity: m
        for m in (
            *row_counts(revealed, study.cuts, dict.fromkeys(TRUE_VIEWS, "truth")),
            *debris_measurements(revealed, study, tuple(TRUE_VIEWS)),
        )
    }
    out = _of_calibration(comparison, study)
    for view, catalogue in TRUE_VIEWS.items():
        for name in (catalogue, "test_set") if catalogue == "rv" else (catalogue,):
            for quantity, m in true.items():
                ours = measured.get(f"{quantity.removesuffix(view)}{name}")
                if quantity.endswith(f"_{view}") and ours is not None:
                    out += _of_quantity(ours, m, true, view, study.closure)
            for row in ("row2", "row3", "row4", "row0_high"):
                out += _of_count(
                    measured[f"count_{name}_{row}"], true[f"count_{view}_{row}"], study
                )
    return [
        truth
        for truth in out
        if math.isfinite(truth.value) and math.isfinite(measured[truth.quantity].value)
    ]


def _of_calibration(comparison: Statistics, study: LineOfSight) -> list[Truth]:
    closure = study.closure
    out = [
        Truth("pull_mean", 0.0, None, closure.pull_mean, "an unbiased prediction has mean zero"),
        Truth(
            "pull_width",
            1.0,
            None,
            closure.pull_width,
            f"a calibrated prediction has width one; {closure.pull_width:g} is for its training",
        ),
    ]
    number = comparison.number("optimum/excess")
    for level, (low, high) in CENTRAL.items():
        if study.network.kind == "mixture":
            value, what = high - low, "a full density has nominal coverage"
        else:
            value = comparison.mean(f"optimum/inside_{level}")
            what = "the share of the optimal normal prediction"
        error = math.sqrt(value * (1 - value) / number) if number else math.nan
        out.append(
            Truth(
                f"coverage_{level}",
                value,
                error,
                closure.coverage + closure.errors * error,
                f"{what}, within {closure.coverage:g} and {closure.errors:g} sampling errors",
            )
        )
    return out


def _of_count(ours: Measurement, true: Measurement, study: LineOfSight) -> list[Truth]:
    closure = study.closure
    measured = ours.quantity.startswith("count_rv_")
    part = closure.measured_count if measured else closure.predicted_count
    return [
        Truth(
            ours.quantity,
            true.value,
            None,
            part * true.value,
            # Both counts are of the same stars, so Poisson noise is common to them.
            f"{part:.0%} are allowed",
            true.value >= closure.fewest_stars,
        )
    ]


def _of_quantity(
    ours: Measurement,
    true: Measurement,
    every: dict[str, Measurement],
    view: str,
    closure: Closure,
) -> list[Truth]:
    """Truth of a number of the stars of high eccentricity."""
    kind = next((k for k in _ALLOWED if ours.quantity.startswith(k)), None)
    if kind is None or ours.error is None or true.error is None:
        return []
    value = true.value
    if kind == "dispersion":
        part, reason = closure.dispersion * value, f"{closure.dispersion:.0%}"
    elif kind in ("energy", "l_z", "sqrt_j_r"):
        low, high = (every[f"{kind}_{end}_{view}"].value for end in ("low", "high"))
        part = closure.range_end * (high - low)
        reason = f"{closure.range_end:.0%} of the range's width"
    elif kind == "tilt":
        # An axis turned by half a turn is the same axis.
        value += 180.0 * round((ours.value - value) / 180.0)
        part, reason = closure.tilt_deg, f"{closure.tilt_deg:g} degrees"
    elif kind == "high_alpha":
        part, reason = closure.share * value, f"{closure.share:.0%} of it"
    else:
        part, reason = closure.abundance, f"{closure.abundance:g}"
    error = closure.errors * math.hypot(ours.error, true.error)
    return [
        Truth(
            ours.quantity,
            value,
            true.error,
            part + error,
            f"{reason} and {closure.errors:g} times the combined error are allowed",
            error <= closure.most_noise * part,
        )
    ]


_ALLOWED = ("dispersion", "energy", "l_z", "sqrt_j_r", "tilt", "axis_ratio", "mdf", "high_alpha")


def recovery_measurements(comparison: Statistics) -> list[Measurement]:
    """Completeness and purity of the selection, for high eccentricities and for GSE stars.

    Parameters
    ----------
    comparison
        Merged statistics of :func:`mwatlas.studies.line_of_sight.comparison`.
    """
    out = []
    for catalogue, label in SAMPLES.items():
        velocities = "measured" if catalogue == "rv" else "drawn"

        def count(name: str, catalogue: str = catalogue) -> np.ndarray:
            histogram = comparison.histograms[f"recovery/{catalogue}/{name}"]
            return histogram.counts.sum(axis=-1)

        all_gse = comparison.counts[f"recovery/{catalogue}/gse"]
        for name, part, whole, meaning in (
            ("high_completeness", "right", count("high"), "share of true high e that is selected"),
            ("high_purity", "right", count("selected"), "share of the selected with true high e"),
            ("gse_completeness", "true_gse", all_gse, "share of all GSE stars that is selected"),
            ("gse_purity", "true_gse", count("selected"), "share of the selected that are GSE"),
            ("gse_completeness_limit", "high_gse", all_gse, "share of GSE stars with true high e"),
            ("gse_purity_limit", "high_gse", count("high"), "share of true high e that are GSE"),
        ):
            out.append(
                share(
                    "fig13",
                    f"{name}_{catalogue}",
                    f"{label}, {velocities} velocities: {meaning}",
                    count(part),
                    whole,
                )
            )
    return out


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
    if not number:
        return [], []
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
        Truth(
            "sigma_over_optimal_sigma",
            1.0,
            None,
            closure.sigma_ratio,
            f"{closure.sigma_ratio:.0%} are allowed",
        ),
    ]
    return measurements, truths
