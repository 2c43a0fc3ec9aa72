"""Evolutionary tracks of single stars, by COSMIC's version of SSE.

Breivik et al. (2020, ApJ 898, 71); Hurley, Pols & Tout (2000, MNRAS 315, 543). Ages, masses and
luminosities are SSE's. Its giant branch is not: the radii of giants jump about Z = 0.004, so that
stars of [M/H] = -0.6 come out 600 K hotter than their neighbours. Temperatures of giants follow a
relation fitted to observed ones instead, and radii and gravities follow from them. The red clump
is moved to its observed luminosity.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from dataclasses import dataclass
from importlib.resources import files
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Metallicities SSE was fitted for, and the Sun's (Asplund et al. 2009), as mass fractions.
LOWEST_Z, HIGHEST_Z = 1e-4, 0.03
SOLAR_Z = 0.0142
# Temperatures of giants, in K: linear in logg - 2.5 and quadratic in [Fe/H], hotter by an offset
# while helium burns in the core. Fitted to APOGEE DR17 giants (Abdurro'uf et al. 2022): 1,767
# ascending the branch and 773 whose core burns helium by their oscillations (Yu et al. 2018),
# 4000 to 5200 K, -2.3 < [Fe/H] < 0.4; scatter 74 K.
_GIANT_TEFF, _GIANT_GRAVITY, _GIANT_METALS = 4580.0, 518.0, (-413.0, -24.0)
_CLUMP_TEFF, _CLUMP_METALS = 251.0, 29.0
_NEWTON_STEPS = 8
# SSE's stars of core helium burning that ignited in a flash are 0.2 dex too luminous and spread too
# far: about these luminosities they are moved to the observed clump, of mean M_Ks = -1.61 and a
# scatter of 0.17 mag (Hawkins et al. 2017; Ruiz-Dern et al. 2018).
_FLASH_MASS = 2.0
_SSE_CLUMP, _OBSERVED_CLUMP, _CLUMP_SPREAD = 1.92, 1.74, 0.35
# Steps in time as shares of the life in a stage, three times those of Hurley et al. (2000), who
# needed them for mass transfer; and the default strength of magnetic braking, which COSMIC's
# table of defaults holds as a formula.
_SETTINGS = {"pts1": 0.15, "pts2": 0.03, "pts3": 0.06, "fprimc_array": [2.0 / 21.0] * 16}
_GAP, _GIANT_BRANCH, _CORE_HELIUM = 2, 3, 4
# Stages from the main sequence to the asymptotic giant branch; remnants are too faint.
_LAST_STAGE = 6
# SSE evolves pairs: the companion is a brown dwarf too far away to matter.
_COMPANION_MASS, _PERIOD_DAYS = 0.09, 1e9
# log10 of the solar surface gravity in cm/s**2, and the temperature (IAU 2015 constants).
_SOLAR_LOGG, _SOLAR_TEFF = 4.438, 5772.0


@dataclass(frozen=True)
class Tracks:
    """Rows of all tracks, one after the other and ascending in age.

    Parameters
    ----------
    track
        Index of the track a row belongs to; shape (N,).
    age_gyr, start_gyr, end_gyr
        Age, and between which ages the star looks like this.
    mass, log_luminosity, teff, logg
        Present mass and luminosity in solar units, effective temperature in K, surface gravity
        in log10(cm/s**2).
    stage
        SSE's stellar type: 0, 1 main sequence, 2 Hertzsprung gap, 3 first giant branch, 4 core
        helium burning, 5 and 6 asymptotic giant branch.
    """

    track: NDArray[np.int64]
    age_gyr: Floats
    start_gyr: Floats
    end_gyr: Floats
    mass: Floats
    log_luminosity: Floats
    teff: Floats
    logg: Floats
    stage: NDArray[np.int64]


def _settings() -> dict[str, Any]:
    """COSMIC's own defaults; none but the time steps matters for single stars."""
    text = files("cosmic").joinpath("data/cosmic-settings.json").read_text(encoding="utf-8")
    (group,) = (group for group in json.loads(text) if group["category"] == "bse")
    out: dict[str, Any] = {}
    for entry in group["settings"]:
        if entry["name"] in _SETTINGS:
            continue
        (value,) = (o["name"] for o in entry["options"] if o.get("default"))
        out[entry["name"]] = ast.literal_eval(value) if isinstance(value, str) else value
    return {**out, **_SETTINGS}


def giant_temperature(
    log_luminosity: Floats, mass: Floats, m_h: float, core_helium: NDArray[np.bool_]
) -> Floats:
    """Effective temperature of giants in K from luminosity and mass.

    The fitted relation gives the temperature for a gravity, and luminosity, mass and
    temperature give the gravity: the solution of both, by Newton's method.

    Parameters
    ----------
    log_luminosity, mass
        log10 of solar luminosities, and solar masses; shape (N,).
    m_h
        Metallicity.
    core_helium
        Whether helium burns in the core; shape (N,).
    """
    offset = np.where(core_helium, _CLUMP_TEFF + _CLUMP_METALS * m_h, 0.0)
    at_fixed_gravity = offset + _GIANT_TEFF + _GIANT_METALS[0] * m_h + _GIANT_METALS[1] * m_h**2
    teff = at_fixed_gravity.copy()
    for _ in range(_NEWTON_STEPS):
        gravity = surface_gravity(log_luminosity, mass, teff)
        excess = teff - at_fixed_gravity - _GIANT_GRAVITY * (gravity - 2.5)
        teff = teff - excess / (1 - 4 * _GIANT_GRAVITY / (np.log(10) * teff))
    return teff


