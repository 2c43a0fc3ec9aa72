"""Figure 8, not in the paper: the study beside its variants."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullLocator

from mwatlas.figures.conditional_potential_parts import LOOKS, Look, draw_curve, mark_errors
from mwatlas.figures.planes import rows, say_empty
from mwatlas.figures.style import BLACK, BLUE, ORANGE, PURPLE, RC, TWO_COLUMNS_IN, VERMILION
from mwatlas.studies.conditional_potential.cases import REGIONS, STUDY_ITSELF
from mwatlas.tables.table import Columns

_LOOKS = dict(
    zip(
        REGIONS,
        (
            *[(Look(BLACK, "-"), "o")] * 2,
            (Look(BLUE, (0, (5, 1.2))), "s"),
            (Look(ORANGE, (0, (5, 1.2, 1, 1.2))), "^"),
            (Look(VERMILION, (0, (1, 1))), "D"),
        ),
        strict=True,
    )
)
# The study and up to three other kinds of orbits.
_ORBITS = (
    LOOKS["conditional"],
    Look(PURPLE, (0, (4, 1.5))),
    Look(BLUE, (0, (1, 1))),
    Look(BLACK, (0, (5, 1.2, 1, 1.2))),
)
_CLAIMED = 0.1
# Error at which curves leave the panel: where it is larger nothing is learned.
_WIDEST = 1.0


def fig08(data: Columns, title: str) -> Figure:
    """Figure 8: error of the density against the number of stars, the dust, and the orbits.

    Parameters
    ----------
    data
        Table ``conditional_potential_figure``.
    title
        Name of the sample.
    """
    with mpl.rc_context(RC):
        figure = Figure(figsize=(TWO_COLUMNS_IN, 3.1), layout="constrained")
        stars, dust, radius = figure.subplots(1, 3, width_ratios=(1, 1, 1.25))
        # No sharey: the third has another quantity.
        dust.sharey(stars)
        for axes, panel in ((stars, "stars"), (dust, "dust")):
            _draw_errors(axes, data, panel)
        _guide(stars, data)
        stars.set(xlabel="observed stars", ylabel=r"median $|\rho/\rho_{\rm true}-1|$")
        dust.set_xlabel("strength of the dust")
        dust.tick_params(labelleft=False)
        _draw_radii(radius, data)
        figure.legend(handles=_handles(data), loc="outside lower center", ncols=4)
        figure.suptitle(title, fontsize=8)
        return figure


def _draw_errors(axes: Axes, data: Columns, panel: str) -> None:
    """Median errors of the cases of a panel, a line for each part of the volume."""
    x = data["x"][data["panel"] == panel]
    if not x.size:
        say_empty(axes)
        return
    for region, (look, marker) in _LOOKS.items():
        mine = (data["panel"] == panel) & (data["sample"] == region)
        order = np.flatnonzero(mine)[np.argsort(data["x"][mine])]
        alike = data["kind"][order] == "error"
        # A line joins what differs in one thing only.
        for some, face, line in ((alike, look.colour, look.line), (~alike, "white", "none")):
            place, value, error = (data[name][order[some]] for name in ("x", "value", "error"))
            axes.errorbar(
                place,
                value,
                yerr=error,
                color=look.colour,
                ls=line,
                lw=1.1,
                elinewidth=0.6,
                marker=marker,
                ms=4.5,
                mfc=face,
            )
    axes.axhline(_CLAIMED, color="0.35", lw=0.7, ls=(0, (1, 2)), zorder=0.5)
    axes.set_yscale("log")
    axes.margins(x=0.12)
    if panel == "stars":
        axes.set_xscale("log")
    # Ticks where the cases are.
    axes.xaxis.set_major_locator(FixedLocator(np.unique(x)))
    axes.xaxis.set_major_formatter(_short if panel == "stars" else "{x:g}")
    axes.xaxis.set_minor_locator(NullLocator())


def _short(number: float, _: int) -> str:
    """Number of stars, to three digits."""
    for unit, name in ((1e6, "M"), (1e3, "k")):
        if number >= unit:
            return f"{number / unit:.3g}{name}"
    return f"{number:g}"


def _guide(axes: Axes, data: Columns) -> None:
    """What errors would do if the noise of the stars were all, from the largest mock down."""
    mine = (data["panel"] == "stars") & np.isin(data["sample"], REGIONS[:2])
    if not mine.any():
        return
    x, value = data["x"][mine], data["value"][mine]
    last = np.argmax(x)
    ends = np.array([x.min() / 1.5, x.max() * 1.5])
    axes.plot(ends, value[last] * (ends / x[last]) ** -0.5, color="0.75", lw=3, zorder=0)


def _draw_radii(axes: Axes, data: Columns) -> None:
    """Error of the density along the radius, of the study and of mocks with other orbits."""
    mark_errors(axes, _CLAIMED)
    cases = list(dict.fromkeys(data["sample"][data["panel"] == "radius"].tolist()))
    side = 0.2
    for case, look in zip(cases, _ORBITS, strict=False):
        mine = rows(data, panel="radius", kind="residual", sample=case)
        draw_curve(axes, data, mine, look, band=("p16", "p84"))
        side = min(max(side, 1.2 * np.abs(data["p50"][mine]).max()), _WIDEST)
        label = "isotropic" if case == STUDY_ITSELF else case.replace("_", " ")
        axes.plot([], [], color=look.colour, ls=look.line, lw=1.3, label=label)
    axes.set(xlim=(0, None), ylim=(-side, side), xlabel="$r$ [kpc]")
    axes.set_ylabel(r"$\rho/\rho_{\rm true}-1$")
    if cases:
        axes.legend(loc="best")
    else:
        say_empty(axes)


def _handles(data: Columns) -> list[Line2D]:
    out = []
    for region, (look, marker) in _LOOKS.items():
        mine = data["sample"] == region
        if mine.any():
            low, high = (data[name][mine][0] for name in ("y_low", "y_high"))
            text = f"{low:.3g} to {high:.3g} kpc" + (", the study's reach" * (region == "held"))
            out.append(
                Line2D([], [], color=look.colour, ls=look.line, marker=marker, ms=4.5, label=text)
            )
    out.append(Line2D([], [], color="0.75", lw=3, label="$N^{-1/2}$"))
    if np.any(data["kind"] == "error_other_stars"):
        label = "open: other number of stars"
        out.append(Line2D([], [], color="none", marker="o", mec="0.3", ms=4.5, label=label))
    return out
