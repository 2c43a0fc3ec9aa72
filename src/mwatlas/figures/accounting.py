"""Figure of where the time and memory of a run went."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mwatlas.estimate.accounting import Spent
from mwatlas.figures.style import BLUE, ORANGE, RC, TWO_COLUMNS_IN, save


def draw_accounting(spent: Sequence[Spent], title: str, pdf: Path, png: Path) -> None:
    """Draw processor time, longest job and largest memory of each rule, and what was asked for.

    Parameters
    ----------
    spent
        Rules in the order from top to bottom.
    title
        Of the figure.
    pdf, png
        Files to write.
    """
    with mpl.rc_context(RC):
        height = 1.0 + 0.17 * len(spent)
        figure = Figure((TWO_COLUMNS_IN, height), layout="constrained")
        time, longest, memory = figure.subplots(1, 3, sharey=True)
        places = np.arange(len(spent))
        time.barh(places, [row.cpu_s / 60 for row in spent], color=BLUE, height=0.7)
        time.set_xlabel("processor time of all jobs [min]")
        time.set_yticks(places, [f"{row.rule} ({row.jobs})" for row in spent])
        time.invert_yaxis()
        _pairs(
            longest,
            [row.longest_s / 60 for row in spent],
            [row.asked_min for row in spent],
            "longest job [min]",
        )
        _pairs(
            memory,
            [row.memory_gb for row in spent],
            [row.asked_gb for row in spent],
            "largest memory of a job [GB]",
        )
        memory.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, borderaxespad=0.2)
        for axes in (longest, memory):
            axes.set_xscale("log")
        for axes in (time, longest, memory):
            axes.xaxis.set_major_formatter("{x:g}")
            axes.tick_params(axis="y", length=0, which="both")
            axes.grid(axis="x", lw=0.3, alpha=0.6)
            axes.set_axisbelow(True)
        time.set_title(title, loc="left")
        save(figure, pdf, png)


def _pairs(axes: Axes, used: Sequence[float], asked: Sequence[float], label: str) -> None:
    places = np.arange(len(used))
    axes.hlines(places, used, asked, color="0.75", lw=1)
    axes.plot(used, places, "o", color=BLUE, ms=4, label="used")
    axes.plot(asked, places, "D", color=ORANGE, mec="black", mew=0.5, ms=4, label="asked for")
    axes.set_xlabel(label)