def surface_gravity(log_luminosity: Floats, mass: Floats, teff: Floats) -> Floats:
    """log10 of the surface gravity in cm/s**2 by the law of Stefan and Boltzmann."""
    return _SOLAR_LOGG + np.log10(mass) - log_luminosity + 4 * np.log10(teff / _SOLAR_TEFF)


def evolve(masses: Floats, m_h: float, oldest_gyr: float) -> Tracks:
    """Evolve stars of one metallicity.

    Parameters
    ----------
    masses
        Initial masses in solar units; shape (M,).
    m_h
        Metallicity [M/H]; beyond the ends of SSE's range the tracks of the end are taken.
    oldest_gyr
        Age at which tracks end.
    """
    from cosmic.evolve import Evolve
    from cosmic.sample.initialbinarytable import InitialBinaryTable

    number = len(masses)
    metals = float(np.clip(SOLAR_Z * 10**m_h, LOWEST_Z, HIGHEST_Z))
    stars = InitialBinaryTable.InitialBinaries(
        m1=masses,
        m2=np.full(number, _COMPANION_MASS),
        porb=np.full(number, _PERIOD_DAYS),
        ecc=np.zeros(number),
        tphysf=np.full(number, 1000 * oldest_gyr),
        kstar1=np.where(masses > 0.7, 1, 0),
        kstar2=np.zeros(number),
        metallicity=np.full(number, metals),
    )
    # The library opens a scratch file in the working directory.
    with _elsewhere():
        _, rows, _, _ = Evolve.evolve(initialbinarytable=stars, BSEDict=_settings(), dtp=0.0)
    rows = rows[rows["kstar_1"] <= _LAST_STAGE]
    track, age = rows["bin_num"].to_numpy(dtype=np.int64), rows["tphys"].to_numpy() / 1000
    order = np.lexsort((age, track))
    track, age = track[order], age[order]
    start, end = _limits(track, age)
    mass = rows["mass_1"].to_numpy()[order]
    log_luminosity = np.log10(rows["lum_1"].to_numpy()[order])
    stage = rows["kstar_1"].to_numpy(dtype=np.int64)[order]
    clump = (stage == _CORE_HELIUM) & (masses[track] < _FLASH_MASS)
    observed = _OBSERVED_CLUMP + _CLUMP_SPREAD * (log_luminosity - _SSE_CLUMP)
    log_luminosity = np.where(clump, observed, log_luminosity)
    teff = rows["teff_1"].to_numpy()[order]
    teff = _with_giants(teff, track, stage, log_luminosity, mass, m_h)
    return Tracks(
        track=track,
        age_gyr=age,
        start_gyr=start,
        end_gyr=end,
        mass=mass,
        log_luminosity=log_luminosity,
        teff=teff,
        logg=surface_gravity(log_luminosity, mass, teff),
        stage=stage,
    )


@contextmanager
def _elsewhere() -> Iterator[None]:
    with TemporaryDirectory() as folder, chdir(folder):
        yield


def _with_giants(
    teff: Floats,
    track: NDArray[np.int64],
    stage: NDArray[np.int64],
    log_luminosity: Floats,
    mass: Floats,
    m_h: float,
) -> Floats:
    """Temperatures with those of giants replaced and the gap stretched to join them."""
    giant = stage >= _GIANT_BRANCH
    replaced = giant_temperature(log_luminosity, mass, m_h, stage == _CORE_HELIUM)
    out = np.where(giant, replaced, teff)
    crossing = np.flatnonzero(stage == _GAP)
    if not crossing.size:
        return out
    # The gap runs from the last row of the main sequence to the first of the branch.
    first = np.searchsorted(track, track[crossing], side="left")
    stage_key = track * 16 + stage
    begin = np.searchsorted(stage_key, track[crossing] * 16 + _GAP, side="left")
    end = np.searchsorted(stage_key, track[crossing] * 16 + _GAP, side="right")
    reached = (end < track.size) & (begin > first)
    crossing, begin, end = crossing[reached], begin[reached] - 1, end[reached]
    reached = track[end] == track[crossing]
    crossing, begin, end = crossing[reached], begin[reached], end[reached]
    start, theirs, ours = (np.log(values) for values in (teff[begin], teff[end], out[end]))
    passed = np.clip((start - np.log(teff[crossing])) / (start - theirs), 0, 1)
    out[crossing] = np.exp(start + passed * (ours - start))
    return out


def _limits(track: NDArray[np.int64], age: Floats) -> tuple[Floats, Floats]:
    """Middle of the time to the row before, and to the next, of the same track."""
    middle = 0.5 * (age[1:] + age[:-1])
    same = np.diff(track) == 0
    start = np.concatenate([age[:1], np.where(same, middle, age[1:])])
    end = np.concatenate([np.where(same, middle, age[:-1]), age[-1:]])
    return start, end
