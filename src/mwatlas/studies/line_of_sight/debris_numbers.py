"""Numbers about the stars of high eccentricity, the same for every catalogue and for the truth.

A number of an error-sampled catalogue is the mean over its draws. Errors add the sampling error
for the number of stars and the scatter among draws.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mwatlas.config.line_of_sight import LineOfSight
from mwatlas.distributions import fit_normal, histogram_quantile, principal_axes, tilt_deg
from mwatlas.errors import InputError
from mwatlas.ledger import Measurement
from mwatlas.predictive import CENTRAL
from mwatlas.statistics import Histogram, Statistics
from mwatlas.studies.line_of_sight.debris import COMPONENTS, INTEGRALS, PAIRS
from mwatlas.studies.line_of_sight.views import SURVEYS

Floats = NDArray[np.float64]

VIEWS = {
    "rv": "stars with a measured velocity",
    "test_set": "the same stars with drawn velocities",
    "ml_rv": "stars without a measured velocity",
}
# Error of half the central 68 per cent of N normal values, in units of sigma / sqrt(N): from the
# asymptotic covariance of two quantiles p and 1 - p, sqrt(2 p (1 - 2 p)) / (2 density).
_P = CENTRAL[68][0]
_WIDTH_ERROR = math.sqrt(2 * _P * (1 - 2 * _P)) / 2 / (math.exp(-0.5) / math.sqrt(2 * math.pi))
_UNITS = {"energy": "1e5 km2/s2", "l_z": "1e3 kpc km/s", "sqrt_j_r": "(kpc km/s)^1/2"}
_WHAT = {"energy": "energy", "l_z": "L_z", "sqrt_j_r": "square root of J_r"}


def debris_measurements(
    statistics: Statistics, study: LineOfSight, views: Sequence[str] = tuple(VIEWS)
) -> list[Measurement]:
    """Velocities, positions, integrals and abundances of the stars of high eccentricity.

    Parameters
    ----------
    statistics
        Merged over all partitions.
    study
        Settings.
    views
        Catalogues to measure, named as in the statistics; quantities end in that name.
    """
    return [
        row
        for view in views
        for row in (
            *_dispersions(statistics, view),
            *_shapes(statistics, study, view),
            *_ranges(statistics, study, view),
            *_metallicities(statistics, view),
            share(
                "fig10",
                f"high_alpha_share_{view}",
                f"{_name(view)}: share of the high-alpha disc among those in APOGEE",
                statistics.counts[f"chemistry/{view}/high_alpha"],
                statistics.counts[f"chemistry/{view}/measured"],
            ),
        )
    ]


def share(item: str, quantity: str, meaning: str, part: ArrayLike, whole: ArrayLike) -> Measurement:
    """A share of counts, both possibly one per draw."""
    parts = np.atleast_1d(part).astype(float)
    wholes = np.broadcast_to(np.atleast_1d(whole).astype(float), parts.shape)
    if wholes.min(initial=math.inf) == 0:
        return Measurement(item, quantity, meaning, "", math.nan, None, 0)
    shares = parts / wholes
    mean, parent = float(shares.mean()), float(wholes.mean())
    error = math.hypot(math.sqrt(mean * (1 - mean) / parent), float(shares.std()))
    return Measurement(item, quantity, meaning, "", mean, error, round(parent))


def _name(view: str) -> str:
    return f"{VIEWS.get(view, view)}, high eccentricity"


def _row(
    item: str,
    quantity: str,
    meaning: str,
    unit: str,
    values: Floats,
    errors: Floats,
    number: float,
) -> Measurement:
    """Mean over draws of a number, with its error."""
    good = np.isfinite(values)
    if not good.any():
        return Measurement(item, quantity, meaning, unit, math.nan, None, round(number))
    error = math.hypot(float(errors[good].mean()), float(values[good].std()))
    return Measurement(
        item, quantity, meaning, unit, float(values[good].mean()), error, round(number)
    )


def _dispersions(statistics: Statistics, view: str) -> list[Measurement]:
    """Half the central 68 per cent, which a few wrong parallaxes or velocities do not change."""
    out = []
    for component in COMPONENTS:
        histogram = statistics.histograms[f"debris/{view}/{component}"]
        edges, number = histogram.axes[1].edges, histogram.counts.sum(axis=1)
        low, high = CENTRAL[68]
        quantiles = np.array(
            [histogram_quantile(edges, counts, [low, high]) for counts in histogram.counts]
        )
        sigma = 0.5 * (quantiles[:, 1] - quantiles[:, 0])
        with np.errstate(divide="ignore", invalid="ignore"):
            errors = _WIDTH_ERROR * sigma / np.sqrt(number)
        out.append(
            _row(
                "fig06" if view.endswith("ml_rv") else "fig04",
                f"dispersion_{component}_{view}",
                f"{_name(view)}: dispersion of {component}, half the central 68 per cent",
                "km/s",
                sigma,
                errors,
                number.mean(),
            )
        )
    return out


def covariances(statistics: Statistics, view: str, within_kpc: float) -> tuple[Floats, Floats]:
    """Mean and covariance of positions relative to the Sun, for each draw.

    Parameters
    ----------
    statistics
        Merged over all partitions.
    view
        Catalogue.
    within_kpc
        One of the configured distances.

    Returns
    -------
    mean, covariance
        In kpc and kpc**2; shapes (D, 3) and (D, 3, 3). NaN for a draw without stars.
    """
    prefix = f"debris/{view}/within{within_kpc:g}"
    mean = np.stack([statistics.means(f"{prefix}/{axis}") for axis in "xyz"], axis=1)
    covariance = np.empty((len(mean), 3, 3))
    for a, b in PAIRS:
        i, j = "xyz".index(a), "xyz".index(b)
        value = statistics.means(f"{prefix}/{a}{b}") - mean[:, i] * mean[:, j]
        covariance[:, i, j] = covariance[:, j, i] = value
    return mean, covariance


def tilt_error_deg(covariance: Floats) -> Floats:
    """Error of the angle of the major axis in the y-z plane, for one star.

    Parameters
    ----------
    covariance
        Shape (D, 3, 3).

    Returns
    -------
    float64, shape (D,)
        In degrees. Divide by the square root of the number of stars (Anderson 1963, Ann. Math.
        Stat. 34, 122: an eigenvector's asymptotic error).
    """
    lengths, _ = principal_axes(covariance[:, 1:, 1:])
    major, minor = lengths.T
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.degrees(major * minor / (major**2 - minor**2))


def _shapes(statistics: Statistics, study: LineOfSight, view: str) -> list[Measurement]:
    out = []
    for within in study.debris.within_kpc:
        _, covariance = covariances(statistics, view, within)
        number = statistics.sums[f"debris/{view}/within{within:g}/x"].number.astype(float)
        root = np.sqrt(np.maximum(number, 1))
        # Fewer stars have no ellipsoid.
        covariance = np.where((number > 3)[:, None, None], covariance, np.nan)
        tilt, error = tilt_deg(covariance[:, 1:, 1:]), tilt_error_deg(covariance)
        where = f"{_name(view)} within {within:g} kpc of the Sun"
        out.append(
            _row(
                "tab02",
                f"tilt_{within:g}kpc_{view}",
                f"{where}: angle of the major axis in the y-z plane from the y axis",
                "deg",
                _unwrapped(tilt),
                # Turned by more, an axis comes back to where it was.
                np.minimum(error / root, 90.0),
                number.mean(),
            )
        )
        lengths, _ = principal_axes(covariance)
        for short, name in ((1, "b_a"), (2, "c_a")):
            with np.errstate(invalid="ignore"):
                ratio = lengths[:, short] / lengths[:, 0]
            out.append(
                _row(
                    "tab02",
                    f"axis_ratio_{name}_{within:g}kpc_{view}",
                    f"{where}: {name.replace('_', '/')} of the principal axes",
                    "",
                    ratio,
                    ratio / root,
                    number.mean(),
                )
            )
    return out


def _unwrapped(tilt: Floats) -> Floats:
    """Angles of axes moved by half turns until they lie together, about a mean in (-90, 90]."""
    doubled = np.radians(2 * tilt[np.isfinite(tilt)])
    centre = np.degrees(np.arctan2(np.sin(doubled).sum(), np.cos(doubled).sum())) / 2
    return centre + (tilt - centre + 90.0) % 180.0 - 90.0


def _ranges(statistics: Statistics, study: LineOfSight, view: str) -> list[Measurement]:
    tail = 0.5 * (1 - study.debris.containment)
    out = []
    for name in INTEGRALS:
        histogram = statistics.histograms[f"debris/{view}/{name}"]
        edges, number = histogram.axes[1].edges, histogram.counts.sum(axis=1)
        for end, level in (("low", tail), ("high", 1 - tail)):
            spread = math.sqrt(tail * (1 - tail) / max(number.mean(), 1))
            levels = np.clip([level, level - spread, level + spread], 0, 1)
            values = np.array([histogram_quantile(edges, c, levels) for c in histogram.counts])
            out.append(
                _row(
                    "fig07",
                    f"{name}_{end}_{view}",
                    f"{_name(view)}: {end} end of the central {study.debris.containment:.0%} in "
                    f"{_WHAT[name]}",
                    _UNITS[name],
                    values[:, 0],
                    0.5 * np.abs(values[:, 2] - values[:, 1]),
                    number.mean(),
                )
            )
    return out


def fits_by_draw(histogram: Histogram) -> list[tuple[float, float, float, float, float]]:
    """Normal fits to each draw of a histogram: mean, sigma, their errors, area."""
    out = []
    for counts in histogram.counts:
        try:
            fit = fit_normal(histogram.axes[-1].edges, counts)
        except InputError:
            out.append((math.nan,) * 5)
        else:
            out.append((fit.mean, fit.sigma, fit.mean_error, fit.sigma_error, fit.area))
    return out


def _metallicities(statistics: Statistics, view: str) -> list[Measurement]:
    out = []
    for survey in SURVEYS:
        histogram = statistics.histograms[f"mdf/{survey}/{view}"]
        fits = np.array(fits_by_draw(histogram))
        number = histogram.counts.sum() / len(histogram.counts)
        for column, name in enumerate(("mean", "sigma")):
            out.append(
                _row(
                    "fig09",
                    f"mdf_{name}_{survey}_{view}",
                    f"{_name(view)}: {name} of the normal distribution fitted to [Fe/H] of "
                    f"{survey.upper()}",
                    "dex",
                    fits[:, column],
                    fits[:, column + 2],
                    number,
                )
            )
    return out


def survey_measurements(statistics: Statistics) -> list[Measurement]:
    """Predictions for stars without a Gaia velocity against those of other surveys."""
    rows: list[tuple[str, str, str, Callable[[Callable[[str], float]], float]]] = [
        (
            "rms",
            "root mean square of predicted minus measured velocity",
            "km/s",
            lambda mean: math.sqrt(mean("residual_square")),
        ),
        ("nll", "mean negative log-likelihood", "nat", lambda mean: mean("nll")),
        ("coverage_68", "share within the central 68 per cent", "", lambda mean: mean("inside_68")),
        ("coverage_95", "share within the central 95 per cent", "", lambda mean: mean("inside_95")),
    ]
    out = []
    for survey in SURVEYS:
        number = statistics.number(f"survey/{survey}/residual")
        for name, meaning, unit, formula in rows:
            value = (
                formula(lambda key: statistics.mean(f"survey/{survey}/{key}"))  # noqa: B023
                if number
                else math.nan
            )
            out.append(
                Measurement(
                    "fig08",
                    f"{survey}_{name}",
                    f"stars without a Gaia velocity in {survey.upper()}: {meaning}",
                    unit,
                    value,
                    None,
                    number,
                )
            )
    return out
