"""Settings of abundances."""

from __future__ import annotations

from pydantic import Field

from mwatlas.config.fields import Strict


class Chemistry(Strict):
    """Abundances: normal distributions whose means depend on place and age."""

    fe_h: float = Field(description="mean [Fe/H] at the Sun, of stars just born or of one age")
    age_slope: float = Field(0.0, description="change of the mean per Gyr of age")
    radial_slope: float = Field(0.0, description="change per kpc of radius from the Sun's")
    vertical_slope: float = Field(0.0, description="change per kpc of height")
    scatter: float = Field(gt=0, description="standard deviation of [Fe/H] about that")
    alpha_m: float = Field(description="mean [alpha/M] at the mean [Fe/H]")
    alpha_slope: float = Field(description="change of [alpha/M] per dex of [Fe/H]")
    alpha_scatter: float = Field(gt=0, description="standard deviation of [alpha/M] about that")
