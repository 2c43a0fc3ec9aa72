"""Numbers, figure and rows of the ledger of the first look at real stars."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import astropy.units as u
import numpy as np
from numpy.typing import NDArray

from mwatlas.config.nearby import PULLS_PC, Nearby
from mwatlas.config.published import PublishedClaim
from mwatlas.config.release import ReleaseAdapter
from mwatlas.dynamics.potential import mw_potential_2014
from mwatlas.files import read_json
from mwatlas.ledger import Measurement, Row, judge, read_measurements, write_measurements
from mwatlas.studies.conditional_potential.nearby_fields import NearbyFields, observed_profile
from mwatlas.studies.conditional_potential.nearby_tables import NEARBY_FIELDS
from mwatlas.tables.parquet import number_of_rows, write_table

Floats = NDArray[np.float64]

ITEM = "nearby"
OURS, STARS = "ours", "stars"
REFERENCE = "MWPotential2014"

_DENSITY, _ACCELERATION = "Msun pc-3", "km2 s-2 pc-1"
# MWPotential2014 has the Sun at 8 kpc (Bovy 2015, section 3.5).
_REFERENCE_RADIUS_KPC = 8.0
# Heights at which the pull towards the plane is a number of its own.


def measure_nearby(
    settings: Nearby,
    seed: int,
    *,
    models: Sequence[Path],
    records: Sequence[Path],
    stars: Path,
    numbers: Path,
    figure: Path,
) -> None:
    """Write the numbers of the first look, and the data of its figure.

    Parameters
    ----------
    settings, seed
        Of the first look, and of the run.
    models, records
        Potentials of the members, and what their solver says of them.
    stars
        Table ``nearby_stars``.
    numbers, figure
        Files to write: measurements as JSON, and table ``conditional_potential_nearby``.

    Raises
    ------
    InputError
        If a model cannot be read.
    """
    fields = NearbyFields.load(settings, models, seed)
    observed, noise = observed_profile(settings, stars, fields.heights_kpc)
    errors = [read_json(path)["possible_error"] for path in records]
    rows = number_of_rows(stars)
    vertical = [*_densities(fields), *_pulls(fields)]
    others = [*_accelerations(fields), *_checks(fields, observed, noise)]
    others.append(
        (
            "possible_error_nearby",
            "error of the gradients, as a share, that the misfit of the equation allows for",
            "",
            np.array(errors),
        )
    )
    measured = [
        Measurement(ITEM, name, meaning, unit, *_middle(values, choice), rows)
        for found, choice in ((vertical, settings.choice_error), (others, 0.0))
        for name, meaning, unit, values in found
    ]
    count = ("count_nearby", "stars that teach the velocities near the Sun", "stars")
    write_measurements([Measurement(ITEM, *count, rows, None, rows), *measured], numbers)
    parts = [*_profiles(fields), *_tracers(fields, observed, noise), *_means(fields)]
    columns = zip(*parts, strict=True)
    write_table(
        figure,
        NEARBY_FIELDS,
        dict(zip(NEARBY_FIELDS.names, map(np.array, columns), strict=True)),
    )


# Name, meaning, unit, and the value of each member.
_Found = tuple[str, str, str, Floats]
# Panel, sample, height, value, error.
_Part = tuple[str, str, float, float, float]


def _middle(values: Floats, choice: float = 0.0) -> tuple[float, float]:
    """Median of the members; their standard deviation and a share of it that no member knows."""
    middle = float(np.median(values))
    return middle, math.hypot(float(np.std(values, ddof=1)), choice * middle)


def _densities(fields: NearbyFields) -> Iterator[_Found]:
    """Densities of all matter."""
    averages = fields.settings.averages
    half = 1000 * averages.midplane_kpc
    where = f"within {half:g} pc of the plane, near the Sun"
    yield "density_plane_nearby", f"density of all matter {where}", _DENSITY, fields.slab()
    for radius in averages.spheres_kpc:
        name = f"density_{1000 * radius:g}pc_nearby"
        meaning = f"mean density of all matter within {1000 * radius:g} pc of the Sun"
        yield name, meaning, _DENSITY, fields.sphere(radius)
    profile, heights = fields.density_profile, fields.heights_kpc
    for side, taken in {"north": heights > 0, "south": heights < 0}.items():
        meaning = f"mean density of the column {side} of the plane"
        yield f"density_{side}_nearby", meaning, _DENSITY, profile[:, taken].mean(axis=1)


def _pulls(fields: NearbyFields) -> Iterator[_Found]:
    """Pull towards the plane."""
    for height in PULLS_PC:
        pull = f"acceleration towards the plane at {height} pc, mean of both sides"
        yield f"acceleration_{height}pc_nearby", pull, _ACCELERATION, fields.pull(height)


def _accelerations(fields: NearbyFields) -> Iterator[_Found]:
    """What symmetry has to be, and the acceleration along the plane."""
    for height in PULLS_PC:
        up, down = fields.above_and_below(height)
        lopsided = f"vertical acceleration at {height} pc, mean of both sides; zero by symmetry"
        yield f"asymmetry_{height}pc_nearby", lopsided, _ACCELERATION, 0.5 * (down + up)
    speed, forward = fields.in_plane()
    meaning = "circular speed at the Sun, from the radial acceleration"
    yield "circular_speed_nearby", meaning, "km s-1", speed
    meaning = "acceleration along the rotation; zero in an axisymmetric galaxy"
    yield "acceleration_forward_nearby", meaning, _ACCELERATION, forward


def _checks(fields: NearbyFields, observed: Floats, noise: Floats) -> Iterator[_Found]:
    """The density of stars, which the method infers from velocities alone, beside their number."""
    difference = fields.log_tracers - observed
    seen = np.isfinite(difference[0])
    meaning = "scatter over heights of ln of the inferred density of stars over the observed one"
    scatter = np.sqrt(np.mean(difference[:, seen] ** 2, axis=1))
    yield "tracers_error_nearby", meaning, "", scatter
    meaning = "the same of nothing but the noise of the counts"
    level = np.sqrt(np.mean(noise[seen] ** 2))
    yield "tracers_noise_nearby", meaning, "", np.full(len(scatter), level)


def _profiles(fields: NearbyFields) -> Iterator[_Part]:
    heights = fields.heights_kpc
    galaxy = mw_potential_2014()
    place = np.zeros((3, heights.size))
    place[0], place[2] = _REFERENCE_RADIUS_KPC, heights
    pull = galaxy.acceleration(place * u.kpc)[2].to_value(u.km**2 / u.s**2 / u.pc)
    matter = galaxy.density(place * u.kpc).to_value(u.Msun / u.pc**3)
    known = {"acceleration": pull, "density": matter}
    ours = {"acceleration": fields.vertical_acceleration, "density": fields.density_profile}
    for panel, members in ours.items():
        for number, height in enumerate(heights):
            yield panel, OURS, height, *_middle(members[:, number])
            yield panel, REFERENCE, height, float(known[panel][number]), np.nan


def _tracers(fields: NearbyFields, observed: Floats, noise: Floats) -> Iterator[_Part]:
    for number, height in enumerate(fields.heights_kpc):
        yield "tracers", OURS, height, *_middle(fields.log_tracers[:, number])
        yield "tracers", STARS, height, float(observed[number]), float(noise[number])


def _means(fields: NearbyFields) -> Iterator[_Part]:
    yield "mean", OURS, np.nan, *_middle(fields.slab(), fields.settings.choice_error)
    for _, published in fields.settings.densities:
        yield "mean", published.source, np.nan, published.value, published.error


def nearby_rows(study: str, settings: Nearby, adapter: ReleaseAdapter, numbers: Path) -> list[Row]:
    """Rows of the ledger, beside what others found for the real Galaxy.

    Parameters
    ----------
    study
        Name of the study.
    settings
        Of the first look.
    adapter
        The release.
    numbers
        File of measurements.
    """
    reference, speed = getattr(settings.densities, settings.reference), settings.circular_speed
    claims = [
        PublishedClaim(
            item=ITEM,
            quantity=quantity,
            value=value.value,
            error=value.error,
            where=value.source,
            needs="real stars",
        )
        for quantity, value in (
            ("density_plane_nearby", reference),
            ("circular_speed_nearby", speed),
        )
    ]
    return judge(study, read_measurements(numbers), claims, [], adapter)
