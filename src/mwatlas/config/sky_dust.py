"""Settings of the embedded sky's dust."""

from __future__ import annotations

from pydantic import Field, model_validator

from mwatlas.config.fields import Strict


class Dust(Strict):
    """An exponential disc of dust with log-normal clumps, and the grid of its extinction map."""

    local_a_v_per_kpc: float = Field(
        ge=0, description="mean extinction A_V per kpc in the plane at the Sun's radius, mag/kpc"
    )
    scale_length_kpc: float = Field(gt=0, description="radial scale length of the dust")
    scale_height_kpc: float = Field(gt=0, description="exponential scale height of the dust")
    sigma_ln: float = Field(
        ge=0, le=3, description="standard deviation of ln(density) about the smooth disc"
    )
    spectral_slope: float = Field(
        gt=0, le=6, description="power spectrum of ln(density) falls as k**-spectral_slope"
    )
    box_kpc: float = Field(gt=0, description="side of the cube of clumps, which repeats")
    box_cells: int = Field(ge=16, le=512, description="cells along a side of that cube; even")
    nside: int = Field(ge=1, le=256, description="HEALPix nside of the map, a power of two")
    n_distances: int = Field(ge=2, description="number of distances of the map, zero included")
    max_distance_kpc: float = Field(gt=0, description="distance the map ends at")

    @model_validator(mode="after")
    def _grid_is_possible(self) -> Dust:
        if self.nside & (self.nside - 1):
            raise ValueError(f"nside must be a power of two, found {self.nside}")
        if self.box_cells % 2:
            raise ValueError(f"box_cells must be even, found {self.box_cells}")
        cell = self.box_kpc / self.box_cells
        if cell > self.scale_height_kpc / 2:
            raise ValueError(
                f"a cell of the cube ({self.box_kpc} kpc / {self.box_cells} = {cell:.3g} kpc) must "
                f"be at most half of scale_height_kpc ({self.scale_height_kpc}), or the disc is "
                "not resolved"
            )
        return self
