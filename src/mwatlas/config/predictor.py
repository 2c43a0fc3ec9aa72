"""Settings of the networks that predict line-of-sight velocities, and of their training.

"D21" is Dropulic et al. (2021), whose network Dropulic et al. (2022) use.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from mwatlas.config.fields import CHOSEN, Strict, setting

D21 = "D21, kept in section 2.1"
"""Source of numbers that the paper took over from D21."""


class Network(Strict):
    """What predicts the velocity: the paper's twins, or a mixture density."""

    kind: Literal["twin", "mixture"] = setting(
        "twin",
        "twin: two perceptrons, one for the velocity and one for its uncertainty; mixture: one "
        "perceptron for a mixture of normal distributions",
        source=D21,
    )
    inputs: Literal["paper", "physical"] = setting(
        "paper",
        "paper: cos l, sin l, b, proper motions, parallax; physical: unit vector to the star, "
        "logarithm of the distance, transverse velocity and proper motion as vectors",
        source="section 2.1",
    )
    hidden_layers: int = setting(4, "hidden layers of each perceptron", source=D21, ge=1)
    units: int = setting(30, "units of each hidden layer", source=D21, ge=1)
    activation: Literal["tanh", "silu", "gelu"] = setting(
        "tanh", "activation of the hidden layers", source=D21
    )
    sigma_activation: Literal["relu", "softplus"] = setting(
        "relu",
        "twin: output of the uncertainty; relu units can die, softplus cannot",
        source=D21,
    )
    sigma_initial: float | None = setting(
        1.0,
        "twin: uncertainty of every star before training, in standardised units; null starts "
        "from random weights as D21's code does, where relu leaves many stars at sigma = 0",
        source=CHOSEN,
        gt=0,
    )
    sigma_floor_quantile: float = setting(
        0.0,
        "twin: no exported prediction is more certain than this quantile of the validation stars",
        source=CHOSEN,
        ge=0,
        lt=1,
    )
    components: int = setting(
        5, "mixture: normal distributions of each member", source=CHOSEN, ge=1
    )
    members: int = setting(1, "mixture: networks whose densities are averaged", source=CHOSEN, ge=1)
    smallest_sigma: float = setting(
        0.01,
        "mixture: no component is narrower, in standardised units",
        source=CHOSEN,
        gt=0,
    )
    seed: int = setting(1, "seed of the initial weights", source="code of D21", ge=0)


class Training(Strict):
    """How each network is trained."""

    stages: list[Literal["mean", "sigma", "both"]] = setting(
        ["mean", "sigma", "both"],
        "twin: which learns in each stage; D21's script runs mean, sigma, mean, sigma, both",
        source=D21,
        min_length=1,
    )
    sample_weights: Literal["unit", "log2d"] = setting(
        "unit",
        "unit: every star counts the same; log2d: rare (l, v_los) count more, as in D21's script",
        source=CHOSEN,
    )
    redraw_radial_velocity: bool = setting(
        True,
        "draw the velocity anew from its measurement error in each epoch",
        source="section 2.1",
    )
    batch_size: int = setting(10_000, "stars per step", source="code of D21", ge=1)
    max_epochs: int = setting(1000, "limit for each stage", source="code of D21", ge=1)
    learning_rate: float = setting(1e-3, "initial rate of Adam", source="code of D21", gt=0)
    plateau_patience: int = setting(
        10, "epochs without improvement before the rate falls", source="code of D21", ge=1
    )
    plateau_factor: float = setting(
        0.1, "factor by which it falls", source="code of D21", gt=0, lt=1
    )
    plateau_min_delta: float = setting(
        1e-4, "smaller improvements do not count for the rate (Keras default)", source=CHOSEN, ge=0
    )
    min_learning_rate: float = setting(1e-5, "lowest rate", source="code of D21", gt=0)
    stop_patience: int = setting(
        40, "epochs without improvement before a stage ends", source="code of D21", ge=1
    )
    max_dead_fraction: float = setting(
        1e-4,
        "twin: training stops with an explanation if more stars than this have sigma = 0",
        source=CHOSEN,
        ge=0,
        le=1,
    )
    checkpoint_seconds: float = setting(
        10, "least time between checkpoints; 0 writes one after each epoch", ge=0
    )


class CrossValidation(Strict):
    """Every star is predicted by a network that did not see it."""

    folds: int = setting(5, "random subsets", source="section 2.1", ge=3)
    split_seed: int = setting(0, "seed of the split", source=CHOSEN, ge=0)
    training_subsets: Annotated[int, Field(ge=1)] | Literal["all"] = setting(
        1, "subsets that train in each round; all: those that are left", source="section 2.1"
    )
    validation_offset: int = setting(
        2,
        "round k tests subset k, validates on k + this, and trains on the others from k+1",
        source=CHOSEN,
        ge=2,
    )
    round_without_velocity: int = setting(
        0,
        "whose network predicts stars without a velocity; no network has seen them",
        source=CHOSEN,
        ge=0,
    )
    min_stars: int = setting(
        100, "a run stops if a subset has fewer stars to train on", source=CHOSEN, ge=2
    )

    @model_validator(mode="after")
    def _subsets_differ(self) -> CrossValidation:
        if self.validation_offset >= self.folds:
            raise ValueError(
                f"validation_offset ({self.validation_offset}) must be below folds ({self.folds})"
            )
        if self.training_subsets != "all" and self.training_subsets > self.folds - 2:
            raise ValueError(
                f"training_subsets ({self.training_subsets}) must leave one subset to validate and "
                f"one to test: at most {self.folds - 2} of {self.folds} folds"
            )
        if self.round_without_velocity >= self.folds:
            raise ValueError(
                f"round_without_velocity ({self.round_without_velocity}) must be below folds "
                f"({self.folds})"
            )
        return self


class Calibration(Strict):
    """Correction of predicted uncertainties, fitted on the validation stars of each round."""

    method: Literal["none", "conformal", "isotonic"] = setting(
        "none",
        "conformal: one factor for all stars; isotonic: a rising function of the predicted "
        "uncertainty",
        source=CHOSEN,
    )
    groups: int = setting(
        20,
        "isotonic: groups of stars of similar uncertainty, each with a factor",
        source=CHOSEN,
        ge=2,
    )
