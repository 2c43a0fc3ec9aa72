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
        draw_compared(maps, top, data, "derived", r"n_{\rm obs}/n", Normalize(0, 1))
        stars = LogNorm(*positive_range(data, "tracers_true"))
        draw_compared(maps, bottom, data, "tracers", "n", stars, "[kpc$^{-3}$]")
        for axes in top:
            axes.set_xlabel("")
        left, right = curves.subfigures(1, 2)
        density, residual, number = left.subplots(3, 1, sharex=True, height_ratios=(1, 1, 0.6))
        velocity, phase = right.subplots(2, 1, sharex=True)
        draw_densities(density, data, "radius")
        draw_residuals(residual, data, "radius", 0.2)
        draw_stars(number, data, "radius")
        density.set_ylabel(r"$\rho$ [mass units kpc$^{-3}$]")
        residual.set_ylabel("model / truth $-$ 1")
        number.set(ylabel="stars per bin", xlabel="$r$ [kpc]")
        draw_ratios(velocity, data, "velocity")
        velocity.set_xlabel("")
        velocity.legend(loc="lower right")
        mesh = draw_ratios(phase, data, "phase")
        right.colorbar(mesh, ax=[velocity, phase], label="validation stars per bin", pad=0.01)
        figure.suptitle(title, fontsize=8)
        return figure
