"""Every number the study reports, with its error.

Errors of means, fits and correlations are the scatter among the cross-validation rounds over
the square root of their number. Errors of counts and shares add Poisson noise and the scatter
among the error draws.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from mwatlas.config.line_of_sight import Cuts, LineOfSight
from mwatlas.cuts import describe
from mwatlas.distributions import (
    fit_normal,
    fit_normal_least_squares,
    histogram_quantile,
)
from mwatlas.ledger import Measurement
from mwatlas.statistics import Histogram, Statistics
from mwatlas.studies.line_of_sight.debris_numbers import (
    VIEWS,
    debris_measurements,
    share,
    survey_measurements,
)
from mwatlas.studies.line_of_sight.views import SURVEYS, TABLE_ROWS

Floats = NDArray[np.float64]

Mean = Callable[[str], float]
"""Mean of a quantity over some set of stars, by the name of its sum."""


def row_names(cuts: Cuts) -> dict[str, str]:
    """Rows of Table 1 and what they count."""
    high = f"e > {cuts.high_eccentricity:g}"
    return {
        "row0": "after the base cut",
        "row1": f"of row [0] with {describe(cuts.complete, 'G')}",
        "row2": f"of row [1] with {high}",
        **{row: f"of row [2] observed by {survey.upper()}" for row, survey in TABLE_ROWS.items()},
        "row0_high": f"after the base cut with {high}",
    }


class _Rounds:
    """Evaluates a number over all stars, and in each round for its error."""

    def __init__(self, statistics: Statistics, folds: int) -> None:
        self._statistics = statistics
        self._folds = range(folds)

    @property
    def stars(self) -> int:
        return sum(self._statistics.number(f"pull/{k}") for k in self._folds)

    def value(self, formula: Callable[[Mean], float]) -> tuple[float, float | None]:
        """Apply ``formula`` to the means over all stars; its scatter among rounds is the error."""
        statistics, folds = self._statistics, self._folds

        def over_all(name: str) -> float:
            number = sum(statistics.number(f"{name}/{k}") for k in folds)
            total = math.fsum(statistics.total(f"{name}/{k}") for k in folds)
            return total / number if number else math.nan

        def in_round(k: int) -> Mean:
            return lambda name: statistics.mean(f"{name}/{k}")

        return formula(over_all), _error_of_mean([formula(in_round(k)) for k in folds])

    def fitted(
        self, name: str, formula: Callable[[Histogram], float]
    ) -> tuple[float, float | None]:
        """The same for a formula of a histogram."""
        each = [self._statistics.histograms[f"{name}/{k}"] for k in self._folds]
        together = Histogram(each[0].axes, np.sum([h.counts for h in each], axis=0))
        filled = [formula(h) for h in each if (h.counts > 0).sum() >= 3]
        return formula(together) if filled else math.nan, _error_of_mean(filled)


def _error_of_mean(values: list[float]) -> float | None:
    finite = [v for v in values if math.isfinite(v)]
    if len(finite) < 2:
        return None
    return float(np.std(finite, ddof=1) / math.sqrt(len(finite)))


def _correlation(x: str, y: str, xx: str, yy: str, xy: str) -> Callable[[Mean], float]:
    """Pearson correlation from the means of products."""

    def formula(mean: Mean) -> float:
        covariance = mean(xy) - mean(x) * mean(y)
        variances = (mean(xx) - mean(x) ** 2) * (mean(yy) - mean(y) ** 2)
        return covariance / math.sqrt(variances) if variances > 0 else math.nan

    return formula


def measure(statistics: Statistics, study: LineOfSight) -> list[Measurement]:
    """Every number of the study.

    Parameters
    ----------
    statistics
        Merged over all partitions.
    study
        Settings.
    """
    rounds = _Rounds(statistics, study.cross_validation.folds)
    return [
        *row_counts(statistics, study.cuts, VIEWS),
        _found_again(statistics, study.cuts),
        *_cross_matches(statistics),
        *_pulls(rounds),
        *_velocities(rounds),
        *_eccentricities(rounds),
        *_contamination(statistics, study.cuts),
        _lost_by_sampling(statistics, study.cuts),
        *_quadrants(statistics, study.cuts),
        *debris_measurements(statistics, study),
        *survey_measurements(statistics),
    ]


def row_counts(statistics: Statistics, cuts: Cuts, views: Mapping[str, str]) -> list[Measurement]:
    """Table 1: numbers of stars after each cut, and shares of high eccentricity.

    Parameters
    ----------
    statistics
        Merged over all partitions.
    cuts
        Selection of the study.
    views
        Catalogues, named as in the statistics, and what to call them.
    """
    out = []
    names = row_names(cuts)
    for view, name in views.items():
        counts = {row: statistics.counts[f"table1/{view}/{row}"].astype(float) for row in names}
        drawn = {row: number.sum(axis=0) for row, number in counts.items()}
        for row, number in drawn.items():
            out.append(
                Measurement(
                    f"tab01.{row}",
                    f"count_{view}_{row}",
                    f"{name}: {names[row]}",
                    "stars",
                    float(number.mean()),
                    None if row in ("row0", "row1") else count_error(counts[row]),
                    int(drawn["row0"][0]),
                )
            )
        for row, base in (("row2", "row1"), ("row0_high", "row0")):
            meaning = (
                f"{name}: share with e > {cuts.high_eccentricity:g} in "
                f"{base.replace('row', 'row ')}"
            )
            out.append(
                share(f"tab01.{row}", f"share_{view}_{row}", meaning, drawn[row], drawn[base])
            )
    return out


def count_error(counts: Floats) -> float:
    """Error of a mean count over draws: Poisson noise or scatter among subsets, and draws.

    Parameters
    ----------
    counts
        For each cross-validation subset, the last for stars without one, and each draw;
        shape (F + 1, D). The subsets are predicted by different networks, so their scatter
        holds what training adds to Poisson noise.
    """
    subsets = counts[:-1].mean(axis=1)
    among = float(np.std(subsets, ddof=1)) * math.sqrt(subsets.size)
    total = counts.sum(axis=0)
    return math.hypot(max(math.sqrt(total.mean()), among), float(total.std()))


def _found_again(statistics: Statistics, cuts: Cuts) -> Measurement:
    """Stars of high eccentricity in Test-Set over those in RV, which holds the same stars."""
    drawn = statistics.counts["table1/test_set/row2"].sum(axis=0).astype(float)
    measured = float(statistics.counts["table1/rv/row2"].sum())
    quantity, meaning = (
        "ratio_test_set_rv_row2",
        f"stars of row 1 with e > {cuts.high_eccentricity:g} by drawn over those by measured "
        "velocities",
    )
    if not measured:
        return Measurement("tab01.row2", quantity, meaning, "", math.nan, None, 0)
    ratio = float(drawn.mean()) / measured
    error = math.hypot(ratio / math.sqrt(measured), float(drawn.std()) / measured)
    return Measurement("tab01.row2", quantity, meaning, "", ratio, error, round(measured))


def _cross_matches(statistics: Statistics) -> list[Measurement]:
    return [
        Measurement(
            "sec4.2",
            f"count_{survey}",
            f"stars of the release that {survey.upper()} observed",
            "stars",
            float(statistics.counts[f"cross_match/{survey}"]),
            None,
            int(statistics.counts[f"cross_match/{survey}"]),
        )
        for survey in SURVEYS
    ]


def _pulls(rounds: _Rounds) -> list[Measurement]:
    def percentiles(histogram: Histogram) -> float:
        low, high = histogram_quantile(histogram.axes[0].edges, histogram.counts, [0.1587, 0.8413])
        return float(high - low) / 2

    fits: list[tuple[str, str, Callable[[Histogram], float]]] = [
        (
            "pull_mean",
            "mean of the normal distribution fitted to residual / sigma_los by likelihood",
            lambda h: fit_normal(h.axes[0].edges, h.counts).mean,
        ),
        (
            "pull_width",
            "its width; 1 for a calibrated prediction",
            lambda h: fit_normal(h.axes[0].edges, h.counts).sigma,
        ),
        (
            "pull_width_least_squares",
            "width of the least-squares fit, which follows the core and ignores the tails",
            lambda h: fit_normal_least_squares(h.axes[0].edges, h.counts).sigma,
        ),
        (
            "pull_width_percentiles",
            "half the distance between the 16th and 84th percentiles",
            percentiles,
        ),
    ]
    return [
        Measurement("fig02", name, meaning, "", *rounds.fitted("pull", formula), rounds.stars)
        for name, meaning, formula in fits
    ]


def _velocities(rounds: _Rounds) -> list[Measurement]:
    def constant_loss(mean: Mean) -> float:
        variance = mean("velocity_square") - mean("velocity") ** 2
        return 0.5 * math.log(2 * math.pi * math.e * variance) if variance > 0 else math.nan

    rows: list[tuple[str, str, str, Callable[[Mean], float]]] = [
        ("pull_average", "average of residual / sigma_los", "", lambda mean: mean("pull")),
        (
            "nll_mean",
            "mean negative log-likelihood out of fold",
            "nat",
            lambda mean: mean("nll"),
        ),
        ("nll_constant", "the same for one normal distribution for all", "nat", constant_loss),
        (
            "residual_rms",
            "root mean square of predicted minus measured velocity",
            "km/s",
            lambda mean: math.sqrt(mean("residual_square")),
        ),
        (
            "velocity_correlation",
            "correlation of predicted and measured velocity",
            "",
            _correlation("velocity", "predicted", "velocity_square", "predicted_square", "product"),
        ),
        (
            "coverage_68",
            "share of stars within the central 68 per cent of the prediction",
            "",
            lambda mean: mean("inside_68"),
        ),
        (
            "coverage_95",
            "share of stars within the central 95 per cent",
            "",
            lambda mean: mean("inside_95"),
        ),
    ]
    return [
        Measurement("sec2.1", name, meaning, unit, *rounds.value(formula), rounds.stars)
        for name, meaning, unit, formula in rows
    ]


def _eccentricities(rounds: _Rounds) -> list[Measurement]:
    out = []
    for kind, name, meaning in (
        ("pred", "eccentricity_correlation", "with the predicted velocity"),
        ("draw", "eccentricity_correlation_draw", "with one error draw"),
    ):
        formula = _correlation(*(f"eccentricity/{kind}/{t}" for t in ("x", "y", "xx", "yy", "xy")))
        out.append(
            Measurement(
                "sec2.2",
                name,
                f"correlation of the eccentricity {meaning} and with the measured one",
                "",
                *rounds.value(formula),
                rounds.stars,
            )
        )
    return out


def _contamination(statistics: Statistics, cuts: Cuts) -> list[Measurement]:
    total = statistics.counts["table1/test_set/row0"].sum(axis=0)[0]
    return [
        share(
            "sec2.2",
            f"contamination_{name}_{reading}",
            f"share of stars with e above {getattr(cuts, limit):g} {how} but below it with the "
            "measured one",
            statistics.counts[f"contamination/{limit}/{reading}"],
            total,
        )
        for limit, name in (("high_eccentricity", "high"), ("moderate_eccentricity", "moderate"))
        for reading, how in (
            ("draws", "with a drawn velocity"),
            ("point", "with the predicted velocity"),
        )
    ]


def _lost_by_sampling(statistics: Statistics, cuts: Cuts) -> Measurement:
    lost = statistics.counts["lost_by_sampling"].astype(float)
    return Measurement(
        "sec2.2",
        "count_lost_by_sampling",
        f"stars of row 1 with e > {cuts.high_eccentricity:g} by vlos_pred whose draw falls below",
        "stars",
        float(lost.mean()),
        math.hypot(math.sqrt(lost.mean()), float(lost.std())),
        int(statistics.counts["table1/test_set/row1"].sum(axis=0)[0]),
    )


def _quadrants(statistics: Statistics, cuts: Cuts) -> list[Measurement]:
    high, moderate = f"e > {cuts.high_eccentricity:g}", f"e > {cuts.moderate_eccentricity:g}"
    counts = {
        name: statistics.counts[f"fig03/{name}"].astype(float)
        for name in ("all", "upper_right", "upper_left", "lower_right", "lower_right_moderate")
    }
    shown = counts["all"]
    error = math.hypot(math.sqrt(shown.mean()), float(shown.std()))
    out = [
        Measurement(
            "fig03",
            "eccentricities_shown",
            "stars with both eccentricities on the axes, per error draw",
            "stars",
            float(shown.mean()),
            error,
            round(shown.mean()),
        )
    ]
    for name, whole, meaning in (
        ("upper_right", "all", f"share of entries with both {high}"),
        ("upper_left", "all", f"share with {high} measured only: lost"),
        ("lower_right", "all", f"share with {high} drawn only: contamination"),
        (
            "lower_right_moderate",
            "lower_right",
            f"share of that contamination with measured {moderate}",
        ),
    ):
        out.append(share("fig03", f"share_{name}", meaning, counts[name], counts[whole]))
    return out
