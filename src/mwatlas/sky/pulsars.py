"""Binary pulsars of the embedded sky, which feel its accelerations.

The period of an orbit changes by the pulsar's motion across the sky (Shklovskii 1970), by its
acceleration along the line of sight, and by gravitational waves (Damour & Taylor 1991, ApJ 366,
501, eqs. 2.2 and 2.3)::

    PBDOT / PB = PBDOT_gw / PB + mu**2 d / c + a_los / c
"""

from __future__ import annotations

from collections.abc import Callable

import astropy.units as u
import numpy as np
from astropy.constants import GM_sun, c
from astropy.coordinates import SkyCoord
from numpy.typing import ArrayLike, NDArray

from mwatlas.astrometry.frames import KMS_PER_MASYR_KPC
from mwatlas.astrometry.heliocentric import sky_motion, sky_position
from mwatlas.config.sky_pulsars import SkyPulsars
from mwatlas.dynamics.potential import circular_velocity, gradient
from mwatlas.random import block_generator
from mwatlas.sky.galaxy import SKY_FRAME
from mwatlas.tables.table import Columns

Floats = NDArray[np.float64]
Acceleration = Callable[[Floats], Floats]
"""Accelerations in (km/s)**2/kpc, shape (N, 3), at Galactocentric positions in kpc."""

MM_S_YR = (1 * u.km**2 / u.s**2 / u.kpc).to_value(u.mm / u.s / u.yr)
"""One (km/s)**2/kpc in mm/s/yr: about 1.0227e-3."""

_LIGHT = (1 * c).to_value(u.mm / u.s)
_DAY_S = 86400.0
_YEAR_S = (1 * u.yr).to_value(u.s)
_SUN_S = float((GM_sun / c**3).to_value(u.s))
# Errors that do not limit an acceleration, typical of the catalogue's millisecond pulsars.
_PERIOD_ERROR, _AXIS_ERROR_S, _ECCENTRICITY_ERROR, _SINE_ERROR = 1e-11, 1e-7, 1e-8, 1e-4


def galactic_acceleration(position_kpc: Floats) -> Floats:
    """Accelerations of MWPotential2014, an :data:`Acceleration`."""
    return -gradient(position_kpc)


def line_of_sight_acceleration(position_kpc: ArrayLike, acceleration: Acceleration) -> Floats:
    """Acceleration away from the Sun, relative to that of the Sun.

    Parameters
    ----------
    position_kpc
        Galactocentric positions; shape (N, 3).
    acceleration
        Field of accelerations.

    Returns
    -------
    float64, shape (N,)
        In mm/s/yr.
    """
    position = np.asarray(position_kpc, dtype=float)
    _, sun = SKY_FRAME.affine()
    away = position - sun
    away /= np.linalg.norm(away, axis=1, keepdims=True)
    relative = acceleration(position) - acceleration(sun[None])
    return MM_S_YR * (relative * away).sum(axis=1)


def shklovskii_acceleration(pmra: ArrayLike, pmdec: ArrayLike, distance_kpc: ArrayLike) -> Floats:
    """Apparent acceleration mu**2 d of motion across the sky, in mm/s/yr.

    Parameters
    ----------
    pmra, pmdec
        Proper motions in mas/yr; shape (N,).
    distance_kpc
        Distances; shape (N,).
    """
    square = np.asarray(pmra, float) ** 2 + np.asarray(pmdec, float) ** 2
    return MM_S_YR * KMS_PER_MASYR_KPC**2 * square * np.asarray(distance_kpc, float)


def gravitational_wave_decay(
    period_days: ArrayLike,
    eccentricity: ArrayLike,
    pulsar_mass_msun: ArrayLike,
    companion_mass_msun: ArrayLike,
) -> Floats:
    """PBDOT of gravitational waves (Peters 1964, Phys. Rev. 136, B1224); shape (N,)."""
    period = _DAY_S * np.asarray(period_days, float)
    square = np.asarray(eccentricity, float) ** 2
    first, second = np.asarray(pulsar_mass_msun, float), np.asarray(companion_mass_msun, float)
    enhancement = (1 + 73 / 24 * square + 37 / 96 * square**2) / (1 - square) ** 3.5
    masses = first * second / np.cbrt(first + second)
    speed = (2 * np.pi * _SUN_S / period) ** (5 / 3)
    return -192 * np.pi / 5 * speed * enhancement * masses


def projected_axis(
    period_days: ArrayLike,
    pulsar_mass_msun: ArrayLike,
    companion_mass_msun: ArrayLike,
    sine: ArrayLike,
) -> Floats:
    """Projected semi-major axis of the pulsar's orbit in light seconds (Kepler); shape (N,)."""
    second = np.asarray(companion_mass_msun, float)
    total = np.asarray(pulsar_mass_msun, float) + second
    frequency = 2 * np.pi / (_DAY_S * np.asarray(period_days, float))
    return np.asarray(sine, float) * second * np.cbrt(_SUN_S / (total * frequency) ** 2)


