"""The spectroscopic surveys of the embedded sky, cell by cell."""

from __future__ import annotations

from mwatlas.config.sky_spectroscopy import Spectroscopy
from mwatlas.random import block_generator
from mwatlas.sky.apogee import observe_apogee
from mwatlas.sky.galah import observe_galah
from mwatlas.sky.lamost import observe_lamost
from mwatlas.sky.tmass import photometry_of
from mwatlas.tables.spectroscopy import APOGEE, GALAH, LAMOST
from mwatlas.tables.table import Columns


def observe_spectroscopy(
    truth: Columns,
    gaia: Columns,
    tmass: Columns,
    known_tmass: Columns,
    settings: Spectroscopy,
    seed: int,
    cell: int,
    order: int,
) -> tuple[dict[str, Columns], Columns]:
    """Observe the stars of one cell with APOGEE, LAMOST and GALAH.

    Parameters
    ----------
    truth
        True columns of the cell's N stars, ordered by ``source_id``.
    gaia
        What Gaia measures of them: ``phot_g_mean_mag``, ``phot_bp_mean_mag``,
        ``phot_rp_mean_mag``, ``parallax``, ``parallax_error``; N rows in the same order.
    tmass, known_tmass
        Table ``tmass_original_valid`` of the cell and what is known about its stars
        (:func:`mwatlas.sky.infrared.observe_infrared`): APOGEE and GALAH choose and name
        their targets by it.
    settings
        Of the three surveys.
    seed
        Seed of the run.
    cell, order
        HEALPix cell, nested, and its order.

    Returns
    -------
    tables
        The table of each survey, by name.
    known
        For each star its true [Mg/Fe], and what went wrong, in columns that end in
        ``_true``; N rows.
    """
    rng = block_generator(seed, "sky/magnesium", cell)
    offset = rng.normal(settings.mg_fe_minus_alpha_m, settings.mg_fe_scatter, len(truth["ra"]))
    truth = {**truth, "mg_fe_true": truth["alpha_m_true"] + offset}
    star, rows = photometry_of(known_tmass, tmass)
    apogee, of_apogee = observe_apogee(
        truth, gaia, star, rows, settings.apogee, block_generator(seed, "sky/apogee", cell)
    )
    lamost, of_lamost = observe_lamost(
        truth, cell, order, settings.lamost, block_generator(seed, "sky/lamost", cell)
    )
    galah, of_galah = observe_galah(
        truth,
        cell,
        order,
        star,
        rows,
        settings.galah,
        block_generator(seed, "sky/galah", cell),
    )
    tables = {APOGEE.name: apogee, LAMOST.name: lamost, GALAH.name: galah}
    return tables, {
        "source_id": truth["source_id"],
        "mg_fe_true": truth["mg_fe_true"],
        **of_apogee,
        **of_lamost,
        **of_galah,
    }
