"""Figures of Dropulic et al. (2022): same axes and conventions as the paper's."""

from __future__ import annotations

import matplotlib as mpl

mpl.use("agg")

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mwatlas.figures.bins import draw_bins
from mwatlas.figures.line_of_sight_abundances import fig09, fig10
from mwatlas.figures.line_of_sight_integrals import fig07
from mwatlas.figures.line_of_sight_positions import fig05, fig11
from mwatlas.figures.line_of_sight_quality import fig12, fig13
from mwatlas.figures.line_of_sight_samples import SYMBOLS
from mwatlas.figures.line_of_sight_velocities import fig04, fig06, fig08
from mwatlas.figures.style import (
    BLACK,
    BLUE,
    ONE_COLUMN_IN,
    RC,
    TWO_COLUMNS_IN,
    VERMILION,
)
from mwatlas.tables.table import Columns

Floats = NDArray[np.float64]

__all__ = [
    "fig01",
    "fig02",
    "fig03",
    "fig04",
    "fig05",
    "fig06",
    "fig07",
    "fig08",
    "fig09",
    "fig10",
    "fig11",
    "fig12",
    "fig13",
]


def fig01(data: Columns, title: str) -> Figure:
    """Figure 1: predicted against true velocities (top), and their uncertainty (bottom).

    Parameters
    ----------
    data
        Table ``figure_velocities``.
    title
        Name of the sample.
    """
    with mpl.rc_context(RC):
        figure = Figure(figsize=(TWO_COLUMNS_IN, 4.4), layout="compressed")
        axes = figure.subplots(2, 3)
        heat = data["kind"] == "heat"
        largest = data["count"][heat].max(initial=1.0)
        mesh = None
        for column, (name, symbol) in enumerate(SYMBOLS.items()):
            mine = data["panel"] == name
            top, bottom = axes[:, column]
            mesh = draw_bins(top, data, mine & heat, "count", LogNorm(1, max(largest, 10.0)))
            whole = mine & (data["kind"] == "range")
            low, high = float(data["x_low"][whole][0]), float(data["x_high"][whole][0])
            top.plot([low, high], [low, high], color="white", lw=2.2)
            top.plot([low, high], [low, high], color=BLACK, ls=":", lw=1.2)
            top.set(xlim=(low, high), ylim=(low, high), aspect="equal")
            top.set_xlabel(rf"${symbol}^{{\rm pred}}$ [km s$^{{-1}}$]")
            top.set_ylabel(rf"${symbol}^{{\rm truth}}$ [km s$^{{-1}}$]")
            _boxes(bottom, data, mine & (data["kind"] == "box"))
            bottom.set(xlim=(low, high), ylim=(0, None), box_aspect=1)
            bottom.set_xlabel(rf"${symbol}^{{\rm pred}}$ [km s$^{{-1}}$]")
            bottom.set_ylabel(rf"uncertainty of ${symbol}^{{\rm pred}}$ [km s$^{{-1}}$]")
        if mesh is not None:
            figure.colorbar(mesh, ax=axes[0], label=r"stars $\times$ draws", pad=0.01)
        figure.suptitle(title, fontsize=8)
        return figure


def _boxes(axes: Axes, data: Columns, rows: NDArray[np.bool_]) -> None:
    """Boxes hold half of the stars about the median, whiskers reach from 5 to 95 per cent."""
    low, high = data["x_low"][rows], data["x_high"][rows]
    statistics = [
        {"med": p50, "q1": p25, "q3": p75, "whislo": p05, "whishi": p95, "fliers": []}
        for p05, p25, p50, p75, p95 in zip(
            *(data[name][rows] for name in ("p05", "p25", "p50", "p75", "p95")), strict=True
        )
    ]
    if statistics:
        axes.bxp(
            statistics,
            positions=0.5 * (low + high),
            widths=0.7 * (high - low),
            manage_ticks=False,
            patch_artist=True,
            boxprops={"facecolor": "#cfe3f3", "edgecolor": BLUE, "lw": 0.8},
            medianprops={"color": VERMILION, "lw": 1.2},
            whiskerprops={"color": BLUE, "lw": 0.8},
            capprops={"color": BLUE, "lw": 0.8},
        )


