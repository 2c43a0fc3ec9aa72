"""Settings of the conditional-potential study: Kalda & Green (2026).

arXiv:2512.02115. Many numbers of the mock are not in the text that could be recovered; those are
of the authors' code or ours.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

from pydantic import Field, field_validator, model_validator

from mwatlas.config.conditional_comparison import Comparison
from mwatlas.config.fields import CHOSEN, Strict, merged, setting
from mwatlas.config.flows import Distillation, Flow, Training, Transport
from mwatlas.config.nearby import Nearby
from mwatlas.config.solvers import Solvers
from mwatlas.config.variants import check_variants

CODE = "authors' code"
"""Source of a number that the paper does not give and gregreen/deep-potential does."""


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
        if nside & (nside - 1):
            raise ValueError(f"nside must be a power of two, found {nside}")
        return nside


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
    keep_density: bool = setting(
        False,
        "of a variant: change the number of observed stars so that as many stars are drawn, "
        "observed or not, as for the study; then both have the same density at the observer",
        source="Appendix D",
    )


MethodName = Literal["vanilla", "selection", "conditional"]
"""The three methods of Table 1, in its order."""


class Flows(Strict):
    """The flows, f = n(x) p(v|x), and how stars are shared out to them."""

    velocities: Flow = Field(default=Flow(), description="flow of velocities p(v|x)")
    positions: Flow = Field(
        default=Flow(harmonics_degree=6, transport=Transport(), training=Training(batch_size=4096)),
        description="flow of positions, of the observed stars or of the weighted ones",
    )
    members: int = setting(
        2,
        "flows of each kind, each with a potential of its own; results are their medians, errors "
        "their scatter",
        source=CHOSEN,
        ge=1,
    )
    bootstrap: bool = setting(
        True,
        "each member weights the stars by draws of a Poisson distribution, so that the scatter of "
        "members holds the noise of the sample",
        source=CHOSEN,
    )
    validation_share: float = setting(
        0.25, "share of stars kept for validation", source="section III.2", gt=0, lt=1
    )
    largest_weight: float = setting(
        20.0, "upper limit of the weights 1/S of the vanilla method", source=CHOSEN, gt=1
    )
    distillation: Distillation = Field(
        default=Distillation(), description="network that stands in for a flow"
    )
    device: str = setting("cpu", "where networks train: cpu, or cuda on a machine that has it")


class Sampling(Strict):
    """Places and velocities at which the equation must hold."""

    number: int = setting(2**15, "points for each method", source=CHOSEN, ge=1000)
    uniform_share: float = setting(
        0.5,
        "conditional method: share of places drawn uniformly in radius, the others as the "
        "observed stars; only velocities must follow the stars",
        source=CHOSEN,
        ge=0,
        le=1,
    )


class Evaluation(Strict):
    """Where models are compared with the truth."""

    places: int = setting(2**13, "places drawn uniformly in the volume", source=CHOSEN, ge=100)
    plane_cells: int = setting(64, "cells along a side of the plane z = 0", source=CHOSEN, ge=8)
    sky_nside: int = setting(16, "HEALPix nside of the sky map", source=CHOSEN, ge=1)
    sky_radius_kpc: float = setting(
        4.0, "radius of the sky map of Figure 4; the paper's is lost", source=CHOSEN, gt=0
    )
    stars: int = setting(2**12, "validation stars of Figure 5", source=CHOSEN, ge=100)


class ConditionalPotential(Strict):
    """Everything the study can be told."""

    mock: Mock = Mock()
    partitions: int = setting(4, "files the mock's stars are drawn in", ge=1, le=1000)
    methods: list[MethodName] = setting(
        list(get_args(MethodName)), "methods to run", source="Table 1", min_length=1
    )
    flows: Flows = Flows()
    sampling: Sampling = Sampling()
    solvers: Solvers = Solvers()
    evaluation: Evaluation = Evaluation()
    comparison: Comparison = Comparison()
    nearby: Nearby = Nearby()
    variants: dict[str, dict[str, Any]] = setting(
        {
            "dust_free": {
                "mock": {"dust": {"strength": 0.0}, "keep_density": True},
                "methods": ["conditional"],
                "flows": {
                    "velocities": {"training": {"epochs": 5}},
                    "positions": {"training": {"epochs": 2}},
                },
            }
        },
        "the same study with some settings changed, by name; dust_free is that of Appendix D",
    )
    compare: list[str] = setting(
        ["dust_free"], "variants that a run makes and sets beside the study in ledger and report"
    )

    @model_validator(mode="after")
    def _variants_are_valid(self) -> ConditionalPotential:
        check_variants(self, "variants", "compare")
        return self

    def variant(self, name: str) -> ConditionalPotential:
        """Settings of a variant; an empty name is the study itself."""
        base = {**self.model_dump(mode="json"), "variants": {}, "compare": []}
        return type(self).model_validate(merged(base, self.variants[name] if name else {}))
