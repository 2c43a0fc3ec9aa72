"""Settings of the synthetic Gaia: what of its catalogue is left to chance, and how often."""

from __future__ import annotations

import itertools
from typing import Annotated, Literal

from pydantic import Field, model_validator

from mwatlas.config.fields import Strict

Share = Annotated[float, Field(ge=0, le=1)]


class MagnitudeShare(Strict):
    """A share of sources that depends on magnitude: straight lines between nodes."""

    g: list[float] = Field(min_length=1, description="magnitudes G of the nodes, ascending")
    share: list[Share] = Field(description="share at each node; constant beyond the ends")

    @model_validator(mode="after")
    def _nodes_ascend(self) -> MagnitudeShare:
        if len(self.g) != len(self.share):
            raise ValueError(f"g has {len(self.g)} nodes but share has {len(self.share)}")
        if any(b <= a for a, b in itertools.pairwise(self.g)):
            raise ValueError(f"g must ascend, found {self.g}")
        return self


class GaiaAstrometry(Strict):
    """Kinds of astrometric solutions and their flaws."""

    two_parameter_share: MagnitudeShare = Field(description="share of sources with a position only")
    six_parameter_share: MagnitudeShare = Field(
        description="share of the others whose colour was solved for as well"
    )
    primary_share: MagnitudeShare = Field(
        description="share of five-parameter sources used in the primary solution"
    )
    ruwe_scatter: float = Field(ge=0, description="scatter of ln(ruwe) of single stars")
    binary_share: Share = Field(description="share of sources that a single star does not fit")
    binary_ruwe_scale: float = Field(gt=0, description="mean excess of their ruwe over 1.2")
    binary_error_ratio: float = Field(
        ge=1, description="true over published error of their astrometry"
    )
    spurious_share: Share = Field(description="share of solutions that are wrong altogether")
    spurious_error_ratio: float = Field(
        ge=1, description="published error of a wrong solution, relative to a good one"
    )
    spurious_pull: float = Field(ge=1, description="true over published error of a wrong solution")
    duplicated_share: Share = Field(description="share of sources flagged duplicated_source")
    correlation_scatter: float = Field(
        ge=0, le=0.5, description="star-to-star scatter of the correlations at one place"
    )


class GaiaPhotometry(Strict):
    """Photometry: what is missing and what is blended."""

    no_colour_share: Share = Field(description="share of sources without BP and RP")
    blended_share: Share = Field(description="share with light of neighbours in BP and RP")
    blended_excess: float = Field(
        gt=0, description="mean of that light, relative to the source's own"
    )


class GaiaSpectrometer(Strict):
    """Which stars have a radial velocity; limits in G_RVS and temperature."""

    grvs_limit: float = Field(description="no published velocity is of a fainter star")
    grvs_width: float = Field(gt=0, description="width of the limit in magnitudes")
    completeness: Share = Field(description="share of brighter stars with a velocity")
    teff_range: tuple[float, float] = Field(description="temperatures of stars with a velocity")
    hot_grvs_limit: float = Field(description="fainter than this, teff_range_faint holds")
    teff_range_faint: tuple[float, float] = Field(description="temperatures of faint stars")
    max_error_kms: float = Field(gt=0, description="velocities of larger error are left out")
    outlier_share: Share = Field(description="share of velocities that belong to another star")
    outlier_scatter_kms: float = Field(gt=0, description="their scatter about zero")
    no_grvs_share: Share = Field(description="share of velocities without grvs_mag")
    spectrum_share: Share = Field(description="share of bright stars with a published spectrum")

    @model_validator(mode="after")
    def _ranges_ascend(self) -> GaiaSpectrometer:
        for name in ("teff_range", "teff_range_faint"):
            low, high = getattr(self, name)
            if not 0 < low < high:
                raise ValueError(f"{name} must ascend from above 0 K, found [{low}, {high}]")
        if self.hot_grvs_limit > self.grvs_limit:
            raise ValueError(
                f"hot_grvs_limit ({self.hot_grvs_limit}) must not be fainter than grvs_limit "
                f"({self.grvs_limit})"
            )
        return self


class GaiaSurvey(Strict):
    """The synthetic Gaia: one row of gaia_source for each star of the sky."""

    columns: Literal["gaiadr3", "gaiaedr3"] = Field(
        description="release whose table is served; EDR3 carries the radial velocities of DR2"
    )
    astrometry: GaiaAstrometry
    photometry: GaiaPhotometry
    spectrometer: GaiaSpectrometer
