"""Settings of FFJORD: shape of the chain, how it is integrated, how it is trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mwatlas.errors import ConfigError


def _need_positive(settings: object, *names: str) -> None:
    for name in names:
        if getattr(settings, name) <= 0:
            raise ConfigError(
                "a number of FFJORD must be above zero",
                item=name,
                found=getattr(settings, name),
                expected="a number above zero",
                remedy=f"set {name} above zero",
            )


@dataclass(frozen=True)
class ChainSettings:
    """Shape of the chain (Kalda & Green 2025): fields that act one after the other.

    Parameters
    ----------
    fields
        Number of FFJORDs.
    depth, width
        Hidden layers of each network, and units of a layer.
    """

    fields: int = 3
    depth: int = 12
    width: int = 192

    def __post_init__(self) -> None:
        _need_positive(self, "fields", "depth", "width")


@dataclass(frozen=True)
class AdaptiveSolver:
    """How the method of Dormand & Prince chooses its steps.

    Parameters
    ----------
    relative, absolute
        Tolerance of a step, as the root mean square over all rows.
    precision
        Of the evaluation; the training computes in float32.
    most_steps
        Steps, rejected ones included, after which one integration is given up. A
        field that has become stiff would keep the solver busy without end.
    rows
        Rows integrated at a time.
    """

    relative: float = 1e-7
    absolute: float = 1e-5
    precision: Literal["float32", "float64"] = "float32"
    most_steps: int = 1000
    rows: int = 8192

    def __post_init__(self) -> None:
        _need_positive(self, "relative", "absolute", "most_steps", "rows")


@dataclass(frozen=True)
class FfjordTraining:
    """How to train (Kalda & Green 2025, and its published code where the text is silent).

    Parameters
    ----------
    epochs
        At most.
    batch_size
        Rows of a step.
    learning_rate, warm_up_steps
        The rate grows linearly to this in the first steps.
    patience_steps, least_gain
        The rate is halved after that many steps in which the validation loss, averaged over an
        eighth of them, has not fallen by ``least_gain`` nats.
    final_rate
        The training ends when the rate would fall below this.
    largest_gradient
        Norm to which gradients are clipped.
    kinetic, jacobian
        Penalties on the mean squares of the velocity and of its derivatives along the path.
    trace
        ``exact`` divergence, or ``hutchinson``: along one random direction a row and step.
    validation_share
        Share of the rows that are not trained on.
    """

    epochs: int
    batch_size: int = 8192
    learning_rate: float = 5e-3
    warm_up_steps: int = 16
    patience_steps: int = 1024
    least_gain: float = 0.01
    final_rate: float = 1e-4
    largest_gradient: float = 10.0
    kinetic: float = 1e-4
    jacobian: float = 1e-4
    trace: Literal["exact", "hutchinson"] = "exact"
    validation_share: float = 0.25

    def __post_init__(self) -> None:
        _need_positive(self, "epochs", "batch_size", "learning_rate", "patience_steps")


@dataclass(frozen=True)
class Limits:
    """What counts as divergence; looked for in every step and after every epoch.

    Parameters
    ----------
    growth
        Factor by which the evaluations of the networks in a step may exceed those in the first.
        They grow before the loss does.
    rise_nats
        Rise of the smoothed validation loss above its best.
    gap_nats
        Mean difference of ln p, and root mean square over the rows divided by ten, between the
        tolerances of the training and a hundredth of them in double precision.
    round_trip
        Root mean square distance, in standard units, by which data miss themselves on the way to
        normal deviates and back.
    rows
        Validation rows used for the last two.
    """

    growth: float = 8.0
    rise_nats: float = 1.0
    gap_nats: float = 0.02
    round_trip: float = 0.01
    rows: int = 512


@dataclass(frozen=True)
class FfjordSettings:
    """Shape, integration, training and checks of a flow."""

    training: FfjordTraining
    chain: ChainSettings = ChainSettings()
    solver: AdaptiveSolver = AdaptiveSolver()
    limits: Limits = Limits()
