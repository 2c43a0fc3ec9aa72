"""What the spectroscopic surveys share: fields, spectra, and labels with errors."""

from __future__ import annotations

import healpy
import numpy as np
from numpy.typing import ArrayLike, NDArray

from mwatlas.config.sky_spectroscopy import LabelError, Survey
from mwatlas.random import keyed_uniform
from mwatlas.tables.table import Columns

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

FIELD_ORDER = 5
"""HEALPix order of the fields: 3.4 square degrees, about a plate of APOGEE."""


def in_fields(truth: Columns, survey: str, share: ArrayLike) -> Flags:
    """Whether the stars lie in fields the survey observed.

    The fields are HEALPix pixels drawn once and for all, the same for every seed.

    Parameters
    ----------
    truth
        True columns of N stars.
    survey
        Its name; other surveys have other fields.
    share
        Share of the sky observed around each star.
    """
    pixel = healpy.ang2pix(2**FIELD_ORDER, truth["ra"], truth["dec"], nest=True, lonlat=True)
    return keyed_uniform(0, f"sky/{survey}/fields", pixel) < np.asarray(share)


def signal_to_noise(
    magnitude: Floats, reference: float, at_reference: float, rng: np.random.Generator
) -> Floats:
    """Signal-to-noise ratios of spectra: photon noise, and a scatter of a fifth of a dex."""
    ratio = at_reference * 10 ** (-0.2 * (magnitude - reference))
    return np.clip(ratio * 10 ** rng.normal(0, 0.2, magnitude.size), 2, 1500)


def label_error(label: LabelError, snr: Floats, fe_h: Floats) -> Floats:
    """Standard errors of a label of spectra of ratio ``snr`` and metallicity ``fe_h``."""
    error = np.hypot(label.floor, label.at_snr_100 * 100 / snr)
    # Slopes are measured between -2 and the Sun's metallicity.
    return error * 10 ** (label.metallicity_slope * np.clip(fe_h, -2.5, 0.0))


def measure_labels(
    true: dict[str, Floats],
    labels: dict[str, LabelError],
    snr: Floats,
    fe_h: Floats,
    settings: Survey,
    rng: np.random.Generator,
) -> tuple[dict[str, Floats], dict[str, Floats], Flags]:
    """Measure labels with normal errors, and outliers at the survey's rate.

    Parameters
    ----------
    true
        True labels by name; shape (N,) each.
    labels
        Their errors, by the same names.
    snr, fe_h
        Signal-to-noise ratio and metallicity of the spectra; shape (N,).
    settings
        Rate and scatter of outliers.
    rng
        Random numbers.

    Returns
    -------
    measured, errors
        By name; shape (N,) each.
    outlier
        Whether the labels of a spectrum are off.
    """
    outlier = rng.random(snr.size) < settings.outlier_rate
    scatter = np.where(outlier, np.hypot(1, settings.outlier_scatter), 1)
    errors = {name: label_error(label, snr, fe_h) for name, label in labels.items()}
    measured = {
        name: true[name] + error * scatter * rng.standard_normal(snr.size)
        for name, error in errors.items()
    }
    return measured, errors, outlier


def flag_bits(
    bits: ArrayLike, weights: ArrayLike, flagged: Flags, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Bit masks with one of ``bits``, drawn with ``weights``, for each of the ``flagged``."""
    weights = np.asarray(weights, dtype=float)
    chosen = rng.choice(np.asarray(bits), size=flagged.size, p=weights / weights.sum())
    return np.where(flagged, np.int64(1) << chosen.astype(np.int64), 0)


def any_of_star(star: NDArray[np.int64], of_row: Flags, number: int) -> Flags:
    """For each of ``number`` stars, whether any of its rows is one ``of_row``."""
    found = np.zeros(number, dtype=bool)
    found[star[of_row]] = True
    return found
