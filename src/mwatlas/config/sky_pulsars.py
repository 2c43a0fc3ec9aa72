"""Settings of the embedded sky's binary pulsars."""

from __future__ import annotations

from pydantic import Field, model_validator

from mwatlas.config.fields import Strict


class SkyPulsars(Strict):
    """Binary pulsars timed well enough to feel the Galaxy's acceleration.

    Numbers given as ranges are drawn uniformly in their logarithm.
    """

    number: int = Field(ge=1, description="number of pulsars")
    distance_scale_kpc: float = Field(
        gt=0, description="number density falls as exp(-distance / distance_scale_kpc)"
    )
    distance_range_kpc: tuple[float, float] = Field(description="nearest and farthest pulsar")
    scale_height_kpc: float = Field(gt=0, description="exponential scale height above the plane")
    velocity_dispersion_kms: float = Field(
        ge=0, description="dispersion along each axis about circular motion"
    )
    period_range_days: tuple[float, float] = Field(description="orbital periods")
    pulsar_mass_range_msun: tuple[float, float] = Field(description="masses of the pulsars")
    companion_mass_range_msun: tuple[float, float] = Field(description="masses of companions")
    eccentricity_range: tuple[float, float] = Field(description="orbital eccentricities")
    parallax_relative_error_range: tuple[float, float] = Field(
        description="standard error of the parallax over the parallax"
    )
    proper_motion_error_range_masyr: tuple[float, float] = Field(
        description="standard error of each proper motion"
    )
    companion_mass_error_range: tuple[float, float] = Field(
        description="standard error of the companion's mass over that mass"
    )
    acceleration_error_range_mm_s_yr: tuple[float, float] = Field(
        description="standard error of PBDOT times c / PB"
    )

    @model_validator(mode="after")
    def _ranges_ascend(self) -> SkyPulsars:
        for name, value in self:
            if isinstance(value, tuple) and not 0 < value[0] < value[1]:
                raise ValueError(f"{name} must be two ascending positive numbers, found {value}")
        if self.parallax_relative_error_range[1] > 0.25:
            raise ValueError(
                "parallax_relative_error_range must end at 0.25 or less, or parallaxes come out "
                f"negative; found {self.parallax_relative_error_range[1]}"
            )
        if self.eccentricity_range[1] >= 1:
            raise ValueError(
                f"eccentricity_range must end below 1, found {self.eccentricity_range}"
            )
        return self
