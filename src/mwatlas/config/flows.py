"""Settings of flows, and of the networks that stand in for them where scores are needed.

Tables 2 and 3 of Kalda & Green (2026) are lost; what is not marked otherwise is ours.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mwatlas.config.fields import CHOSEN, Strict, setting


class Training(Strict):
    """Training with a rate that falls to zero along a cosine."""

    epochs: int = setting(16, "times that every row is learned from", source=CHOSEN, ge=1)
    batch_size: int = setting(2048, "rows of a step", source=CHOSEN, ge=1)
    learning_rate: float = setting(2e-3, "rate of the first step", source=CHOSEN, gt=0)
    weight_decay: float = setting(1e-4, "decay of weights", source=CHOSEN, ge=0)
    optimizer: Literal["adamw", "muon"] = setting(
        "muon",
        "adamw, as in the paper, or muon, which needs a quarter of the epochs",
        source=CHOSEN,
    )


class Transport(Strict):
    """Minibatch optimal transport, for the flow of positions only."""

    batch: int = setting(256, "stars paired with as many deviates", source="Appendix A", ge=1)
    passes: int = setting(
        8, "pairings of all stars that are made and used in turn", source=CHOSEN, ge=1
    )


class Flow(Strict):
    """A flow trained by matching: its network and its training."""

    width: int = setting(64, "units of a layer", source=CHOSEN, ge=1)
    depth: int = setting(2, "residual blocks of two layers", source=CHOSEN, ge=0)
    time_features: int = setting(
        8, "sines and cosines of the time; an even number", source=CHOSEN, ge=2, multiple_of=2
    )
    highest_frequency: float = setting(
        8.0,
        "highest of their frequencies; the authors' code has 1024, which no integration resolves",
        source=CHOSEN,
        ge=1,
    )
    harmonics_degree: int | None = setting(
        None,
        "highest degree of the spherical harmonics of the direction, for the flow of positions",
        source=CHOSEN,
        ge=0,
    )
    transport: Transport | None = setting(
        None, "optimal transport; null pairs at random", source="Appendix A"
    )
    steps: int = setting(
        12, "Runge-Kutta steps from a normal deviate to a star", source=CHOSEN, ge=1
    )
    training: Training = Training()


class Moments(Training):
    """The normal distribution of the noise: its network of mean and covariance at each place."""

    epochs: int = setting(30, "times that every cell is learned from", source=CHOSEN, ge=1)
    batch_size: int = setting(
        1024, "cells of a step, at most; of few cells a 128th", source=CHOSEN, ge=1
    )
    width: int = setting(32, "units of a layer; more learn few stars by heart", source=CHOSEN, ge=1)
    depth: int = setting(2, "residual blocks of two layers", source=CHOSEN, ge=0)
    cell_rows: int = setting(
        16, "stars at similar places of which the moments alone are used", source=CHOSEN, ge=1
    )


class FromStars(Training):
    """Training of that network on the stars themselves, by telling them from noise."""

    noise: int = setting(
        2, "noise for each star, of a normal distribution with their moments", source=CHOSEN, ge=1
    )
    moments: Moments = Field(
        default=Moments(),
        description="those moments; what is wrong with them is not mended later",
    )


class Distillation(Strict):
    """The network that gives a flow's ln p and scores in one pass."""

    points: int = setting(2**13, "points at which the flow gives its ln p", source=CHOSEN, ge=2)
    width: int = setting(64, "units of a layer", source=CHOSEN, ge=1)
    depth: int = setting(2, "residual blocks of two layers", source=CHOSEN, ge=0)
    score_points: int = setting(
        0, "the first of the points, at which its scores are learned as well", source=CHOSEN, ge=0
    )
    training: Training = Training(epochs=60, batch_size=512)
    from_stars: FromStars | None = Field(
        default=FromStars(),
        description="p(v|x) is learned from the stars instead of the flow, more accurately; null "
        "for the flow's, as in the paper",
    )
