"""Real stars near the Sun, in the table that the study's flows learn from.

Axes are Galactic with the Sun at the origin: x to the Galactic centre, y along l = 90 degrees, z
to the north. Velocities are relative to the Sun too; the frame in which the stars are taken to be
steady enters with the solver (Kalda & Green 2025, section 2).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mwatlas.astrometry.frames import KMS_PER_MASYR_KPC, galactic_axes, sky_basis
from mwatlas.config.line_of_sight import SolarFrame
from mwatlas.config.nearby import NearbySample
from mwatlas.config.release import ReleaseAdapter
from mwatlas.errors import ConfigError, InputError
from mwatlas.files import write_json
from mwatlas.potential.rotating_frame import RotatingFrame
from mwatlas.progress import Progress
from mwatlas.studies.conditional_potential.nearby_tables import NEARBY_STARS
from mwatlas.studies.conditional_potential.plummer import VELOCITY_UNIT_KMS
from mwatlas.tables.parquet import number_of_rows, read_cells, write_table
from mwatlas.tables.table import Columns

log = logging.getLogger("mwatlas")

COLUMNS = (
    "source_id",
    "ra",
    "dec",
    "parallax_corr",
    "parallax_error",
    "pmra",
    "pmdec",
    "phot_g_mean_mag",
    "radial_velocity",
)
"""Columns of the clean catalogue that are read."""


def check_nearby(adapter: ReleaseAdapter, release: str) -> None:
    """Make sure that a release has real stars with all that is needed of them.

    Raises
    ------
    ConfigError
        If its stars are synthetic, or a column of :data:`COLUMNS` is absent.
    """
    if adapter.source.kind == "sky":
        raise ConfigError(
            "the first look at real stars needs real stars",
            file=f"config/releases/{release}.yaml",
            item="conditional_potential.nearby.run",
            found="true, and a release of synthetic stars: too few of them are near the Sun",
            expected="a release whose source.kind is files",
            remedy="set it to false, or choose another release",
        )
    adapter.need_standard(
        COLUMNS,
        release,
        "the first look at real stars cannot be had of this release",
        "set conditional_potential.nearby.run to false",
    )


def heliocentric(data: Columns) -> Columns:
    """Positions and velocities relative to the Sun along Galactic axes, with distance 1/parallax.

    Parameters
    ----------
    data
        Columns :data:`COLUMNS` of N stars; parallaxes are positive.

    Returns
    -------
    dict
        ``position`` in kpc and ``velocity`` in km/s; float64, shape (N, 3).
    """
    sight, east, north = sky_basis(np.radians(data["ra"]), np.radians(data["dec"]))
    distance = 1.0 / np.asarray(data["parallax_corr"], dtype=float)
    scale = KMS_PER_MASYR_KPC * distance
    velocity = (
        np.asarray(data["radial_velocity"], dtype=float)[:, None] * sight
        + (scale * data["pmra"])[:, None] * east
        + (scale * data["pmdec"])[:, None] * north
    )
    to_galactic = galactic_axes().T
    return {
        "position": (distance[:, None] * sight) @ to_galactic,
        "velocity": velocity @ to_galactic,
    }


def gather_stars(
    partitions: Sequence[Path],
    settings: NearbySample,
    stars: Path,
    counts: Path,
    progress: Progress,
) -> None:
    """Write the stars of the sphere that are bright enough to be seen all over it.

    Parameters
    ----------
    partitions
        Files of the clean catalogue.
    settings
        Cuts.
    stars, counts
        Files to write: table ``nearby_stars``, and what each cut left as JSON.
    progress
        Where to report.

    Raises
    ------
    InputError
        If there are fewer stars than the settings ask for.
    """
    number: dict[str, int] = {}
    parts = [NEARBY_STARS.empty()]
    with progress.task("gathering", sum(map(number_of_rows, partitions)), "stars") as advance:
        for path in partitions:
            for _, data in read_cells(path, COLUMNS):
                parts.append(_selected(data, settings, number))
                advance(len(data["source_id"]))
    table = {name: np.concatenate([part[name] for part in parts]) for name in NEARBY_STARS.names}
    table = _slow(table, settings.speed_limit_kms)
    order = np.argsort(table["star_id"])
    table = {name: values[order] for name, values in table.items()}
    found = len(table["star_id"])
    number["slow enough"] = found
    log.info("stars: %s", number)
    if found < settings.fewest_stars:
        raise InputError(
            "too few stars near the Sun to learn their velocities from",
            file=partitions[0] if partitions else None,
            item=f"stars within {settings.radius_kpc:g} kpc",
            found=found,
            expected=f"{settings.fewest_stars:,} or more; left by each cut: {number}",
            remedy="loosen conditional_potential.nearby.sample, or set nearby.run to false",
        )
    write_table(stars, NEARBY_STARS, table)
    write_json(counts, number)


def _selected(data: Columns, settings: NearbySample, number: dict[str, int]) -> Columns:
    parallax = np.asarray(data["parallax_corr"], dtype=float)
    # Of a star at the edge of the sphere; here, as there, it must be within the limit.
    faintest = settings.magnitude_limit - 5 * np.log10(settings.radius_kpc * 100)
    with np.errstate(invalid="ignore", divide="ignore"):
        absolute = data["phot_g_mean_mag"] + 5 * np.log10(parallax / 100)
        cuts = {
            "read": np.ones(parallax.size, dtype=bool),
            "near": parallax * settings.radius_kpc > 1,
            "good parallax": parallax > settings.parallax_over_error * data["parallax_error"],
            "bright enough": absolute <= faintest,
            "with proper motion": np.isfinite(data["pmra"]) & np.isfinite(data["pmdec"]),
            "with radial velocity": np.isfinite(data["radial_velocity"]),
        }
    keep = cuts["read"]
    for name, passed in cuts.items():
        keep = keep & np.asarray(passed, dtype=bool)
        number[name] = number.get(name, 0) + int(keep.sum())
    kept = {name: data[name][keep] for name in COLUMNS}
    place = heliocentric(kept)
    return {
        "star_id": kept["source_id"].astype(np.int64),
        **{f"{axis}_kpc": place["position"][:, i] for i, axis in enumerate("xyz")},
        **{f"v{axis}_kms": place["velocity"][:, i] for i, axis in enumerate("xyz")},
    }


def _slow(table: Columns, limit_kms: float) -> Columns:
    """Stars whose velocity is not far from the median."""
    if not len(table["star_id"]):
        return table
    velocity = np.stack([table[f"v{axis}_kms"] for axis in "xyz"], axis=1)
    speed = np.linalg.norm(velocity - np.median(velocity, axis=0), axis=1)
    return {name: values[speed < limit_kms] for name, values in table.items()}


def steady_frame(sun: SolarFrame, pattern_speed: float) -> RotatingFrame:
    """The frame in which the stars are taken to be steady, in kpc and 100 km/s.

    Parameters
    ----------
    sun
        Position and velocity of the Sun.
    pattern_speed
        In km/s/kpc, positive if the frame turns with the Galaxy.
    """
    v_x, v_y, v_z = (-speed / VELOCITY_UNIT_KMS for speed in sun.v_sun_kms)
    return RotatingFrame(
        (sun.galcen_distance_kpc, 0.0, 0.0), (v_x, v_y, v_z), -pattern_speed / VELOCITY_UNIT_KMS
    )
