"""GALAH DR3 of the embedded sky."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mwatlas.config.sky_spectroscopy import Galah
from mwatlas.sky.labels import any_of_star, flag_bits, in_fields, measure_labels, signal_to_noise
from mwatlas.sky.positions import galactic, identifiers, positions_at
from mwatlas.tables.table import Columns

# Epoch of Gaia DR2, whose positions the table carries.
_DR2_EPOCH = 2015.5
# Bits of flag_sp and flag_X_fe (Buder et al. 2021, Tables 6 and 7).
NOT_FINISHED, LOW_SNR = 9, 2
_WARNING_BITS, _WARNING_WEIGHTS = (0, 1, 3, 4, 5, 6, 7, 10), (15, 5, 5, 5, 10, 15, 40, 5)
NO_MEASUREMENT = 32
_LOW_SNR = 10.0
# Signal-to-noise ratios of the arms relative to the second (Buder et al. 2021, section 2.4).
_SNR_RATIOS = {"c1": 0.75, "c2": 1.0, "c3": 1.25, "c4": 1.2}
# E(B - V) to A_V as in SFD (Schlafly & Finkbeiner 2011).
_A_V_PER_SFD = 2.742
_SFD_ERROR = 0.1


def v_from_jks(j: ArrayLike, ks: ArrayLike) -> NDArray[np.float64]:
    """GALAH's V from 2MASS (Martell et al. 2017, MNRAS 465, 3203, section 2).

    Parameters
    ----------
    j, ks
        Magnitudes; broadcastable.
    """
    colour = np.asarray(j, dtype=float) - np.asarray(ks, dtype=float)
    return np.asarray(ks, float) + 2 * (colour + 0.14) + 0.382 * np.exp((colour - 0.2) / 0.5)


def observe_galah(
    truth: Columns,
    cell: int,
    order: int,
    star: NDArray[np.int64],
    point_sources: Columns,
    settings: Galah,
    rng: np.random.Generator,
) -> tuple[Columns, Columns]:
    """Observe the stars of one cell with GALAH.

    Parameters
    ----------
    truth
        True columns of the cell's N stars, with ``mg_fe_true``.
    cell, order
        The HEALPix cell, which sets ``sobject_id``.
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
        Rows of the main catalogue, one per star.
    known
        For each star ``galah_outlier_true``: whether its labels are off by more than their
        errors.
    """
    v = v_from_jks(point_sources["j_m"], point_sources["ks_m"])
    row, bright = _select(truth, star, v, point_sources, settings, rng)
    index = star[row]
    target = {name: values[row] for name, values in point_sources.items()}
    stars = {name: values[index] for name, values in truth.items()}

    snr = signal_to_noise(v[row], 13.0, settings.snr_at_v_13, rng)
    names = ("teff", "logg", "fe_h", "alpha_fe", "mg_fe", "radial_velocity")
    true = {name: stars[f"{name}_true"] for name in names if name != "alpha_fe"}
    true["alpha_fe"] = stars["alpha_m_true"]
    labels = {name: getattr(settings, name) for name in names}
    measured, error, outlier = measure_labels(true, labels, snr, stars["fe_h_true"], settings, rng)

    lost = rng.random(index.size) < settings.failure_rate
    warned = rng.random(index.size) < settings.warning_rate
    flag = flag_bits(_WARNING_BITS, _WARNING_WEIGHTS, warned, rng)
    flag |= np.where(snr < _LOW_SNR, 1 << LOW_SNR, 0) | np.where(lost, 1 << NOT_FINISHED, 0)
    no_element = lost | (rng.random(index.size) < settings.element_failure_rate)
    ra, dec = positions_at(stars, _DR2_EPOCH)

    ebv = stars["a_v_column"] / _A_V_PER_SFD * (1 + _SFD_ERROR * rng.standard_normal(index.size))
    table: Columns = {
        "star_id": target["designation"],
        # The date, run and fibre of the observation; here a number of the same length.
        "sobject_id": 140_000_000_000_000 + identifiers(cell, order, index.size),
        "dr2_source_id": stars["source_id"],
        "dr3_source_id": stars["source_id"],
        "survey_name": np.where(bright, "galah_bright", "galah_main").astype(object),
        "flag_repeat": np.zeros(index.size, dtype=np.int64),
        "flag_sp": flag,
        "flag_fe_h": np.where(lost, NO_MEASUREMENT, 0),
        "flag_alpha_fe": np.where(lost, NO_MEASUREMENT, 0),
        "flag_Mg_fe": np.where(no_element, NO_MEASUREMENT, 0),
        "ra_dr2": ra,
        "dec_dr2": dec,
        "rv_galah": measured["radial_velocity"],
        "e_rv_galah": error["radial_velocity"],
        "red_flag": np.zeros(index.size, dtype=np.int64),
        "ebv": ebv,
        **{f"snr_{arm}_iraf": snr * ratio for arm, ratio in _SNR_RATIOS.items()},
        "v_jk": v[row],
        **{
            name: target[name]
            for name in ("j_m", "j_msigcom", "h_m", "h_msigcom", "ks_m", "ks_msigcom")
        },
        "ph_qual_tmass": target["ph_qual"],
    }
    for name, column in (
        ("teff", "teff"),
        ("logg", "logg"),
        ("fe_h", "fe_h"),
        ("alpha_fe", "alpha_fe"),
        ("mg_fe", "Mg_fe"),
    ):
        missing = no_element if name == "mg_fe" else lost
        table[column] = np.where(missing, np.nan, measured[name])
        table[f"e_{column}"] = np.where(missing, np.nan, error[name])
    known = {
        "source_id": truth["source_id"],
        "galah_outlier_true": any_of_star(index, outlier, len(truth["source_id"])),
    }
    return table, known


def _select(
    truth: Columns,
    star: NDArray[np.int64],
    v: NDArray[np.float64],
    point_sources: Columns,
    settings: Galah,
    rng: np.random.Generator,
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Choose rows of 2MASS to observe; also whether they are of the bright programme."""
    _, latitude = galactic(truth)
    reachable = (truth["dec"] < settings.dec_max) & (np.abs(latitude) > settings.latitude_min)
    reachable &= in_fields(truth, "galah", settings.field_share)
    bright = (v >= settings.bright_limit) & (v < settings.v_limits[0])
    main = (v >= settings.v_limits[0]) & (v <= settings.v_limits[1])
    # V needs both magnitudes.
    measured = np.isfinite(point_sources["j_msigcom"] + point_sources["ks_msigcom"])
    rate = np.where(main, settings.rate, np.where(bright, settings.bright_rate, 0))
    row = np.flatnonzero(reachable[star] & measured & (rng.random(star.size) < rate))
    return row, bright[row]
