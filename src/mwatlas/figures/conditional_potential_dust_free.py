"""Figure 6 of Kalda & Green (2026): the mock without dust."""

from __future__ import annotations

import matplotlib as mpl
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure

from mwatlas.figures.conditional_potential_parts import draw_compared, positive_range
from mwatlas.figures.conditional_potential_profiles import (
    draw_densities,
    draw_ratios,
    draw_residuals,
    draw_stars,
)
from mwatlas.figures.style import RC, TWO_COLUMNS_IN
from mwatlas.tables.table import Columns


def fig06(data: Columns, title: str) -> Figure:
    """Figure 6: S, n, density and flows of the conditional method without dust.

    Parameters
    ----------
    data
        Table ``conditional_potential_figure`` of the variant without dust.
    title
        Name of the sample.
    """
    with mpl.rc_context(RC):
        figure = Figure(figsize=(TWO_COLUMNS_IN, 8.0), layout="constrained")
        maps, curves = figure.subfigures(2, 1, height_ratios=(1.1, 1))
        top, bottom = maps.subplots(2, 3, sharex=True, sharey=True)
        draw_compared(maps, top, data, "derived", "n_{obs}/n", Normalize(0, 1))
        stars = LogNorm(*positive_range(data, "tracers_true"))
        draw_compared(maps, bottom, data, "tracers", "n [kpc$^{-3}$]", stars)
        for axes in top:
            axes.set_xlabel("")
        (density, velocity), (residual, phase), (number, _) = grid = curves.subplots(
            3, 2, height_ratios=(1, 1, 0.6)
        )
        draw_densities(density, data, "radius")
        draw_residuals(residual, data, "radius")
        draw_stars(number, data, "radius")
        density.set_ylabel(r"$\rho$ [mass units kpc$^{-3}$]")
        residual.set_ylabel("model / truth $-$ 1")
        number.set(ylabel="stars per bin", xlabel="$r$ [kpc]")
        draw_ratios(velocity, data, "velocity", r"error of $p(\vec v\,|\,\vec x)$")
        draw_ratios(phase, data, "phase", r"error of $f_{\rm obs}$")
        grid[2, 1].remove()
        figure.suptitle(title, fontsize=8)
        return figure
