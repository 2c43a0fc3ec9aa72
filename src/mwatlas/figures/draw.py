"""Drawing any figure of any study from its data file."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pyarrow.parquet as pq

from mwatlas.figures.entry import entry_point
from mwatlas.figures.style import save
from mwatlas.tables.parquet import from_arrow


def draw_figure(study: str, figure: str, data: Path, title: str, pdf: Path, png: Path) -> None:
    """Draw one figure.

    Parameters
    ----------
    study, figure
        Which one.
    data
        Its data file.
    title
        Name of the sample.
    pdf, png
        Files to write.
    """
    module, function = entry_point(study, figure)
    draw = getattr(import_module(module), function)
    save(draw(from_arrow(pq.read_table(data)), title), pdf, png)
