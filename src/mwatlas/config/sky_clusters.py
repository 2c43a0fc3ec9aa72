"""Settings of the embedded sky's open clusters and of the catalogue that lists them."""

from __future__ import annotations

import numpy as np
from pydantic import Field, model_validator

from mwatlas.config.fields import Strict


class NebulaCluster(Strict):
    """One young cluster at a given place: the Orion Nebula Cluster, missing from the catalogue."""

    name: str = Field(min_length=1, description="its name")
    ra: float = Field(ge=0, lt=360, description="right ascension of the centre in degrees")
    dec: float = Field(ge=-90, le=90, description="declination of the centre in degrees")
    distance_kpc: float = Field(gt=0, description="distance of the centre")
    pmra: float = Field(description="proper motion in right ascension times cos(dec), mas/yr")
    pmdec: float = Field(description="proper motion in declination, mas/yr")
    radial_velocity_kms: float = Field(description="radial velocity of the centre")
    age_gyr: float = Field(gt=0, description="age of its stars")
    fe_h: float = Field(description="[Fe/H] of its stars")
    member_share: float = Field(ge=0, lt=0.1, description="its members over all sources of the sky")
    half_mass_radius_pc: float = Field(gt=0, description="radius that holds half of the members")
    internal_dispersion_kms: float = Field(
        ge=0, description="dispersion of its stars along each axis"
    )


class SkyClusters(Strict):
    """Open clusters: a young thin disc of Plummer spheres."""

    member_share: float = Field(
        gt=0, lt=0.5, description="expected members of all clusters over all sources of the sky"
    )
    members_range: tuple[int, int] = Field(description="fewest and most members of a cluster")
    members_slope: float = Field(
        gt=1, description="number of clusters with N members falls as N**-members_slope"
    )
    distance_range_kpc: tuple[float, float] = Field(description="nearest and farthest from the Sun")
    scale_height_kpc: float = Field(gt=0, description="exponential scale height of their disc")
    scale_length_kpc: float = Field(gt=0, description="exponential scale length of their disc")
    velocity_dispersion_kms: float = Field(
        ge=0, description="dispersion of clusters along each axis about circular motion"
    )
    age_range_gyr: tuple[float, float] = Field(description="youngest and oldest cluster")
    age_timescale_gyr: float = Field(
        gt=0, description="clusters per ln(age) fall as exp(-age / age_timescale_gyr)"
    )
    fe_h_scatter: float = Field(ge=0, description="scatter of clusters about the disc's [Fe/H]")
    half_mass_radius_range_pc: tuple[float, float] = Field(
        description="smallest and largest radius that holds half of the members"
    )
    tidal_ratio: float = Field(
        gt=2 ** (1 / 3), description="clusters end at this many half-mass radii"
    )
    internal_dispersion_kms: float = Field(
        ge=0, description="dispersion of a cluster's stars along each axis"
    )
    nebula: NebulaCluster

    @model_validator(mode="after")
    def _ranges_ascend(self) -> SkyClusters:
        for name in (
            "members_range",
            "distance_range_kpc",
            "age_range_gyr",
            "half_mass_radius_range_pc",
        ):
            low, high = getattr(self, name)
            if not 0 < low < high:
                raise ValueError(
                    f"{name} must be two ascending positive numbers, found {low, high}"
                )
        return self

    @property
    def mean_members(self) -> float:
        """Mean number of members of a cluster."""
        return self._power_integral(1 - self.members_slope) / self._power_integral(
            -self.members_slope
        )

    def _power_integral(self, power: float) -> float:
        low, high = self.members_range
        if power == -1:
            return float(np.log(high / low))
        return (high ** (power + 1) - low ** (power + 1)) / (power + 1)


class ClusterCensus(Strict):
    """How a catalogue lists clusters and their members."""

    completeness: float = Field(gt=0, le=1, description="share of the members that are listed")
    contamination: float = Field(
        ge=0, lt=0.5, description="expected share of field stars among the listed, where there are"
    )
    fewest_listed: int = Field(ge=2, description="clusters with fewer listed stars are missing")
    cst_scatter: float = Field(ge=0, description="scatter of log10(CST) about its mean at given N")
    lowest_cst: float = Field(ge=0, description="clusters of lower significance are missing")
    class_logit_mean: float = Field(description="mean of the logit of CMDCl50")
    class_logit_scatter: float = Field(ge=0, description="scatter of the logit of CMDCl50")
    class_logit_error: float = Field(
        gt=0, description="half the range of CMDCl16 to CMDCl84 in the logit"
    )
    log_age_error: float = Field(gt=0, description="standard error of log10(age)")
    a_v_error: float = Field(gt=0, description="standard error of A_V in magnitudes")
