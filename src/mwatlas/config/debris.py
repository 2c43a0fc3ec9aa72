"""Settings of what is measured of stars of high eccentricity, and of the histograms behind it."""

from __future__ import annotations

from pydantic import model_validator

from mwatlas.config.fields import CHOSEN, Strict, setting


class Axis(Strict):
    """Equal bins between two edges."""

    low: float
    high: float
    bins: int = setting(100, "number of bins", ge=1)

    @model_validator(mode="after")
    def _edges_are_ordered(self) -> Axis:
        if self.low >= self.high:
            raise ValueError(f"low ({self.low}) must be below high ({self.high})")
        return self


class Binning(Strict):
    """Histograms behind the figures."""

    velocity: Axis = setting(
        Axis(low=-500, high=500, bins=100), "Galactocentric velocities, km/s", source=CHOSEN
    )
    velocity_box: Axis = setting(
        Axis(low=-450, high=450, bins=18), "boxes in the lower row of Figure 1", source=CHOSEN
    )
    velocity_error: Axis = setting(
        Axis(low=0, high=400, bins=800), "predicted uncertainty, km/s", source=CHOSEN
    )
    pull: Axis = setting(
        Axis(low=-5, high=5, bins=100), "residual over sigma_los; also the fit range", source=CHOSEN
    )
    eccentricity: Axis = setting(
        Axis(low=0.6, high=1, bins=40), "both axes of Figure 3", source=CHOSEN
    )
    position_x: Axis = setting(
        Axis(low=-16, high=0, bins=80), "Galactocentric x of Figures 5 and 11, kpc", source=CHOSEN
    )
    position_yz: Axis = setting(
        Axis(low=-8, high=8, bins=80), "Galactocentric y and z there, kpc", source=CHOSEN
    )
    l_z: Axis = setting(
        Axis(low=-4, high=4, bins=160), "angular momentum, 1000 kpc km/s", source=CHOSEN
    )
    energy: Axis = setting(
        Axis(low=-2.4, high=0, bins=120), "specific energy, 1e5 (km/s)^2", source=CHOSEN
    )
    sqrt_j_r: Axis = setting(
        Axis(low=0, high=70, bins=140), "square root of J_r, (kpc km/s)^1/2", source=CHOSEN
    )
    fe_h: Axis = setting(Axis(low=-4, high=1, bins=50), "[Fe/H]", source="Figure 9")
    mg_fe: Axis = setting(Axis(low=-0.5, high=0.8, bins=52), "[Mg/Fe]", source=CHOSEN)
    pit: Axis = setting(
        Axis(low=0, high=1, bins=1000),
        "probability the prediction gave to velocities below the measured one",
        source=CHOSEN,
    )


class Region(Strict):
    """A box in the plane of [Mg/Fe] and [Fe/H]."""

    fe_h: tuple[float, float]
    mg_fe: tuple[float, float]


class Debris(Strict):
    """What is measured of the stars of high eccentricity."""

    within_kpc: list[float] = setting(
        [5.0, 3.5, 2.5],
        "distances from the Sun within which the covariance of positions is taken",
        source="section 4.3, Table 2",
        min_length=1,
    )
    containment: float = setting(
        0.9,
        "share of the stars between the quoted ends of a range",
        source="section 4.1",
        gt=0,
        lt=1,
    )
    accreted: Region = setting(
        Region(fe_h=(-2.5, -0.75), mg_fe=(0.1, 0.4)), "accreted stars", source="section 4.2"
    )
    high_alpha: Region = setting(
        Region(fe_h=(-0.75, 0.0), mg_fe=(0.2, 0.45)),
        "stars of the high-alpha disc (Splash); the paper says about -0.5 and 0.3",
        source=CHOSEN,
    )
