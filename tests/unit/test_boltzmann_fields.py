"""Networks of the unknowns, their residuals, and the least squares made of them."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from mwatlas.errors import ConfigError
from mwatlas.potential.analytic import MiyamotoNagaiPotential, NFWPotential
from mwatlas.potential.axisymmetric import AxisymmetricGalaxy
from mwatlas.potential.batch_problem import BatchProblem
from mwatlas.potential.boltzmann_fields import BoltzmannFields, Method
from mwatlas.potential.derivatives import gradient, scores
from mwatlas.potential.fields import FieldShape, ScalarField
from mwatlas.potential.free_frame import FrameOfMembers, FreeFrame
from mwatlas.potential.recipe import Recipe
from mwatlas.potential.residuals import (
    BoltzmannLoss,
    conditional_residual,
    selection_residual,
    vanilla_residual,
)
from tests.unit.steady_systems import FRAME, SYSTEMS, points

SMALL = FieldShape(width=5, depth=1)


def _recipe(method: Method, frame: FreeFrame | None = None) -> Recipe:
    return Recipe(method, SMALL, SMALL, length=1.5, speed=0.7, frame=frame)


def _rows(n: int = 40) -> tuple[torch.Tensor, ...]:
    x, v = points("plummer", n)
    return (x, v, *scores(SYSTEMS["plummer"].log_phase_density, x, v))


@pytest.mark.parametrize(
    ("shape", "count"),
    [
        # The networks of ln n and ln S of the paper, "47 thousand" and "1.4 million".
        (FieldShape(48, 10, radial=False), 47_281),
        (FieldShape(256, 10, radial=False, harmonics_degree=8), 1_337_857),
    ],
)
def test_sizes_of_the_paper(shape: FieldShape, count: int) -> None:
    field = ScalarField(shape, 1.0, 1.0, [0])
    assert sum(p.numel() for p in field.parameters()) == count


@pytest.mark.parametrize("shape", [SMALL, replace(SMALL, radial=False, harmonics_degree=2)])
def test_fields_have_units(shape: FieldShape) -> None:
    x = points("plummer", 20)[0][None]
    one = ScalarField(shape, 1.0, 1.0, [3]).double()
    core = replace(shape, harmonics_core=shape.harmonics_core * 2)
    other = ScalarField(core, 2.0, 5.0, [3]).double()
    torch.testing.assert_close(other(2 * x), 5 * one(x))


def test_members_start_from_their_own_seeds_alone() -> None:
    both = _recipe(Method.CONDITIONAL).build([3, 8]).get_arrays()
    alone = _recipe(Method.CONDITIONAL).build([8]).get_arrays()
    for two, one in zip(both, alone, strict=True):
        np.testing.assert_array_equal(two[1:], one)
        assert not np.array_equal(two[0], two[1])


def test_both_networks_start_differently() -> None:
    arrays = _recipe(Method.CONDITIONAL).build([3]).get_arrays()
    half = len(arrays) // 2
    assert not np.array_equal(arrays[0], arrays[half])


def test_residuals_are_those_of_the_methods() -> None:
    x, v, by_x, by_v = _rows()
    for method, function in (
        (Method.VANILLA, vanilla_residual),
        (Method.SELECTION, selection_residual),
        (Method.CONDITIONAL, conditional_residual),
    ):
        fields = _recipe(method).build([1]).double()
        slopes = [
            gradient(field, x[None])[0]
            for field in (fields.potential, fields.extra)
            if field is not None
        ]
        expected = function(x, v, by_x, by_v, *slopes)
        found = fields(x[None], v[None], by_x[None], by_v[None])
        torch.testing.assert_close(found[0], expected)


def test_free_frames_start_where_told_and_belong_to_members() -> None:
    free = FreeFrame(FRAME, ("v0_km_s", "omega_z_km_s_kpc"))
    module = FrameOfMembers(free, 2, length=0.5, speed=40.0).double()
    x, v = (points("jacobi_power", 30)[k].expand(2, -1, -1) for k in (0, 1))
    torch.testing.assert_close(module().u(x), FRAME.u(x))
    torch.testing.assert_close(module().w(v), FRAME.w(v))
    with torch.no_grad():
        module.steps["omega_z_km_s_kpc"][1] += 0.01
        module.steps["v0_km_s"][1, 0] += 0.5
    # A step of one is 40 km/s, and 80 km/s/kpc.
    other = replace(FRAME, v0_km_s=(10.7, -251.5, -8.59), omega_z_km_s_kpc=-27.4)
    torch.testing.assert_close(module().u(x), torch.stack([FRAME.u(x[0]), other.u(x[1])]))
    torch.testing.assert_close(module().w(v), torch.stack([FRAME.w(v[0]), other.w(v[1])]))


def test_recipes_survive_json() -> None:
    galaxy = AxisymmetricGalaxy((MiyamotoNagaiPotential(2.0, 3.0, 0.3),), NFWPotential(5.0, 16.0))
    for recipe in (
        _recipe(Method.SELECTION, FreeFrame(FRAME)),
        replace(_recipe(Method.VANILLA), potential=galaxy, frame=FRAME),
        _recipe(Method.CONDITIONAL),
    ):
        again = Recipe.from_json(json.loads(json.dumps(recipe.to_json())))
        assert json.dumps(again.to_json()) == json.dumps(recipe.to_json())
        assert type(again.frame) is type(recipe.frame)


class _Cost(BatchProblem):
    """Shows what the least squares minimise, and its derivatives."""

    def cost_of(self, model: BoltzmannFields) -> float:
        parameters = {name: p.detach() for name, p in model.named_parameters()}
        return self._cost(parameters, self._terms(parameters))

    def slope(self) -> torch.Tensor:
        return self._normal_equations(self._terms(self._parameters))[1]


@pytest.mark.parametrize("robust", [False, True])
def test_the_slope_of_the_least_squares(robust: bool) -> None:
    x, v, by_x, by_v = _rows(60)
    frame = FreeFrame(FRAME)
    model = _recipe(Method.CONDITIONAL, frame).build([4]).double()
    rate = torch.linspace(0.5, 2.0, 60, dtype=torch.float64)
    problem = _Cost(model, [x, v, by_x, by_v, rate], BoltzmannLoss(density_weight=3.0), 0.1, robust)
    # Both signs of density, or the penalty is not seen.
    negative = problem._terms(problem._parameters)[1] < 0
    assert 5 < int(negative.sum()) < 55
    slope = problem.slope()
    step, start = 1e-5, 0
    for parameter in model.parameters():
        with torch.no_grad():
            flat = parameter.view(-1)
            flat[0] += step
            above = problem.cost_of(model)
            flat[0] -= 2 * step
            below = problem.cost_of(model)
            flat[0] += step
        # Half the derivative of the cost. Differences: 1e-10 in the third order and
        # 1e-16 / 1e-5 of the cost in rounding, some ten for both; the kink of a density that
        # changes its sign within the step is rare and small.
        expected = (above - below) / (4 * step)
        assert float(slope[start]) == pytest.approx(expected, rel=1e-6, abs=1e-8 * above)
        start += parameter.numel()


def test_the_robust_weights_have_the_slope_of_the_penalty() -> None:
    x, v, by_x, by_v = _rows(200)
    model = _recipe(Method.VANILLA).build([4]).double()
    rate = torch.ones(200, dtype=torch.float64)
    loss = BoltzmannLoss(alpha=2.0)
    problem = BatchProblem(model, [x, v, by_x, by_v, rate], loss, 0.0, robust=True)
    residual = model(x[None], v[None], by_x[None], by_v[None])[0].detach().requires_grad_(True)
    loss.per_sample(residual, torch.zeros_like(residual)).sum().backward()
    assert residual.grad is not None
    size = residual.detach().abs()
    far = size > size.median()
    expected = residual.grad.abs() / size
    torch.testing.assert_close((problem._scale**2)[far], expected[far])


@pytest.mark.parametrize(
    ("item", "build"),
    [
        ("width", lambda: FieldShape(width=0)),
        ("depth", lambda: FieldShape(depth=-1)),
        ("harmonics_degree", lambda: FieldShape(harmonics_degree=-1)),
        ("harmonics_core", lambda: FieldShape(harmonics_core=0.0)),
        ("free", lambda: FreeFrame(FRAME, ("omega",))),
        ("discs", lambda: AxisymmetricGalaxy((), NFWPotential())),
        (
            "a",
            lambda: AxisymmetricGalaxy((MiyamotoNagaiPotential(a=0.0),), NFWPotential()),
        ),
    ],
)
def test_settings_out_of_range(item: str, build: type) -> None:
    with pytest.raises(ConfigError) as caught:
        build()
    assert caught.value.item == item
