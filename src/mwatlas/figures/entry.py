"""Where the function that draws a figure is found."""

from __future__ import annotations


def entry_point(study: str, figure: str) -> tuple[str, str]:
    """Module and function that draw a figure, for instance ``fig02`` of ``line_of_sight``."""
    return f"mwatlas.figures.{study}", figure
