"""Numbers of the recovered density and acceleration, and of their uncertainty.

Errors of medians and shares are those of sampling the volume at the evaluated places: how well a
number of this one run is known, not how it would change with another mock or training.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import t as student_t

from mwatlas.config.conditional_comparison import Comparison
from mwatlas.ledger import Measurement
from mwatlas.studies.conditional_potential.names import METHODS
from mwatlas.studies.conditional_potential.profiles import (
    Mask,
    Reach,
    half_width,
    masks,
    median_and_error,
    reach,
    shells_of_radius,
)
from mwatlas.tables.table import Columns

Floats = NDArray[np.float64]

SPREADS = (1, 2)
"""Numbers of spreads of the ensemble within which the truth is looked for."""


def calibrated_share(spreads: int, members: int) -> float:
    """Share of normal errors within so many spreads, if the spread is their true width.

    The spread is the standard deviation of few members, and as uncertain as that, so the share is
    that of Student's t with one degree of freedom less than there are members.

    Parameters
    ----------
    spreads
        How many.
    members
        Of the ensemble; two or more.
    """
    return float(2 * student_t.cdf(spreads, members - 1) - 1)


def relative_error(points: Columns, method: str) -> Floats:
    """Recovered over true density of mass, less 1; shape (N,)."""
    return points[f"density_{method}"] / points["density_true"] - 1


def expected_stars(places: Columns, each_kpc3: ArrayLike, where: Mask, observed: int) -> float:
    """Observed stars expected in a part of the volume.

    Parameters
    ----------
    places
        Table ``conditional_potential_points`` or ``conditional_potential_profile``.
    each_kpc3
        Volume that each place stands for, of :func:`volume_of_points` or
        :func:`volumes_of_profile`.
    where
        Places in that part; shape (N,).
    observed
        Observed stars in all of the volume.
    """
    density = np.where(where, places["observed_density_true"], 0.0)
    return float(observed * (density * each_kpc3).sum())


def volume_of_points(points: Columns, radius_kpc: float) -> float:
    """Volume in kpc^3 that each of the places uniform in the volume stands for."""
    return 4 / 3 * np.pi * radius_kpc**3 / points["radius_kpc"].size


def volumes_of_profile(profile: Columns, radius_kpc: float) -> Floats:
    """Volume in kpc^3 that each of the places uniform in radius stands for; shape (N,)."""
    radius = profile["radius_kpc"]
    shells: Floats = 4 * np.pi * radius**2 * radius_kpc / radius.size
    return shells


def radius_suffixes(radius_kpc: float, comparison: Comparison) -> list[str]:
    """Endings of the names of numbers in shells of radius, from the centre outwards."""
    return [f"{a:g}_{b:g}kpc" for a, b in pairwise(shells_of_radius(radius_kpc, comparison.shells))]


def selection_suffixes(comparison: Comparison) -> list[str]:
    """Endings of the names of numbers in shells of S, from the smallest upwards."""
    return [f"s{a:g}_{b:g}" for a, b in pairwise(comparison.selection_edges)]


def density_measurements(
    points: Columns,
    profile: Columns,
    methods: Sequence[str],
    observed: int,
    radius_kpc: float,
    comparison: Comparison,
) -> list[Measurement]:
    """Errors of density and acceleration of each method in the volume and in shells.

    Parameters
    ----------
    points, profile
        Tables ``conditional_potential_points`` and ``conditional_potential_profile``; what depends
        on the radius is of the latter.
    methods
        Those that the run has.
    observed
        Observed stars of the mock.
    radius_kpc
        Radius of the volume.
    comparison
        Shells and limits.
    """
    limit, window = comparison.density, comparison.window
    edges = shells_of_radius(radius_kpc, comparison.shells)
    volumes, volume = volumes_of_profile(profile, radius_kpc), volume_of_points(points, radius_kpc)
    radial = [
        (
            f"{low:g}_{high:g}kpc",
            f"at {low:g} to {high:g} kpc",
            mask,
            expected_stars(profile, volumes, mask, observed),
        )
        for low, high, mask in masks(profile["radius_kpc"], edges)
    ]
    shares = [
        (
            f"s{low:g}_{high:g}",
            f"where S is {low:g} to {high:g}",
            mask,
            expected_stars(points, volume, mask, observed),
        )
        for low, high, mask in masks(
            points["selection_true"], np.asarray(comparison.selection_edges)
        )
    ]
    out = []
    for method in methods:
        outwards, error = (np.abs(relative_error(p, method)) for p in (profile, points))
        for values, parts in ((outwards, radial), (error, shares)):
            out += [
                Measurement(
                    "fig02",
                    f"density_error_{method}_{suffix}",
                    f"median |model / true density - 1| {where}, {METHODS[method]} method; rows: "
                    "observed stars expected there",
                    "",
                    *median_and_error(values[mask]),
                    round(stars),
                )
                for suffix, where, mask, stars in parts
            ]
        out += _of_volume(points, method, error, observed, comparison)
        along = reach(profile["radius_kpc"], outwards, limit, window, 0.0)
        down = reach(-points["selection_true"], error, limit, window, -1.0)
        out += _reaches(along, down, method, observed, limit)
    return out


def _of_volume(
    points: Columns, method: str, error: Floats, observed: int, comparison: Comparison
) -> list[Measurement]:
    label = f"{METHODS[method]} method"
    seen = points["selection_true"] >= comparison.least_selection
    where = f"where S is at least {comparison.least_selection:g}"
    share = float((error <= comparison.density).mean())
    negative = float((points[f"density_{method}"] < 0).mean())
    acceleration = points[f"acceleration_error_{method}"]
    return [
        Measurement(
            "fig02",
            f"density_share_{method}",
            f"share of the volume with density within {comparison.density:.0%} of the true one, "
            f"{label}",
            "",
            share,
            math.sqrt(share * (1 - share) / error.size),
            observed,
        ),
        Measurement(
            "fig02",
            f"density_negative_{method}",
            f"share of the volume with a negative density, {label}",
            "",
            negative,
            math.sqrt(negative * (1 - negative) / error.size),
            observed,
        ),
        Measurement(
            "fig02",
            f"density_error_{method}",
            f"median |model / true density - 1| {where}, {label}",
            "",
            *median_and_error(error[seen]),
            observed,
        ),
        Measurement(
            "fig02",
            f"acceleration_error_{method}",
            f"median |model - true acceleration| / |true| {where}, {label}",
            "",
            *median_and_error(acceleration[seen]),
            observed,
        ),
        Measurement(
            "fig02",
            f"acceleration_error_{method}_volume",
            f"the same over the whole volume, {label}",
            "",
            *median_and_error(acceleration),
            observed,
        ),
    ]


def _reaches(
    outwards: Reach, downwards: Reach, method: str, observed: int, limit: float
) -> list[Measurement]:
    label = f"the running median of |model / true density - 1| stays within {limit:.0%}"
    return [
        Measurement(
            "fig02",
            f"density_radius_{method}",
            f"radius out to which {label}, {METHODS[method]} method",
            "kpc",
            outwards.value,
            outwards.error,
            observed,
        ),
        Measurement(
            "fig02",
            f"density_selection_{method}",
            f"S down to which {label}, {METHODS[method]} method; 1 if nowhere",
            "",
            -downwards.value,
            downwards.error,
            observed,
        ),
    ]


def calibration_measurements(
    points: Columns, methods: Sequence[str], observed: int, comparison: Comparison
) -> list[Measurement]:
    """Is the ensemble's spread the error of the density? Where enough stars are observed.

    Parameters
    ----------
    points, methods, observed, comparison
        As for :func:`density_measurements`.
    """
    seen = points["selection_true"] >= comparison.least_selection
    where = f"where S is at least {comparison.least_selection:g}"
    out = []
    number = int(seen.sum())
    for method in methods:
        pull = pulls(points, method)
        if np.isnan(pull).all():
            continue
        for spreads in SPREADS:
            share = float((np.abs(pull[seen]) <= spreads).mean()) if number else math.nan
            out.append(
                Measurement(
                    "fig07",
                    f"spread_coverage_{spreads}_{method}",
                    f"share of places whose density is within {spreads} spread(s) of the ensemble "
                    f"from the true one, {where}, {METHODS[method]} method",
                    "",
                    share,
                    math.sqrt(share * (1 - share) / number) if number else None,
                    observed,
                )
            )
        out.append(
            Measurement(
                "fig07",
                f"pull_width_{method}",
                f"half the central 68 per cent of (model - true density) / spread {where}, "
                f"{METHODS[method]} method; 1 if calibrated",
                "",
                half_width(pull[seen]) if number else math.nan,
                None,
                observed,
            )
        )
    return out


def pulls(points: Columns, method: str) -> Floats:
    """Recovered less true density over the ensemble's spread; NaN where there is no spread."""
    difference = points[f"density_{method}"] - points["density_true"]
    spread = points[f"density_spread_{method}"]
    return np.divide(difference, spread, out=np.full_like(spread, np.nan), where=spread > 0)
