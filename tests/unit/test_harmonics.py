"""Real spherical harmonics in torch."""

import numpy as np
import pytest
import torch
from scipy.special import sph_harm_y

from mwatlas.flows.harmonics import real_harmonics

DEGREE = 10


def _directions() -> torch.Tensor:
    vectors = np.random.default_rng(0).normal(size=(200, 3))
    vectors[:3] = [[0, 0, 2], [0, 0, -1], [1, 0, 0]]
    return torch.tensor(vectors, dtype=torch.float64)


def test_they_are_those_of_scipy() -> None:
    x, y, z = _directions().numpy().T
    polar, azimuth = np.arctan2(np.hypot(x, y), z), np.arctan2(y, x)
    ours = real_harmonics(_directions(), DEGREE).numpy()
    number = 0
    for el in range(DEGREE + 1):
        for m in range(-el, el + 1):
            value = sph_harm_y(el, abs(m), polar, azimuth)
            if m:
                part = value.imag if m < 0 else value.real
                expected = (-1) ** m * np.sqrt(2) * part
            else:
                expected = value.real
            # Both lose a few digits of 16 in recurrences of 10 steps.
            np.testing.assert_allclose(
                ours[:, number], np.sqrt(4 * np.pi) * expected, atol=1e-12, err_msg=f"{el}, {m}"
            )
            number += 1
    assert number == ours.shape[1] == (DEGREE + 1) ** 2


def test_the_squares_of_a_degree_add_up_to_its_number() -> None:
    # Addition theorem: with mean square 1, the sum over m is 2 l + 1 in every direction.
    values = real_harmonics(_directions(), DEGREE)
    for el in range(DEGREE + 1):
        total = (values[:, el**2 : (el + 1) ** 2] ** 2).sum(dim=1)
        np.testing.assert_allclose(total.numpy(), 2 * el + 1, rtol=1e-12)


def test_only_the_direction_counts_without_a_core() -> None:
    near, far = (real_harmonics(factor * _directions(), 4) for factor in (1e-3, 1e3))
    np.testing.assert_allclose(near.numpy(), far.numpy(), atol=1e-12)


def test_with_a_core_derivatives_are_finite_everywhere() -> None:
    places = torch.tensor([[0.0, 0, 0], [0, 0, 1.0], [0, 0, -1e-9]], dtype=torch.float64)
    places.requires_grad_()
    slope = torch.autograd.grad(real_harmonics(places, 6, core=0.1).sum(), places)[0]
    assert torch.isfinite(slope).all()
    # Close to the centre Y_1m is sqrt(3) x / core.
    values = real_harmonics(torch.tensor([[1e-4, 0, 0]], dtype=torch.float64), 1, core=0.1)
    assert float(values[0, 3]) == pytest.approx(np.sqrt(3) * 1e-3, rel=1e-5)


def test_half_a_core_away_the_degree_decides_how_far_they_fade() -> None:
    # r / sqrt(r^2 + core^2) to the power of l.
    direction = torch.tensor([[0.6, 0.0, 0.8]], dtype=torch.float64)
    plain, faded = real_harmonics(direction, 5), real_harmonics(direction, 5, core=2.0)
    for el in range(6):
        own = slice(el**2, (el + 1) ** 2)
        np.testing.assert_allclose(faded[:, own], 5 ** (-el / 2) * plain[:, own], atol=1e-14)
