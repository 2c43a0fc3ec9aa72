"""Refusal of parameters that make no sense."""

from __future__ import annotations

from mwatlas.errors import ConfigError


def require(condition: bool, item: str, found: object, expected: str) -> None:
    """Stop unless a condition on a parameter holds.

    Parameters
    ----------
    condition
        What must be true.
    item, found, expected
        The parameter, its value, and what it should be.

    Raises
    ------
    ConfigError
        If the condition does not hold.
    """
    if not condition:
        raise ConfigError(
            "a parameter of a potential, a steady system or its loss is out of range",
            item=item,
            found=found,
            expected=expected,
            remedy="correct the value in the configuration of the study",
        )
