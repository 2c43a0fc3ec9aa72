"""unWISE of the embedded sky."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mwatlas.config.sky_infrared import Unwise
from mwatlas.sky.positions import crowding, positions_at
from mwatlas.tables.table import Columns

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

BANDS = ("w1", "w2")
ZERO_POINT = 22.5
"""Vega magnitude of one nanomaggy."""

ALLWISE_MINUS_UNWISE = (-0.004, -0.032)
"""Magnitudes of AllWISE minus those of unWISE in W1, W2 (Schlafly et al. 2019, section 5.4)."""

# Brighter stars saturate WISE (Schlafly et al. 2019, section 6.1).
_SATURATION = np.array([8.0, 7.0])
_SATURATED_SCATTER = 0.1
# Bits of flags_unwise and flags_info (catalog.unwise.me, Schlafly et al. 2019, Tables 3, 4).
_CORE, _SATURATED = 0, 6
_CONTAMINANT_BITS = np.array([1, 2, 3, 5, 7])
_INFO_CENTRE, _INFO_SATURATED = 3, 4
_DETECTION_SNR = 5.0
_PSF_ARCSEC = 6.1
_MAGNITUDE_ERROR = 2.5 / np.log(10)
# Coadds are 1.564 deg wide, of 2048 pixels (Lang 2014).
_COADD_DEG, _COADD_PIXELS = 1.564, 2048


def observe_unwise(
    truth: Columns, settings: Unwise, rng: np.random.Generator
) -> tuple[Columns, Columns]:
    """Observe the stars of one cell with unWISE.

    Parameters
    ----------
    truth
        True columns of the cell's N stars; their magnitudes are those of AllWISE.
    settings
        Errors and rates.
    rng
        Random numbers of this cell.

    Returns
    -------
    table
        Catalogue rows ordered by ``unwise_objid``, which do not name the Gaia source.
    known
        For each star: whether it is listed (``unwise_listed_true``), holds a neighbour's
        light (``unwise_blend_true``) or is off by more than its errors in a band without a
        flag (``unwise_outlier_true``).
    """
    number = len(truth["source_id"])
    crowded = crowding(truth)
    magnitude = np.stack([truth["w1_true"], truth["w2_true"]], axis=1) - ALLWISE_MINUS_UNWISE

    rate = settings.blend_rate + (settings.blend_rate_inner_plane - settings.blend_rate) * crowded
    blend = rng.random(number) < rate
    intruder = np.where(blend, rng.uniform(0.05, 0.6, number), 0)
    saturated = magnitude < _SATURATION
    touched = rng.random((number, 2)) < settings.flag_rate
    off = rng.random((number, 2)) < settings.outlier_rate / 2
    extra = np.sqrt(
        (settings.flag_scatter_mag * touched) ** 2
        + (settings.outlier_scatter_mag * off) ** 2
        + (_SATURATED_SCATTER * saturated) ** 2
    )
    true_flux = 10 ** (0.4 * (ZERO_POINT - magnitude)) * (1 + intruder)[:, None]
    true_flux *= 10 ** (0.4 * extra * rng.standard_normal((number, 2)))
    background = 10 ** (0.4 * (ZERO_POINT - np.asarray(settings.depth_mag))) / 5
    error = np.hypot(background, settings.error_floor * true_flux)
    flux = true_flux + error * rng.standard_normal((number, 2))
    found = flux > _DETECTION_SNR * error
    listed = found.any(axis=1) & (rng.random(number) >= settings.incomplete_rate)

    snr = (true_flux / error).max(axis=1)
    width = np.hypot(settings.position_error_arcsec, _PSF_ARCSEC / 2.355 / np.maximum(snr, 1))
    # A blend is placed between the stars, in proportion to their light.
    pull = intruder / (1 + intruder) * rng.uniform(1, 5, number)
    towards = rng.uniform(0, 2 * np.pi, number)
    east = width * rng.standard_normal(number) + pull * np.cos(towards)
    north = width * rng.standard_normal(number) + pull * np.sin(towards)
    ra, dec = positions_at(truth, settings.epoch, east, north)

    table: Columns = {"unwise_objid": _object_ids(ra, dec), "ra": ra, "dec": dec}
    unflagged_off = np.zeros(number, dtype=bool)
    for i, band in enumerate(BANDS):
        columns = _quality(blend, touched[:, i], saturated[:, i], crowded, intruder, rng)
        lbs_error = 1.05 * error[:, i]
        columns |= {
            "flux": flux[:, i],
            "dflux": error[:, i],
            # The local background adds its own noise to the same photons.
            "fluxlbs": flux[:, i] + 0.32 * error[:, i] * rng.standard_normal(number),
            "dfluxlbs": lbs_error,
        }
        for name, values in columns.items():
            table[f"{name}_{band}"] = np.where(found[:, i], values, np.nan)
        unflagged_off |= off[:, i] & ~touched[:, i] & ~saturated[:, i] & found[:, i]
    table["primary"] = np.ones(number, dtype=np.int64)

    table["unwise_objid"] = _distinct(table["unwise_objid"])
    rows = np.flatnonzero(listed)
    rows = rows[np.argsort(table["unwise_objid"][rows].astype(str), kind="stable")]
    known = {
        "source_id": truth["source_id"],
        "unwise_listed_true": listed,
        "unwise_blend_true": blend & listed,
        "unwise_outlier_true": unflagged_off & listed,
    }
    return {name: values[rows] for name, values in table.items()}, known


def _quality(
    blend: Flags,
    touched: Flags,
    saturated: Flags,
    crowded: Floats,
    intruder: Floats,
    rng: np.random.Generator,
) -> dict[str, Floats]:
    """Quality columns of one band."""
    number = crowded.size
    # Stars have a few per cent of faint neighbours' light, and more in crowded fields.
    share = np.exp(-rng.exponential(0.01 + 0.1 * crowded)) / (1 + intruder)
    kind = rng.choice(_CONTAMINANT_BITS, size=number)
    flags = np.where(touched, 1 << kind, 0)
    flags |= np.where(saturated, (1 << _CORE) | (1 << _SATURATED), 0)
    info = np.where(saturated, (1 << _INFO_CENTRE) | (1 << _INFO_SATURATED), 0)
    disturbed = blend | touched | saturated
    spread_error = 0.002
    spread = np.where(blend, 0.05 * intruder, 0) + spread_error * rng.standard_normal(number)
    return {
        "fracflux": share,
        "qf": 1 - rng.exponential(np.where(touched | saturated, 0.1, 0.002)).clip(0, 1),
        "rchi2": rng.gamma(60, np.where(disturbed, 3.0, 1.0) / 60),
        "spread_model": spread,
        "flags_unwise": flags.astype(float),
        "flags_info": info.astype(float),
    }


def _distinct(names: NDArray[np.object_]) -> NDArray[np.object_]:
    """Names in which a number already taken on its coadd is replaced by the next free one."""
    taken: set[str] = set()
    out = []
    for name in names.tolist():
        while name in taken:
            coadd, number = name.split("o")
            name = f"{coadd}o{int(number) + 1:07d}"
        taken.add(name)
        out.append(name)
    return np.array(out, dtype=object)


def _object_ids(ra: Floats, dec: Floats) -> NDArray[np.object_]:
    """Names of the form ``0591p530o0012345``: coadd, and number on it.

    The coadds are those of a regular grid in declination, not WISE's own.
    """
    strip = np.round(dec / _COADD_DEG) * _COADD_DEG
    columns = np.maximum(np.round(360 * np.cos(np.radians(strip)) / _COADD_DEG), 1)
    step = 360 / columns
    column = np.round(ra / step)
    x = ((ra / step - column + 0.5) * _COADD_PIXELS).astype(np.int64).clip(0, _COADD_PIXELS - 1)
    y = ((dec - strip) / _COADD_DEG + 0.5) * _COADD_PIXELS
    number = y.astype(np.int64).clip(0, _COADD_PIXELS - 1) * _COADD_PIXELS + x
    centre = np.round((column % columns) * step * 10).astype(np.int64)
    tenths = np.round(strip * 10).astype(np.int64)
    return np.array(
        [
            f"{c:04d}{'m' if t < 0 else 'p'}{abs(t):03d}o{n:07d}"
            for c, t, n in zip(centre.tolist(), tenths.tolist(), number.tolist(), strict=True)
        ],
        dtype=object,
    )
