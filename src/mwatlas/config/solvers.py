"""Settings of the solvers that find potentials by the collisionless Boltzmann equation.

Tables 2 and 3 of Kalda & Green (2026) are lost but for the numbers of parameters of S and n.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from mwatlas.config.fields import CHOSEN, Strict, setting
from mwatlas.config.flows import Training

# With as many the normal equations of Levenberg and Marquardt take a gigabyte.
_MOST_WEIGHTS = 10_000


class FieldNetwork(Strict):
    """A scalar field as a residual network of the position."""

    width: int = setting(12, "units of a layer", source=CHOSEN, ge=1)
    depth: int = setting(1, "residual blocks of two layers", source=CHOSEN, ge=0)
    radial: bool = setting(
        True, "compress positions and add the logarithm of the distance", source=CHOSEN
    )
    harmonics_degree: int | None = setting(
        None, "highest degree of spherical harmonics of the direction", source=CHOSEN, ge=0
    )


class LeastSquaresSettings(Strict):
    """Levenberg-Marquardt, for networks of a few thousand weights."""

    kind: Literal["least_squares"] = setting("least_squares", "which optimiser this is")
    batches: int = setting(5, "batches, one after the other", source=CHOSEN, ge=1)
    steps: int = setting(8, "steps on each", source=CHOSEN, ge=1)
    batch_size: int = setting(2048, "samples of the first batch", source=CHOSEN, ge=1)
    last_batch_size: int = setting(
        16384,
        "samples of the last batch; noise of the scores averages out only within one",
        source=CHOSEN,
        ge=1,
    )
    robust: bool = setting(
        False, "minimise the paper's penalty instead of the square of the residual", source=CHOSEN
    )
    damping: float = setting(1e-2, "damping of the first step", source=CHOSEN, gt=0)


class GradientSettings(Training):
    """Gradient descent, for networks of any size."""

    kind: Literal["gradient"] = setting("gradient", "which optimiser this is")


Optimiser = Annotated[LeastSquaresSettings | GradientSettings, Field(discriminator="kind")]


class Solver(Strict):
    """How a method solves for the potential and for what it leaves open."""

    potential: FieldNetwork = Field(default=FieldNetwork(), description="network of the potential")
    extra: FieldNetwork | None = Field(
        default=None, description="network of S or n; null for a method without"
    )
    optimiser: Optimiser = Field(
        default=LeastSquaresSettings(), description="what trains the networks"
    )
    alpha: float = setting(1.0, "scale of the penalty on the residual", source="eq. 2", gt=0)
    beta: float = setting(1.0, "scale of the penalty on negative density", source="eq. 2", gt=0)
    density_weight: float = setting(
        1.0, "weight of the penalty on negative density", source="eq. 2", ge=0
    )
    weight_penalty: float = setting(
        0.0, "factor of the mean square of weights in the loss", source=CHOSEN, ge=0
    )

    @model_validator(mode="after")
    def _normal_equations_fit(self) -> Solver:
        if isinstance(self.optimiser, LeastSquaresSettings):
            networks = [self.potential] + ([self.extra] if self.extra else [])
            # Those between layers are nearly all.
            weights = sum(2 * network.depth * network.width**2 for network in networks)
            if weights > _MOST_WEIGHTS:
                raise ValueError(
                    f"optimiser.kind is least_squares, whose matrix has the square of the number "
                    f"of weights, {weights:,} here: at most {_MOST_WEIGHTS:,}; set kind to gradient"
                )
        return self


def with_extra(solver: Solver) -> Solver:
    """A solver for two fields, or a ValueError if it is for one."""
    if solver.extra is None:
        raise ValueError("extra must be a network: S or n is solved for beside the potential")
    return solver


class Solvers(Strict):
    """The solvers of the three methods."""

    vanilla: Solver = Field(default=Solver(), description="potential alone")
    selection: Solver = Field(
        default=Solver(
            potential=FieldNetwork(width=24),
            extra=FieldNetwork(width=64, depth=2, harmonics_degree=6),
            optimiser=GradientSettings(epochs=8, batch_size=1024),
        ),
        description="potential and S",
    )
    conditional: Solver = Field(default=Solver(extra=FieldNetwork()), description="potential and n")

    @field_validator("vanilla")
    @classmethod
    def _vanilla_has_no_other_field(cls, solver: Solver) -> Solver:
        if solver.extra is not None:
            raise ValueError(
                "extra must be null: the vanilla method solves for the potential alone"
            )
        return solver

    @field_validator("selection", "conditional")
    @classmethod
    def _others_have_one(cls, solver: Solver) -> Solver:
        return with_extra(solver)
