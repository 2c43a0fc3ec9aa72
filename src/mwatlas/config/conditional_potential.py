"""Settings of the conditional-potential study: Kalda & Green (2026).

arXiv:2512.02115. Those of its mock are in ``conditional_mock``.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

from pydantic import Field, field_validator, model_validator

from mwatlas.config.conditional_comparison import Comparison
from mwatlas.config.conditional_mock import Mock, power_of_two
from mwatlas.config.fields import CHOSEN, DEVICE, Strict, merged, setting
from mwatlas.config.flows import Distillation, Flow, Training, Transport
from mwatlas.config.nearby import Nearby
from mwatlas.config.search import Search, Searched, section_of, value_at
from mwatlas.config.solvers import Solver, Solvers
from mwatlas.config.variants import check_variants

MethodName = Literal["vanilla", "selection", "conditional"]
"""The three methods of Table 1, in its order."""


class Flows(Strict):
    """The flows, f = n(x) p(v|x), and how stars are shared out to them."""

    velocities: Flow = Field(default=Flow(), description="flow of velocities p(v|x)")
    positions: Flow = Field(
        default=Flow(harmonics_degree=6, transport=Transport(), training=Training(batch_size=4096)),
        description="flow of positions, of the observed stars or of the weighted ones",
    )
    repeats: int = setting(
        1,
        "of a variant: factor on the epochs in which flows learn from stars, and the largest one "
        "for networks with quick scores, for which validation stars decide; with a quarter of "
        "the stars, 4 makes as many steps",
        source=CHOSEN,
        ge=1,
    )
    always_observed: bool = setting(
        True,
        "learn the density of observed stars also where no method needs it, for Figure 5 and for "
        "S as n_obs / n",
        source=CHOSEN,
    )
    members: int = setting(
        2,
        "flows of each kind, each with a potential of its own; results are their medians, errors "
        "their scatter",
        source=CHOSEN,
        ge=1,
    )
    bootstrap: bool = setting(
        False,
        "each member weights the stars by draws of a Poisson distribution, so that the scatter of "
        "members holds the noise of the sample; but each then knows fewer stars, and errors of "
        "the density are two to three times as large",
        source=CHOSEN,
    )
    validation_share: float = setting(
        0.25, "share of stars kept for validation", source="section III.2", ge=0, lt=1
    )
    largest_weight: float = setting(
        20.0, "upper limit of the weights 1/S of the vanilla method", source=CHOSEN, gt=1
    )
    distillation: Distillation = Field(
        default=Distillation(), description="network that stands in for a flow"
    )
    device: str = setting(
        "cpu", "where networks train: cpu, or cuda on a machine that has it", pattern=DEVICE
    )

    @field_validator("velocities")
    @classmethod
    def _velocities_are_not_transported(cls, flow: Flow) -> Flow:
        if flow.transport is not None:
            raise ValueError(
                "transport must be null: pairs chosen by velocity would make the deviates depend "
                "on the place"
            )
        return flow

    def of(self, *, velocities: bool) -> Flow:
        """The flow of velocities or that of positions, with the epochs it is trained for."""
        flow = self.velocities if velocities else self.positions
        epochs = self.repeats * flow.training.epochs
        return flow.model_copy(
            update={"training": flow.training.model_copy(update={"epochs": epochs})}
        )


class Sampling(Strict):
    """Places and velocities at which the equation must hold."""

    number: int = setting(2**15, "points for each method", source=CHOSEN, ge=1000)
    uniform_share: float = setting(
        0.5,
        "conditional method: share of places drawn uniformly in radius, the others as the "
        "observed stars; only velocities must follow the stars. Without any the fields are better "
        "where the stars are; but with few places in all they are then free where none is",
        source=CHOSEN,
        ge=0,
        le=1,
    )


class Evaluation(Strict):
    """Where models are compared with the truth."""

    places: int = setting(2**13, "places drawn uniformly in the volume", source=CHOSEN, ge=100)
    profile_places: int = setting(
        2**12, "places at equal steps of radius, for profiles", source=CHOSEN, ge=100
    )
    profile_velocities: int = setting(
        16,
        "velocities drawn at each of those, and used twice, for moments of p(v|x)",
        source=CHOSEN,
        ge=2,
    )
    plane_cells: int = setting(64, "cells along a side of the plane z = 0", source=CHOSEN, ge=8)
    sky_nside: int = setting(16, "HEALPix nside of the sky map", source=CHOSEN, ge=1)
    sky_radius_kpc: float = setting(
        4.0, "radius of the sky map of Figure 4; the paper's is lost", source=CHOSEN, gt=0
    )
    stars: int = setting(2**12, "validation stars of Figure 5", source=CHOSEN, ge=100)

    @field_validator("sky_nside")
    @classmethod
    def _sky_nside_is_a_power_of_two(cls, nside: int) -> int:
        return power_of_two(nside)


def _alone(mock: dict[str, Any], **flows: Any) -> dict[str, Any]:
    """A variant of another mock, with what the conditional method needs and no more."""
    return {"mock": mock, "methods": ["conditional"], "flows": {"always_observed": False, **flows}}


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
    search: Search = Search()
    nearby: Nearby = Nearby()
    variants: dict[str, dict[str, Any]] = setting(
        {
            "dust_free": {
                "mock": {"dust": {"strength": 0.0}, "keep_density": True},
                "methods": ["conditional"],
                "flows": {
                    "velocities": {"training": {"epochs": 5}},
                    "positions": {"training": {"epochs": 2}},
                    "distillation": {"from_stars": {"epochs": 5}},
                },
            },
            "quarter_stars": _alone({"observed_share": 1 / 4}, repeats=4),
            "sixteenth_stars": _alone({"observed_share": 1 / 16}, repeats=16),
            "dust_half": _alone({"dust": {"strength": 0.5}}),
            "dust_double": _alone({"dust": {"strength": 2.0}}),
            "anisotropic": _alone({"tracer": {"anisotropy_radius_kpc": 5.0}}),
        },
        "the same study with some settings changed, by name; dust_free is that of Appendix D, the "
        "others are ours, which config/sizes/beyond.yaml compares",
    )
    compare: list[str] = setting(
        ["dust_free"], "variants that a run makes and sets beside the study in ledger and report"
    )

    @field_validator("methods")
    @classmethod
    def _methods_differ(cls, methods: list[MethodName]) -> list[MethodName]:
        if len(set(methods)) < len(methods):
            raise ValueError(f"a method is named twice: {', '.join(methods)}")
        return methods

    @model_validator(mode="after")
    def _the_sky_map_is_in_the_volume(self) -> ConditionalPotential:
        radius, map_radius = self.mock.tracer.radius_kpc, self.evaluation.sky_radius_kpc
        if map_radius > radius:
            raise ValueError(
                f"evaluation.sky_radius_kpc is {map_radius:g}, beyond mock.tracer.radius_kpc, "
                f"{radius:g}; no star is there"
            )
        return self

    @model_validator(mode="after")
    def _stars_are_kept_for_validation(self) -> ConditionalPotential:
        if not self.flows.validation_share:
            raise ValueError(
                "flows.validation_share is 0, but models are compared with the truth at stars "
                "kept for validation"
            )
        return self

    @model_validator(mode="after")
    def _variants_are_valid(self) -> ConditionalPotential:
        check_variants(self, "variants", "compare", "partitions")
        return self

    def searched(self, network: Searched) -> Flow | Solver:
        """Settings of what a search is for."""
        found: Flow | Solver = value_at(self, ".".join(section_of(network)))
        return found

    def variant(self, name: str) -> ConditionalPotential:
        """Settings of a variant; an empty name is the study itself."""
        base = {**self.model_dump(mode="json"), "variants": {}, "compare": []}
        return type(self).model_validate(merged(base, self.variants[name] if name else {}))
