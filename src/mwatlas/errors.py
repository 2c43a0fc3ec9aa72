"""Errors that tell a user what is wrong, where, and what to do about it."""

from __future__ import annotations

from functools import partial
from pathlib import Path


class MwatlasError(Exception):
    """Base of all errors raised on purpose.

    Parameters
    ----------
    problem
        One sentence: what is wrong.
    file, item
        Where: the file, and the column or configuration key inside it.
    found, expected
        What was there, and what should have been.
    remedy
        What the user can do now.
    """

    def __init__(
        self,
        problem: str,
        *,
        remedy: str,
        file: str | Path | None = None,
        item: str | None = None,
        found: object = None,
        expected: object = None,
    ) -> None:
        self.problem = problem
        self.remedy = remedy
        self.file = file
        self.item = item
        self.found = found
        self.expected = expected
        rows = [
            (self.file_label, file),
            (self.item_label, item),
            ("found", found),
            ("expected", expected),
            ("what to do", remedy),
        ]
        lines = [problem]
        lines += [f"  {label + ':':<12}{value}" for label, value in rows if value is not None]
        super().__init__("\n".join(lines))

    file_label, item_label = "file", "item"

    def __reduce__(self) -> tuple[partial[MwatlasError], tuple[()]]:
        """Keep the fields when an error passes from one process to another."""
        names = ("remedy", "file", "item", "found", "expected")
        fields = {name: getattr(self, name) for name in names}
        return partial(type(self), self.problem, **fields), ()


class ConfigError(MwatlasError):
    """A configuration file or a command-line setting is wrong."""

    item_label = "key"


class InputError(MwatlasError):
    """A table handed to the workflow breaks its contract."""

    item_label = "column"


class TrainingError(MwatlasError):
    """A network cannot be trained, or its training went wrong."""

    item_label = "stage"


class ArchiveError(MwatlasError):
    """An archive does not answer, or answers what cannot be right; ``file`` is its address."""

    file_label, item_label = "address", "part"
