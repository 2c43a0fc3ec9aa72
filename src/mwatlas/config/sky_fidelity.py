"""Settings of the astrometric fidelities of the embedded sky."""

from __future__ import annotations

from pydantic import Field

from mwatlas.config.fields import Strict


class SkyFidelity(Strict):
    """How well a classifier tells good astrometric solutions from spurious ones."""

    good_kept: float = Field(
        gt=0.5, lt=1, description="share of good solutions above 0.5, at low parallax S/N"
    )
    spurious_kept: float = Field(gt=0, lt=0.5, description="share of spurious solutions above 0.5")
    logit_scatter: float = Field(gt=0, description="scatter of the logit of the fidelity")
    signal_gain: float = Field(
        ge=0, description="logit of good solutions grows by this per e-fold of parallax S/N"
    )
    ruwe_loss: float = Field(ge=0, description="it falls by this per e-fold of ruwe above 1.4")
    crowding_loss: float = Field(
        ge=0, description="it falls by this where a neighbour of equal brightness is at 0 arcsec"
    )
    crowding_scale_arcsec: float = Field(gt=0, description="and less as exp(-separation / this)")
    faint_loss: float = Field(ge=0, description="it falls by this per magnitude of G beyond 18")
