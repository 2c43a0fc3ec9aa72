"""Settings of the infrared surveys of the embedded sky: 2MASS and unWISE."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from mwatlas.config.fields import Strict

Rate = Annotated[float, Field(ge=0, le=1)]
"""A share of stars or rows."""


class Tmass(Strict):
    """What the 2MASS point source catalogue measures, and how its match to Gaia fails."""

    depth_mag: tuple[float, float, float] = Field(
        description="J, H, Ks of a signal-to-noise ratio of 10 where stars are sparse"
    )
    crowding_loss_mag: float = Field(ge=0, description="depth lost towards the inner plane")
    error_floor_mag: float = Field(gt=0, description="smallest photometric error")
    detection_snr: float = Field(gt=0, description="signal-to-noise ratio of a detection")
    position_error_arcsec: float = Field(gt=0, description="position error of bright stars")
    poor_fit_rate: Rate = Field(description="measurements of quality E, off by more than the error")
    poor_fit_scatter_mag: float = Field(ge=0, description="scatter of those beyond the error")
    no_error_rate: Rate = Field(description="measurements of quality F, without a usable error")
    no_brightness_rate: Rate = Field(description="measurements of quality X, without a magnitude")
    confused_rate: Rate = Field(
        description="H and Ks turned into upper limits (U) by a neighbour, in the inner plane"
    )
    extended_rate: Rate = Field(description="point sources that are in the extended catalogue too")
    duplicate_rate: Rate = Field(description="stars listed twice in the point source catalogue")
    unmatched_rate: Rate = Field(description="detected stars without a best neighbour")
    mismatch_rate: Rate = Field(description="stars whose best neighbour is another star")
    mate_rate: Rate = Field(
        description="stars blended with a second Gaia source of the same best neighbour"
    )


class Unwise(Strict):
    """What the unWISE catalogue measures."""

    epoch: float = Field(ge=2010, le=2020, description="mean epoch of the positions, Julian year")
    depth_mag: tuple[float, float] = Field(
        description="W1, W2 (Vega) of a signal-to-noise ratio of 5"
    )
    error_floor: float = Field(gt=0, lt=1, description="smallest relative error of a flux")
    position_error_arcsec: float = Field(gt=0, description="position error of bright stars")
    flag_rate: Rate = Field(description="stars touched by spikes, ghosts, latents, halos (a band)")
    flag_scatter_mag: float = Field(ge=0, description="scatter of those beyond the error")
    blend_rate: Rate = Field(description="stars blended with a neighbour where stars are sparse")
    blend_rate_inner_plane: Rate = Field(description="the same towards the inner plane")
    outlier_rate: Rate = Field(description="unflagged stars far off in one band")
    outlier_scatter_mag: float = Field(ge=0, description="scatter of those beyond the error")
    incomplete_rate: Rate = Field(description="stars missing for reasons other than brightness")

    @model_validator(mode="after")
    def _plane_is_more_crowded(self) -> Unwise:
        if self.blend_rate_inner_plane < self.blend_rate:
            raise ValueError(
                f"blend_rate_inner_plane ({self.blend_rate_inner_plane}) must not be below "
                f"blend_rate ({self.blend_rate})"
            )
        return self


class Infrared(Strict):
    """The infrared surveys."""

    tmass: Tmass
    unwise: Unwise
