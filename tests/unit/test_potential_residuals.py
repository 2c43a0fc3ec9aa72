"""Residuals of the three methods and the loss made of them."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from mwatlas.errors import ConfigError
from mwatlas.potential.derivatives import gradient, scores
from mwatlas.potential.residuals import (
    BoltzmannLoss,
    conditional_residual,
    penalty,
    selection_residual,
    vanilla_residual,
)
from tests.unit.steady_systems import NOT_MAXWELLIAN, SYSTEMS, points

METHODS = ["vanilla", "selection", "conditional"]
# Of the largest term of a residual: 1e-16, some hundred times over in derivatives.
ROUNDING = 1e-13


def _selection(x: Tensor) -> Tensor:
    """Some ln S(x): a slope, and a hole in it."""
    return 0.3 * x[..., 0] - 0.5 * torch.exp(-((x - 0.2) ** 2).sum(dim=-1))


def _perturbation(x: Tensor) -> Tensor:
    """Some change of a potential."""
    return torch.sin(x[..., 0]) + 0.5 * x[..., 1] ** 2 + x[..., 2] * x[..., 0]


def _residual(
    method: str,
    name: str,
    extra: Callable[[Tensor], Tensor] | None = None,
    share: float = 0.0,
) -> Tensor:
    """Residual for the true tracers and the true potential plus some share of another."""
    system = SYSTEMS[name]
    x, v = points(name, 300)
    force = -system.acceleration(x)
    if extra is not None:
        force = force + share * gradient(extra, x)
    slope = gradient(system.log_density, x)
    by_x, by_v = scores(system.log_velocity_density, x, v)
    if method == "vanilla":
        return vanilla_residual(x, v, by_x + slope, by_v, force, system.frame)
    if method == "selection":
        ln_s = gradient(_selection, x)
        observed = by_x + slope + ln_s
        return selection_residual(x, v, observed, by_v, force, ln_s, system.frame)
    return conditional_residual(x, v, by_x, by_v, force, slope, system.frame)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", list(SYSTEMS))
def test_the_residual_of_the_truth_is_zero(method: str, name: str) -> None:
    residual = _residual(method, name)
    x, v = points(name, 300)
    size = (SYSTEMS[name].acceleration(x) * scores(SYSTEMS[name].log_phase_density, x, v)[1]).abs()
    assert residual.shape == (300,)
    assert residual.abs().max() < ROUNDING * size.max()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", list(SYSTEMS))
def test_the_residual_grows_in_proportion_to_the_error(method: str, name: str) -> None:
    ones = [_residual(method, name, _perturbation, s) / s for s in (-0.1, 0.01, 0.1, 1.0)]
    # Seen: the change of the force is of order one, the slopes one over the dispersion.
    assert ones[0].abs().median() > 1e-3
    scale = float(ones[0].abs().max())
    for one in ones[1:]:
        # Divided by the smallest share rounding is a hundred times as large.
        torch.testing.assert_close(one, ones[0], rtol=0.0, atol=1e-7 * scale)


def test_the_velocity_multiplies_the_slope_of_the_selection() -> None:
    # An early version of the authors' code subtracted the gradient of ln S as a vector, without
    # the product with the velocity. Then the truth has a residual, and N stars have 3 N of them.
    system = SYSTEMS["plummer"]
    x, v = points("plummer", 300)
    by_x, by_v = scores(system.log_phase_density, x, v)
    ln_s, force = gradient(_selection, x), -system.acceleration(x)
    right = selection_residual(x, v, by_x + ln_s, by_v, force, ln_s)
    assert right.abs().max() < 1e-10
    observed = vanilla_residual(x, v, by_x + ln_s, by_v, force)
    # What S adds is v . grad ln S, nothing else.
    torch.testing.assert_close(right - observed, (v * ln_s).sum(dim=-1))
    wrong = observed[:, None] - ln_s
    assert wrong.shape == (300, 3)
    assert wrong.abs().median() > 0.1


def test_the_selection_at_rest_in_a_rotating_frame_is_carried_along() -> None:
    # S is a factor of f like any other: in the frame it multiplies v - u.
    system = SYSTEMS["jacobi_power"]
    x, v = points("jacobi_power", 100)
    ln_s, zero = gradient(_selection, x), torch.zeros_like(x)
    assert system.frame is not None
    found = selection_residual(x, v, zero, zero, zero, ln_s, system.frame)
    torch.testing.assert_close(found, ((v - system.frame.u(x)) * ln_s).sum(dim=-1))


@pytest.mark.parametrize("name", ["isothermal", "jacobi_maxwellian"])
def test_a_maxwellian_leaves_the_potential_open(name: str) -> None:
    # Any change of Phi is made good by a change of ln n of minus the same over sigma^2.
    assert _degenerate_residual(name, 0.45 if name == "isothermal" else 35.0) < 1e-9


@pytest.mark.parametrize("name", NOT_MAXWELLIAN)
def test_other_velocities_do_not(name: str) -> None:
    # No single temperature makes it good; that of the mean dispersion is tried.
    x, v = points(name, 300)
    frame = SYSTEMS[name].frame
    relative = v if frame is None else v - frame.u(x)
    assert _degenerate_residual(name, float(relative.std())) > 1e-2


def _degenerate_residual(name: str, sigma: float) -> float:
    """Typical residual of a wrong potential with the n that suits it, over that with the true n."""
    system = SYSTEMS[name]
    x, v = points(name, 300)
    by_x, by_v = scores(system.log_velocity_density, x, v)
    slope, change = gradient(system.log_density, x), gradient(_perturbation, x)
    wrong = -system.acceleration(x) + change
    made_good = conditional_residual(
        x, v, by_x, by_v, wrong, slope - change / sigma**2, system.frame
    )
    bare = conditional_residual(x, v, by_x, by_v, wrong, slope, system.frame)
    return float(made_good.abs().median() / bare.abs().median())


def test_an_ensemble_shares_its_points() -> None:
    system = SYSTEMS["plummer"]
    x, v = points("plummer", 50)
    by_x, by_v = scores(system.log_phase_density, x, v)
    force = torch.stack([-system.acceleration(x), -1.1 * system.acceleration(x)])
    residual = vanilla_residual(x, v, by_x, by_v, force)
    assert residual.shape == (2, 50)
    assert residual[0].abs().max() < 1e-10
    loss = BoltzmannLoss()(residual, torch.zeros(2, 50, dtype=x.dtype))
    assert loss.shape == (2,)
    assert loss[0] < loss[1]


def test_the_penalty() -> None:
    values = torch.tensor([-3.0, -1e-6, 0.0, 1e-6, 1e8], dtype=torch.float64)
    found = penalty(values, 2.0)
    # asinh by its logarithm loses small values, so they are compared with |x| themselves.
    expected = [math.asinh(6.0) / 2, 1e-6, 0.0, 1e-6, math.log(4e8) / 2]
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-11)


def test_the_loss_in_numbers() -> None:
    residual = torch.tensor([0.5, -1.5], dtype=torch.float64)
    laplacian = torch.tensor([2.0, -0.7], dtype=torch.float64)
    loss = BoltzmannLoss(alpha=2.0, beta=3.0, density_weight=0.4)
    negative = 0.4 * math.asinh(3 * 0.7) / 3
    each = [math.asinh(1.0) / 2, math.asinh(3.0) / 2 + negative]
    np.testing.assert_allclose(loss.per_sample(residual, laplacian).numpy(), each, rtol=1e-14)
    expected = math.log(sum(each) / 2) + 0.25
    assert float(loss(residual, laplacian, 0.25)) == pytest.approx(expected, rel=1e-14)


def test_gradients_of_the_loss_are_finite_where_it_has_kinks() -> None:
    residual = torch.tensor([0.0, 1.0], dtype=torch.float64, requires_grad=True)
    laplacian = torch.tensor([0.0, 3.0], dtype=torch.float64, requires_grad=True)
    BoltzmannLoss()(residual, laplacian).backward()
    assert residual.grad is not None
    assert laplacian.grad is not None
    assert residual.grad.isfinite().all()
    # A positive density costs nothing.
    assert float(laplacian.grad[1]) == 0.0


def test_the_true_potential_has_the_least_loss() -> None:
    system = SYSTEMS["plummer"]
    x, v = points("plummer", 2000)
    by_x, by_v = scores(system.log_phase_density, x, v)
    laplacian = 4 * math.pi * system.mass_density(x)

    def loss(scale: float) -> float:
        residual = vanilla_residual(x, v, by_x, by_v, -scale * system.acceleration(x))
        return float(BoltzmannLoss()(residual, scale * laplacian))

    values = {scale: loss(scale) for scale in (0.9, 0.99, 1.0, 1.01, 1.1)}
    assert min(values, key=lambda scale: values[scale]) == 1.0
    # Where the penalty is |r| the logarithm of the mean falls by that of the share.
    assert values[1.1] - values[1.01] == pytest.approx(math.log(10), abs=0.02)


@pytest.mark.parametrize(
    "setting", [{"alpha": 0.0}, {"beta": -1.0}, {"density_weight": -0.1}, {"alpha": math.nan}]
)
def test_settings_out_of_range(setting: dict[str, float]) -> None:
    with pytest.raises(ConfigError) as caught:
        BoltzmannLoss(**setting)
    assert caught.value.item == next(iter(setting))
