"""Figures 4, 6 and 8 of Dropulic et al. (2022): Galactocentric spherical velocities."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mwatlas.figures.line_of_sight_samples import (
    COLOURS,
    SYMBOLS,
    contour_legend,
    contours_of,
    counts_label,
    limit_label,
)
from mwatlas.figures.planes import (
    Mask,
    Plane,
    counts_bar,
    counts_norm,
    draw_heat,
    draw_points,
    rows,
    say,
)
from mwatlas.figures.style import BLACK, RC, TWO_COLUMNS_IN
from mwatlas.tables.table import Columns

PAIRS = (("v_r", "v_theta"), ("v_r", "v_phi"), ("v_theta", "v_phi"))
"""Components on the horizontal and on the vertical axis of each panel."""


def fig04(data: Columns, title: str) -> Figure:
    """Figure 4: velocities at high (top) and low (bottom) eccentricity, measured and predicted.

    Parameters
    ----------
    data
        Table ``figure_planes``.
    title
        Name of the sample.
    """
    with mpl.rc_context(RC):
        figure = Figure(figsize=(TWO_COLUMNS_IN, 4.8), layout="compressed")
        axes = figure.subplots(2, 3)
        for row, part in zip(axes, ("high", "low"), strict=True):
            _velocity_row(figure, row, data, f"{part}/", "rv", ("rv", "test_set"))
            say(row[0], limit_label(data, low=part == "low"))
        contour_legend(figure, "rv", "test_set")
        figure.suptitle(title, fontsize=8)
        return figure


def fig06(data: Columns, title: str) -> Figure:
    """Figure 6: velocities of stars without a measured one at high eccentricity.

    Parameters
    ----------
    data
        Table ``figure_planes``.
    title
        Name of the sample.
    """
    with mpl.rc_context(RC):
        figure = Figure(figsize=(TWO_COLUMNS_IN, 2.5), layout="compressed")
        axes = figure.subplots(1, 3)
        _velocity_row(figure, axes, data, "high/", "ml_rv", ("rv", "ml_rv"))
        say(axes[0], limit_label(data))
        contour_legend(figure, "rv", "ml_rv")
        figure.suptitle(title, fontsize=8)
        return figure


def _velocity_row(
    figure: Figure,
    row: list[Axes],
    data: Columns,
    prefix: str,
    heat: str,
    contours: tuple[str, ...],
) -> None:
    """Draw the three pairs of components of one selection with a common range of colours."""
    panels = [f"{prefix}{x}_{y}".replace("v_", "v") for x, y in PAIRS]
    norm = counts_norm(data, rows(data, sample=heat) & _in_panels(data, panels))
    for axes, panel, (x, y) in zip(row, panels, PAIRS, strict=True):
        mesh = draw_heat(axes, data, panel, heat, norm)
        contours_of(axes, data, panel, *contours)
        axes.set(aspect="equal")
        axes.set_xlabel(rf"${SYMBOLS[x]}$ [km s$^{{-1}}$]")
        axes.set_ylabel(rf"${SYMBOLS[y]}$ [km s$^{{-1}}$]", labelpad=0)
    counts_bar(figure, mesh, row, counts_label(heat))


def _in_panels(data: Columns, panels: list[str]) -> Mask:
    return np.isin(data["panel"].astype(str), panels)


def fig08(data: Columns, title: str) -> Figure:
    """Figure 8: predicted against spectroscopic velocities of stars at high eccentricity.

    Parameters
    ----------
    data
        Table ``figure_planes``.
    title
        Name of the sample.
    """
    with mpl.rc_context(RC):
        figure = Figure(figsize=(TWO_COLUMNS_IN, 4.7), layout="compressed")
        axes = figure.subplots(2, 3)
        for row, survey in zip(axes, ("galah", "apogee"), strict=True):
            panels = [f"{survey}/{name}" for name in SYMBOLS]
            norm = counts_norm(data, _in_panels(data, panels))
            planes = {panel: Plane.of(data, panel, "ml_rv") for panel in panels}
            few = all(plane.is_sparse for plane in planes.values())
            for panel_axes, panel, symbol in zip(row, panels, SYMBOLS.values(), strict=True):
                mesh = draw_heat(panel_axes, data, panel, "ml_rv", norm)
                if few:
                    draw_points(panel_axes, planes[panel], COLOURS["ml_rv"], 40.0)
                low, high = panel_axes.get_xlim()
                panel_axes.plot([low, high], [low, high], color="white", lw=2.2)
                panel_axes.plot([low, high], [low, high], color=BLACK, ls=":", lw=1.2)
                panel_axes.set(aspect="equal")
                panel_axes.set_xlabel(rf"${symbol}^{{\rm pred}}$ [km s$^{{-1}}$]")
                name = rf"${symbol}^{{\rm {survey.upper()}}}$ [km s$^{{-1}}$]"
                panel_axes.set_ylabel(name)
            number = planes[panels[0]].number
            say(row[0], f"{limit_label(data)}, {number:,.0f} stars")
            counts_bar(figure, mesh, row, counts_label("ml_rv"))
        figure.suptitle(title, fontsize=8)
        return figure
