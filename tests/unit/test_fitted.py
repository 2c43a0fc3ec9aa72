"""Flows against themselves: whatever they learned, ln p, scores and samples are of one density."""

import logging
from pathlib import Path

import numpy as np
import pytest

from mwatlas.flows.annealing import Annealing
from mwatlas.flows.flow import Flow
from mwatlas.flows.matching import MatchingSettings
from mwatlas.flows.matching_flow import MatchingFlow
from mwatlas.flows.ode import Solver
from mwatlas.flows.vector_field import FieldSettings
from mwatlas.progress import Progress
from tests.unit.flow_samples import Heteroscedastic, Normal, small_flow

PROGRESS = Progress("test", logging.getLogger("mwatlas"))


@pytest.fixture(scope="module", params=[1, 3])
def learned(request: pytest.FixtureRequest) -> tuple[Normal, MatchingFlow]:
    """A little trained flow; in space one with spherical harmonics."""
    normal = Normal(request.param)
    degree = 2 if normal.dimension == 3 else None
    field = FieldSettings(48, 2, 8, 4.0, harmonics_degree=degree, harmonics_core=2.0)
    settings = MatchingSettings(field, Annealing(4, 256, 5e-3))
    flow = MatchingFlow(normal.dimension, settings=settings, seed=2)
    flow.fit(normal.sample(5000, 1), progress=PROGRESS)
    return normal, flow


@pytest.fixture(scope="module")
def conditional() -> MatchingFlow:
    flow = small_flow(2, 1, epochs=4)
    flow.fit(*Heteroscedastic().sample(5000, 1), progress=PROGRESS)
    return flow


def test_the_integral_of_the_density_is_one(learned: tuple[Normal, MatchingFlow]) -> None:
    normal, flow = learned
    # Importance sampling from a normal of twice the variance.
    flow.solver = Solver(steps=8)
    x = normal.mean + np.sqrt(2) * (normal.sample(1500, 6) - normal.mean)
    square = np.einsum(
        "ni,ij,nj->n", x - normal.mean, np.linalg.inv(2 * normal.covariance), x - normal.mean
    )
    proposal = -0.5 * square - 0.5 * np.linalg.slogdet(4 * np.pi * normal.covariance)[1]
    ratio = np.exp(flow.log_prob(x) - proposal)
    error = ratio.std() / np.sqrt(len(x))
    assert error < 0.04
    assert ratio.mean() == pytest.approx(1, abs=4 * error)


def test_deviates_to_samples_and_back(learned: tuple[Normal, MatchingFlow]) -> None:
    _, flow = learned
    z = np.random.default_rng(4).normal(size=(20, flow.dimension))
    errors = []
    for steps in (12, 24):
        flow.solver = Solver(steps=steps, precision="float64")
        errors.append(np.abs(flow.to_normal(flow.from_normal(z)) - z).max())
    # Of fourth order in the step, 1/16, once the steps resolve the highest frequency.
    assert errors[1] < errors[0] / 8
    assert errors[1] < 1e-4
    flow.solver = Solver("dopri5", tolerance=1e-7, precision="float64")
    assert np.abs(flow.to_normal(flow.from_normal(z)) - z).max() < 1e-5


def test_both_solvers_and_both_precisions_agree(learned: tuple[Normal, MatchingFlow]) -> None:
    normal, flow = learned
    x = normal.sample(20, 7)
    flow.solver = Solver("dopri5", tolerance=1e-7, precision="float64")
    expected = flow.log_prob(x)
    flow.solver = Solver(steps=16, precision="float64")
    np.testing.assert_allclose(flow.log_prob(x), expected, atol=1e-4)
    # float32: 64 evaluations of sums of 50 terms, 6e-8 each, magnified by |z| < 4.
    flow.solver = Solver(steps=16, rows=7)
    np.testing.assert_allclose(flow.log_prob(x), expected, atol=2e-4)


def _differences(flow: MatchingFlow, x: np.ndarray, given: np.ndarray | None) -> np.ndarray:
    joined = x if given is None else np.concatenate([x, given], axis=1)
    h, out = 1e-4, np.empty_like(joined)
    for column in range(joined.shape[1]):
        sides = []
        for sign in (1, -1):
            moved = joined.copy()
            moved[:, column] += sign * h
            place, condition = np.split(moved, [flow.dimension], axis=1)
            sides.append(flow.log_prob(place, condition if condition.size else None))
        out[:, column] = (sides[0] - sides[1]) / (2 * h)
    return out


# Rounding 1e-15 / h = 1e-11; h^2 times a third derivative of up to 100: 1e-6.
DIFFERENCES_APART = 5e-6


def test_scores_are_derivatives_of_ln_p(learned: tuple[Normal, MatchingFlow]) -> None:
    normal, flow = learned
    flow.solver = Solver(steps=6, precision="float64", score_rows=5)
    x = normal.sample(8, 8)
    np.testing.assert_allclose(
        flow.score(x)[0], _differences(flow, x, None), atol=DIFFERENCES_APART
    )


def test_scores_by_the_condition_are_derivatives_of_ln_p(conditional: MatchingFlow) -> None:
    v, x = Heteroscedastic().sample(8, 9)
    conditional.solver = Solver(steps=6, precision="float64")
    by_v, by_x = conditional.score(v, x)
    assert by_x is not None
    both = np.concatenate([by_v, by_x], axis=1)
    np.testing.assert_allclose(both, _differences(conditional, v, x), atol=DIFFERENCES_APART)


def test_a_flow_of_a_file_is_the_same(
    learned: tuple[Normal, MatchingFlow], conditional: MatchingFlow, tmp_path: Path
) -> None:
    v, condition = Heteroscedastic().sample(10, 3)
    cases = [(learned[1], learned[0].sample(10, 3), None), (conditional, v, condition)]
    for flow, x, given in cases:
        paths = [tmp_path / f"{name}.h5" for name in "ab"]
        flow.save(paths[0])
        other = MatchingFlow.load(paths[0])
        other.save(paths[1])
        assert paths[0].read_bytes() == paths[1].read_bytes()
        assert (other.settings, other.solver, other.seed) == (flow.settings, flow.solver, flow.seed)
        np.testing.assert_array_equal(other.log_prob(x, given), flow.log_prob(x, given))


def test_no_rows_give_no_rows(conditional: MatchingFlow) -> None:
    flow: Flow = conditional
    none = np.empty((0, 2)), np.empty((0, 1))
    assert flow.log_prob(*none).shape == (0,)
    by_v, by_x = flow.score(*none)
    assert by_v.shape == (0, 2)
    assert by_x is not None
    assert by_x.shape == (0, 1)
    assert flow.sample(0, np.random.default_rng(0), none[1]).shape == (0, 2)
