"""What several figures of the conditional-potential study have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import Colormap, LogNorm, Normalize
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle
from numpy.typing import NDArray

from mwatlas.figures.bins import draw_bins
from mwatlas.figures.planes import rows, say_empty
from mwatlas.figures.style import BLUE, GREEN, VERMILION, LineStyle
from mwatlas.studies.conditional_potential.names import METHODS
from mwatlas.tables.table import Columns

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

ERROR_LIMIT = 0.2
"""Maps of errors reach from minus this to this."""
DOTS = (0, (1, 2))
_NOTHING = "0.88"


@dataclass(frozen=True)
class Look:
    """Colour and line of a curve."""

    colour: str
    line: LineStyle


LOOKS = {
    "vanilla": Look(VERMILION, (0, (4, 1.5))),
    "selection": Look(BLUE, (0, (5, 1.2, 1, 1.2))),
    "conditional": Look(GREEN, "-"),
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
    axes.locator_params(nbins=5)
    if not mine.any():
        say_empty(axes)
    return mesh


def draw_compared(
    figure: Figure | SubFigure,
    row: Sequence[Axes],
    data: Columns,
    field: str,
    symbol: str,
    norm: Normalize,
    unit: str = "",
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
        The field, as mathematical text without dollar signs.
    norm
        Range of colours of truth and model.
    unit
        Of the field, in brackets; empty for a pure number.
    """
    label = f"${symbol}$ {unit}".rstrip()
    for axes, kind in zip(row[:2], ("true", "model"), strict=True):
        field_mesh = draw_map(axes, data, f"{field}_{kind}", norm)
        axes.set_title("truth" if kind == "true" else "model")
    error = draw_map(
        row[2], data, f"{field}_error", Normalize(-ERROR_LIMIT, ERROR_LIMIT), error_map()
    )
    row[2].set_title("model / truth $-$ 1")
    below = "min" if isinstance(norm, LogNorm) else "neither"
    figure.colorbar(field_mesh, ax=row[:2], label=label, pad=0.01, extend=below)
    figure.colorbar(error, ax=row[2], label=f"error of ${symbol}$", pad=0.02, extend="both")
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


def mark_errors(axes: Axes, limit: float) -> None:
    """Draw lines at no error and at errors of the size that the paper's claim is about."""
    # Above heat maps, whose empty bins are white, and below curves.
    for error, line in ((0.0, "-"), (-limit, DOTS), (limit, DOTS)):
        axes.axhline(error, color="0.35", lw=0.7, ls=line, zorder=1.5)
