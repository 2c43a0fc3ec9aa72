"""Astrometric fidelities of the embedded sky (Rybizki et al. 2022, MNRAS 510, 2597).

The sky holds a small part of Gaia's sources, so neighbours are drawn from the number of sources
that Gaia sees around each star. Fidelities follow from a logit that is normal about one mean for
good solutions and another for spurious ones, which makes them pile up at one and at zero.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, ndtri

from mwatlas.config.sky_fidelity import SkyFidelity
from mwatlas.random import keyed_normal, keyed_uniform
from mwatlas.tables.fidelity import NEIGHBOUR_STEPS, neighbour_column
from mwatlas.tables.table import Columns

Floats = NDArray[np.float64]

# Growth of Gaia's number counts with G, in log10 per magnitude, and where they end (Gaia
# Collaboration, Fabricius et al. 2021, A&A 649, A5: complete to about 20.7).
_COUNT_SLOPE, _COUNT_LIMIT = 0.25, 20.7
# Neighbours are searched within this.
_SEARCH_ARCSEC = 30.0
# A neighbour counts less by this many magnitudes per arcsec of its distance. [chosen]
_DIMMING = 0.5
# The classifier has one network above and one below this parallax over error.
_LOW_SIGNAL = 4.5
_GOOD_RUWE = 1.4
_FAINT_G = 18.0
_ARCSEC2_PER_ARCMIN2 = 3600.0


def draw_neighbours(
    source_id: NDArray[np.int64], g: Floats, density_arcmin2: Floats, seed: int
) -> Columns:
    """Draw the neighbours that disturb each source.

    Parameters
    ----------
    source_id
        Identifiers, which key the random numbers; shape (N,).
    g
        Magnitudes of the sources; shape (N,).
    density_arcmin2
        Gaia sources of all magnitudes per square arcminute around each; shape (N,).
    seed
        Seed of the run.

    Returns
    -------
    Columns
        ``theta_arcsec_worst_source``, ``norm_dg`` and the distances to nearest neighbours, in
        arcsec and NaN where there is none within 30 arcsec.
    """
    steps = list(NEIGHBOUR_STEPS.values())
    brighter = np.array([*steps, np.inf])
    # Sources per square arcsec in each slice between two steps of brightness.
    limit = np.minimum(np.asarray(g)[:, None] - brighter, _COUNT_LIMIT)
    density = np.asarray(density_arcmin2)[:, None] / _ARCSEC2_PER_ARCMIN2
    slices = -np.diff(density * 10 ** (_COUNT_SLOPE * (limit - _COUNT_LIMIT)), axis=1)
    chance = keyed_uniform(
        seed, "sky/fidelity/neighbours", np.asarray(source_id)[:, None], np.arange(len(steps))
    )
    with np.errstate(divide="ignore"):
        # Nearest of a Poisson process: exp(-pi r**2 n) of the sky has none within r.
        distance = np.sqrt(-np.log(chance) / (np.pi * slices))
    distance = np.where(distance < _SEARCH_ARCSEC, distance, np.inf)
    disturbance = brighter[:-1] - _DIMMING * distance
    worst = disturbance.argmax(axis=1)
    rows = np.arange(worst.size)
    nearest = np.minimum.accumulate(distance[:, ::-1], axis=1)[:, ::-1]
    out = {
        "theta_arcsec_worst_source": distance[rows, worst],
        "norm_dg": disturbance[rows, worst],
        **{neighbour_column(step): nearest[:, n] for n, step in enumerate(NEIGHBOUR_STEPS)},
    }
    return {name: np.where(np.isfinite(values), values, np.nan) for name, values in out.items()}


def fidelity(
    source_id: NDArray[np.int64],
    spurious: NDArray[np.bool_],
    ruwe: Floats,
    parallax_over_error: Floats,
    g: Floats,
    density_arcmin2: Floats,
    settings: SkyFidelity,
    seed: int,
) -> Columns:
    """Rows of ``FIDELITY``.

    Parameters
    ----------
    source_id
        Identifiers, ascending; shape (N,).
    spurious
        Whether the astrometric solution is wrong; shape (N,).
    ruwe, parallax_over_error, g
        Gaia columns; shape (N,).
    density_arcmin2
        Gaia sources of all magnitudes per square arcminute around each; shape (N,).
    settings
        Quality of the classifier.
    seed
        Seed of the run.
    """
    neighbours = draw_neighbours(source_id, g, density_arcmin2, seed)
    signal = np.maximum(np.abs(parallax_over_error), _LOW_SIGNAL) / _LOW_SIGNAL
    equal = np.nan_to_num(neighbours[neighbour_column("0")], nan=np.inf)
    good = (
        settings.logit_scatter * ndtri(settings.good_kept)
        + settings.signal_gain * np.log(signal)
        - settings.ruwe_loss * np.log(np.maximum(ruwe, _GOOD_RUWE) / _GOOD_RUWE)
        - settings.crowding_loss * np.exp(-equal / settings.crowding_scale_arcsec)
        - settings.faint_loss * np.maximum(np.asarray(g) - _FAINT_G, 0.0)
    )
    bad = settings.logit_scatter * ndtri(settings.spurious_kept)
    mean = np.where(spurious, bad, good)
    # The two versions of the classifier err independently.
    second, first = (
        expit(
            mean
            + settings.logit_scatter * keyed_normal(seed, "sky/fidelity/logit", source_id, version)
        )
        for version in (2, 1)
    )
    return {"source_id": source_id, "fidelity_v2": second, **neighbours, "fidelity_v1": first}
