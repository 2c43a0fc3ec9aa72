"""Settings of the mock of the conditional-potential study: Kalda & Green (2026).

arXiv:2512.02115. Many numbers are not in the text that could be recovered; those are of the
authors' code or ours.
"""

from __future__ import annotations

from pydantic import field_validator, model_validator

from mwatlas.config.fields import CHOSEN, Strict, setting

CODE = "authors' code"
"""Source of a number that the paper does not give and gregreen/deep-potential does."""


def power_of_two(nside: int) -> int:
    """A HEALPix nside, or a ValueError if no map has it."""
    if nside & (nside - 1):
        raise ValueError(f"nside must be a power of two, found {nside}")
    return nside


class Tracer(Strict):
    """The Plummer sphere: stars and mass, with the observer at its centre."""

    scale_kpc: float = setting(
        4.0,
        "scale radius b; with 1 the dust-free mock of Appendix D would have at most 1.8 times the "
        "stars of the dusty one in 19 of 20 dust fields, and the paper's has 3.52 times",
        source=CHOSEN,
        gt=0,
    )
    central_density: float = setting(
        1.0,
        "mass density at the centre in mass units per kpc^3; G = 1 with kpc and 100 km/s",
        source=CHOSEN,
        gt=0,
    )
    radius_kpc: float = setting(
        8.0,
        "radius of the volume; no star beyond it",
        source=f"{CODE}; section IV and Appendix D name 8 kpc",
        gt=0,
    )
    anisotropy_radius_kpc: float | None = setting(
        None,
        "radius r_a beyond which orbits are mostly radial, at least scale_kpc: the anisotropy is "
        "r^2 / (r^2 + r_a^2); null for an isotropic sphere",
        source="null: section III.1",
        gt=0,
    )

    @model_validator(mode="after")
    def _velocities_can_be_drawn(self) -> Tracer:
        radius = self.anisotropy_radius_kpc
        if radius is not None and radius < self.scale_kpc:
            raise ValueError(
                f"anisotropy_radius_kpc is {radius:g}, less than scale_kpc, {self.scale_kpc:g}: "
                "no such sphere can be drawn (nearer than 3/4 of it none exists); make it larger"
            )
        return self


class MockDust(Strict):
    """A log-normal random field of dust, and the grid of its extinction."""

    modes: int = setting(
        128,
        "cells along a side of the cube that encloses the volume; even. 128 cells over 16 kpc have "
        "structure down to the 0.25 kpc the paper names",
        source=f"{CODE}; section IV",
        ge=8,
        le=512,
    )
    spectral_slope: float = setting(
        3.0, "power spectrum of ln(density) falls as k**-spectral_slope", source=CODE, ge=0
    )
    sigma_ln: float = setting(
        1.0, "standard deviation of ln(density) over the cube", source="section III.1", ge=0, le=3
    )
    mean_ln: float = setting(
        -0.5,
        "mean of ln(density in mag/kpc); the paper's own is lost",
        source=CODE,
    )
    strength: float = setting(
        1.0, "factor on the density of dust; 0 for none", source="section III.1, Appendix D", ge=0
    )
    steps: int = setting(
        256, "steps of the integral over the radius of the volume", source=CODE, ge=2
    )
    nside: int = setting(
        64,
        "HEALPix nside of the extinction map, a power of two; with 64 it is within 0.3 per cent of "
        "the field's own integral at half of all places",
        source=CHOSEN,
        ge=1,
        le=512,
    )

    @field_validator("modes")
    @classmethod
    def _modes_are_even(cls, modes: int) -> int:
        if modes % 2:
            raise ValueError(f"modes must be even, found {modes}")
        return modes

    @field_validator("nside")
    @classmethod
    def _nside_is_a_power_of_two(cls, nside: int) -> int:
        return power_of_two(nside)


class Magnitudes(Strict):
    """Absolute magnitudes of the stars, and the limit of the survey."""

    mean: float = setting(4.0, "mean absolute magnitude", source=CHOSEN)
    sigma: float = setting(
        1.0, "standard deviation of absolute magnitudes", source=CHOSEN, gt=0, le=5
    )
    limit: float = setting(
        18.0,
        "stars are observed if their apparent magnitude is below this; then 25 per cent are (16 to "
        "37 in two of three dust fields), and 3.1 (2.1 to 4.7) times as many without dust",
        source=CHOSEN,
    )


class Mock(Strict):
    """The mock sky."""

    tracer: Tracer = Tracer()
    dust: MockDust = MockDust()
    magnitudes: Magnitudes = Magnitudes()
    observed_stars: int = setting(
        2**18,
        "number of observed stars; section III.1 has 4,194,304, as config/sizes/laptop.yaml has",
        source=CHOSEN,
        ge=1,
    )
    observed_share: float = setting(
        1.0,
        "of a variant: share of these stars that it has, the first of the study's",
        source=CHOSEN,
        gt=0,
        le=1,
    )
    keep_density: bool = setting(
        False,
        "of a variant: change the number of observed stars so that as many stars are drawn, "
        "observed or not, as for the study; then both have the same density at the observer",
        source="Appendix D",
    )
