"""Figures of Kalda & Green (2026), and two of ours."""

from __future__ import annotations

import matplotlib as mpl

mpl.use("agg")

from mwatlas.figures.conditional_potential_cases import fig08
from mwatlas.figures.conditional_potential_dust_free import fig06
from mwatlas.figures.conditional_potential_maps import fig01, fig03, fig04
from mwatlas.figures.conditional_potential_nearby import nearby
from mwatlas.figures.conditional_potential_profiles import fig02, fig05, fig07

__all__ = ["fig01", "fig02", "fig03", "fig04", "fig05", "fig06", "fig07", "fig08", "nearby"]
