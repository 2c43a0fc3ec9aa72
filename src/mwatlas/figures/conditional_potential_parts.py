"""What several figures of the conditional-potential study have in common."""

from __future__ import annotations

from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle
from numpy.typing import NDArray

from mwatlas.figures.bins import draw_bins
from mwatlas.figures.planes import rows, say_empty
from mwatlas.figures.style import BLACK, BLUE, VERMILION, LineStyle
from mwatlas.studies.conditional_potential.names import METHODS
from mwatlas.tables.table import Columns

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

TEN_PER_CENT = 0.1
"""Half of the grey band in panels of errors: the accuracy that the paper's claims are about."""
ERROR_LIMIT = 0.2
"""Maps of errors reach from minus this to this."""
_NOTHING = "0.88"


@dataclass(frozen=True)
class Look:
    """Colour and line of a curve."""

    colour: str
    line: LineStyle


LOOKS = {
    "vanilla": Look(VERMILION, (0, (4, 1.5))),
    "selection": Look(BLUE, (0, (5, 1.2, 1, 1.2))),
    "conditional": Look(BLACK, "-"),
}
"""How the methods are drawn; colours and lines differ, for print without colours."""


def methods_of(data: Columns) -> list[str]:
    """Methods that a figure's data have, in the order of the legend."""
    return [method for method in METHODS if np.any(data["sample"] == method)]


def method_handles(data: Columns) -> list[Line2D]:
    """Entries of a legend for the methods."""
    return [
        Line2D([], [], color=LOOKS[m].colour, ls=LOOKS[m].line, lw=1.3, label=METHODS[m])
        for m in methods_of(data)
    ]


def error_map() -> Colormap:
    """Colour map of errors: white at zero, told apart with any colour vision."""
    return mpl.colormaps["PuOr_r"].with_extremes(bad="none")


def positive_range(data: Columns, *panels: str, least: float = 0.0) -> tuple[float, float]:
    """Range of positive values that panels share, but for one per cent at the low end."""
    values = data["value"][np.isin(data["panel"], panels) & (data["kind"] == "map")]
    positive = values[values > least]
    if not positive.size:
        return 0.1, 1.0
    low, high = np.quantile(positive, [0.01, 1.0])
    return float(low), float(max(high, 1.01 * low))


def draw_map(
    axes: Axes, data: Columns, panel: str, norm: Normalize, colours: Colormap | None = None
) -> QuadMesh:
    """Draw a field in the plane z = 0, grey where the volume has no value to show.

    Parameters
    ----------
    axes
        Where to draw.
    data
        Table ``conditional_potential_figure``.
    panel
        Which map.
    norm, colours
        Range of colours, and the colours if not the usual ones.
    """
    mine = rows(data, panel=panel, kind="map")
    maps = data["kind"] == "map"
    reach = float(data["x_high"][maps].max(initial=1.0))
    axes.add_patch(Circle((0, 0), reach, facecolor=_NOTHING, lw=0, zorder=0))
    mesh = draw_bins(axes, data, mine, "value", norm, colours)
    axes.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
    axes.set(xlabel="$x$ [kpc]", ylabel="$y$ [kpc]")
    if not mine.any():
        say_empty(axes)
    return mesh


def draw_compared(
    figure: Figure,
    row: NDArray[np.object_],
    data: Columns,
    field: str,
    symbol: str,
    norm: Normalize,
) -> None:
    """Draw truth, model and error of a field in a row of three panels, with colour bars.

    Parameters
    ----------
    figure
        The figure.
    row
        Its three axes.
    data
        Table ``conditional_potential_figure``.
    field
        Begins the names of the panels.
    symbol
        The field as mathematical text, without dollar signs, and its unit if any after a space.
    norm
        Range of colours of truth and model.
    """
    name, _, unit = symbol.partition(" ")
    label = f"${name}$ {unit}".rstrip()
    for axes, kind in zip(row[:2], ("true", "model"), strict=True):
        field_mesh = draw_map(axes, data, f"{field}_{kind}", norm)
        axes.set_title("truth" if kind == "true" else "model")
    error = draw_map(
        row[2], data, f"{field}_error", Normalize(-ERROR_LIMIT, ERROR_LIMIT), error_map()
    )
    row[2].set_title("model / truth $-$ 1")
    figure.colorbar(field_mesh, ax=row[:2], label=label, pad=0.01)
    figure.colorbar(error, ax=row[2], label=f"error of ${name}$", pad=0.02, extend="both")
    for axes in row[1:]:
        axes.set_ylabel("")


def draw_curve(
    axes: Axes,
    data: Columns,
    mine: Mask,
    look: Look,
    *,
    band: tuple[str, str] | None = None,
    width: float = 1.3,
) -> None:
    """Draw medians of bins as a line, and quantiles as a band.

    Parameters
    ----------
    axes
        Where to draw.
    data, mine
        Table ``conditional_potential_figure``, and the rows of the curve.
    look
        Colour and line.
    band
        Quantiles between which is the band, such as ``("p16", "p84")``.
    width
        Of the line in points.
    """
    x, order = data["x"][mine], np.argsort(data["x"][mine])
    axes.plot(x[order], data["p50"][mine][order], color=look.colour, ls=look.line, lw=width)
    if band:
        low, high = (data[name][mine][order] for name in band)
        axes.fill_between(x[order], low, high, color=look.colour, alpha=0.18, lw=0)


def shade_ten_per_cent(axes: Axes) -> None:
    """Mark errors of up to 10 per cent."""
    axes.axhspan(-TEN_PER_CENT, TEN_PER_CENT, color="0.9", lw=0, zorder=-1)
    axes.axhline(0, color="0.5", lw=0.6, zorder=-1)
