"""APOGEE DR17 of the embedded sky."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mwatlas.config.sky_spectroscopy import Apogee
from mwatlas.sky.labels import (
    any_of_star,
    flag_bits,
    in_fields,
    measure_labels,
    signal_to_noise,
)
from mwatlas.sky.positions import galactic
from mwatlas.tables.table import Columns

# Bits of STARFLAG (sdss.org/dr17/irspec/apogee-bitmasks) and their shares.
LOW_SNR = 4
_STARFLAG_BITS = (2, 3, 9, 10, 11, 12, 16, 17, 20, 21, 23)
_STARFLAG_WEIGHTS = (12, 2, 15, 15, 20, 2, 6, 4, 8, 6, 10)
# Bits of ASPCAPFLAG: warnings, then what the loss of labels sets.
STAR_WARN, STAR_BAD, NO_ASPCAP_RESULT = 7, 23, 31
_WARNING_BITS = (0, 1, 2, 3, 4, 8, 9)
_WARNING_WEIGHTS = (10, 15, 15, 10, 10, 20, 20)
# Of those, the ones that set STAR_WARN too.
_STAR_WARNINGS = (1 << 0) | (1 << 1) | (1 << 8) | (1 << 9)
_BAD_BITS, _BAD_WEIGHTS = (16, 17, 19, 24, 25), (30, 20, 15, 20, 15)
_NO_RESULT_SHARE = 0.3
# Bits of EXTRATARG.
NOT_MAIN, TELLURIC, DUPLICATE = 0, 2, 4
_TELLURIC_TEFF = 7500.0
# SFD's E(B - V) to A_V (Schlafly & Finkbeiner 2011, Table 6); it has errors of about 10 %.
_A_V_PER_SFD, _SFD_ERROR = 2.742, 0.1
# A_J - A_Ks per A_V (Wang & Chen 2019).
_J_KS_PER_A_V = 0.243 - 0.078
_PLANE_LATITUDE = 10.0
_LABELS = ("teff", "logg", "m_h", "alpha_m", "fe_h", "mg_fe")
_GAIA = (
    "phot_g_mean_mag",
    "phot_bp_mean_mag",
    "phot_rp_mean_mag",
    "parallax",
    "parallax_error",
)


def observe_apogee(
    truth: Columns,
    gaia: Columns,
    star: NDArray[np.int64],
    point_sources: Columns,
    settings: Apogee,
    rng: np.random.Generator,
) -> tuple[Columns, Columns]:
    """Observe the stars of one cell with APOGEE.

    Parameters
    ----------
    truth
        True columns of the cell's N stars, with ``mg_fe_true``.
    gaia
        What Gaia measures of them: ``phot_g_mean_mag``, ``phot_bp_mean_mag``,
        ``phot_rp_mean_mag``, ``parallax``, ``parallax_error``; N rows in the same order.
    star, point_sources
        Stars with 2MASS photometry, and that photometry
        (:func:`mwatlas.sky.tmass.photometry_of`).
    settings
        Selection, errors and rates.
    rng
        Random numbers of this cell.

    Returns
    -------
    table
        Rows of ``allStar``; a star may have two.
    known
        For each star ``apogee_outlier_true``: whether the labels of one of its rows are off
        by more than their errors.
    """
    row, main = _select(truth, star, point_sources, settings, rng)
    twice = np.flatnonzero(rng.random(row.size) < settings.duplicate_rate)
    # The better spectrum is the star's own, the other its duplicate.
    copy = np.concatenate([np.zeros(row.size, dtype=bool), np.ones(twice.size, dtype=bool)])
    order = np.argsort(np.concatenate([row, row[twice]]), kind="stable")
    main = np.concatenate([main, main[twice]])[order]
    row, copy = np.concatenate([row, row[twice]])[order], copy[order]
    target = {name: values[row] for name, values in point_sources.items()}
    index = star[row]
    stars = {name: values[index] for name, values in truth.items()}

    snr = signal_to_noise(target["h_m"].astype(float), 12.0, settings.snr_at_h_12, rng)
    snr = np.where(copy, 0.5 * snr, snr)
    true = {name: stars[f"{name}_true"] for name in ("teff", "logg", "alpha_m", "fe_h", "mg_fe")}
    true |= {"m_h": stars["fe_h_true"], "radial_velocity": stars["radial_velocity_true"]}
    labels = {name: getattr(settings, name) for name in (*_LABELS, "radial_velocity")}
    measured, error, outlier = measure_labels(true, labels, snr, stars["fe_h_true"], settings, rng)

    aspcap, lost = _aspcap_flags(index.size, settings, rng)
    starflag = flag_bits(
        _STARFLAG_BITS, _STARFLAG_WEIGHTS, rng.random(index.size) < settings.starflag_rate, rng
    )
    starflag |= np.where(snr < 5, 1 << LOW_SNR, 0)
    extra = np.where(main, 0, 1 << NOT_MAIN) | np.where(copy, 1 << DUPLICATE, 0)
    extra |= np.where(~main & (stars["teff_true"] > _TELLURIC_TEFF), 1 << TELLURIC, 0)
    in_gaia = rng.random(index.size) >= settings.unmatched_rate
    sfd = stars["a_v_column"] / _A_V_PER_SFD * (1 + _SFD_ERROR * rng.standard_normal(index.size))

    table: Columns = {
        "APOGEE_ID": "2M" + target["designation"],
        "RA": target["ra"],
        "DEC": target["dec"],
        "J": target["j_m"],
        "J_ERR": target["j_msigcom"],
        "H": target["h_m"],
        "H_ERR": target["h_msigcom"],
        "K": target["ks_m"],
        "K_ERR": target["ks_msigcom"],
        "SFD_EBV": np.maximum(sfd, 0),
        "SNR": snr,
        "STARFLAG": starflag,
        "VHELIO_AVG": measured["radial_velocity"],
        "VERR": error["radial_velocity"],
        "GAIAEDR3_SOURCE_ID": np.where(in_gaia, stars["source_id"], 0),
        **{
            f"GAIAEDR3_{name.upper()}": np.where(in_gaia, gaia[name][index], np.nan)
            for name in _GAIA
        },
        "ASPCAPFLAG": aspcap,
        "EXTRATARG": extra,
    }
    for name in _LABELS:
        table[name.upper()] = np.where(lost, np.nan, measured[name])
        table[f"{name.upper()}_ERR"] = np.where(lost, np.nan, error[name])
    known = {
        "source_id": truth["source_id"],
        "apogee_outlier_true": any_of_star(index, outlier, len(truth["source_id"])),
    }
    return table, known


def _select(
    truth: Columns,
    star: NDArray[np.int64],
    point_sources: Columns,
    settings: Apogee,
    rng: np.random.Generator,
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Choose rows of 2MASS to observe; also whether they are of the main sample."""
    _, latitude = galactic(truth)
    share = np.where(
        np.abs(latitude) < _PLANE_LATITUDE, settings.plane_field_share, settings.field_share
    )
    j, h, ks = (point_sources[f"{band}_m"].astype(float) for band in ("j", "h", "ks"))
    red = j - ks - _J_KS_PER_A_V * truth["a_v_true"][star] >= settings.red_limit
    measured = np.isfinite(point_sources["h_msigcom"]) & np.isfinite(j) & np.isfinite(ks)
    low, high = settings.h_limits
    reachable = measured & (h >= low) & (h <= high) & in_fields(truth, "apogee", share)[star]
    rate = settings.rate * np.where(red, 1, settings.blue_rate)
    row = np.flatnonzero(reachable & (rng.random(star.size) < rate))
    return row, red[row]


def _aspcap_flags(
    number: int, settings: Apogee, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Bits of ASPCAPFLAG, and which spectra lost their labels."""
    lost = rng.random(number) < settings.failure_rate
    warned = ~lost & (rng.random(number) < settings.warning_rate)
    flag = flag_bits(_WARNING_BITS, _WARNING_WEIGHTS, warned, rng)
    flag |= np.where(flag & _STAR_WARNINGS, 1 << STAR_WARN, 0)
    without = lost & (rng.random(number) < _NO_RESULT_SHARE)
    flag |= flag_bits(_BAD_BITS, _BAD_WEIGHTS, lost & ~without, rng)
    flag |= np.where(lost & ~without, 1 << STAR_BAD, 0)
    flag |= np.where(without, np.int64(1) << NO_ASPCAP_RESULT, 0)
    return flag, lost
