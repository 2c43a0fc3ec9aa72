"""Histograms over two quantities, from the table behind Figures 4 to 8, 10 and 11."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import Colormap, LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import LogLocator
from numpy.typing import NDArray

from mwatlas.figures.bins import draw_bins
from mwatlas.figures.style import BLACK
from mwatlas.tables.table import Columns

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


def rows(data: Columns, **names: str) -> Mask:
    """Rows of a table whose columns have these values, such as ``kind="heat"``."""
    return np.logical_and.reduce([data[column] == value for column, value in names.items()])


MOST_POINTS = 300
"""Up to so many dots can be told apart."""


@dataclass(frozen=True)
class Plane:
    """Counts over two quantities.

    Parameters
    ----------
    x, y
        Edges of the bins, shapes (X + 1,) and (Y + 1,).
    counts
        Entries averaged over error draws, shape (X, Y).
    number
        All entries, those outside of the bins included.
    """

    x: Floats
    y: Floats
    counts: Floats
    number: float

    @property
    def is_sparse(self) -> bool:
        """Whether dots, one for each filled bin, can be told apart."""
        return int(np.count_nonzero(self.counts)) <= MOST_POINTS

    @classmethod
    def of(cls, data: Columns, panel: str, sample: str) -> Plane:
        """Put the filled bins of a sample in a panel together.

        Parameters
        ----------
        data
            Table ``figure_planes``.
        panel, sample
            Which histogram.
        """
        (whole,) = np.flatnonzero(rows(data, panel=panel, sample=sample, kind="range"))
        edges = []
        for axis, width in (("x", "xx"), ("y", "yy")):
            low, high = float(data[f"{axis}_low"][whole]), float(data[f"{axis}_high"][whole])
            edges.append(np.linspace(low, high, round((high - low) / data[width][whole]) + 1))
        x, y = edges
        counts = np.zeros((x.size - 1, y.size - 1))
        filled = rows(data, panel=panel, sample=sample, kind="heat")
        i = np.rint((data["x_low"][filled] - x[0]) / (x[1] - x[0])).astype(int)
        j = np.rint((data["y_low"][filled] - y[0]) / (y[1] - y[0])).astype(int)
        counts[i, j] = data["count"][filled]
        return cls(x, y, counts, float(data["count"][whole]))

    @property
    def centres(self) -> tuple[Floats, Floats]:
        """Middles of the bins, shapes (X,) and (Y,)."""
        return 0.5 * (self.x[1:] + self.x[:-1]), 0.5 * (self.y[1:] + self.y[:-1])

    def frame(self, axes: Axes) -> None:
        """Let a panel show the whole plane."""
        axes.set(xlim=self.x[[0, -1]], ylim=self.y[[0, -1]])


def draw_boxes(axes: Axes, data: Columns, chosen: Mask, name: str | None = None) -> None:
    """Outline regions of a panel; a side without a limit reaches the frame.

    Parameters
    ----------
    axes
        Where to draw; its limits must be set.
    data, chosen
        Table ``figure_planes``, and the rows of the boxes.
    name
        What to write at each box; by default its sample.
    """
    for i in np.flatnonzero(chosen & (data["kind"] == "box")):
        (x0, x1), (y0, y1) = (
            np.where(np.isnan(limits), frame, limits)
            for limits, frame in (
                ((data["x_low"][i], data["x_high"][i]), axes.get_xlim()),
                ((data["y_low"][i], data["y_high"][i]), axes.get_ylim()),
            )
        )
        axes.plot([x0, x1, x1, x0, x0], [y0, y0, y1, y1, y0], color=BLACK, ls=":", lw=1)
        text = axes.text(x0, y1, f" {name or data['sample'][i]}", va="bottom", fontsize=6)
        text.set_path_effects([withStroke(linewidth=1.5, foreground="white")])


def say(axes: Axes, text: str, **place: object) -> None:
    """Write in a panel, by default in the upper left corner, legibly over anything."""
    style = {"x": 0.04, "y": 0.96, "va": "top", "transform": axes.transAxes, **place}
    white = {"facecolor": "white", "alpha": 0.85, "edgecolor": "none", "pad": 1.5}
    axes.text(s=text, bbox=white, **style)


def say_empty(axes: Axes) -> None:
    """Say that a panel has nothing to show."""
    axes.text(
        0.5, 0.3, "no stars", transform=axes.transAxes, ha="center", va="center", color="grey"
    )


def counts_norm(data: Columns, chosen: Mask) -> LogNorm:
    """Logarithmic range of colours of bins, on which the fewest stars still stand out."""
    counts = data["count"][chosen & (data["kind"] == "heat")]
    # Averages over error draws may be less than 1.
    low = 0.5 * min(1.0, float(counts.min(initial=1.0)))
    return LogNorm(low, max(float(counts.max(initial=1.0)), 10 * low))


def counts_bar(figure: Figure, mesh: QuadMesh, axes: Any, label: str) -> None:
    """Colour bar of counts beside panels, with ticks that read well for few stars and many."""
    low, high = mesh.norm.vmin, mesh.norm.vmax
    few = high < 100 * low
    ticks = {"ticks": LogLocator(subs=(1, 2, 5)), "format": "%g"} if few else {}
    figure.colorbar(mesh, ax=axes, label=label, pad=0.01, **ticks).minorticks_off()


def draw_heat(
    axes: Axes,
    data: Columns,
    panel: str,
    sample: str,
    norm: Normalize,
    colours: Colormap | None = None,
) -> QuadMesh:
    """Draw the histogram of a sample as a heat map over the whole panel.

    Parameters
    ----------
    axes
        Where to draw.
    data
        Table ``figure_planes``.
    panel, sample
        Which histogram.
    norm, colours
        Range of colours, and the colours if not the usual ones.
    """
    plane = Plane.of(data, panel, sample)
    plane.frame(axes)
    if not plane.counts.any():
        say_empty(axes)
    return draw_bins(
        axes, data, rows(data, panel=panel, sample=sample, kind="heat"), "count", norm, colours
    )


def draw_points(axes: Axes, plane: Plane, colour: str, size: float) -> None:
    """Show few stars one by one; those that few error draws select are smaller.

    Parameters
    ----------
    axes
        Where to draw.
    plane
        Counts; nothing is drawn if dots would be more than can be told apart.
    colour, size
        Of a star that every draw selects; the area in points squared.
    """
    if not plane.is_sparse:
        return
    i, j = np.nonzero(plane.counts)
    x, y = plane.centres
    axes.scatter(x[i], y[j], s=size * plane.counts[i, j], color=colour, lw=0, alpha=0.45)
