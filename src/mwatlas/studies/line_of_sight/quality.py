"""How good the predictions are where the velocity is known: Figures 1 to 3, calibration."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mwatlas.astrometry.frames import spherical_basis
from mwatlas.config.line_of_sight import LineOfSight
from mwatlas.predictive import CENTRAL, Predictive, in_interval
from mwatlas.statistics import Statistics
from mwatlas.studies.line_of_sight.debris import COMPONENTS, bins
from mwatlas.studies.line_of_sight.views import SURVEYS, Floats, View, entries


@dataclass(frozen=True)
class Known:
    """Stars with a measured velocity; N stars, D draws.

    Parameters
    ----------
    truth, drawn
        Views with the measured velocity, and with the drawn ones.
    predictive
        Predicted density of each velocity.
    eccentricity_pred
        Eccentricity with the mean of the prediction; shape (N,).
    """

    truth: View
    drawn: View
    predictive: Predictive
    eccentricity_pred: Floats

    @property
    def eccentricity(self) -> Floats:
        """Eccentricity with the measured velocity; shape (N,)."""
        return self.truth.eccentricity[:, 0]


def accumulate_quality(known: Known, study: LineOfSight, statistics: Statistics) -> None:
    """Add the stars of one cell.

    Parameters
    ----------
    known
        The stars with a measured velocity.
    study
        Settings.
    statistics
        To add to.
    """
    _add_velocity_quality(known, study, statistics)
    _add_eccentricity_quality(known, study, statistics)
    _fill_figure_1(known, study, statistics)
    _fill_figure_3(known, study, statistics)


def accumulate_survey_check(
    view: View, predictive: Predictive, study: LineOfSight, statistics: Statistics
) -> None:
    """Compare predictions of stars without a Gaia velocity with those of other surveys.

    Parameters
    ----------
    view
        Stars without a measured velocity.
    predictive
        Their predicted densities.
    study, statistics
        As for :func:`accumulate_quality`.
    """
    for survey in SURVEYS:
        velocity = view.matches[survey].survey_radial_velocity
        measured = np.isfinite(velocity)
        mine, velocity = predictive[measured], velocity[measured]
        probability = mine.cdf(velocity)
        residual = mine.mean() - velocity
        for name, values in (
            ("residual", residual),
            ("residual_square", residual**2),
            ("nll", -mine.log_prob(velocity)),
            *(
                (f"inside_{level}", in_interval(probability, ends))
                for level, ends in CENTRAL.items()
            ),
        ):
            statistics.add(f"survey/{survey}/{name}", values)
        statistics.fill(f"survey/{survey}/pull", (bins(study.binning.pull),), residual / mine.std())


def _add_velocity_quality(known: Known, study: LineOfSight, statistics: Statistics) -> None:
    velocity = known.truth.v_los_kms[:, 0]
    predicted = known.predictive.mean()
    residual = predicted - velocity
    pull = residual / known.predictive.std()
    probability = known.predictive.cdf(velocity)
    columns = {
        "pull": pull,
        "nll": -known.predictive.log_prob(velocity),
        "residual_square": residual**2,
        "velocity": velocity,
        "velocity_square": velocity**2,
        "predicted": predicted,
        "predicted_square": predicted**2,
        "product": velocity * predicted,
        **{f"inside_{level}": in_interval(probability, ends) for level, ends in CENTRAL.items()},
    }
    for k in range(study.cross_validation.folds):
        mine = known.truth.fold == k
        for name, values in columns.items():
            statistics.add(f"{name}/{k}", values[mine])
        statistics.fill(f"pull/{k}", (bins(study.binning.pull),), pull[mine])
        statistics.fill(f"pit/{k}", (bins(study.binning.pit),), probability[mine])


def _add_eccentricity_quality(known: Known, study: LineOfSight, statistics: Statistics) -> None:
    true = known.eccentricity
    for k in range(study.cross_validation.folds):
        mine = known.truth.fold == k
        for kind, values in (
            ("pred", known.eccentricity_pred),
            ("draw", known.drawn.eccentricity[:, 0]),
        ):
            for name, product in (
                ("x", true),
                ("y", values),
                ("xx", true**2),
                ("yy", values**2),
                ("xy", true * values),
            ):
                statistics.add(f"eccentricity/{kind}/{name}/{k}", product[mine])
    for name in ("high_eccentricity", "moderate_eccentricity"):
        limit = getattr(study.cuts, name)
        low = (true < limit)[:, None]
        statistics.count(
            f"contamination/{name}/draws", ((known.drawn.eccentricity > limit) & low).sum(axis=0)
        )
        statistics.count(
            f"contamination/{name}/point", ((known.eccentricity_pred > limit) & low[:, 0]).sum()
        )
    high = (known.eccentricity_pred > study.cuts.high_eccentricity) & known.truth.complete
    fallen = known.drawn.eccentricity <= study.cuts.high_eccentricity
    statistics.count("lost_by_sampling", (high[:, None] & fallen).sum(axis=0))


def _fill_figure_1(known: Known, study: LineOfSight, statistics: Statistics) -> None:
    binning = study.binning
    velocity, box, error = (
        bins(axis) for axis in (binning.velocity, binning.velocity_box, binning.velocity_error)
    )
    phase, draws = known.truth.phase, known.drawn.draws
    basis = spherical_basis(phase.position_kpc)
    every = np.ones_like(known.drawn.eccentricity, dtype=bool)
    drawn = entries(known.drawn, every).spherical_kms.reshape(-1, draws, 3)
    true, mean = (
        np.einsum("nij,nj->ni", basis, phase.velocity_kms(v))
        for v in (known.truth.v_los_kms[:, 0], known.predictive.mean())
    )
    # Spherical velocities are linear in v_los at a fixed position, and so is their error.
    slope = np.abs(np.einsum("nij,nj->ni", basis, phase.line_of_sight))
    spread = slope * known.predictive.std()[:, None]
    for i, name in enumerate(COMPONENTS):
        repeated = np.repeat(true[:, i, None], draws, axis=1)
        statistics.fill(f"fig01/{name}", (velocity, velocity), drawn[..., i], repeated)
        statistics.fill(f"fig01/error/{name}", (box, error), mean[:, i], spread[:, i])


def _fill_figure_3(known: Known, study: LineOfSight, statistics: Statistics) -> None:
    axis = bins(study.binning.eccentricity)
    drawn = known.drawn.eccentricity
    true = np.repeat(known.eccentricity[:, None], known.drawn.draws, axis=1)
    statistics.fill("fig03/eccentricity", (axis, axis), drawn, true)
    limit = study.cuts.high_eccentricity
    shown = (axis.index(drawn) >= 0) & (axis.index(true) >= 0)
    high_pred, high_true = drawn > limit, true > limit
    for name, chosen in (
        ("all", shown),
        ("upper_right", shown & high_pred & high_true),
        ("upper_left", shown & ~high_pred & high_true),
        ("lower_right", shown & high_pred & ~high_true),
        (
            "lower_right_moderate",
            shown & high_pred & ~high_true & (true > study.cuts.moderate_eccentricity),
        ),
    ):
        statistics.count(f"fig03/{name}", chosen.sum(axis=0))
