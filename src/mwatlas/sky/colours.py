"""Colours and bolometric corrections from published relations, and the range each holds in.

- 4200 to 7500 K (giants from 3600 K): colours of Casagrande et al. (2021), functions of Teff, logg
  and [Fe/H]; bolometric correction of Andrae et al. (2018, A&A 616, A8, table 4), solar [M/H].
- Cooler and hotter dwarfs, and hot evolved stars: the mean dwarf sequence of Pecaut & Mamajek
  (2013, version 2022), functions of Teff.
- W1 and W2: the same sequence for dwarfs; for giants H - W2 = 0.08, on which the extinction by
  colours rests (Majewski et al. 2011), and a constant W1 - W2 [chosen].
"""

from __future__ import annotations

import csv
from functools import lru_cache
from importlib.resources import files

import numpy as np
from MeanStars import MeanStars
from numpy.typing import NDArray

Floats = NDArray[np.float64]

BANDS = ("bp", "rp", "j", "h", "ks", "w1", "w2")
"""Bands beside G, in the order of :func:`absolute_magnitudes`."""

SOLAR_BOLOMETRIC_MAGNITUDE = 4.74
# Between the two temperatures of a pair the relations are blended linearly.
_COOL_BLEND, _HOT_BLEND = (4000.0, 4400.0), (7200.0, 7800.0)
_COOLEST_GIANT = 3600.0
# Dividing line of the ranges of Casagrande et al.
_GIANT_LOGG = 3.2
_BISECTIONS = 30
# Andrae et al. (2018): coefficients of powers of Teff - 5772 K below and above 4000 K.
_BC_G_COOL = (1.749, 1.977e-3, 3.737e-7, -8.966e-11, -4.183e-14)
_BC_G_WARM = (6.000e-2, 6.731e-5, -6.647e-8, 2.859e-11, -7.197e-15)
_GIANT_H_W2, _GIANT_W1_W2 = 0.08, -0.07
_SEQUENCE = {"bp_rp": "Bp-Rp", "g_rp": "G-Rp", "j_h": "J-H", "h_ks": "H-Ks", "w": "W1-W2"}
# The Gaia columns of the sequence end at B8. Beyond they run parallel to a Johnson-Cousins column,
# with the slope over as many hottest rows as given.
_CONTINUED = {"bp_rp": "V-Ic", "g_rp": "V-Ic", "g_ks": "V-Ks", "bc_g": "BCv"}
_OVERLAP_ROWS = 8


@lru_cache(maxsize=1)
def _relations() -> dict[str, tuple[Floats, Floats, Floats]]:
    """Limits for dwarfs and for giants, and coefficients, of each colour."""
    text = files("mwatlas.sky").joinpath("casagrande2021.csv").read_text(encoding="utf-8")
    rows = csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))
    return {
        row["colour"]: (
            np.array([float(row["dwarf_low"]), float(row["dwarf_high"])]),
            np.array([float(row["giant_low"]), float(row["giant_high"])]),
            np.array([float(row[f"a{i}"]) for i in range(15)]),
        )
        for row in rows
    }


def temperature(colour: str, value: Floats, logg: Floats, fe_h: Floats) -> Floats:
    """Effective temperature of a colour by Casagrande et al. (2021); K, shape (N,)."""
    _, _, a = _relations()[colour]
    powers = [np.ones_like(value), value, value**2, value**3, value**5]
    terms = [*powers, *(logg * p for p in powers), *(fe_h * p for p in powers[:4])]
    terms.append(fe_h * logg * value)
    return sum(c * t for c, t in zip(a, terms, strict=True))


def colour_of(colour: str, teff: Floats, logg: Floats, fe_h: Floats) -> Floats:
    """Invert :func:`temperature`; the end of the range where it does not reach."""
    dwarf, giant, _ = _relations()[colour]
    # Hot evolved stars are bluer than the giants of the fit; the dwarfs' limit holds for them.
    low = np.full_like(teff, min(dwarf[0], giant[0]))
    high = np.where(logg < _GIANT_LOGG, giant[1], dwarf[1])
    for _ in range(_BISECTIONS):
        middle = 0.5 * (low + high)
        hotter = temperature(colour, middle, logg, fe_h) > teff
        low, high = np.where(hotter, middle, low), np.where(hotter, high, middle)
    return 0.5 * (low + high)