def mass_of_pulsar(
    period_days: ArrayLike, axis_s: ArrayLike, companion_mass_msun: ArrayLike, sine: ArrayLike
) -> Floats:
    """Mass of the pulsar in solar masses, by the mass function; shape (N,)."""
    second = np.asarray(companion_mass_msun, float)
    frequency = 2 * np.pi / (_DAY_S * np.asarray(period_days, float))
    function = frequency**2 * np.asarray(axis_s, float) ** 3 / _SUN_S
    return np.sqrt((second * np.asarray(sine, float)) ** 3 / function) - second


def draw_pulsars(
    settings: SkyPulsars, seed: int, acceleration: Acceleration = galactic_acceleration
) -> Columns:
    """Draw the pulsars of the sky, without errors.

    Parameters
    ----------
    settings
        Their distribution.
    seed
        Seed of the run.
    acceleration
        Field they feel.

    Returns
    -------
    Columns
        ``ra``, ``dec`` (deg), ``distance_kpc``, ``pmra``, ``pmdec`` (mas/yr), ``period_days``,
        ``eccentricity``, ``pulsar_mass``, ``companion_mass`` (solar), ``sine`` of the
        inclination, ``axis_s`` (projected, light seconds), ``a_los`` (mm/s/yr) and ``pbdot``.
    """
    rng = block_generator(seed, "sky/pulsars", 0)
    position = _draw_positions(settings, rng)
    radius = np.hypot(position[:, 0], position[:, 1])
    # Galactic rotation is clockwise seen from the north pole.
    direction = np.stack([position[:, 1], -position[:, 0], np.zeros_like(radius)], axis=1)
    velocity = (circular_velocity(radius) / radius)[:, None] * direction
    velocity += settings.velocity_dispersion_kms * rng.standard_normal(position.shape)
    ra, dec, distance = sky_position(SKY_FRAME, position)
    pmra, pmdec, _ = sky_motion(SKY_FRAME, ra, dec, distance, velocity)
    period = _log_uniform(settings.period_range_days, settings.number, rng)
    eccentricity = _log_uniform(settings.eccentricity_range, settings.number, rng)
    pulsar = _log_uniform(settings.pulsar_mass_range_msun, settings.number, rng)
    companion = _log_uniform(settings.companion_mass_range_msun, settings.number, rng)
    # Isotropic orbits, but none face on: their masses would not be known.
    sine = np.sqrt(1 - (0.9 * rng.random(settings.number)) ** 2)
    a_los = line_of_sight_acceleration(position, acceleration)
    kinematic = (a_los + shklovskii_acceleration(pmra, pmdec, distance)) / (_LIGHT * _YEAR_S)
    decay = gravitational_wave_decay(period, eccentricity, pulsar, companion)
    return {
        "ra": ra,
        "dec": dec,
        "distance_kpc": distance,
        "pmra": pmra,
        "pmdec": pmdec,
        "period_days": period,
        "eccentricity": eccentricity,
        "pulsar_mass": pulsar,
        "companion_mass": companion,
        "sine": sine,
        "axis_s": projected_axis(period, pulsar, companion, sine),
        "a_los": a_los,
        "pbdot": decay + kinematic * period * _DAY_S,
    }


