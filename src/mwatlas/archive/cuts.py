"""Cuts on archive columns, as plain values that every route can push down."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc

_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


@dataclass(frozen=True)
class Cut:
    """``column op value``, or ``column op value * times``.

    Parameters
    ----------
    column
        Archive column.
    op
        Comparison. A missing value passes no cut, as in a database.
    value
        What the column is compared with.
    times
        Another column that ``value`` is multiplied by:
        ``Cut("parallax_error", "<", 0.25, times="parallax")``.
    """

    column: str
    op: Literal["<", "<=", ">", ">=", "==", "!="]
    value: float | int | bool | str
    times: str = ""

    def __post_init__(self) -> None:
        if self.op not in _OPERATORS:
            raise ValueError(f"a cut compares with {', '.join(_OPERATORS)}, not {self.op!r}")
        if self.times and (isinstance(self.value, str | bool)):
            raise ValueError(f"{self.value!r} cannot be multiplied by {self.times}")

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns it needs."""
        return (self.column, self.times) if self.times else (self.column,)


def cut_columns(cuts: Iterable[Cut]) -> list[str]:
    """Columns that cuts need, each once."""
    return list(dict.fromkeys(name for cut in cuts for name in cut.columns))


def expression(cuts: Sequence[Cut]) -> pc.Expression | None:
    """All cuts together as a filter of Arrow tables and datasets; ``None`` without any.

    Numbers with a fraction are compared in double precision, as a database does: Arrow would
    round 1.4 to the single precision of the column.
    """
    return reduce(operator.and_, map(_one, cuts)) if cuts else None


def _one(cut: Cut) -> pc.Expression:
    column, value = pc.field(cut.column), pc.scalar(cut.value)
    if cut.times:
        value = value * pc.field(cut.times).cast(pa.float64())
    if cut.times or isinstance(cut.value, float):
        column = column.cast(pa.float64())
    return _OPERATORS[cut.op](column, value)