def fig02(data: Columns, title: str) -> Figure:
    """Figure 2: residual over predicted uncertainty, with two normal fits.

    Parameters
    ----------
    data
        Table ``figure_pull``.
    title
        Name of the sample.
    """
    with mpl.rc_context(RC):
        figure = Figure(figsize=(ONE_COLUMN_IN, 2.8), layout="constrained")
        axes = figure.subplots()
        bars = data["kind"] == "bar"
        low, high, count = (data[name][bars] for name in ("x_low", "x_high", "count"))
        density = count / (count.sum() * (high - low))
        axes.stairs(density, np.append(low, high[-1]), fill=True, color="#b9d4ea", label=f"{title}")
        axes.stairs(density, np.append(low, high[-1]), color=BLUE, lw=0.8)
        x = np.linspace(low[0], high[-1], 400)
        for kind, colour, line, name in (
            ("likelihood", VERMILION, "-", "maximum likelihood"),
            ("least squares", BLACK, "--", "least squares"),
        ):
            row = data["kind"] == kind
            mean, sigma, area = (float(data[n][row][0]) for n in ("mean", "sigma", "share"))
            axes.plot(
                x,
                area * np.exp(-0.5 * ((x - mean) / sigma) ** 2) / (sigma * np.sqrt(2 * np.pi)),
                color=colour,
                ls=line,
                lw=1.2,
                label=f"{name}: $\\mu={mean:.2f}$, $\\sigma={sigma:.2f}$",
            )
        axes.set(xlim=(low[0], high[-1]), ylim=(0, 1.5 * density.max()))
        axes.set_xlabel(r"$(v_{\rm los}^{\rm pred}-v_{\rm los}^{\rm truth})\,/\,\sigma_{\rm los}$")
        axes.set_ylabel("normalised star count")
        axes.legend(loc="upper center")
        return figure


def fig03(data: Columns, title: str) -> Figure:
    """Figure 3: predicted against true eccentricity near the limit of the GSE selection.

    Parameters
    ----------
    data
        Table ``figure_eccentricities``.
    title
        Name of the sample.
    """
    with mpl.rc_context(RC):
        figure = Figure(figsize=(ONE_COLUMN_IN, 2.9), layout="compressed")
        axes = figure.subplots()
        heat = data["kind"] == "heat"
        largest = data["count"][heat].max(initial=1.0)
        mesh = draw_bins(axes, data, heat, "count", LogNorm(1, max(largest, 10.0)))
        low = data["x_low"][heat].min(initial=1.0)
        low = min(np.floor(low * 20) / 20, 0.6)
        limit = float(data["share"][data["kind"] == "limit"][0])
        axes.plot([low, 1], [low, 1], color="white", lw=2.2)
        axes.plot([low, 1], [low, 1], color=BLACK, ls=":", lw=1.2)
        for line in (axes.axhline, axes.axvline):
            line(limit, color=VERMILION, lw=1.0, ls="--")
        corners = {
            "upper_right": (0.97, 0.96, "right", "top"),
            "upper_left": (0.03, 0.96, "left", "top"),
            "lower_right": (0.97, 0.04, "right", "bottom"),
        }
        for name, (x, y, across, up) in corners.items():
            share = float(data["share"][data["kind"] == name][0])
            if np.isfinite(share):
                axes.text(
                    x,
                    y,
                    f"{share:.0%}",
                    transform=axes.transAxes,
                    ha=across,
                    va=up,
                    bbox={"facecolor": "white", "alpha": 0.85, "edgecolor": "none", "pad": 1.5},
                )
        axes.set(xlim=(low, 1), ylim=(low, 1), aspect="equal")
        axes.set_xlabel(r"$e^{\rm pred}$")
        axes.set_ylabel(r"$e^{\rm truth}$")
        axes.set_title(title)
        figure.colorbar(mesh, ax=axes, label=r"stars $\times$ draws", pad=0.01)
        return figure
