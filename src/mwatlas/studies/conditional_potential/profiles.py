"""Errors along a coordinate: quantiles in shells, running medians, and how far they stay small."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

LEVELS = {"p05": 0.05, "p16": 0.1587, "p50": 0.5, "p84": 0.8413, "p95": 0.95}
"""Quantiles of a shell: median, and the central 68 and 90 per cent."""


def shells_of_radius(radius_kpc: float, number: int) -> Floats:
    """Edges of shells of equal thickness in kpc, shape (number + 1,)."""
    return np.linspace(0.0, radius_kpc, number + 1)


def inside(values: Floats, low: float, high: float, *, last: bool) -> Mask:
    """Which values are in [low, high), or in [low, high] for the last of several shells."""
    return (values >= low) & ((values <= high) if last else (values < high))


def masks(values: Floats, edges: Floats) -> list[tuple[float, float, Mask]]:
    """Lower and upper edge of each shell, and which values are in it."""
    pairs = list(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True))
    return [
        (low, high, inside(values, low, high, last=i == len(pairs) - 1))
        for i, (low, high) in enumerate(pairs)
    ]


def median_and_error(values: Floats) -> tuple[float, float | None]:
    """Median of independent values and its sampling error, from the order statistics about it.

    The error is half the distance between the quantiles half a standard deviation of the number
    of values below the median, to either side; it needs no assumption on their distribution.

    Parameters
    ----------
    values
        Shape (N,).

    Returns
    -------
    tuple
        NaN without values; no error for fewer than 4.
    """
    if not values.size:
        return float("nan"), None
    if values.size < 4:
        return float(np.median(values)), None
    step = 0.5 / np.sqrt(values.size)
    low, middle, high = np.quantile(values, [0.5 - step, 0.5, 0.5 + step])
    return float(middle), float(high - low) / 2


@dataclass(frozen=True)
class Reach:
    """How far along a coordinate a running median stays within a limit.

    Parameters
    ----------
    value
        The last place where it does; where the coordinate starts, if it never does.
    error
        Half of what half a window spans there; none if it does to the end.
    """

    value: float
    error: float | None


def reach(coordinate: Floats, error: Floats, limit: float, window: int, start: float) -> Reach:
    """Follow the running median of an error from the start of a coordinate to where it grows.

    Parameters
    ----------
    coordinate
        Shape (N,); followed upwards from its smallest value.
    error
        Not negative; shape (N,).
    limit
        Largest running median that counts as accurate.
    window
        Places of the running median, odd; fewer if there are fewer.
    start
        The coordinate where it begins, returned if the first window is not accurate.

    Returns
    -------
    Reach
    """
    order = np.argsort(coordinate, kind="stable")
    along, followed = coordinate[order], error[order]
    half = min(window, 2 * ((along.size - 1) // 2) + 1) // 2
    middle = slice(half, along.size - half)
    running = median_filter(followed, 2 * half + 1)[middle]
    bad = np.flatnonzero(running > limit)
    if not bad.size:
        return Reach(float(along[-1]), None)
    last = half + int(bad[0]) - 1
    low, high = along[max(last - half, 0)], along[min(last + half, along.size - 1)]
    value = start if bad[0] == 0 else float(along[last])
    return Reach(value, float(high - low) / 4)


def scaled(model: Floats, true: Floats, where: Mask) -> Floats:
    """A model without observable scale, times the factor that makes its median ratio 1.

    Parameters
    ----------
    model, true
        Shape (N,), positive where compared.
    where
        Places that decide the factor; all if none is chosen.

    Returns
    -------
    float64, shape (N,)
    """
    chosen = where if where.any() else np.ones_like(where)
    return model / np.median(model[chosen] / true[chosen])


def quantiles(values: Floats) -> dict[str, float]:
    """Quantiles of :data:`LEVELS` by name, NaN without values."""
    if not values.size:
        return dict.fromkeys(LEVELS, float("nan"))
    found = np.quantile(values, list(LEVELS.values()))
    return dict(zip(LEVELS, found.tolist(), strict=True))


def half_width(values: Floats) -> float:
    """Half the central 68 per cent: a standard deviation that outliers do not change."""
    low, high = np.quantile(values, [LEVELS["p16"], LEVELS["p84"]])
    return float(high - low) / 2
