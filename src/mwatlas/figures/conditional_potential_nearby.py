"""Figure of the first look at real stars near the Sun."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mwatlas.figures.planes import rows
from mwatlas.figures.style import BLACK, BLUE, GREEN, ORANGE, RC, TWO_COLUMNS_IN
from mwatlas.studies.conditional_potential.nearby_numbers import OURS, REFERENCE, STARS
from mwatlas.tables.table import Columns

Floats = NDArray[np.float64]

_PANELS = {
    "acceleration": "$a_z$ [km$^2$ s$^{-2}$ pc$^{-1}$]",
    "density": r"$\rho$ [M$_\odot$ pc$^{-3}$]",
    "tracers": r"$\ln\,n$ of the stars, less its mean",
}
# The curves of density are those of the acceleration beside it.
_LEGENDS = {"acceleration": "upper right", "tracers": "lower center"}
_HEIGHT = "height above the plane [kpc]"


def nearby(data: Columns, title: str) -> Figure:
    """Vertical acceleration, density of matter and of stars by height, and published densities.

    Parameters
    ----------
    data
        Table ``conditional_potential_nearby``.
    title
        Name of the sample.
    """
    with mpl.rc_context(RC):
        figure = Figure(figsize=(TWO_COLUMNS_IN, 5.2), layout="constrained")
        grid = figure.subplots(2, 2)
        for axes, (panel, label) in zip(grid.flat, _PANELS.items(), strict=False):
            _draw_profile(axes, data, panel)
            axes.set_xlabel(_HEIGHT)
            axes.set_ylabel(label)
            if panel in _LEGENDS:
                axes.legend(loc=_LEGENDS[panel])
        _draw_means(grid[1, 1], data)
        figure.suptitle(title, fontsize=8, x=0.01, ha="left")
    return figure


def _draw_profile(axes: Axes, data: Columns, panel: str) -> None:
    height, value, error = _of(data, panel, OURS)
    axes.fill_between(height, value - error, value + error, color=BLUE, alpha=0.25, lw=0)
    axes.plot(height, value, color=BLUE, label="conditional method, median and scatter")
    if panel == "tracers":
        axes.errorbar(
            *_of(data, panel, STARS),
            fmt="o",
            ms=2.5,
            lw=0.8,
            color=BLACK,
            label="number of stars",
        )
        return
    height, known, _ = _of(data, panel, REFERENCE)
    axes.plot(height, known, color=ORANGE, ls="--", label=f"{REFERENCE} (Bovy 2015)")
    axes.axhline(0, color="0.7", lw=0.6, zorder=0)


def _of(data: Columns, panel: str, sample: str) -> tuple[Floats, Floats, Floats]:
    """Heights, values and errors of one curve."""
    taken = rows(data, panel=panel, sample=sample)
    height, value, error = (data[name][taken] for name in ("height_kpc", "value", "error"))
    return height, value, error


def _draw_means(axes: Axes, data: Columns) -> None:
    """Densities in the plane, a line for each source."""
    taken = rows(data, panel="mean")
    names, values, errors = (data[name][taken] for name in ("sample", "value", "error"))
    places = np.arange(len(names))
    for place, name, value, error in zip(places, names, values, errors, strict=True):
        ours = name == OURS
        axes.errorbar(
            value,
            place,
            xerr=error,
            fmt="o" if ours else "s",
            ms=4,
            lw=1,
            color=BLUE if ours else GREEN,
        )
    labels = ["conditional method" if n == OURS else n.split(",")[0] for n in names]
    axes.set_yticks(places, labels)
    axes.set_ylim(len(places) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(r"$\rho$ in the plane [M$_\odot$ pc$^{-3}$]")
    axes.grid(axis="x", lw=0.3, alpha=0.6)
    axes.set_xlim(left=min(0.0, float(np.min(values - errors))))
