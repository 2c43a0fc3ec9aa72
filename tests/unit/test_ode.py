"""Integration of flows, on the exact velocity fields of normal distributions."""

import numpy as np
import pytest
import torch

from mwatlas.errors import ConfigError, TrainingError
from mwatlas.flows import ode
from mwatlas.flows.data import Standard
from mwatlas.flows.vector_field import FieldSettings, VectorField
from tests.unit.flow_samples import Normal


def _tensor(values: np.ndarray) -> torch.Tensor:
    return torch.as_tensor(values, dtype=torch.float64)


@pytest.mark.parametrize("dimension", [1, 2, 3])
def test_ln_p_of_a_normal_is_exact(dimension: int) -> None:
    normal = Normal(dimension)
    x = normal.sample(50, 1)
    solver = ode.Solver("dopri5", tolerance=1e-9, precision="float64")
    value = ode.log_density(normal.field, _tensor(x), solver)
    # Some 50 steps with errors of 1e-9 in units of 1 + |state|, which is below 10, whose effect
    # on ln p is magnified by |z| < 4.
    np.testing.assert_allclose(value.numpy(), normal.log_prob(x), atol=1e-6)


@pytest.mark.parametrize("method", ["rk4", "dopri5"])
def test_the_score_of_a_normal_is_exact(method: str) -> None:
    normal = Normal(3)
    x = normal.sample(50, 2)
    solver = ode.Solver(method, steps=128, tolerance=1e-9, precision="float64")
    place = _tensor(x).requires_grad_()
    total = ode.log_density(normal.field, place, solver).sum()
    score = torch.autograd.grad(total, place)[0]
    # Runge-Kutta: the error of 1e-4 at 16 steps (next test) falls to 1e-4 / 8**4 = 3e-8.
    np.testing.assert_allclose(score.numpy(), normal.score(x)[0], atol=1e-6)


def test_runge_kutta_is_of_fourth_order() -> None:
    normal = Normal(2)
    x = _tensor(normal.sample(50, 3))
    errors = [
        np.abs(
            ode.log_density(normal.field, x, ode.Solver(steps=steps)).numpy()
            - normal.log_prob(x.numpy())
        ).max()
        for steps in (16, 32, 64)
    ]
    assert errors[0] < 1e-3
    # 2**4 but for the next order, whose share halves as well.
    assert errors[0] / errors[1] == pytest.approx(16, rel=0.25)
    assert errors[1] / errors[2] == pytest.approx(16, rel=0.125)


def test_dormand_prince_keeps_its_tolerance_and_solves_a_known_equation() -> None:
    # dy/dt = y cos t: y = exp(sin t). A step's error is below the tolerance; steps are fewer
    # than 30, and the equation magnifies errors at most by exp(2).
    start = _tensor(np.array([[1.0], [-2.0]]))
    for tolerance in (1e-4, 1e-7, 1e-10):
        solver = ode.Solver("dopri5", tolerance=tolerance)
        end = ode.integrate(lambda t, y: y * np.cos(t), start, 0.0, 3.0, solver)
        error = (end - start * np.exp(np.sin(3.0))).abs().max()
        assert float(error) < 30 * np.exp(2) * 3 * tolerance


@pytest.mark.parametrize("method", ["rk4", "dopri5"])
def test_data_to_deviates_and_back(method: str) -> None:
    normal, solver = Normal(3), ode.Solver(method, steps=64, tolerance=1e-8)
    x = _tensor(normal.sample(50, 4))
    z0, _ = ode.to_normal(normal.field, x, solver)
    # The map of the exact field is linear: x = m + C^(1/2) z.
    values, vectors = np.linalg.eigh(normal.covariance)
    root = vectors * np.sqrt(values) @ vectors.T
    np.testing.assert_allclose(normal.mean + z0.numpy() @ root, x.numpy(), atol=1e-5)
    back = ode.from_normal(normal.field, z0, solver)
    np.testing.assert_allclose(back.numpy(), x.numpy(), atol=1e-5)


def _field(dimension: int, given: torch.Tensor) -> ode.Field:
    standard = Standard(np.zeros(dimension), np.ones(dimension))
    degree = 3 if dimension == 3 else None
    settings = FieldSettings(24, 3, 8, 16.0, harmonics_degree=degree)
    field = VectorField(settings, standard, given.shape[1], [7]).double()
    return lambda t, z: field(z.new_full((1, 1, 1), t), z[None], given[None])[0]


@pytest.mark.parametrize("dimension", [1, 2, 3, 6])
def test_the_divergence_is_the_trace_of_the_jacobian(dimension: int) -> None:
    rng = torch.Generator().manual_seed(3)
    z = torch.randn(9, dimension, generator=rng, dtype=torch.float64)
    given = torch.randn(9, 2, generator=rng, dtype=torch.float64)
    velocity, spread = ode.divergence(_field(dimension, given), 0.4, z)
    np.testing.assert_allclose(
        velocity.detach(), _field(dimension, given)(0.4, z).detach(), atol=1e-14
    )
    for row in range(len(z)):
        alone = _field(dimension, given[row : row + 1])
        jacobian = torch.autograd.functional.jacobian(
            lambda y, alone=alone: alone(0.4, y[None])[0], z[row]
        )
        assert float(spread[row].detach()) == pytest.approx(float(torch.trace(jacobian)), rel=1e-10)


def test_a_row_that_runs_away_is_named() -> None:
    # dy/dt = y^2 from 1 and 2 ends at infinity at t = 1 and 0.5.
    start = _tensor(np.array([[0.1], [2.0]]))
    with pytest.raises(TrainingError, match="not finite, in row 1 of 2"):
        ode.integrate(lambda _, y: y**2, start, 0.0, 1.5, ode.Solver(steps=64))
    with pytest.raises(TrainingError, match=r"steps shorter than 1e-07 at t = 0\.5"):
        ode.integrate(lambda _, y: y**2, start, 0.0, 1.5, ode.Solver("dopri5"))


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(ConfigError, match="rk4 or dopri5"):
        ode.Solver("euler")  # type: ignore[arg-type]