@lru_cache(maxsize=1)
def _sequence() -> dict[str, tuple[Floats, Floats]]:
    """Temperatures, ascending, and values of each column of the dwarf sequence."""
    stars = MeanStars()
    teff = np.asarray(stars.data["Teff"], dtype=float)

    def column(name: str) -> Floats:
        return np.array([_number(text) for text in stars.data[name]])

    m_g, m_ks = column("M_G"), column("M_Ks")
    columns = {key: column(name) for key, name in _SEQUENCE.items()}
    columns["g_ks"] = m_g - m_ks
    columns["ks_w1"] = column("Ks-W1")
    columns["bc_g"] = column("Mbol") - m_g
    for key, other in _CONTINUED.items():
        columns[key] = _continue(teff, columns[key], column(other))
    out = {}
    for key, values in columns.items():
        good = np.isfinite(values)
        order = np.argsort(teff[good])
        out[key] = teff[good][order], values[good][order]
    return out


def _continue(teff: Floats, values: Floats, other: Floats) -> Floats:
    """Fill hot rows without a value in parallel to another column."""
    known = np.isfinite(values) & np.isfinite(other)
    hottest = np.argsort(np.where(known, teff, -np.inf))[-_OVERLAP_ROWS:]
    slope = np.polyfit(other[hottest], values[hottest], 1)[0]
    last = hottest[-1]
    beyond = (teff > teff[last]) & np.isnan(values)
    return np.where(beyond, values[last] + slope * (other - other[last]), values)


def _number(text: object) -> float:
    try:
        return float(str(text).rstrip(":"))
    except ValueError:
        return np.nan


def _of_dwarfs(key: str, teff: Floats) -> Floats:
    return np.interp(teff, *_sequence()[key])


def bolometric_correction(teff: Floats) -> Floats:
    """Bolometric correction in G, to be subtracted from the bolometric magnitude."""
    x = teff - 5772.0
    cool = sum(c * x**i for i, c in enumerate(_BC_G_COOL))
    warm = sum(c * x**i for i, c in enumerate(_BC_G_WARM))
    return np.where(teff < 4000.0, cool, warm)


def absolute_magnitudes(
    teff: Floats, logg: Floats, fe_h: Floats, log_luminosity: Floats
) -> tuple[Floats, Floats]:
    """Absolute magnitudes of stars.

    Parameters
    ----------
    teff, logg, fe_h, log_luminosity
        In K, log10(cm/s**2), dex, log10 of solar luminosities; shape (N,).

    Returns
    -------
    m_g, others
        In G, shape (N,), and in :data:`BANDS`, shape (7, N). Giants cooler than 3600 K have
        no published colours: NaN.
    """
    giant = logg < _GIANT_LOGG
    # Share of the dwarf sequence: none for giants at the cool end.
    cool = np.clip((_COOL_BLEND[1] - teff) / (_COOL_BLEND[1] - _COOL_BLEND[0]), 0, 1)
    hot = np.clip((teff - _HOT_BLEND[0]) / (_HOT_BLEND[1] - _HOT_BLEND[0]), 0, 1)
    share = np.where(giant, hot, np.maximum(cool, hot))

    def blend(key: str, theirs: Floats) -> Floats:
        return share * _of_dwarfs(key, teff) + (1 - share) * theirs

    fitted = {c: colour_of(c, teff, logg, fe_h) for c in _relations()}
    bp_rp = blend("bp_rp", fitted["bp_rp"])
    g_rp = blend("g_rp", fitted["g_rp"])
    g_ks = blend("g_ks", fitted["g_ks"])
    h_ks = blend("h_ks", fitted["g_ks"] - fitted["g_h"])
    j_h = blend("j_h", fitted["g_h"] - fitted["g_j"])
    correction = blend("bc_g", bolometric_correction(np.clip(teff, 3300.0, 8000.0)))
    m_g = SOLAR_BOLOMETRIC_MAGNITUDE - 2.5 * log_luminosity - correction
    m_g = np.where(giant & (teff < _COOLEST_GIANT), np.nan, m_g)
    ks = m_g - g_ks
    h = ks + h_ks
    rp = m_g - g_rp
    dwarf_w1 = ks - _of_dwarfs("ks_w1", teff)
    w2 = np.where(giant, h - _GIANT_H_W2, dwarf_w1 - _of_dwarfs("w", teff))
    w1 = np.where(giant, w2 + _GIANT_W1_W2, dwarf_w1)
    return m_g, np.stack([rp + bp_rp, rp, h + j_h, h, ks, w1, w2])
