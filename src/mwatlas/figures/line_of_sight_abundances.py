"""Figures 9 and 10 of Dropulic et al. (2022): abundances in cross-matches with surveys."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mwatlas.figures.bins import draw_bins
from mwatlas.figures.contours import FEWEST
from mwatlas.figures.line_of_sight_samples import (
    COLOURS,
    LINES,
    contour_legend,
    contours_of,
    limit_label,
)
from mwatlas.figures.planes import (
    Plane,
    counts_bar,
    counts_norm,
    draw_boxes,
    draw_points,
    rows,
    say,
    say_empty,
)
from mwatlas.figures.style import RC, TWO_COLUMNS_IN, grey_map
from mwatlas.studies.line_of_sight.names import SAMPLES
from mwatlas.tables.table import Columns

Floats = NDArray[np.float64]

_SURVEYS = {"galah": "GALAH", "apogee": "APOGEE"}
_REGIONS = {"accreted": "accreted", "high_alpha": r"high-$\alpha$"}


def fig09(data: Columns, title: str) -> Figure:
    """Figure 9: metallicities of stars at high eccentricity, and of all, with normal fits.

    Parameters
    ----------
    data
        Table ``figure_histograms``.
    title
        Name of the sample.
    """
    with mpl.rc_context(RC):
        figure = Figure(figsize=(TWO_COLUMNS_IN, 2.9), layout="constrained")
        for axes, (panel, survey) in zip(figure.subplots(1, 2), _SURVEYS.items(), strict=True):
            highest = _all_metallicities(axes, data, panel)
            for sample in SAMPLES:
                highest = max(highest, _metallicities(axes, data, panel, sample))
            if not highest:
                say_empty(axes)
            axes.set(ylim=(0, 1.35 * highest or 1), title=f"{survey}, {title}")
            axes.set(xlabel="[Fe/H]", ylabel="normalised star count")
            axes.legend(loc="upper left", fontsize=6.5)
        return figure


def _densities(data: Columns, panel: str, sample: str) -> tuple[Floats, Floats, float]:
    """Edges of bins, normalised histograms of draws with stars (D, B), and stars in a draw."""
    bars = rows(data, panel=panel, sample=sample, kind="bar")
    edges = np.unique(np.concatenate([data["x_low"][bars], data["x_high"][bars]]))
    found, number = [], 0.0
    draws = np.unique(data["draw"][bars])
    for draw in draws:
        mine = bars & (data["draw"] == draw)
        counts = np.zeros(edges.size - 1)
        counts[np.searchsorted(edges, data["x_low"][mine])] = data["count"][mine]
        number += counts.sum() / draws.size
        if counts.any():
            found.append(counts / (counts.sum() * np.diff(edges)))
    return edges, np.array(found), number


def _all_metallicities(axes: Axes, data: Columns, panel: str) -> float:
    edges, densities, _ = _densities(data, panel, "all")
    if edges.size:
        axes.set_xlim(edges[0], edges[-1])
    if not densities.size:
        return 0.0
    axes.stairs(densities[0], edges, fill=True, color="#e3e3e3", label="all stars")
    return float(densities.max())


def _metallicities(axes: Axes, data: Columns, panel: str, sample: str) -> float:
    """Draw the mean of the draws as a line, their spread as a band, and the fit as a curve."""
    edges, densities, number = _densities(data, panel, sample)
    name, colour = f"{SAMPLES[sample]} ({number:,.0f})", COLOURS[sample]
    if number < FEWEST:
        label = f"{name}: too few stars" if densities.size else f"{SAMPLES[sample]}: no stars"
        axes.plot([], [], color=colour, ls=LINES[sample], label=label)
        return 0.0
    low, high = densities.min(axis=0), densities.max(axis=0)
    axes.stairs(high, edges, baseline=low, fill=True, color=colour, alpha=0.3, lw=0)
    fit = np.flatnonzero(rows(data, panel=panel, sample=sample, kind="fit"))
    label = name
    for i in fit:
        mean, sigma, area = (float(data[column][i]) for column in ("mean", "sigma", "share"))
        if np.isfinite(mean + sigma + area) and sigma > 0:
            label = rf"{name}: $\mu={mean:.2f}$, $\sigma={sigma:.2f}$"
            x = np.linspace(edges[0], edges[-1], 400)
            curve = np.exp(-0.5 * ((x - mean) / sigma) ** 2) / (sigma * np.sqrt(2 * np.pi))
            axes.plot(x, area * curve, color=colour, ls=LINES[sample], lw=0.7)
    axes.stairs(densities.mean(axis=0), edges, color=colour, ls=LINES[sample], lw=1.2, label=label)
    return float(high.max())


def fig10(data: Columns, title: str) -> Figure:
    """Figure 10: [Mg/Fe] against [Fe/H] of stars at high eccentricity, and of all.

    Parameters
    ----------
    data
        Table ``figure_planes``.
    title
        Name of the sample.
    """
    with mpl.rc_context(RC):
        figure = Figure(figsize=(TWO_COLUMNS_IN, 3.1), layout="constrained")
        both = figure.subplots(1, 2)
        everything = rows(data, sample="all", kind="heat")
        norm = counts_norm(data, everything)
        for axes, panel, samples in zip(
            both, ("left", "right"), (("rv", "test_set"), ("ml_rv",)), strict=True
        ):
            mesh = draw_bins(axes, data, everything, "count", norm, grey_map())
            first = Plane.of(data, panel, samples[0])
            first.frame(axes)
            draw_points(axes, first, COLOURS[samples[0]], 6.0)
            contours_of(axes, data, panel, *samples)
            for region, name in _REGIONS.items():
                draw_boxes(axes, data, rows(data, panel=region), name)
            say(axes, "\n".join(_share(data, sample) for sample in samples), x=0.97, ha="right")
            axes.set(xlabel="[Fe/H]", ylabel="[Mg/Fe]")
        counts_bar(figure, mesh, both, "star count, all APOGEE")
        contour_legend(figure, "rv", "test_set", "ml_rv")
        figure.suptitle(f"{limit_label(data)}, {title}", fontsize=8)
        return figure


def _share(data: Columns, sample: str) -> str:
    """Share of the high-alpha stars of a sample, in words."""
    share = float(data["share"][rows(data, sample=sample, kind="share")][0])
    text = "no stars" if np.isnan(share) else rf"{100 * share:.0f} % high-$\alpha$"
    return f"{SAMPLES[sample]}: {text}"
