"""The network of the velocity field."""

import numpy as np
import pytest
import torch
from torch.nn.functional import silu

from mwatlas.errors import ConfigError
from mwatlas.flows.data import Standard
from mwatlas.flows.harmonics import real_harmonics
from mwatlas.flows.residual import ResidualNetwork
from mwatlas.flows.vector_field import FieldSettings, VectorField

THREE = Standard(np.array([1.0, 2.0, 3.0]), np.array([1.0, 0.5, 2.0]))


def test_the_counts_are_those_of_the_study() -> None:
    # The n-network and the S-network of Kalda & Green 2026, of about 47 thousand and 1.3 million.
    for inputs, width, depth, count in ((3, 48, 10, 47_281), (3 + 81, 256, 10, 1_337_857)):
        network = ResidualNetwork([0], inputs, 1, width, depth)
        assert sum(p.numel() for p in network.parameters()) == count


def test_it_is_the_formula_of_the_study() -> None:
    settings = FieldSettings(8, 2, 6, 1024.0, harmonics_degree=3, harmonics_core=0.2)
    field = VectorField(settings, THREE, 2, [5])
    rng = torch.Generator().manual_seed(1)
    t = torch.rand(1, 7, 1, generator=rng)
    z, given = (torch.randn(1, 7, k, generator=rng) for k in (3, 2))
    angle = t[0] * torch.tensor([1.0, 32.0, 1024.0])
    position = z[0] * torch.tensor(THREE.std).float() + torch.tensor(THREE.mean).float()
    inputs = [torch.sin(angle), torch.cos(angle), z[0], real_harmonics(position, 3, 0.2), given[0]]
    matrices, biases = ([p[0] for p in ps] for ps in (field.network.matrices, field.network.biases))
    h = silu(torch.cat(inputs, dim=1) @ matrices[0] + biases[0])
    for i in (1, 3):
        inner = silu(h @ matrices[i] + biases[i])
        h = h + inner @ matrices[i + 1] + biases[i + 1]
    # Sums of 30 terms of order 1 in float32.
    expected = (h @ matrices[5] + biases[5]).detach().numpy()
    np.testing.assert_allclose(field(t, z, given)[0].detach().numpy(), expected, atol=3e-6)


def test_one_time_for_all_rows_is_as_good_as_one_each() -> None:
    field = VectorField(FieldSettings(8, 1, 6), THREE, 0, [5])
    z = torch.randn(1, 7, 3, generator=torch.Generator().manual_seed(1))
    one, each = (field(torch.full(shape, 0.3), z) for shape in ((1, 1, 1), (1, 7, 1)))
    np.testing.assert_allclose(one.detach().numpy(), each.detach().numpy(), atol=1e-6)


def test_a_member_starts_alike_in_any_company() -> None:
    both, alone = ResidualNetwork([3, 4], 5, 2, 8, 1), ResidualNetwork([4], 5, 2, 8, 1)
    for pair, single in zip(both.get_arrays(), alone.get_arrays(), strict=True):
        np.testing.assert_array_equal(pair[1:], single)
        assert not np.array_equal(pair[:1], single)


def test_harmonics_are_of_three_columns() -> None:
    with pytest.raises(ConfigError, match="x of 3 columns"):
        VectorField(FieldSettings(harmonics_degree=2), Standard(np.zeros(2), np.ones(2)), 0, [0])


@pytest.mark.parametrize("number", [0, 7])
def test_the_embedding_is_of_pairs(number: int) -> None:
    with pytest.raises(ConfigError, match="even number"):
        FieldSettings(time_features=number)
