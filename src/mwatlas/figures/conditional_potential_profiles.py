"""Figures 2, 5 and 7: errors of density and of the flows, and whether uncertainties are right."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullFormatter

from mwatlas.figures.bins import draw_bins
from mwatlas.figures.conditional_potential_parts import (
    DOTS,
    LOOKS,
    Look,
    draw_curve,
    mark_errors,
    method_handles,
    methods_of,
)
from mwatlas.figures.planes import rows, say_empty
from mwatlas.figures.style import BLACK, ORANGE, RC, TWO_COLUMNS_IN
from mwatlas.tables.table import Columns

_COORDINATES = {"radius": "$r$ [kpc]", "selection": "$S$"}
_BAND = ("p16", "p84")
_MASS = r"$\rho$ [mass units kpc$^{-3}$]"
_TRUTH = Look(BLACK, ":")

# Errors that the paper's claims are about: of the density, and of p(v|x).
_CLAIMED, _CLAIMED_VELOCITY = 0.1, 0.02
_SPREAD_LINE = (0, (1, 1))


def fig02(data: Columns, title: str) -> Figure:
    """Figure 2: densities, their errors, the ensembles' spread and the number of stars.

    Parameters
    ----------
    data
        Table ``conditional_potential_figure``.
    title
        Name of the sample.
    """
    with mpl.rc_context(RC):
        figure = Figure(figsize=(TWO_COLUMNS_IN, 7.6), layout="constrained")
        grid = figure.subplots(4, 2, sharex="col", sharey="row", height_ratios=(1.1, 1.2, 1.1, 0.7))
        for column, (panel, label) in zip(grid.T, _COORDINATES.items(), strict=True):
            density, residual, error, stars = column
            draw_densities(density, data, panel)
            draw_residuals(residual, data, panel, 0.5)
            _errors_and_spreads(error, data, panel)
            draw_stars(stars, data, panel)
            stars.set_xlabel(label)
            if panel == "selection":
                stars.set_xscale("log")
                # From where all stars are observed to where hardly one is, as with radius.
                stars.invert_xaxis()
        for axes, label in zip(
            grid[:, 0],
            (_MASS, "model / truth $-$ 1", "error and spread", "stars per bin"),
            strict=True,
        ):
            axes.set_ylabel(label)
        grid[0, 0].legend(
            handles=[
                Line2D([], [], color=_TRUTH.colour, ls=_TRUTH.line, lw=2, label="truth"),
                *method_handles(data),
            ],
            loc="lower left",
        )
        grid[2, 0].legend(
            handles=[
                Line2D([], [], color="0.3", lw=1.3, label="median |model / truth $-$ 1|"),
                Line2D([], [], color="0.3", lw=0.9, ls=_SPREAD_LINE, label="spread of ensemble"),
            ],
            loc="lower right",
        )
        figure.suptitle(title, fontsize=8)
        return figure


def draw_densities(axes: Axes, data: Columns, panel: str) -> None:
    """Draw true and recovered densities along a coordinate."""
    for method in methods_of(data):
        mine = rows(data, panel=panel, kind="density", sample=method)
        draw_curve(axes, data, mine, LOOKS[method])
    draw_curve(axes, data, rows(data, panel=panel, kind="truth"), _TRUTH, width=2)
    axes.set_yscale("log")
    true = data["p50"][data["kind"] == "truth"]
    if true.size:
        axes.set_ylim(0.3 * true.min(), 3 * true.max())


def draw_residuals(axes: Axes, data: Columns, panel: str, side: float) -> None:
    """Draw errors of densities, with bands of 68 per cent of the places, from -side to side."""
    mark_errors(axes, _CLAIMED)
    for method in methods_of(data):
        mine = rows(data, panel=panel, kind="residual", sample=method)
        draw_curve(axes, data, mine, LOOKS[method], band=_BAND)
    axes.set_ylim(-side, side)


def _errors_and_spreads(axes: Axes, data: Columns, panel: str) -> None:
    axes.axhline(_CLAIMED, color="0.35", lw=0.8, ls=DOTS, zorder=0)
    for method in methods_of(data):
        look = LOOKS[method]
        error, spread = (
            rows(data, panel=panel, kind=kind, sample=method) for kind in ("error", "spread")
        )
        draw_curve(axes, data, error, look)
        draw_curve(axes, data, spread, Look(look.colour, _SPREAD_LINE), width=0.9)
    axes.set_yscale("log")
    axes.set_ylim(2e-3, 3)


def draw_stars(axes: Axes, data: Columns, panel: str) -> None:
    """Draw how many observed stars are expected in each bin."""
    mine = rows(data, panel=panel, kind="stars")
    low, high, stars = (data[name][mine] for name in ("x_low", "x_high", "value"))
    axes.stairs(stars, np.append(low, high[-1]), color="0.3", fill=True, alpha=0.5)
    axes.set_yscale("log")
    axes.set_ylim(max(0.5 * stars[stars > 0].min(initial=1.0), 1.0), 3 * stars.max(initial=10.0))


_DENSITIES = {
    "velocity": r"$p(\vec v\,|\,\vec x)$",
    "phase": r"$f_{\rm obs}(\vec x,\vec v)$",
}


# With less than two decades of S, ticks at its powers of ten are too few.
_TWO_DECADES = 1e-2


def fig05(data: Columns, title: str) -> Figure:
    """Figure 5: densities learned from stars over true ones, against the selection function.

    Parameters
    ----------
    data
        Table ``conditional_potential_figure``.
    title
        Name of the sample.
    """
    with mpl.rc_context(RC):
        figure = Figure(figsize=(TWO_COLUMNS_IN, 2.9), layout="constrained")
        panels = figure.subplots(1, 2, sharex=True)
        for axes, panel in zip(panels, _DENSITIES, strict=True):
            mesh = draw_ratios(axes, data, panel)
        panels[0].legend(loc="lower left")
        figure.colorbar(mesh, ax=panels, label="validation stars per bin", pad=0.01)
        figure.suptitle(title, fontsize=8)
        return figure


def draw_ratios(axes: Axes, data: Columns, panel: str) -> QuadMesh:
    """Draw errors of a density at stars against S: bins, median and central 68 per cent.

    Parameters
    ----------
    axes
        Where to draw.
    data
        Table ``conditional_potential_figure``.
    panel
        ``velocity`` for p(v|x), ``phase`` for f_obs.

    Returns
    -------
    QuadMesh
        The bins; all panels have one range of colours.
    """
    heat = data["kind"] == "heat"
    norm = LogNorm(1, max(data["value"][heat].max(initial=1.0), 10.0))
    mesh = draw_bins(axes, data, rows(data, panel=panel, kind="heat"), "value", norm)
    mine = rows(data, panel=panel, kind="residual")
    if not mine.any():
        say_empty(axes)
    x = data["x"][mine]
    order = np.argsort(x)
    mark_errors(axes, _CLAIMED_VELOCITY if panel == "velocity" else _CLAIMED)
    for name, line, text in (
        ("p50", "-", "median"),
        ("p16", "--", "68 per cent of the stars"),
        ("p84", "--", ""),
    ):
        axes.plot(x[order], data[name][mine][order], color=ORANGE, ls=line, lw=1.3, label=text)
    largest = max(abs(data[name][mine]).max(initial=0.04) for name in ("p05", "p95"))
    side = min(1.5 * largest, 0.5)
    faintest = min(data["x_low"][heat].min(initial=0.1), 0.1)
    axes.set(xscale="log", xlim=(1, faintest), ylim=(-side, side), xlabel="$S$")
    axes.set_ylabel(f"error of {_DENSITIES[panel]}")
    if faintest > _TWO_DECADES:
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    return mesh


# Median size of a normal error of width 1, and widths of lines by spreads.
_MEDIAN_OF_NORMAL = 0.6745
_WIDTHS = {1: 1.6, 2: 0.8}


def fig07(data: Columns, title: str) -> Figure:
    """Figure 7, not in the paper: the ensembles' spread against the error of the density.

    Parameters
    ----------
    data
        Table ``conditional_potential_figure``.
    title
        Name of the sample.
    """
    with mpl.rc_context(RC):
        figure = Figure(figsize=(TWO_COLUMNS_IN, 3.4), layout="constrained")
        left, right = figure.subplots(1, 2)
        ends = np.array([1e-4, 10.0])
        left.plot(ends, _MEDIAN_OF_NORMAL * ends, color="0.65", lw=3, zorder=0)
        for method in methods_of(data):
            look = LOOKS[method]
            mine = rows(data, panel="spread", kind="error", sample=method)
            draw_curve(left, data, mine, look, band=_BAND)
            for spreads, width in _WIDTHS.items():
                mine = rows(data, panel="radius", kind=f"within_{spreads}", sample=method)
                x, share, error = (data[name][mine] for name in ("x", "value", "error"))
                right.errorbar(
                    x, share, yerr=error, color=look.colour, ls=look.line, lw=width, elinewidth=0.6
                )
        for spreads, width in _WIDTHS.items():
            for share in data["value"][rows(data, panel="radius", kind=f"calibrated_{spreads}")]:
                right.axhline(share, color="0.65", lw=2 * width, zorder=0)
        if not methods_of(data):
            say_empty(left)
            say_empty(right)
        spread = data["x"][data["panel"] == "spread"]
        low, high = spread.min(initial=0.1), spread.max(initial=0.2)
        left.set(xscale="log", yscale="log", xlim=(low / 2, 2 * high), ylim=(low / 20, 20 * high))
        left.set_xlabel(r"spread of the ensemble / $\rho_{\rm true}$")
        left.set_ylabel(r"$|\rho/\rho_{\rm true}-1|$")
        right.set(xlim=(0, None), ylim=(0, 1.05), xlabel="$r$ [kpc]")
        right.set_ylabel("share of places within the spread")
        handles = [
            *method_handles(data),
            Line2D([], [], color="0.65", lw=3, label="normal errors of that spread"),
            *(
                Line2D([], [], color="0.3", lw=_WIDTHS[spreads], label=f"right: within {text}")
                for spreads, text in ((1, "1 spread"), (2, "2 spreads"))
            ),
        ]
        figure.legend(handles=handles, loc="outside lower center", ncols=3)
        figure.suptitle(title, fontsize=8)
        return figure
