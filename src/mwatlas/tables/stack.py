"""Tables whose rows are of several kinds, each of which fills columns of its own."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mwatlas.tables.table import Columns


def stack_rows(parts: list[dict[str, Any]], names: tuple[str, ...]) -> Columns:
    """Concatenate pieces that fill different columns; the rest is missing.

    Parameters
    ----------
    parts
        Columns of each piece: arrays of one length, at least one, and single values for all rows.
    names
        Columns of the result.
    """
    columns: dict[str, list[NDArray[Any]]] = {name: [] for name in names}
    for part in parts:
        size = max(len(v) for v in part.values() if isinstance(v, np.ndarray))
        for name in names:
            value = part.get(name, math.nan)
            columns[name].append(
                value
                if isinstance(value, np.ndarray)
                else np.full(size, value, dtype=object)
                if isinstance(value, str)
                else np.full(size, value)
            )
    return {name: np.concatenate(pieces) for name, pieces in columns.items()}
