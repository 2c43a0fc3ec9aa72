"""Settings of the bulge beyond its distribution function: abundances and a vertex deviation."""

from __future__ import annotations

from pydantic import Field, model_validator

from mwatlas.config.fields import Strict


class BulgeMetallicity(Strict):
    """[Fe/H] of the bulge: two normal distributions whose means fall with height."""

    rich_fe_h: float = Field(description="mean of the metal-rich stars near the plane")
    rich_scatter: float = Field(gt=0, description="their standard deviation")
    poor_fe_h: float = Field(description="mean of the metal-poor stars near the plane")
    poor_scatter: float = Field(gt=0, description="their standard deviation")
    rich_share: float = Field(ge=0, le=1, description="share of metal-rich stars, at any height")
    vertical_gradient: float = Field(
        description="change of all means per kpc of height; -0.5278 +- 0.0022 dex/kpc between "
        "0.7 and 1.6 kpc (Fallows & Sanders 2022)"
    )
    flat_height_kpc: float = Field(
        ge=0, description="no change closer to the plane; the observed median peaks at 0.56 kpc"
    )

    alpha_m: float = Field(description="mean [alpha/M] of stars of rich_fe_h")
    alpha_slope: float = Field(description="change of [alpha/M] per dex of [Fe/H]")
    alpha_scatter: float = Field(gt=0, description="standard deviation of [alpha/M] about that")

    @model_validator(mode="after")
    def _rich_is_richer(self) -> BulgeMetallicity:
        if self.poor_fe_h >= self.rich_fe_h:
            raise ValueError(
                f"poor_fe_h ({self.poor_fe_h}) must be below rich_fe_h ({self.rich_fe_h})"
            )
        return self


class VertexDeviation(Strict):
    """A tilt of the velocity ellipsoid of metal-rich bulge stars in the plane.

    The tilted population is not stationary: the tilt is an imprint on velocities that a
    distribution function of the axisymmetric potential cannot have.
    """

    min_fe_h: float = Field(description="stars at least this metal-rich are tilted")
    angle_deg: float = Field(
        gt=-90,
        le=90,
        description="angle of the major axis from X (away from the Sun) to Y (to l > 0); "
        "-21.29 +- 2.74 (Fallows & Sanders 2022, table 3)",
    )
    axis_ratio: float = Field(
        gt=0, le=1, description="minor over major dispersion of a population isotropic before"
    )
    strength: float = Field(
        ge=0, le=1, description="1 tilts as given, 0 leaves the population stationary"
    )
