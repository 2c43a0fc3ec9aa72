"""Variants of a study: the same study with some settings changed."""

from __future__ import annotations

import re
from typing import Any, Protocol

from pydantic import ValidationError
from pydantic_core import PydanticCustomError


class HasVariants(Protocol):
    """Settings of a study with variants."""

    @property
    def variants(self) -> dict[str, dict[str, Any]]:
        """Changed settings by the variant's name."""
        ...

    @property
    def compare(self) -> list[str]:
        """Names of the variants that a run makes."""
        ...

    def variant(self, name: str) -> Any:
        """Settings of a variant."""
        ...


def check_variants(study: HasVariants, *fixed: str) -> None:
    """Check names and settings of a study's variants, and which of them are compared.

    Parameters
    ----------
    study
        Settings of the study.
    fixed
        Settings that a variant cannot change.

    Raises
    ------
    ValueError
        What a validator of settings raises.
    """
    for name, changes in study.variants.items():
        if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
            raise ValueError(f"variant {name!r}: names are lower-case letters, digits and _")
        nested = sorted(set(fixed) & set(changes))
        if nested:
            raise ValueError(f"variant {name!r} cannot change {nested}")
        try:
            study.variant(name)
        except ValidationError as error:
            # Only the loader can say where in the files the problems lie.
            raise PydanticCustomError(
                "variant",
                "variant '{name}' is not possible: {errors}",
                {"name": name, "errors": error.errors()},
            ) from None
    unknown = sorted(set(study.compare) - set(study.variants))
    if unknown:
        raise ValueError(
            f"compare names {unknown}; variants are {', '.join(study.variants) or 'none'}"
        )
    if len(set(study.compare)) < len(study.compare):
        raise ValueError(f"compare names a variant twice: {', '.join(study.compare)}")
