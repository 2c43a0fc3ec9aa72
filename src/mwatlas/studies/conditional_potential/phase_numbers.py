"""Numbers of the densities learned from stars: p(v|x), n_obs(x) and f_obs(x, v)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from mwatlas.config.conditional_comparison import Comparison
from mwatlas.ledger import Measurement
from mwatlas.studies.conditional_potential.profiles import median_and_error, reach
from mwatlas.tables.table import Columns

Floats = NDArray[np.float64]

# Shares of the stars, by their S, whose residuals make the trend.
_LOWEST, _HIGHEST = 0.1, 0.5


def phase_residuals(phase: Columns) -> dict[str, Floats]:
    """Model over true density, less 1, of p(v|x), n_obs(x) and f_obs(x, v) at stars.

    Parameters
    ----------
    phase
        Table ``conditional_potential_phase``.

    Returns
    -------
    dict
        ``velocity``, and where n_obs(x) was learned ``observed`` and ``phase``; of shape (N,) each.
    """
    velocity, observed = (
        phase[f"log_{name}_density_model"] - phase[f"log_{name}_density_true"]
        for name in ("velocity", "observed")
    )
    out = {"velocity": np.expm1(velocity)}
    if np.isfinite(observed).any():
        out |= {"observed": np.expm1(observed), "phase": np.expm1(velocity + observed)}
    return out


_DENSITIES = {"velocity": "p(v|x)", "observed": "n_obs(x)", "phase": "f_obs(x, v)"}


def phase_measurements(phase: Columns, comparison: Comparison) -> list[Measurement]:
    """Errors of the densities learned from stars, at stars kept for validation.

    Parameters
    ----------
    phase
        Table ``conditional_potential_phase``.
    comparison
        Limits.
    """
    share = phase["selection_true"]
    number = share.size
    out = []
    for name, residual in phase_residuals(phase).items():
        label = _DENSITIES[name]
        # Where S is lowest less where it is highest, so that a positive trend is one to low S.
        low, high = (np.quantile(share, level) for level in (_LOWEST, _HIGHEST))
        trend = [median_and_error(residual[mask]) for mask in (share <= low, share >= high)]
        out += [
            Measurement(
                "fig05",
                f"{name}_density_error",
                f"median |model / true - 1| of {label}",
                "",
                *median_and_error(np.abs(residual)),
                number,
            ),
            Measurement(
                "fig05",
                f"{name}_density_bias",
                f"median of model / true - 1 of {label}",
                "",
                *median_and_error(residual),
                number,
            ),
            Measurement(
                "fig05",
                f"{name}_density_trend",
                f"median of model / true - 1 of {label} for the tenth of stars with the lowest S, "
                "less that for the half with the highest",
                "",
                trend[0][0] - trend[1][0],
                math.hypot(*(error or 0.0 for _, error in trend)),
                number,
            ),
        ]
    errors = {m.quantity: m.value for m in out}
    if "phase_density_error" in errors:
        small, large = (errors[f"{name}_density_error"] for name in ("velocity", "phase"))
        out.append(
            Measurement(
                "fig05",
                "error_ratio_phase_velocity",
                "median error of f_obs(x, v) over that of p(v|x)",
                "",
                large / small if small else math.nan,
                None,
                number,
            )
        )
    return [*out, *_velocity_reach(phase, comparison)]


def _velocity_reach(phase: Columns, comparison: Comparison) -> list[Measurement]:
    """S down to which p(v|x) is accurate, in both readings of the paper's "within 2 per cent"."""
    share, residual = phase["selection_true"], phase_residuals(phase)["velocity"]
    limit, number = comparison.velocity, share.size
    errors = reach(-share, np.abs(residual), limit, comparison.window, -1.0)
    bias = _reach_of_bias(share, residual, comparison)
    return [
        Measurement(
            "fig05",
            "velocity_density_selection",
            f"S down to which the running median of |model / true - 1| of p(v|x) stays within "
            f"{limit:.0%}; 1 if nowhere",
            "",
            -errors.value,
            errors.error,
            number,
        ),
        Measurement(
            "fig05",
            "velocity_density_bias_selection",
            f"S down to which that of model / true - 1 stays between -{limit:.0%} and {limit:.0%}",
            "",
            *bias,
            number,
        ),
    ]


def _reach_of_bias(
    share: Floats, residual: Floats, comparison: Comparison
) -> tuple[float, float | None]:
    """The farther end of too large and of too small a running median decides."""
    ends = [
        reach(-share, sign * residual, comparison.velocity, comparison.window, -1.0)
        for sign in (1, -1)
    ]
    first = min(ends, key=lambda end: end.value)
    return -first.value, first.error
