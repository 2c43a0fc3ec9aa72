"""Figures 1, 3 and 4 of Kalda & Green (2026): dust, selection and stars in space and on the sky."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure

from mwatlas.figures.conditional_potential_parts import (
    ERROR_LIMIT,
    draw_compared,
    draw_map,
    error_map,
    positive_range,
)
from mwatlas.figures.mollweide import draw_mollweide
from mwatlas.figures.style import RC, TWO_COLUMNS_IN
from mwatlas.tables.table import Columns

LEAST_SELECTION = 1e-3
"""Where colours of S begin."""

_MOCK = {
    "dust_density": "dust density in $z=0$ [mag kpc$^{-1}$]",
    "selection_true": "$S$ in $z=0$",
    "extinction": "extinction in $z=0$ [mag]",
    "expected_projection": "observed stars along $z$ [kpc$^{-2}$]",
}


def fig01(data: Columns, title: str) -> Figure:
    """Figure 1: dust and extinction (left), selection function and observed stars (right).

    Parameters
    ----------
    data
        Table ``conditional_potential_figure``.
    title
        Name of the sample.
    """
    with mpl.rc_context(RC):
        figure = Figure(figsize=(TWO_COLUMNS_IN, 5.9), layout="constrained")
        for axes, (panel, label) in zip(figure.subplots(2, 2).flat, _MOCK.items(), strict=True):
            low, high = positive_range(data, panel)
            if panel == "extinction":
                norm: Normalize = Normalize(0, high)
            elif panel == "selection_true":
                norm = LogNorm(LEAST_SELECTION, 1)
            else:
                # Four decades at most: what is fainter holds next to no star.
                norm = LogNorm(max(low, 1e-4 * high), high)
            mesh = draw_map(axes, data, panel, norm)
            below = {"extend": "min"} if isinstance(norm, LogNorm) else {}
            figure.colorbar(mesh, ax=axes, label=label, pad=0.02, **below)
        figure.suptitle(title, fontsize=8)
        return figure


def fig03(data: Columns, title: str) -> Figure:
    """Figure 3: S and n in the plane z = 0, true and learned, and the error.

    Parameters
    ----------
    data
        Table ``conditional_potential_figure``.
    title
        Name of the sample.
    """
    with mpl.rc_context(RC):
        figure = Figure(figsize=(TWO_COLUMNS_IN, 4.7), layout="constrained")
        top, bottom = figure.subplots(2, 3, sharex=True, sharey=True)
        draw_compared(figure, top, data, "selection", "S", LogNorm(LEAST_SELECTION, 1))
        stars = LogNorm(*positive_range(data, "tracers_true"))
        draw_compared(figure, bottom, data, "tracers", "n", stars, "[kpc$^{-3}$]")
        for axes in top:
            axes.set_xlabel("")
        figure.suptitle(title, fontsize=8)
        return figure


def fig04(data: Columns, title: str) -> Figure:
    """Figure 4: the selection function at one distance on the sky, true and learned.

    Parameters
    ----------
    data
        Table ``conditional_potential_figure_sky``.
    title
        Name of the sample.
    """
    with mpl.rc_context(RC):
        figure = Figure(figsize=(TWO_COLUMNS_IN, 4.4), layout="constrained")
        error = Normalize(-ERROR_LIMIT, ERROR_LIMIT)
        high = float(np.nanmax(data["value"][data["panel"] == "extinction"], initial=0.1))
        panels = (
            ("true", "$S$", LogNorm(0.01, 1), None, "truth", "min"),
            ("model", "$S$", LogNorm(0.01, 1), None, "model", "min"),
            ("extinction", "extinction [mag]", Normalize(0, high), None, "extinction", "neither"),
            ("error", "error of $S$", error, error_map(), "model / truth $-$ 1", "both"),
        )
        for number, (name, label, norm, colours, text, extend) in enumerate(panels, start=1):
            axes = figure.add_subplot(2, 2, number, projection="mollweide")
            axes.set_facecolor("0.88")
            mine = data["panel"] == name
            values = data["value"][mine][np.argsort(data["pixel"][mine])]
            mesh = draw_mollweide(axes, values, norm, colours, nest=True)
            axes.set_title(text, pad=10)
            style = {"orientation": "horizontal", "shrink": 0.7, "extend": extend}
            figure.colorbar(mesh, ax=axes, label=label, **style)
        distance = float(data["radius_kpc"][0])
        figure.suptitle(f"{title}, at {distance:g} kpc", fontsize=8)
        return figure