def observe_pulsars(truth: Columns, settings: SkyPulsars, seed: int) -> Columns:
    """Time the pulsars: the rows of the raw catalogue (``PSRCAT``).

    Parameters
    ----------
    truth
        What :func:`draw_pulsars` returns.
    settings
        Sizes of the errors.
    seed
        Seed of the run.
    """
    rng = block_generator(seed, "sky/pulsar timing", 0)
    number = len(truth["ra"])
    period, parallax = truth["period_days"], 1 / truth["distance_kpc"]
    motion_error = _log_uniform(settings.proper_motion_error_range_masyr, number, rng)
    slow = _log_uniform(settings.acceleration_error_range_mm_s_yr, number, rng)
    errors = {
        "PMRA": motion_error,
        "PMDEC": motion_error,
        "PX": parallax * _log_uniform(settings.parallax_relative_error_range, number, rng),
        "A1": np.full(number, _AXIS_ERROR_S),
        "PB": _PERIOD_ERROR * period,
        "PBDOT": slow * period * _DAY_S / (_LIGHT * _YEAR_S),
        "ECC": np.minimum(_ECCENTRICITY_ERROR, 0.1 * truth["eccentricity"]),
        "M2": truth["companion_mass"]
        * _log_uniform(settings.companion_mass_error_range, number, rng),
        # A sine that is nearly one is known better, and stays below one.
        "SINI": np.minimum(_SINE_ERROR, 0.1 * (1 - truth["sine"])),
    }
    values = {
        "PMRA": truth["pmra"],
        "PMDEC": truth["pmdec"],
        "PX": parallax,
        "A1": truth["axis_s"],
        "PB": period,
        "PBDOT": truth["pbdot"],
        "ECC": truth["eccentricity"],
        "M2": truth["companion_mass"],
        "SINI": truth["sine"],
    }
    place = SkyCoord(truth["ra"] * u.deg, truth["dec"] * u.deg)
    raj = place.ra.to_string(u.hourangle, sep=":", precision=6, pad=True)
    decj = place.dec.to_string(u.deg, sep=":", precision=5, pad=True, alwayssign=True)
    names = [f"J{h[:2]}{h[3:5]}{d[:3]}{d[4:6]}" for h, d in zip(raj, decj, strict=True)]
    served: Columns = {
        "PSRJ": np.array(names, dtype=object),
        "RAJ": np.array(raj, dtype=object),
        "DECJ": np.array(decj, dtype=object),
        "BINARY": np.full(number, "DD", dtype=object),
    }
    for name, value in values.items():
        served[name] = value + errors[name] * rng.standard_normal(number)
        served[f"{name}_ERR"] = errors[name]
    return served


def derive_accelerations(timing: Columns) -> Columns:
    """Accelerations from the raw catalogue, with the errors of all its columns.

    Distances are inverse parallaxes; gravitational waves follow from the measured masses. This
    is how the literature derives them (Donlon et al. 2024, Phys. Rev. D 110, 023026).

    Parameters
    ----------
    timing
        Rows of ``PSRCAT``.

    Returns
    -------
    Columns
        Rows of ``PULSAR_ACCELERATIONS``.
    """
    place = SkyCoord(timing["RAJ"], timing["DECJ"], unit=(u.hourangle, u.deg)).galactic
    names = ("PBDOT", "PX", "PMRA", "PMDEC", "M2", "SINI", "A1", "PB", "ECC")
    value = {name: np.asarray(timing[name], dtype=float) for name in names}
    base = _acceleration(**value)
    variance = np.zeros_like(base)
    for name in names:
        error = np.asarray(timing[f"{name}_ERR"], dtype=float)
        high, low = (
            _acceleration(**{**value, name: value[name] + sign * error}) for sign in (0.5, -0.5)
        )
        variance += (high - low) ** 2
    return {
        "PSRJ": timing["PSRJ"],
        "l": place.l.deg,
        "b": place.b.deg,
        "d": 1 / value["PX"],
        "d_err": timing["PX_ERR"] / value["PX"] ** 2,
        "a_los": base,
        "a_los_err": np.sqrt(variance),
    }


# Arguments have the names of the catalogue's columns.
def _acceleration(
    PBDOT: Floats,  # noqa: N803
    PX: Floats,  # noqa: N803
    PMRA: Floats,  # noqa: N803
    PMDEC: Floats,  # noqa: N803
    M2: Floats,  # noqa: N803
    SINI: Floats,  # noqa: N803
    A1: Floats,  # noqa: N803
    PB: Floats,  # noqa: N803
    ECC: Floats,  # noqa: N803
) -> Floats:
    """Line-of-sight acceleration in mm/s/yr from timing; shape (N,)."""
    decay = gravitational_wave_decay(PB, ECC, mass_of_pulsar(PB, A1, M2, SINI), M2)
    total = (PBDOT - decay) / (PB * _DAY_S) * _LIGHT * _YEAR_S
    return total - shklovskii_acceleration(PMRA, PMDEC, 1 / PX)


def _draw_positions(settings: SkyPulsars, rng: np.random.Generator) -> Floats:
    nearest, farthest = settings.distance_range_kpc
    _, sun = SKY_FRAME.affine()
    taken = np.empty((0, 3))
    while len(taken) < settings.number:
        size = 8 * settings.number
        # A density exp(-d / s) in space is a gamma distribution of distance.
        distance = rng.gamma(3.0, settings.distance_scale_kpc, size)
        direction = rng.standard_normal((size, 3))
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        place = sun + distance[:, None] * direction
        density = np.exp(-np.abs(place[:, 2]) / settings.scale_height_kpc)
        inside = (distance > nearest) & (distance < farthest)
        taken = np.concatenate([taken, place[inside & (rng.random(size) < density)]])
    return taken[: settings.number]


def _log_uniform(limits: tuple[float, float], number: int, rng: np.random.Generator) -> Floats:
    low, high = limits
    return low * (high / low) ** rng.random(number)
