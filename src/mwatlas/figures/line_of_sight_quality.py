"""Figures 12 and 13, not in the paper: how far the predictions can be trusted."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mwatlas.figures.planes import rows, say_empty
from mwatlas.figures.style import (
    BLACK,
    BLUE,
    ONE_COLUMN_IN,
    ORANGE,
    RC,
    TWO_COLUMNS_IN,
    VERMILION,
)
from mwatlas.studies.line_of_sight.names import SAMPLES
from mwatlas.tables.table import Columns

# Predictors in the order they are met.
_LOOKS = ((VERMILION, "-", "o"), (BLUE, "--", "s"), (BLACK, "-.", "^"), (ORANGE, ":", "D"))
_RECOVERED = {
    "completeness": "GSE completeness",
    "purity": "GSE purity",
    "recovered": "selected / true",
}


def _looks(data: Columns) -> dict[str, tuple[str, str, str]]:
    """Colour, line and marker of each predictor."""
    names = list(dict.fromkeys(data["sample"]))
    return {name: _LOOKS[i % len(_LOOKS)] for i, name in enumerate(names)}


def fig12(data: Columns, title: str) -> Figure:
    """Figure 12: reliability of the predicted distributions, and their probability transform.

    Parameters
    ----------
    data
        Table ``figure_calibration``.
    title
        Name of the sample.
    """
    with mpl.rc_context(RC):
        figure = Figure(figsize=(ONE_COLUMN_IN, 4.6), layout="constrained")
        top, bottom = figure.subplots(2, 1, height_ratios=(1.5, 1))
        top.plot([0, 1], [0, 1], color="#bbbbbb", lw=2, zorder=0)
        bottom.axhline(1, color="#bbbbbb", lw=2, zorder=0)
        for name, (colour, line, _) in _looks(data).items():
            for axes, kind in ((top, "reliability"), (bottom, "pit")):
                mine = rows(data, sample=name, kind=kind)
                x, y, low, high = (data[c][mine] for c in ("x", "y", "y_low", "y_high"))
                if not x.size:
                    continue
                if kind == "pit":
                    edges = np.linspace(0, 1, x.size + 1)
                    axes.stairs(y, edges, baseline=None, color=colour, ls=line, lw=1.2)
                else:
                    axes.plot(x, y, color=colour, ls=line, lw=1.2, label=name)
                    axes.fill_between(x, low, high, color=colour, alpha=0.25, lw=0)
        if not data["x"].size:
            say_empty(top)
        top.set(xlim=(0, 1), ylim=(0, 1), title=title)
        top.set(xlabel="nominal central probability", ylabel="share of stars inside")
        if top.get_legend_handles_labels()[0]:
            top.legend(loc="upper left")
        densities = data["y"][data["kind"] == "pit"]
        bottom.set(xlim=(0, 1), ylim=(0, 1.1 * densities.max(initial=1.0)))
        bottom.set(xlabel="probability integral transform", ylabel="density")
        return figure


def fig13(data: Columns, title: str) -> Figure:
    """Figure 13: how many true members the selection finds, and how many of its stars are.

    Parameters
    ----------
    data
        Table ``figure_recovery``.
    title
        Name of the sample.
    """
    with mpl.rc_context(RC):
        figure = Figure(figsize=(TWO_COLUMNS_IN, 4.9), layout="constrained")
        panels = list(dict.fromkeys(data["panel"])) or [""]
        axes = figure.subplots(
            len(_RECOVERED), len(panels), sharex=True, sharey="row", squeeze=False
        )
        looks = _looks(data)
        for row, (kind, label) in zip(axes, _RECOVERED.items(), strict=True):
            for panel_axes, panel in zip(row, panels, strict=True):
                for name, (colour, line, marker) in looks.items():
                    mine = rows(data, panel=panel, sample=name, kind=kind)
                    if not mine.any():
                        continue
                    x, y, low, high = (data[c][mine] for c in ("x", "y", "y_low", "y_high"))
                    panel_axes.errorbar(
                        x,
                        y,
                        yerr=(y - low, high - y),
                        color=colour,
                        ls=line,
                        marker=marker,
                        ms=3,
                        lw=1,
                    )
                if not panel_axes.has_data():
                    say_empty(panel_axes)
                panel_axes.set_ylabel(label)
                panel_axes.set_xlabel("lower limit of eccentricity")
                panel_axes.locator_params(axis="x", nbins=5)
                panel_axes.label_outer()
            row[0].set_ylim(0, max(1.05, row[0].get_ylim()[1]))
        for panel_axes, panel in zip(axes[0], panels, strict=True):
            panel_axes.set_title(SAMPLES.get(panel, panel))
        handles = [
            Line2D([], [], color=colour, ls=line, marker=marker, ms=3, lw=1, label=name)
            for name, (colour, line, marker) in looks.items()
        ]
        if handles:
            figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
        figure.suptitle(title, fontsize=8)
        return figure
