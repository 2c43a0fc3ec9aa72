"""LAMOST DR6 of the embedded sky: the parameters of A, F, G and K stars."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mwatlas.config.sky_spectroscopy import Lamost
from mwatlas.sky.labels import any_of_star, in_fields, measure_labels, signal_to_noise
from mwatlas.sky.positions import designations, identifiers, positions_at
from mwatlas.tables.table import Columns

# First and last night of DR6 (dr6.lamost.org), as modified Julian dates.
_NIGHTS = (55858, 58271)
# The input positions come from other surveys.
_INPUT_ERROR_ARCSEC = 0.1
_LIGHT_KMS = 299792.458
# Signal-to-noise ratios relative to g, typical of a G star.
_SNR_RATIOS = {"snru": 0.3, "snrr": 1.5, "snri": 1.8, "snrz": 1.3}
# Hottest temperature of each subclass (Pecaut & Mamajek 2013, Table 5).
_SUBCLASSES = ("K7", "K5", "K3", "K0", "G8", "G5", "G2", "F9", "F5", "F2", "F0", "A7", "A5")
_SUBCLASS_TEFF = (4200, 4500, 4950, 5350, 5550, 5700, 5850, 6200, 6600, 6900, 7300, 7900)


def observe_lamost(
    truth: Columns, cell: int, order: int, settings: Lamost, rng: np.random.Generator
) -> tuple[Columns, Columns]:
    """Observe the stars of one cell with LAMOST, some of them more than once.

    Parameters
    ----------
    truth
        True columns of the cell's N stars.
    cell, order
        The HEALPix cell, which sets ``obsid``.
    settings
        Selection, errors and rates.
    rng
        Random numbers of this cell.

    Returns
    -------
    table
        One row per visit, ordered by ``obsid``; it does not name the Gaia source.
    known
        For each star the number of its rows (``lamost_visits_true``) and whether one of
        them is off by more than its errors (``lamost_outlier_true``).
    """
    number = len(truth["source_id"])
    index = _select(truth, settings, rng)
    index = np.repeat(index, 1 + rng.poisson(settings.revisits, index.size))
    magnitude = truth["phot_g_mean_mag_true"][index]
    snr = signal_to_noise(magnitude, 14.0, settings.snr_at_g_14, rng)
    seen = snr >= settings.snr_min
    index, snr = index[seen], snr[seen]
    stars = {name: values[index] for name, values in truth.items()}

    names = ("teff", "logg", "fe_h", "radial_velocity")
    true = {name: stars[f"{name}_true"] for name in names}
    labels = {name: getattr(settings, name) for name in names}
    measured, error, outlier = measure_labels(true, labels, snr, stars["fe_h_true"], settings, rng)

    # All visits to a star share its input position.
    east, north = _INPUT_ERROR_ARCSEC * rng.standard_normal((2, number))
    ra, dec = positions_at(stars, settings.epoch, east[index], north[index])
    ra, dec = np.round(ra, 6) % 360, np.round(dec, 6)
    night = rng.integers(_NIGHTS[0], _NIGHTS[1], index.size)
    velocity, velocity_error = measured["radial_velocity"], error["radial_velocity"]
    subclass = np.array(_SUBCLASSES)[np.searchsorted(_SUBCLASS_TEFF, stars["teff_true"])]
    table: Columns = {
        "obsid": identifiers(cell, order, index.size),
        "designation": designations(ra, dec, "J", points=True),
        "obsdate": (night - 40587).astype("datetime64[D]").astype(str).astype(object),
        "mjd": night,
        "spid": rng.integers(1, 17, index.size),
        "fiberid": rng.integers(1, 251, index.size),
        "snrg": snr,
        **{name: snr * ratio for name, ratio in _SNR_RATIOS.items()},
        "class": np.full(index.size, "STAR", dtype=object),
        "subclass": subclass.astype(object),
        "z": velocity / _LIGHT_KMS,
        "z_err": velocity_error / _LIGHT_KMS,
        "ra": ra,
        "dec": dec,
        "teff": measured["teff"],
        "teff_err": error["teff"],
        "logg": measured["logg"],
        "logg_err": error["logg"],
        "feh": measured["fe_h"],
        "feh_err": error["fe_h"],
        "rv": velocity,
        "rv_err": velocity_error,
    }
    known = {
        "source_id": truth["source_id"],
        "lamost_visits_true": np.bincount(index, minlength=number),
        "lamost_outlier_true": any_of_star(index, outlier, number),
    }
    return table, known


def _select(truth: Columns, settings: Lamost, rng: np.random.Generator) -> NDArray[np.int64]:
    """Choose stars to observe."""
    g, teff = truth["phot_g_mean_mag_true"], truth["teff_true"]
    reachable = (g >= settings.g_limits[0]) & (g <= settings.g_limits[1])
    reachable &= (teff >= settings.teff_limits[0]) & (teff <= settings.teff_limits[1])
    reachable &= truth["dec"] > settings.dec_min
    reachable &= in_fields(truth, "lamost", settings.field_share)
    return np.flatnonzero(reachable & (rng.random(g.size) < settings.rate))
