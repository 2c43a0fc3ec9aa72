"""How the catalogues of the line-of-sight study look in every figure."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mwatlas.figures.contours import CONTAINMENT, FEWEST, draw_contours
from mwatlas.figures.planes import Plane
from mwatlas.figures.style import BLACK, BLUE, VERMILION, LineStyle
from mwatlas.studies.line_of_sight.names import SAMPLES
from mwatlas.tables.table import Columns

# Solid is measured and dashed predicted, as in the paper.
COLOURS = {"rv": VERMILION, "test_set": BLUE, "ml_rv": BLACK}
LINES: dict[str, LineStyle] = {"rv": "-", "test_set": "--", "ml_rv": (0, (2, 1))}

SYMBOLS = {"v_r": "v_r", "v_theta": r"v_\theta", "v_phi": r"v_\phi"}
"""Spherical velocity components as they are written."""


def counts_label(sample: str) -> str:
    """Label of a colour bar."""
    return f"{SAMPLES[sample]} star count"


def limit_label(data: Columns, low: bool = False) -> str:
    """Condition on the eccentricity of the stars shown, from the data of a figure."""
    limits = data["share"][data["kind"] == "limit"]
    sign = "<" if low else ">"
    return f"$e {sign} {limits[0]:g}$" if limits.size else f"{'low' if low else 'high'} $e$"


def contours_of(axes: Axes, data: Columns, panel: str, *samples: str) -> None:
    """Draw the containment contours of samples; say which have too few stars for any."""
    too_few = [
        SAMPLES[sample]
        for sample in samples
        if not draw_contours(axes, Plane.of(data, panel, sample), COLOURS[sample], LINES[sample])
    ]
    if too_few:
        axes.text(
            0.5,
            0.03,
            f"fewer than {FEWEST} stars: {', '.join(too_few)}",
            transform=axes.transAxes,
            ha="center",
            fontsize=6,
            color="grey",
        )


def contour_legend(figure: Figure, *samples: str) -> None:
    """Explain the contours below a figure."""
    shares = ", ".join(f"{share:.0%}"[:-1] for share in CONTAINMENT)
    lines = [
        Line2D(
            [],
            [],
            color=COLOURS[sample],
            ls=LINES[sample],
            lw=1.2,
            label=f"{SAMPLES[sample]}: {shares} % of stars",
        )
        for sample in samples
    ]
    figure.legend(handles=lines, loc="outside lower center", ncols=len(lines))
