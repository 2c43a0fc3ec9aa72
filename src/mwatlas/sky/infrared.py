"""The infrared surveys of the embedded sky, cell by cell."""

from __future__ import annotations

from mwatlas.config.sky_infrared import Infrared
from mwatlas.random import block_generator
from mwatlas.sky.tmass import observe_tmass
from mwatlas.sky.unwise import observe_unwise
from mwatlas.tables.table import Columns


def observe_infrared(
    truth: Columns, gaia: Columns, settings: Infrared, seed: int, cell: int, order: int
) -> tuple[dict[str, Columns], Columns]:
    """Observe the stars of one cell with 2MASS and unWISE.

    Parameters
    ----------
    truth
        True columns of the cell's N stars, ordered by ``source_id``.
    gaia
        What Gaia measures of them: ``ra``, ``dec``, ``pmra``, ``pmdec``; N rows in the same
        order.
    settings
        Of both surveys.
    seed
        Seed of the run.
    cell, order
        HEALPix cell, nested, and its order.

    Returns
    -------
    tables
        The three tables of 2MASS and ``unwise_dr1_object``, by name.
    known
        What went wrong for each star, in columns that end in ``_true``; N rows.
    """
    tables, known = observe_tmass(
        truth, gaia, cell, order, settings.tmass, block_generator(seed, "sky/tmass", cell)
    )
    unwise, known_unwise = observe_unwise(
        truth, settings.unwise, block_generator(seed, "sky/unwise", cell)
    )
    return {**tables, "unwise_dr1_object": unwise}, {**known, **known_unwise}
