"""Settings of the spectroscopic surveys of the embedded sky: APOGEE, LAMOST and GALAH."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from mwatlas.config.fields import Strict

Rate = Annotated[float, Field(ge=0, le=1)]
"""A share of stars or rows."""


def _check_order(name: str, limits: tuple[float, float]) -> None:
    if limits[0] >= limits[1]:
        raise ValueError(f"{name} must ascend, found {limits[0]} and {limits[1]}")


class LabelError(Strict):
    """Standard error of a label: a floor, and noise that falls as one over signal-to-noise."""

    floor: float = Field(gt=0, description="error at high signal-to-noise ratio")
    at_snr_100: float = Field(ge=0, description="photon-noise part at a ratio of 100")
    metallicity_slope: float = Field(
        0.0, description="change of log10(error) per dex of [Fe/H]; lines fade in poor stars"
    )


class Survey(Strict):
    """What every spectroscopic survey has."""

    rate: Rate = Field(description="share of the stars within reach that are observed")
    field_share: Rate = Field(description="share of the sky outside the plane that is observed")
    outlier_rate: Rate = Field(description="spectra whose labels are off by more than the errors")
    outlier_scatter: float = Field(ge=0, description="scatter of those, in standard errors")
    teff: LabelError = Field(description="effective temperature, K")
    logg: LabelError = Field(description="surface gravity, dex")
    fe_h: LabelError = Field(description="[Fe/H], dex")
    radial_velocity: LabelError = Field(description="radial velocity, km/s")


class Apogee(Survey):
    """APOGEE DR17."""

    plane_field_share: Rate = Field(description="share of the sky below 10 deg latitude observed")
    h_limits: tuple[float, float] = Field(description="bright and faint limit in H")
    red_limit: float = Field(description="main sample: (J - Ks)_0 above this")
    blue_rate: Rate = Field(description="share of bluer stars, relative to the main sample")
    snr_at_h_12: float = Field(gt=0, description="median signal-to-noise ratio at H = 12")
    duplicate_rate: Rate = Field(description="stars listed twice")
    failure_rate: Rate = Field(description="spectra without calibrated labels")
    warning_rate: Rate = Field(description="spectra with warning bits in ASPCAPFLAG")
    starflag_rate: Rate = Field(description="spectra with bits in STARFLAG")
    unmatched_rate: Rate = Field(description="rows without a Gaia source")
    m_h: LabelError = Field(description="[M/H], dex")
    alpha_m: LabelError = Field(description="[alpha/M], dex")
    mg_fe: LabelError = Field(description="[Mg/Fe], dex")

    @model_validator(mode="after")
    def _limits_are_ordered(self) -> Apogee:
        _check_order("h_limits", self.h_limits)
        return self


class Lamost(Survey):
    """LAMOST DR6, stars of type A, F, G and K at low resolution."""

    epoch: float = Field(ge=1990, le=2020, description="epoch of the input positions")
    g_limits: tuple[float, float] = Field(description="bright and faint limit in G")
    teff_limits: tuple[float, float] = Field(description="coolest and hottest star, K")
    dec_min: float = Field(ge=-90, le=90, description="southern limit, deg")
    snr_at_g_14: float = Field(gt=0, description="median signal-to-noise ratio in g at G = 14")
    snr_min: float = Field(ge=0, description="smallest ratio of the table")
    revisits: float = Field(ge=0, description="mean number of further visits to a star")

    @model_validator(mode="after")
    def _limits_are_ordered(self) -> Lamost:
        _check_order("g_limits", self.g_limits)
        _check_order("teff_limits", self.teff_limits)
        return self


class Galah(Survey):
    """GALAH DR3."""

    v_limits: tuple[float, float] = Field(description="bright and faint limit in V(J, Ks)")
    bright_limit: float = Field(description="limit of the bright programme in V(J, Ks)")
    bright_rate: Rate = Field(description="share of the bright programme's stars observed")
    dec_max: float = Field(ge=-90, le=90, description="northern limit, deg")
    latitude_min: float = Field(ge=0, le=90, description="smallest Galactic latitude, deg")
    snr_at_v_13: float = Field(gt=0, description="median signal-to-noise ratio at V = 13")
    failure_rate: Rate = Field(description="spectra whose analysis did not finish")
    warning_rate: Rate = Field(description="spectra with other bits in flag_sp")
    element_failure_rate: Rate = Field(description="spectra without a magnesium abundance")
    alpha_fe: LabelError = Field(description="[alpha/Fe], dex")
    mg_fe: LabelError = Field(description="[Mg/Fe], dex")

    @model_validator(mode="after")
    def _limits_are_ordered(self) -> Galah:
        if self.bright_limit > self.v_limits[0]:
            raise ValueError(
                f"bright_limit ({self.bright_limit}) must not exceed the bright end of "
                f"v_limits ({self.v_limits[0]})"
            )
        _check_order("v_limits", self.v_limits)
        return self


class Spectroscopy(Strict):
    """The spectroscopic surveys."""

    mg_fe_minus_alpha_m: float = Field(description="mean of [Mg/Fe] - [alpha/M]")
    mg_fe_scatter: float = Field(ge=0, description="scatter of that among stars")
    apogee: Apogee
    lamost: Lamost
    galah: Galah
