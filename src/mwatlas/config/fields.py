"""Building blocks of the configuration models."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

CHOSEN = "chosen"
"""Source of a number the paper does not give: ours, printed in the report as such."""


class Strict(BaseModel):
    """A model that refuses unknown keys, non-finite numbers and later changes."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, validate_default=True
    )


def merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Mapping ``base`` with ``changes`` in it, key by key."""
    out = dict(base)
    for key, value in changes.items():
        old = out.get(key)
        if isinstance(old, dict) and isinstance(value, dict):
            out[key] = merged(old, value)
        else:
            out[key] = value
    return out


DEVICE = r"^(cpu|cuda(:\d+)?)$"
"""Pattern of the devices networks train on."""


def setting(default: Any, description: str, *, source: str = "", **constraints: Any) -> Any:
    """A documented field.

    Parameters
    ----------
    default
        Its value in the generated configuration file.
    description
        One line for the reader of that file.
    source
        Section of the paper the number stands in, or :data:`CHOSEN`. Empty for
        settings that are no number of a paper.
    constraints
        Anything :func:`pydantic.Field` takes, for instance ``gt=0``.
    """
    extra: dict[str, Any] | None = {"source": source} if source else None
    return Field(default, description=description, json_schema_extra=extra, **constraints)


def source_of(model: BaseModel, name: str) -> str:
    """Section of the paper a field's number stands in; empty if it has none."""
    extra = type(model).model_fields[name].json_schema_extra
    return str(extra.get("source", "")) if isinstance(extra, dict) else ""


def changed_settings(
    model: Strict, prefix: str = "", default: Strict | None = None
) -> Iterator[tuple[str, object, object]]:
    """Yield ``(dotted key, value, default)`` of every setting that differs from its default."""
    default = type(model)() if default is None else default
    for name in type(model).model_fields:
        ours, theirs = getattr(model, name), getattr(default, name)
        if isinstance(ours, Strict) and isinstance(theirs, Strict):
            yield from changed_settings(ours, f"{prefix}{name}.", theirs)
        elif ours != theirs:
            yield f"{prefix}{name}", ours, theirs


def chosen_settings(model: BaseModel, prefix: str = "") -> Iterator[tuple[str, object]]:
    """Yield ``(dotted key, value)`` of every setting whose number is ours, not the paper's."""
    for name in type(model).model_fields:
        value = getattr(model, name)
        if source_of(model, name) == CHOSEN:
            yield f"{prefix}{name}", value.model_dump() if isinstance(value, Strict) else value
        elif isinstance(value, Strict):
            yield from chosen_settings(value, f"{prefix}{name}.")
