"""Settings of the barred sky: a rotating bar, and stars that are stationary in its frame."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from mwatlas.config.fields import Strict
from mwatlas.config.sky_chemistry import Chemistry


class Bar(Strict):
    """A rotating quadrupole on top of the axisymmetric potential (Dehnen 2000)."""

    strength: float = Field(
        ge=0,
        lt=0.1,
        description="alpha: radial force of the bar on its major axis at 8 kpc, relative to the "
        "axisymmetric force there; 0.007 to 0.013 in Dehnen (2000)",
    )
    pattern_speed_kms_kpc: float = Field(
        description="rate of rotation; positive turns with the Galaxy"
    )
    angle_deg: float = Field(
        ge=-90,
        le=90,
        description="from the line between Sun and centre to the major axis; the near end of a "
        "positive angle is at l > 0; 27 +- 2 (Wegg & Gerhard 2013), 28 to 33 (Wegg et al. 2015)",
    )
    length_kpc: float = Field(
        gt=0, description="half-length; 5.0 +- 0.2 (Wegg, Gerhard & Portail 2015)"
    )


class JacobiComponent(Strict):
    """Stars in a sphere around the Sun whose phase-space density depends on E_J alone."""

    kind: Literal["jacobi"] = Field(description="a function of the Jacobi energy E_J")
    form: Literal["exponential", "power"] = Field(
        description="f = exp(-E_J / dispersion**2), or f = (E_0 - E_J)**index below E_0"
    )
    dispersion_kms: float = Field(
        gt=0, description="velocity dispersion at the Sun, the same in all directions"
    )
    index: float | None = Field(None, description="power of the form `power`; at least 0")
    radius_kpc: float = Field(gt=0, description="no star is farther from the Sun")
    age_range_gyr: tuple[float, float] = Field(description="youngest and oldest age")
    chemistry: Chemistry

    @model_validator(mode="after")
    def _index_belongs_to_the_power(self) -> JacobiComponent:
        if self.form == "power" and (self.index is None or self.index < 0):
            raise ValueError(f"form power needs an index of 0 or more, found {self.index}")
        if self.form == "exponential" and self.index is not None:
            raise ValueError(f"form exponential has no index, found {self.index}; leave it out")
        return self
