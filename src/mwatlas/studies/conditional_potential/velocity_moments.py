"""Moments of the true and of the learned p(v|x) from velocities common to both."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from torch import from_numpy

from mwatlas.potential.plummer import OsipkovMerrittPlummer, Plummer
from mwatlas.studies.conditional_potential.evaluated_tables import POWERS
from mwatlas.tables.table import Columns

Floats = NDArray[np.float64]

# What is learned may be hotter than the truth and reaches beyond the speed of escape, where the
# truth has no velocities. Its ratio to the truth would be noisy there, so that every velocity is
# used a second time, so many times faster.
_FASTER = 1.1


def velocity_moments(
    x: Floats,
    system: Plummer | OsipkovMerrittPlummer,
    log_model: Callable[[Floats, Floats], Floats],
    draws: int,
    rng: np.random.Generator,
) -> Columns:
    """Integrals of both p(v|x), and of the powers of the speed that density needs, at places.

    Velocities are of the truth, half of them faster; the noise of both distributions' integrals is
    common to them. What is learned beyond the faster speed of escape is not seen.

    Parameters
    ----------
    x
        Places, shape (N, 3).
    system
        The truth.
    log_model
        Learned ln p(v|x) of velocities and places, shape (M, 3) each.
    draws
        Velocities of the truth at each place.
    rng
        Draws them.

    Returns
    -------
    Columns
        Those of table ``conditional_potential_profile``; shape (N,) each.
    """
    places = np.repeat(x, draws, axis=0)
    v = system.draw_velocities(places, rng)

    def log_true(velocities: Floats) -> Floats:
        return system.log_velocity_density(from_numpy(places), from_numpy(velocities)).numpy()

    out: dict[str, Floats] = {}
    for speed in (1.0, _FASTER):
        true, slower = log_true(speed * v), log_true(speed * v / _FASTER)
        drawn = np.logaddexp(true, slower - 3 * np.log(_FASTER))
        square = speed**2 * (v**2).sum(axis=1)
        for kind, values in (("true", true), ("model", log_model(speed * v, places))):
            weight = np.exp(values - drawn)
            for name, power in (("velocity_norm", 0), *((f"speed{p}", p) for p in POWERS)):
                mean = (weight * square ** (power / 2)).reshape(-1, draws).mean(axis=1)
                # Of two equal parts of the velocities, each drawn with half of this density.
                out[f"{name}_{kind}"] = out.get(f"{name}_{kind}", 0.0) + mean
    return out
