"""One look for every figure: readable in print and with any colour vision."""

from __future__ import annotations

from pathlib import Path

import cmasher
import matplotlib as mpl
from matplotlib.figure import Figure

from mwatlas.files import atomic_path

# Okabe & Ito (2008): distinguishable with any colour vision.
BLACK, ORANGE, SKY, GREEN, YELLOW, BLUE, VERMILION, PURPLE = (
    "#000000",
    "#E69F00",
    "#56B4E9",
    "#009E73",
    "#F0E442",
    "#0072B2",
    "#D55E00",
    "#CC79A7",
)

LineStyle = str | tuple[float, tuple[float, ...]]
"""A line as matplotlib names it: by a sign, or by the lengths of dashes and gaps."""

ONE_COLUMN_IN, TWO_COLUMNS_IN = 3.4, 7.1
"""Widths of journal columns in inches."""

RC = {
    "font.size": 8,
    "font.family": "DejaVu Sans",
    "mathtext.fontset": "dejavusans",
    "axes.labelsize": 8,
    "axes.titlesize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "xtick.direction": "in",
    "ytick.direction": "in",
    "xtick.top": True,
    "ytick.right": True,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "savefig.dpi": 200,
    "pdf.fonttype": 42,
    # A fixed salt keeps identifiers inside vector files the same from run to run.
    "svg.hashsalt": "mwatlas",
}


def heat_map() -> mpl.colors.Colormap:
    """Colour map of counts: perceptually uniform, dark is many; empty bins stay white."""
    return cmasher.get_sub_cmap("cmr.ocean_r", 0.1, 0.95).with_extremes(bad="white")


def grey_map() -> mpl.colors.Colormap:
    """Colour map of a background to compare with: light, so that what lies over it stands out."""
    return cmasher.get_sub_cmap("Greys", 0.12, 0.62).with_extremes(bad="white")


def over_grey_map() -> mpl.colors.Colormap:
    """Colour map of counts over :func:`grey_map`: its lightest is blue with any colour vision.

    Empty bins let the grey through.
    """
    return cmasher.get_sub_cmap("Blues", 0.35, 1.0).with_extremes(bad="none")


def save(figure: Figure, pdf: Path, png: Path) -> None:
    """Write a figure as PDF and PNG, without dates: same figure, same bytes."""
    with mpl.rc_context(RC):
        with atomic_path(pdf) as partial:
            figure.savefig(partial, format="pdf", metadata={"CreationDate": None})
        with atomic_path(png) as partial:
            figure.savefig(partial, format="png", metadata={"Software": None})
