"""Figures 2, 5 and 7: errors of density and of the flows, and whether uncertainties are right."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mwatlas.figures.bins import draw_bins
from mwatlas.figures.conditional_potential_parts import (
    LOOKS,
    Look,
    draw_curve,
    method_handles,
    methods_of,
    shade_ten_per_cent,
)
from mwatlas.figures.planes import rows, say_empty
from mwatlas.figures.style import GREEN, ORANGE, RC, TWO_COLUMNS_IN
from mwatlas.studies.conditional_potential.density_numbers import NORMAL_SHARES
from mwatlas.tables.table import Columns

_COORDINATES = {"radius": "$r$ [kpc]", "selection": "$S$"}
_BAND = ("p16", "p84")
_MASS = r"$\rho$ [mass units kpc$^{-3}$]"
_TRUTH = Look(GREEN, ":")
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
            draw_residuals(residual, data, panel)
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
            loc="upper left",
        )
        figure.suptitle(title, fontsize=8)
        return figure


def draw_densities(axes: Axes, data: Columns, panel: str) -> None:
    """Draw true and recovered densities along a coordinate."""
    for method in methods_of(data):
        mine = rows(data, panel=panel, kind="density", sample=method)
        draw_curve(axes, data, mine, LOOKS[method], band=_BAND)
    draw_curve(axes, data, rows(data, panel=panel, kind="truth"), _TRUTH, width=2)
    axes.set_yscale("log")
    true = data["p50"][data["kind"] == "truth"]
    if true.size:
        axes.set_ylim(0.3 * true.min(), 3 * true.max())


def draw_residuals(axes: Axes, data: Columns, panel: str) -> None:
    """Draw relative errors of densities with the band that holds 68 per cent of the places."""
    shade_ten_per_cent(axes)
    for method in methods_of(data):
        mine = rows(data, panel=panel, kind="residual", sample=method)
        draw_curve(axes, data, mine, LOOKS[method], band=_BAND)
    axes.set_ylim(-0.5, 0.5)


def _errors_and_spreads(axes: Axes, data: Columns, panel: str) -> None:
    axes.axhspan(0, 0.1, color="0.9", lw=0, zorder=-1)
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
        panels = figure.subplots(1, 2, sharex=True, sharey=True)
        for axes, (panel, symbol) in zip(panels, _DENSITIES.items(), strict=True):
            draw_ratios(axes, data, panel, f"error of {symbol}")
        largest = max(data["value"][data["kind"] == "heat"].max(initial=1.0), 10.0)
        mesh = panels[1].collections[0]
        mesh.set_norm(LogNorm(1, largest))
        panels[0].collections[0].set_norm(mesh.norm)
        panels[0].legend(loc="lower left")
        figure.colorbar(mesh, ax=panels, label="validation stars per bin", pad=0.01)
        figure.suptitle(title, fontsize=8)
        return figure


def draw_ratios(axes: Axes, data: Columns, panel: str, label: str) -> None:
    """Draw errors of a density at stars against S: bins, median and central 68 per cent."""
    largest = max(data["value"][data["kind"] == "heat"].max(initial=1.0), 10.0)
    draw_bins(axes, data, rows(data, panel=panel, kind="heat"), "value", LogNorm(1, largest))
    mine = rows(data, panel=panel, kind="residual")
    if not mine.any():
        say_empty(axes)
    x = data["x"][mine]
    order = np.argsort(x)
    axes.axhline(0, color="0.5", lw=0.6)
    for name, line, text in (
        ("p50", "-", "median"),
        ("p16", "--", "68 per cent of the stars"),
        ("p84", "--", ""),
    ):
        axes.plot(x[order], data[name][mine][order], color=ORANGE, ls=line, lw=1.3, label=text)
    axes.set(xscale="log", xlim=(1, 1e-4), ylim=(-0.5, 0.5), xlabel="$S$", ylabel=label)


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
        figure = Figure(figsize=(TWO_COLUMNS_IN, 3.2), layout="constrained")
        left, right = figure.subplots(1, 2)
        ends = np.array([1e-4, 1.0])
        left.plot(ends, 0.6745 * ends, color="0.6", lw=3, zorder=0)
        for method in methods_of(data):
            look = LOOKS[method]
            mine = rows(data, panel="spread", kind="error", sample=method)
            draw_curve(left, data, mine, look, band=_BAND)
            for spreads, width in ((1, 1.3), (2, 0.8)):
                mine = rows(data, panel="radius", kind=f"within_{spreads}", sample=method)
                x, share, error = (data[name][mine] for name in ("x", "value", "error"))
                right.errorbar(
                    x, share, yerr=error, color=look.colour, ls=look.line, lw=width, elinewidth=0.6
                )
        for spreads, share in NORMAL_SHARES.items():
            right.axhline(share, color="0.6", lw=3, zorder=0)
            right.text(0.1, share + 0.01, f"normal, {spreads} spread", fontsize=6, color="0.35")
        if not methods_of(data):
            say_empty(left)
            say_empty(right)
        left.set(xscale="log", yscale="log", xlim=(1e-3, 1), ylim=(3e-4, 2))
        left.set_xlabel(r"spread of the ensemble / $\rho_{\rm true}$")
        left.set_ylabel(r"$|\rho/\rho_{\rm true}-1|$")
        right.set(xlim=(0, None), ylim=(0, 1.05), xlabel="$r$ [kpc]")
        right.set_ylabel("share of places within 1 (thick), 2 (thin) spreads")
        if handles := method_handles(data):
            left.legend(handles=handles, loc="upper left")
        figure.suptitle(title, fontsize=8)
        return figure
