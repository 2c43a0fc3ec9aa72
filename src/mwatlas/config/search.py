"""Settings of the search for the hyper-parameters of networks.

Kalda & Green (2026), section III.2 and Appendix A: optuna's TPE, by the likelihood of validation
stars for flows and by the validation loss for scalar networks. What it found for them is lost.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeVar, get_args

from pydantic import BaseModel, ValidationError, model_validator

from mwatlas.config.fields import CHOSEN, Strict, merged, setting
from mwatlas.errors import ConfigError

Searched = Literal["velocities", "positions", "selection", "conditional"]
"""What can be searched for: a flow, or both networks of a method's solver."""

SEARCHED: tuple[Searched, ...] = get_args(Searched)

EPOCHS = "training.epochs"
"""Of a flow it follows from the cost of a step, so it is not searched."""

Model = TypeVar("Model", bound=Strict)


class Range(Strict):
    """Values of a setting to try, both ends included; whole numbers if both ends are."""

    low: int | float
    high: int | float
    log: bool = False
    step: int | None = None

    @model_validator(mode="after")
    def _is_a_range(self) -> Range:
        if not self.low < self.high:
            raise ValueError(f"low ({self.low}) must be below high ({self.high})")
        if self.log and self.low <= 0:
            raise ValueError(f"low must be above 0 on a logarithmic scale, found {self.low}")
        if self.step is not None:
            if self.log or not self.whole:
                raise ValueError("step is for whole numbers on a linear scale")
            if self.step < 1 or (self.high - self.low) % self.step:
                raise ValueError(f"steps of {self.step} must lead from {self.low} to {self.high}")
        return self

    @property
    def whole(self) -> bool:
        """Whether only whole numbers are tried."""
        return isinstance(self.low, int) and isinstance(self.high, int)


Ranges = dict[str, Range | None]


def _of_flow(**more: Range) -> Ranges:
    return {
        "width": Range(low=32, high=160, step=16),
        "depth": Range(low=1, high=5),
        "training.learning_rate": Range(low=5e-4, high=2e-2, log=True),
        "training.batch_size": Range(low=512, high=8192, log=True),
        "training.weight_decay": Range(low=1e-6, high=1e-2, log=True),
        **more,
    }


def _of_networks(width: int, depth: int, **more: Range) -> Ranges:
    return {
        "potential.width": Range(low=6, high=width),
        "potential.depth": Range(low=1, high=depth),
        "extra.width": Range(low=6, high=width),
        "extra.depth": Range(low=1, high=depth),
        **more,
    }


class Search(Strict):
    """Search for hyper-parameters, which no run makes unless `search` is asked for."""

    trials: int = setting(
        30,
        "trials for each network; the first has the study's own settings. More trials continue a "
        "finished search",
        source=CHOSEN,
        ge=1,
    )
    share: float = setting(
        0.125, "share of the training stars that a flow learns from", source=CHOSEN, gt=0, le=1
    )
    validation_stars: int = setting(
        2**12, "validation stars whose mean ln p judges a flow", source=CHOSEN, ge=100
    )
    velocities: Ranges = setting(
        _of_flow(highest_frequency=Range(low=2.0, high=32.0, log=True)),
        "ranges of settings of flows.velocities; null leaves one as it is",
        source=CHOSEN,
    )
    positions: Ranges = setting(
        _of_flow(harmonics_degree=Range(low=2, high=8)),
        "ranges of settings of flows.positions, for the flow of observed stars",
        source=CHOSEN,
    )
    selection: Ranges = setting(
        _of_networks(
            128,
            4,
            **{
                "extra.harmonics_degree": Range(low=2, high=8),
                "optimiser.learning_rate": Range(low=5e-4, high=2e-2, log=True),
                "optimiser.batch_size": Range(low=256, high=4096, log=True),
                "optimiser.weight_decay": Range(low=1e-6, high=1e-2, log=True),
            },
        ),
        "ranges of settings of solvers.selection",
        source=CHOSEN,
    )
    conditional: Ranges = setting(
        _of_networks(
            16,
            2,
            **{
                "optimiser.batch_size": Range(low=512, high=8192, log=True),
                "optimiser.damping": Range(low=1e-4, high=1.0, log=True),
            },
        ),
        "ranges of settings of solvers.conditional; batches grow from batch_size",
        source=CHOSEN,
    )

    def ranges(self, network: Searched) -> dict[str, Range]:
        """Ranges of a network by the setting's dotted name."""
        found: Ranges = getattr(self, network)
        return {key: value for key, value in found.items() if value is not None}


def section_of(network: Searched) -> tuple[str, str]:
    """Where the settings of a network are in those of the study."""
    return ("flows" if network in ("velocities", "positions") else "solvers", network)


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values by dotted name as mappings in mappings."""
    out: dict[str, Any] = {}
    for name, value in values.items():
        for key in reversed(name.split(".")):
            value = {key: value}
        out = merged(out, value)
    return out


def value_at(model: BaseModel, name: str) -> Any:
    """Value of a setting by its dotted name."""
    value: Any = model
    for key in name.split("."):
        value = getattr(value, key)
    return value


def changed(model: Model, values: Mapping[str, Any]) -> Model:
    """The same settings with some of them changed, by dotted name; pydantic refuses bad ones."""
    return type(model).model_validate(merged(model.model_dump(), nested(values)))


def check_ranges(network: Searched, ranges: Mapping[str, Range], own: Strict) -> None:
    """Check that every range is one of a setting that exists, and holds the study's own value.

    Parameters
    ----------
    network
        What is searched for.
    ranges
        By the setting's dotted name.
    own
        Its settings in the study, which the first trial has.

    Raises
    ------
    ConfigError
        If not.
    """
    if not ranges:
        raise ConfigError(
            "a search has no range",
            item=f"conditional_potential.search.{network}",
            expected="a range for each setting to search",
            remedy=f"name settings of {'.'.join(section_of(network))} and their ranges",
        )
    for name, tried in ranges.items():
        problem = _problem(own, name, tried)
        if problem:
            raise ConfigError(
                "a range of the search is not possible",
                item=f"conditional_potential.search.{network}.{name}",
                found=f"low {tried.low!r}, high {tried.high!r}",
                expected=problem,
                remedy="change the range, or set it to null to leave the setting as it is",
            )


def _problem(own: Strict, name: str, tried: Range) -> str:
    """What a range should be, if it is not; otherwise empty."""
    if name == EPOCHS:
        return "another setting: trials have as many epochs as cost the same"
    for end in (tried.low, tried.high):
        try:
            value = value_at(changed(own, {name: end}), name)
        except ValidationError as error:
            return f"a setting of the study that can be {end}: {error.errors()[0]['msg']}"
        if isinstance(value, int) and not tried.whole:
            return "whole numbers, such as 1 instead of 1.0"
    value = value_at(own, name)
    if not isinstance(value, int | float):
        return f"the setting of a number, not of {value!r}"
    if not tried.low <= value <= tried.high or (tried.step and (value - tried.low) % tried.step):
        return f"the study's own value among those tried, {value!r}"
    return ""
