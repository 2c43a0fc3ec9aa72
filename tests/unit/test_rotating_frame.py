"""The rotating frame: its signs, and what is steady in it."""

from dataclasses import replace

import pytest
import sympy
import torch
from torch import Tensor

from mwatlas.potential.derivatives import gradient, scores
from mwatlas.potential.residuals import vanilla_residual
from mwatlas.potential.rotating_frame import RotatingFrame
from tests.unit.steady_systems import FRAME, ROTATING, SYSTEMS, points

OMEGA = -28.2


def _residual(name: str, frame: RotatingFrame | None) -> Tensor:
    """Rate of change of ln f in km/s/kpc for tracers that are steady in FRAME."""
    system = SYSTEMS[name]
    x, v = points(name, 400)
    by_x, by_v = scores(system.log_phase_density, x, v)
    return vanilla_residual(x, v, by_x, by_v, -system.acceleration(x), frame)


def test_any_function_of_the_jacobi_energy_is_steady() -> None:
    # The equations in symbols, for every potential and every f(E_J).
    x, v, centre, v0 = (sympy.symbols(f"{name}_x:z", real=True) for name in ("x", "v", "c", "s"))
    omega = sympy.Symbol("omega", real=True)
    phi, f = sympy.Function("Phi"), sympy.Function("f")
    rotation = sympy.Matrix([0, 0, omega])
    offset = sympy.Matrix(x) - sympy.Matrix(centre)
    u = sympy.Matrix(v0) + rotation.cross(offset)
    w = rotation.cross(sympy.Matrix(v) - sympy.Matrix(v0))
    potential = phi(*offset)
    relative = sympy.Matrix(v) - u
    centrifugal = omega**2 * (offset[0] ** 2 + offset[1] ** 2) / 2
    density = f(relative.dot(relative) / 2 + potential - centrifugal)
    residual = sum(
        (sympy.diff(potential, x[k]) + w[k]) * sympy.diff(density, v[k])
        - relative[k] * sympy.diff(density, x[k])
        for k in range(3)
    )
    assert sympy.simplify(residual.doit()) == 0


def test_u_and_w_are_the_cross_products() -> None:
    x, v = torch.randn(2, 20, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    rotation = torch.tensor([0.0, 0.0, OMEGA], dtype=x.dtype).expand_as(x)
    x0, v0 = (torch.tensor(a, dtype=x.dtype) for a in (FRAME.x0_kpc, FRAME.v0_km_s))
    torch.testing.assert_close(FRAME.u(x), v0 + torch.linalg.cross(rotation, x - x0))
    torch.testing.assert_close(FRAME.w(v), torch.linalg.cross(rotation, v - v0))
    expected = -0.5 * OMEGA**2 * ((x - x0)[:, :2] ** 2).sum(dim=-1)
    torch.testing.assert_close(FRAME.centrifugal_potential(x), expected)


def test_the_signs_at_the_sun() -> None:
    # Disc stars at the Sun go round the centre in its rest frame at 230 km/s, towards +y; the
    # centre itself recedes at -251.5 km/s along y. A frame that turns with them sees them rest.
    turning = RotatingFrame(FRAME.x0_kpc, FRAME.v0_km_s, -230.0 / 8.277)
    at_sun = turning.u(torch.zeros(3, dtype=torch.float64))
    torch.testing.assert_close(
        at_sun, torch.tensor([-9.3, 230.0 - 251.5, -8.59], dtype=torch.float64)
    )


def test_without_rotation_it_is_a_galilean_shift() -> None:
    still = RotatingFrame(FRAME.x0_kpc, FRAME.v0_km_s, 0.0)
    x = torch.rand(5, 3)
    torch.testing.assert_close(still.u(x), torch.tensor(FRAME.v0_km_s).expand(5, 3))
    assert torch.equal(still.w(x), torch.zeros(5, 3))
    assert still.u(x).dtype == torch.float32


@pytest.mark.parametrize("name", ROTATING)
def test_the_residual_is_zero_at_the_true_rotation_and_linear_away_from_it(name: str) -> None:
    true = _residual(name, FRAME)
    # Rounding of terms of some 1e3 km/s/kpc, magnified near the edge of the velocities.
    assert true.abs().max() < 1e-9
    shares = (-0.05, 0.01, 0.02, 0.05)
    off = [_residual(name, replace(FRAME, omega_z_km_s_kpc=OMEGA * (1 + s))) / s for s in shares]
    assert off[0].abs().median() > 1e-2
    for residual in off[1:]:
        torch.testing.assert_close(residual, off[0], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", ROTATING)
def test_a_wrong_sign_or_no_frame_cannot_hide(name: str) -> None:
    five_percent = _residual(name, replace(FRAME, omega_z_km_s_kpc=OMEGA * 1.05)).std()
    flipped = tuple(-component for component in FRAME.v0_km_s)
    assert _residual(name, replace(FRAME, v0_km_s=flipped)).std() > 20 * five_percent
    assert _residual(name, replace(FRAME, omega_z_km_s_kpc=-OMEGA)).std() > 20 * five_percent
    assert _residual(name, None).std() > 10 * five_percent


def test_the_rotation_can_be_learned() -> None:
    # The residual is linear in the rotation, so one Newton step on its mean square is exact.
    dtype = torch.float64
    omega = torch.nn.Parameter(torch.tensor(-20.0, dtype=dtype))
    v0 = torch.nn.Parameter(torch.tensor(FRAME.v0_km_s, dtype=dtype))
    x0 = torch.nn.Parameter(torch.tensor(FRAME.x0_kpc, dtype=dtype))
    frame = RotatingFrame(x0, v0, omega)
    loss = (_residual("jacobi_power", frame) ** 2).mean()
    slope, by_v0, by_x0 = torch.autograd.grad(loss, (omega, v0, x0), create_graph=True)
    assert by_v0.abs().min() > 0
    assert by_x0[:2].abs().min() > 0
    (curvature,) = torch.autograd.grad(slope, omega)
    assert float((omega - slope / curvature).detach()) == pytest.approx(OMEGA, rel=1e-9)


def test_the_force_at_the_sun_points_to_the_galactic_centre() -> None:
    system = SYSTEMS["jacobi_power"]
    sun = torch.zeros(1, 3, dtype=torch.float64)
    force = -gradient(system.potential, sun)[0]
    assert force[0] > 10 * force[1].abs()
    assert force[2] == 0
