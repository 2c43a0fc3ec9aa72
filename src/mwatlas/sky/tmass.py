"""2MASS of the embedded sky: the point source catalogue and its match to Gaia."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mwatlas.astrometry.frames import sky_basis
from mwatlas.config.sky_infrared import Tmass
from mwatlas.sky.positions import GAIA_EPOCH, crowding, designations, identifiers, positions_at
from mwatlas.tables.table import Columns

Floats = NDArray[np.float64]

BANDS = ("j", "h", "ks")

# Start and end of the survey on Mt Hopkins and Cerro Tololo, and the declination between
# them (Skrutskie et al. 2006, sections 2 and 3).
_NORTH_YEARS, _SOUTH_YEARS, _BORDER_DEC = (1997.44, 2000.93), (1998.21, 2001.13), 12.0
# Stars brighter than this saturate the shortest exposure; a fit to the wings gives 0.25 mag
# (Skrutskie et al. 2006, section 4.4).
_SATURATION = np.array([4.5, 4.0, 3.5])
_SATURATED_ERROR = 0.25
_MAGNITUDE_ERROR = 2.5 / np.log(10)
# Largest errors of qualities A, B and C (Gaia DR1 documentation, tmass_original_valid).
_QUALITY_ERRORS = (0.10857, 0.15510, 0.21714)
_NO_ERROR = 8.888
_UPPER_LIMIT_SNR = 2.0
_PSF_ARCSEC = 2.8
# The cross-match's algorithm flag of ordinary stars.
_XM_FLAG = 8


# Julian date of the year 2000.
_J2000 = 2451545.0


def tmass_errors(magnitudes: Floats, crowded: Floats, settings: Tmass) -> Floats:
    """Photometric errors of 2MASS.

    A floor, and noise of the sky background; stars that saturate have large errors.

    Parameters
    ----------
    magnitudes
        J, H, Ks of N stars; shape (N, 3).
    crowded
        Crowding (:func:`mwatlas.sky.positions.crowding`); shape (N,).
    settings
        Depths and floor.

    Returns
    -------
    float64, shape (N, 3)
        In mag, rounded to 0.001 like the catalogue's.
    """
    depth = np.asarray(settings.depth_mag) - settings.crowding_loss_mag * crowded[:, None]
    noise = _MAGNITUDE_ERROR / 10 * 10 ** (0.4 * (magnitudes - depth))
    error = np.hypot(settings.error_floor_mag, np.minimum(noise, 5.0))
    error = np.where(magnitudes < _SATURATION, _SATURATED_ERROR, error)
    return np.asarray(np.round(error, 3), dtype=np.float64)


def observe_tmass(
    truth: Columns,
    gaia: Columns,
    cell: int,
    order: int,
    settings: Tmass,
    rng: np.random.Generator,
) -> tuple[dict[str, Columns], Columns]:
    """Observe the stars of one cell with 2MASS and match them to Gaia.

    Parameters
    ----------
    truth
        True columns of the cell's N stars.
    gaia
        What Gaia measures of them: ``ra``, ``dec``, ``pmra``, ``pmdec``.
    cell, order
        The HEALPix cell, which sets the identifiers.
    settings
        Errors and rates.
    rng
        Random numbers of this cell.

    Returns
    -------
    tables
        ``tmass_psc_xsc_best_neighbour``, ``tmass_psc_xsc_join``, ``tmass_original_valid``.
    known
        For each star: ``tmass_oid_true``, the row of its own light (missing where there is
        none), and whether its best neighbour shows another star (``tmass_mismatch_true``),
        adds a companion's light (``tmass_blend_true``) or is off by more than its errors
        (``tmass_outlier_true``).
    """
    number = len(truth["source_id"])
    crowded = crowding(truth)
    apparent = np.stack([truth[f"{band}_m_true"] for band in BANDS], axis=1)

    mates = rng.random(number) < settings.mate_rate
    light = 1 + np.where(mates, rng.uniform(0.05, 0.5, number), 0)
    apparent = apparent - 2.5 * np.log10(light)[:, None]

    # Each star has its own row. A mismatched one points to the row of a stray star besides,
    # and a duplicate is a second row of the same star.
    stray = rng.random(number) < settings.mismatch_rate
    twice = ~stray & (rng.random(number) < settings.duplicate_rate)
    star = np.concatenate([np.arange(number), np.flatnonzero(stray), np.flatnonzero(twice)])
    is_stray = np.zeros(star.size, dtype=bool)
    is_stray[number : number + stray.sum()] = True
    donor = np.where(is_stray, rng.integers(max(number, 1), size=star.size), star)
    rows = {name: values[star] for name, values in truth.items()}
    psc, outlier, detected = _point_sources(
        rows, apparent[donor], is_stray, crowded[star], settings, rng
    )

    matched = rng.random(number) >= settings.unmatched_rate
    # Numbers increase with declination, as in the archive.
    kept = np.flatnonzero(detected)
    kept = kept[np.argsort(psc["dec"][kept], kind="stable")]
    oid = np.full(star.size, -1)
    oid[kept] = identifiers(cell, order, kept.size)

    best = _best_rows(star, is_stray, oid, number)
    matched &= best >= 0
    source, row = np.flatnonzero(matched), best[matched]
    # Both rows of a duplicate belong to one object, which is named after the first.
    clean = np.where(np.arange(star.size) >= number + stray.sum(), oid[star], oid)
    clean = np.where(clean < 0, oid, clean)
    own = oid[:number]
    extended_name = psc["designation"].copy()
    extended_name[~psc["extended"]] = None
    tables = {
        "tmass_psc_xsc_best_neighbour": {
            "source_id": truth["source_id"][source],
            "original_ext_source_id": psc["designation"][row],
            "angular_distance": _separations(gaia, source, psc, row),
            "xm_flag": np.full(source.size, _XM_FLAG),
            "clean_tmass_psc_xsc_oid": clean[row],
            "number_of_neighbours": 1 + (is_stray[row] & (own[source] >= 0)),
            "number_of_mates": mates[source].astype(np.int64),
        },
        "tmass_psc_xsc_join": {
            "original_psc_source_id": psc["designation"][kept],
            "original_xsc_source_id": extended_name[kept],
            "clean_tmass_psc_xsc_oid": clean[kept],
        },
        "tmass_original_valid": {
            "tmass_oid": oid[kept],
            "ext_key": np.where(psc["extended"], oid, np.nan)[kept],
            **{n: v[kept] for n, v in psc.items() if n != "extended"},
        },
    }
    # The index of unmatched stars is of no use, and masked.
    safe = np.maximum(best, 0)
    known = {
        "source_id": truth["source_id"],
        "tmass_oid_true": np.where(own >= 0, own, np.nan),
        "tmass_mismatch_true": matched & is_stray[safe],
        "tmass_blend_true": matched & mates,
        "tmass_outlier_true": matched & outlier[safe],
    }
    return tables, known


def _separations(
    gaia: Columns, star: NDArray[np.int64], point_sources: Columns, row: NDArray[np.int64]
) -> Floats:
    """Angular distances in arcsec of pairs of a Gaia source and a 2MASS row, as in the archive.

    Gaia's measured positions are moved to the epoch of 2MASS by the measured proper motions,
    where there are any.
    """
    years = 2000 + (point_sources["j_date"][row] - _J2000) / 365.25 - GAIA_EPOCH
    sight, east, north = sky_basis(np.radians(gaia["ra"][star]), np.radians(gaia["dec"][star]))
    moved = sight + np.radians(years / 3.6e6)[:, None] * (
        np.nan_to_num(gaia["pmra"][star])[:, None] * east
        + np.nan_to_num(gaia["pmdec"][star])[:, None] * north
    )
    moved /= np.linalg.norm(moved, axis=1, keepdims=True)
    there, _, _ = sky_basis(
        np.radians(point_sources["ra"][row]), np.radians(point_sources["dec"][row])
    )
    chord = np.linalg.norm(moved - there, axis=1)
    return 3600 * np.degrees(2 * np.arcsin(chord / 2))


def photometry_of(known: Columns, point_sources: Columns) -> tuple[NDArray[np.int64], Columns]:
    """Rows of the point source catalogue that show the stars themselves.

    Parameters
    ----------
    known
        What :func:`observe_tmass` knows about the stars.
    point_sources
        Its table ``tmass_original_valid``.

    Returns
    -------
    star
        Index of each star that has such a row, ascending.
    rows
        Columns of ``point_sources`` for those stars.
    """
    star = np.flatnonzero(np.isfinite(known["tmass_oid_true"]))
    row = np.searchsorted(point_sources["tmass_oid"], known["tmass_oid_true"][star])
    return star, {name: values[row] for name, values in point_sources.items()}


def _best_rows(
    star: NDArray[np.int64], is_stray: NDArray[np.bool_], oid: NDArray[np.int64], number: int
) -> NDArray[np.int64]:
    """Row that each star is matched to; -1 without one."""
    best = np.where(oid[:number] >= 0, np.arange(number), -1)
    strays = np.flatnonzero(is_stray & (oid >= 0))
    best[star[strays]] = strays
    return best


def _point_sources(
    rows: Columns,
    apparent: Floats,
    is_stray: NDArray[np.bool_],
    crowded: Floats,
    settings: Tmass,
    rng: np.random.Generator,
) -> tuple[Columns, NDArray[np.bool_], NDArray[np.bool_]]:
    """Measure positions and magnitudes; also which rows are off, and which are detected."""
    number = crowded.size
    error = tmass_errors(apparent, crowded, settings)
    measured = apparent + error * rng.standard_normal((number, 3))

    poor = rng.random((number, 3)) < settings.poor_fit_rate
    measured += poor * settings.poor_fit_scatter_mag * rng.standard_normal((number, 3))
    snr = _MAGNITUDE_ERROR / error
    limit = snr + rng.standard_normal((number, 3)) < settings.detection_snr
    limit &= apparent >= _SATURATION
    depth = np.asarray(settings.depth_mag) - settings.crowding_loss_mag * crowded[:, None]
    faintest = depth + 2.5 * np.log10(10 / _UPPER_LIMIT_SNR)
    detected = ~limit.all(axis=1)
    # A neighbour that only J separates leaves limits at the light of both.
    confused = (rng.random(number) < settings.confused_rate * crowded) & ~limit[:, 0]
    blurred = apparent - np.abs(rng.normal(0, 0.3, (number, 3)))
    by_neighbour = confused[:, None] & np.array([False, True, True])
    upper = limit | by_neighbour
    measured = np.where(by_neighbour, blurred, np.where(limit, faintest, measured))

    quality = np.select([error < limit_of for limit_of in _QUALITY_ERRORS], ["A", "B", "C"], "D")
    quality = np.where(poor, "E", quality)
    without_error = rng.random((number, 3)) < settings.no_error_rate
    quality = np.where(without_error, "F", quality)
    quality = np.where(upper, "U", quality)
    blank = rng.random((number, 3)) < settings.no_brightness_rate
    quality = np.where(blank, "X", quality)
    error = np.where(upper | blank, np.nan, np.where(without_error, _NO_ERROR, error))
    measured = np.where(blank, np.nan, np.round(measured, 3))

    centroid = _PSF_ARCSEC / 2.355 / np.maximum(snr.max(axis=1), 1)
    major = np.round(np.hypot(settings.position_error_arcsec, centroid), 2)
    minor = np.round(major * rng.uniform(0.8, 1, number), 2)
    angle = rng.integers(0, 180, number)
    along, across = major * rng.standard_normal(number), minor * rng.standard_normal(number)
    sine, cosine = np.sin(np.radians(angle)), np.cos(np.radians(angle))
    # A stray star lies within the resolution of 2MASS of the Gaia source.
    away, towards = rng.rayleigh(0.5, number) * is_stray, rng.uniform(0, 2 * np.pi, number)
    east = along * sine + across * cosine + away * np.cos(towards)
    north = along * cosine - across * sine + away * np.sin(towards)
    first, last = np.where(
        rows["dec"] > _BORDER_DEC, np.array([_NORTH_YEARS]).T, np.array([_SOUTH_YEARS]).T
    )
    year = rng.uniform(first, last)
    ra, dec = positions_at(rows, year, east, north)
    ra, dec = np.round(ra, 6) % 360, np.round(dec, 6)

    table: Columns = {
        "ph_qual": (quality[:, 0].astype(object) + quality[:, 1] + quality[:, 2]),
        "designation": designations(ra, dec),
        "ra": ra,
        "dec": dec,
        "err_maj": major,
        "err_min": minor,
        "err_ang": angle,
        "j_date": np.round(_J2000 + (year - 2000) * 365.25, 4),
        "extended": rng.random(number) < settings.extended_rate,
    }
    for i, band in enumerate(BANDS):
        table[f"{band}_m"], table[f"{band}_msigcom"] = measured[:, i], error[:, i]
    outlier = (poor & ~upper).any(axis=1)
    return table, outlier, detected
