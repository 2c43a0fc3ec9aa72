"""Binned values as a heat map."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import Colormap, Normalize
from numpy.typing import NDArray

from mwatlas.figures.style import heat_map
from mwatlas.tables.table import Columns


def draw_bins(
    axes: Axes,
    data: Columns,
    rows: NDArray[np.bool_],
    values: str,
    norm: Normalize,
    colours: Colormap | None = None,
) -> QuadMesh:
    """Draw bins as pixels, also in vector files, which keeps these small.

    Parameters
    ----------
    axes
        Where to draw.
    data, rows
        Table with ``x_low``, ``x_high``, ``y_low`` and ``y_high``, and which of its rows.
    values
        Column to show.
    norm
        Range of colours.
    colours
        The colours, by default those of :func:`heat_map`.
    """
    x = np.unique(np.concatenate([data["x_low"][rows], data["x_high"][rows]]))
    y = np.unique(np.concatenate([data["y_low"][rows], data["y_high"][rows]]))
    if not x.size:
        x = y = np.array([0.0, 1.0])
    image = np.full((y.size - 1, x.size - 1), np.nan)
    i = np.searchsorted(x, data["x_low"][rows])
    j = np.searchsorted(y, data["y_low"][rows])
    image[j, i] = data[values][rows]
    return axes.pcolormesh(x, y, image, norm=norm, cmap=colours or heat_map(), rasterized=True)
