"""Settings of the embedded sky's BP and RP spectra."""

from __future__ import annotations

from pydantic import Field, model_validator

from mwatlas.config.fields import Strict


class XpSurvey(Strict):
    """What the synthetic Gaia's prisms record, and how well."""

    alpha_strength: float = Field(
        ge=0, le=2, description="share of [alpha/M] that spectra show: 1 nature, 0 a null sky"
    )
    median_transits: float = Field(ge=15, description="median number of transits of a source")
    transit_scatter: float = Field(ge=0, le=1, description="scatter of ln(transits)")
    intrinsic_scatter: float = Field(
        ge=0,
        le=0.2,
        description="scatter of spectra of equal parameters, as a share of typical coefficients",
    )
    outlier_share: float = Field(ge=0, lt=0.5, description="share of peculiar spectra")
    outlier_scatter: float = Field(
        ge=0, le=1, description="their scatter, as a share of typical coefficients"
    )
    missing_bp_share: float = Field(ge=0, lt=0.5, description="share of sources without BP")

    @model_validator(mode="after")
    def _outliers_stand_out(self) -> XpSurvey:
        if self.outlier_share and self.outlier_scatter <= self.intrinsic_scatter:
            raise ValueError(
                f"outlier_scatter ({self.outlier_scatter}) must exceed intrinsic_scatter "
                f"({self.intrinsic_scatter}), or set outlier_share to 0"
            )
        return self
