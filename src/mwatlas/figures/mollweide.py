"""Maps of the whole sky."""

from __future__ import annotations

import healpy
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import Colormap, Normalize
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from mwatlas.figures.style import heat_map

Floats = NDArray[np.float64]


def draw_mollweide(
    axes: Axes,
    values: Floats,
    norm: Normalize,
    colours: Colormap | None = None,
    *,
    nest: bool = False,
) -> QuadMesh:
    """Draw a map with longitude 0 in the middle and longitude growing to the left.

    Parameters
    ----------
    axes
        Where to draw; of the projection ``mollweide``.
    values
        In the pixels of a HEALPix map of the whole sky, NaN where there is nothing to show.
    norm, colours
        Range of colours, and the colours if not those of :func:`heat_map`.
    nest
        Whether pixels are in nested, not in ring order.
    """
    longitude = np.linspace(-180, 180, 361)
    latitude = np.linspace(-90, 90, 181)
    middle = np.meshgrid(*(0.5 * (a[1:] + a[:-1]) for a in (longitude, latitude)))
    pixel = healpy.ang2pix(healpy.npix2nside(values.size), *middle, nest=nest, lonlat=True)
    image = axes.pcolormesh(
        -np.radians(longitude),
        np.radians(latitude),
        values[pixel],
        norm=norm,
        cmap=colours or heat_map(),
        rasterized=True,
    )
    axes.set_xticks(np.radians([-120, -60, 0, 60, 120]), ["120°", "60°", "0°", "300°", "240°"])
    axes.set_yticks(np.radians([-60, -30, 0, 30, 60]))
    axes.grid(lw=0.3, color="grey")
    axes.tick_params(labelsize=6)
    for text in axes.get_xticklabels():
        text.set_path_effects([withStroke(linewidth=1.5, foreground="white")])
    return image
