"""Fields in the plane z = 0 as parts of a figure's data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mwatlas.tables.table import Columns

Floats = NDArray[np.float64]
Part = dict[str, Any]

LEAST_SHOWN = 1e-3
"""Maps of the error of S are empty where fewer stars than this share are observed."""


def inside_volume(plane: Columns) -> Columns:
    """Cells within the volume.

    Parameters
    ----------
    plane
        Table ``conditional_potential_plane``.

    Returns
    -------
    Columns
        Its rows without missing truth, and the edges of their cells in kpc.
    """
    rows = np.isfinite(plane["density_true"])
    edges = {
        f"{axis}_{end}": values
        for axis in "xy"
        for end, values in _edges(plane[f"{axis}_kpc"]).items()
    }
    return {name: values[rows] for name, values in {**plane, **edges}.items()}


def _edges(centre: Floats) -> dict[str, Floats]:
    """Edges of the cells of a regular grid; those that two cells share are the same number."""
    places, index = np.unique(centre, return_inverse=True)
    middle = 0.5 * (places[1:] + places[:-1])
    half = 0.5 * (places[-1] - places[0]) / max(places.size - 1, 1)
    edges = np.concatenate([places[:1] - half, middle, places[-1:] + half])
    return {"low": edges[index], "high": edges[index + 1]}


def map_part(plane: Columns, panel: str, values: Floats) -> Part:
    """Values in the cells where there are any.

    Parameters
    ----------
    plane
        Of :func:`inside_volume`.
    panel
        Where they are shown.
    values
        One for each row of the plane, NaN for none.
    """
    shown = np.isfinite(values)
    return {
        "panel": panel,
        "kind": "map",
        **{name: plane[name][shown] for name in ("x_low", "x_high", "y_low", "y_high")},
        "value": values[shown],
    }


def compared(plane: Columns, field: str, true: Floats, ratio: Floats) -> Iterator[Part]:
    """Truth, model and error of a field.

    Parameters
    ----------
    plane
        Of :func:`inside_volume`.
    field
        Begins the names of the panels.
    true, ratio
        The field, and the logarithm of model over truth; one for each row of the plane. Errors of
        other fields than n are left out where hardly a star is observed.
    """
    error = np.expm1(ratio)
    hidden = (field != "tracers") & (plane["selection_true"] < LEAST_SHOWN)
    yield map_part(plane, f"{field}_true", true)
    yield map_part(plane, f"{field}_model", true * (1 + error))
    yield map_part(plane, f"{field}_error", np.where(hidden, np.nan, error))
