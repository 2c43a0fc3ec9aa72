"""Figures 5 and 11 of Dropulic et al. (2022): where the stars at high eccentricity are."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from mwatlas.distributions import principal_axes, tilt_deg
from mwatlas.figures.ellipse import ellipse
from mwatlas.figures.line_of_sight_samples import (
    COLOURS,
    LINES,
    counts_label,
    limit_label,
)
from mwatlas.figures.planes import counts_bar, counts_norm, draw_heat, rows, say
from mwatlas.figures.style import BLACK, RC, TWO_COLUMNS_IN
from mwatlas.studies.line_of_sight.names import SAMPLES
from mwatlas.tables.table import Columns

PLANES = (("x", "y"), ("x", "z"), ("y", "z"))
"""Coordinates on the horizontal and on the vertical axis of each panel."""
# The plane whose tilt Table 2 gives.
_TILTED = "y_z"


def fig05(data: Columns, title: str) -> Figure:
    """Figure 5: positions of stars at high eccentricity, measured (top) and predicted (bottom).

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
        for row, sample in zip(axes, ("rv", "test_set"), strict=True):
            _position_row(figure, row, data, sample, (sample,))
        _legend(figure, "rv", "test_set")
        figure.suptitle(title, fontsize=8)
        return figure


def fig11(data: Columns, title: str) -> Figure:
    """Figure 11: positions of stars without a measured velocity, at high eccentricity.

    Parameters
    ----------
    data
        Table ``figure_planes``.
    title
        Name of the sample.
    """
    with mpl.rc_context(RC):
        figure = Figure(figsize=(TWO_COLUMNS_IN, 2.5), layout="compressed")
        _position_row(figure, figure.subplots(1, 3), data, "ml_rv", ("rv", "ml_rv"))
        _legend(figure, "rv", "ml_rv")
        figure.suptitle(title, fontsize=8)
        return figure


def _position_row(
    figure: Figure, row: list[Axes], data: Columns, heat: str, ellipses: tuple[str, ...]
) -> None:
    """Draw the three planes of one sample with a common range of colours."""
    norm = counts_norm(data, rows(data, sample=heat))
    for axes, (x, y) in zip(row, PLANES, strict=True):
        panel = f"{x}_{y}"
        mesh = draw_heat(axes, data, panel, heat, norm)
        _draw_ellipses(axes, data, panel, ellipses)
        for sun in np.flatnonzero(rows(data, panel=panel, kind="sun")):
            axes.plot(
                data["x_mean"][sun], data["y_mean"][sun], "*", ms=7, mfc="white", mec=BLACK, mew=0.7
            )
        axes.set(aspect="equal")
        axes.locator_params(steps=[1, 2, 4, 10])
        axes.set_xlabel(rf"${x}_{{\rm gal}}$ [kpc]")
        axes.set_ylabel(rf"${y}_{{\rm gal}}$ [kpc]", labelpad=0)
    say(row[0], f"{SAMPLES[heat]}, {limit_label(data)}")
    counts_bar(figure, mesh, row, counts_label(heat))


def _draw_ellipses(axes: Axes, data: Columns, panel: str, samples: tuple[str, ...]) -> None:
    """Draw the ellipses of samples; in the plane of Table 2 with their tilt and axis ratio."""
    texts = []
    for sample in samples:
        for i in np.flatnonzero(rows(data, panel=panel, sample=sample, kind="ellipse")):
            xx, xy, yy = (float(data[name][i]) for name in ("xx", "xy", "yy"))
            if not np.isfinite(xx + xy + yy):
                continue
            covariance = [[xx, xy], [xy, yy]]
            outline = ellipse(
                (float(data["x_mean"][i]), float(data["y_mean"][i])),
                covariance,
                color=COLOURS[sample],
                ls=LINES[sample],
                lw=1.4,
                path_effects=[withStroke(linewidth=2.6, foreground="white")],
            )
            axes.add_patch(outline)
            (major, minor), _ = principal_axes(covariance)
            ratio = minor / major if major > 0 else 1.0
            tilt = f"tilt {tilt_deg(covariance):.0f}°, minor/major {ratio:.2f}"
            texts.append(f"{SAMPLES[sample]}: {tilt}")
    if panel == _TILTED and texts:
        say(axes, "\n".join(texts), fontsize=6.5)


def _legend(figure: Figure, *samples: str) -> None:
    handles = [
        Line2D(
            [],
            [],
            color=COLOURS[sample],
            ls=LINES[sample],
            lw=1.4,
            label=rf"{SAMPLES[sample]}: covariance ellipse (1 $\sigma$)",
        )
        for sample in samples
    ]
    handles.append(Line2D([], [], ls="", marker="*", ms=7, mfc="white", mec=BLACK, label="Sun"))
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
