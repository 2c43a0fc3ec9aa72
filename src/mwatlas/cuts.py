"""Cuts on columns, and the record of what each removed or why it could not be applied."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mwatlas.config.line_of_sight import Cut


def passes(cut: Cut, values: NDArray[Any]) -> NDArray[np.bool_]:
    """Which values satisfy ``cut``; missing values (NaN) do not."""
    values = np.asarray(values, dtype=float)
    keep = np.isfinite(values)
    with np.errstate(invalid="ignore"):
        if cut.above is not None:
            keep &= values > cut.above
        if cut.below is not None:
            keep &= values < cut.below
        if cut.min is not None:
            keep &= values >= cut.min
        if cut.max is not None:
            keep &= values <= cut.max
    return keep


def describe(cut: Cut, symbol: str = "") -> str:
    """Return the cut as a formula of its column, or of ``symbol``: ``ruwe < 2``."""
    signs = {"above": ">", "min": ">=", "below": "<", "max": "<="}
    limits = [
        f"{symbol or cut.column} {sign} {getattr(cut, name):g}"
        for name, sign in signs.items()
        if getattr(cut, name) is not None
    ]
    return " and ".join(limits)


def disabled_cuts(cuts: Mapping[str, Cut], absent: Mapping[str, str]) -> dict[str, str]:
    """Cuts whose column a release does not have, with the reason."""
    return {
        name: f"{describe(cut)} not applied: {cut.column} {absent[cut.column]}"
        for name, cut in cuts.items()
        if cut.column in absent
    }
