"""Moments of the learned p(v|x) in shells: what a density from it stands and falls with.

The likelihood of velocities hardly tells them. Where the square of the dispersion is off by half a
per cent, in waves of radius, p(v|x) is as likely as before and the density 10 to 20 per cent off.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mwatlas.ledger import Measurement
from mwatlas.studies.conditional_potential.evaluated_tables import POWERS
from mwatlas.studies.conditional_potential.profiles import masks, shells_of_radius
from mwatlas.tables.table import Columns

Floats = NDArray[np.float64]


def moment_measurements(profile: Columns, radius_kpc: float, shells: int) -> list[Measurement]:
    """Errors of the second and fourth moment of the learned p(v|x) in shells of radius.

    Parameters
    ----------
    profile
        Table ``conditional_potential_profile``.
    radius_kpc, shells
        Of the volume, and number of shells.
    """
    parts = masks(profile["radius_kpc"], shells_of_radius(radius_kpc, shells))
    return [
        Measurement(
            "fig05",
            f"velocity_{name}_moment_bias_{low:g}_{high:g}kpc",
            f"model / true - 1 of the {name} moment of p(v|x), the mean of |v|^{power}, at {low:g} "
            f"to {high:g} kpc; rows: places",
            "",
            *_bias(
                *(
                    profile[f"{name}_{kind}"][mask]
                    for kind in ("model", "true")
                    for name in (f"speed{power}", "velocity_norm")
                )
            ),
            int(mask.sum()),
        )
        for power, name in POWERS.items()
        for low, high, mask in parts
    ]


def _bias(
    model: Floats, model_norm: Floats, true: Floats, true_norm: Floats
) -> tuple[float, float | None]:
    """Ratio of means, (model / its norm) / (true / its norm), less 1.

    Its error is by first derivatives, for these values are common to all four in part.
    """
    if true.size < 2:
        return float("nan"), None
    above, below = (model, true_norm), (model_norm, true)
    ratio = np.prod([part.mean() for part in above]) / np.prod([part.mean() for part in below])
    each = sum(part / part.mean() for part in above) - sum(part / part.mean() for part in below)
    return float(ratio - 1), float(ratio * each.std(ddof=1) / np.sqrt(true.size))
