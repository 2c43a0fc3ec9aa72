"""Figure 7 of Dropulic et al. (2022): integrals of motion."""

from __future__ import annotations

import matplotlib as mpl
from matplotlib.figure import Figure

from mwatlas.figures.bins import draw_bins
from mwatlas.figures.line_of_sight_samples import (
    contour_legend,
    contours_of,
    counts_label,
    limit_label,
)
from mwatlas.figures.planes import counts_bar, counts_norm, draw_boxes, draw_heat, rows
from mwatlas.figures.style import RC, TWO_COLUMNS_IN, grey_map, over_grey_map
from mwatlas.tables.table import Columns

_ANGULAR_MOMENTUM = r"$L_z$ [$10^3$ kpc km s$^{-1}$]"
_PANELS = {
    "lz_e": r"$E$ [$10^5$ km$^2$ s$^{-2}$]",
    "lz_sqrt_jr": r"$\sqrt{J_r}$ [(kpc km s$^{-1}$)$^{1/2}$]",
}


def fig07(data: Columns, title: str) -> Figure:
    """Figure 7: energy and radial action against angular momentum at high eccentricity.

    Parameters
    ----------
    data
        Table ``figure_planes``; the sample of a box says whose region it is.
    title
        Name of the sample.
    """
    with mpl.rc_context(RC):
        figure = Figure(figsize=(TWO_COLUMNS_IN, 3.3), layout="constrained")
        both = figure.subplots(1, 2)
        behind_norm, norm = (
            counts_norm(data, rows(data, sample=s)) for s in ("background", "ml_rv")
        )
        for axes, (panel, label) in zip(both, _PANELS.items(), strict=True):
            behind_rows = rows(data, panel=panel, sample="background", kind="heat")
            behind = draw_bins(axes, data, behind_rows, "count", behind_norm, grey_map())
            mesh = draw_heat(axes, data, panel, "ml_rv", norm, over_grey_map())
            contours_of(axes, data, panel, "rv", "ml_rv")
            draw_boxes(axes, data, rows(data, panel=panel))
            axes.set(xlabel=_ANGULAR_MOMENTUM, ylabel=label)
        name = f"{counts_label('ml_rv')}, {limit_label(data)}"
        counts_bar(figure, mesh, both, name)
        counts_bar(figure, behind, both, f"{counts_label('rv')}, all $e$")
        contour_legend(figure, "rv", "ml_rv")
        figure.suptitle(title, fontsize=8)
        return figure
