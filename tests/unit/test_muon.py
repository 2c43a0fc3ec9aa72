"""Gradient descent with orthogonalised momentum."""

from pathlib import Path

import numpy as np
import pytest
import torch

from mwatlas.flows.annealing import Annealing, anneal
from mwatlas.flows.muon import Muon, orthogonalised
from mwatlas.flows.residual import ResidualNetwork
from mwatlas.learning.loop import Checkpoint
from mwatlas.progress import Advance


def _nothing(*_: object) -> None:
    """Progress that nobody watches."""


QUIET: Advance = _nothing


@pytest.mark.parametrize("shape", [(2, 24, 24), (2, 40, 16), (1, 16, 40)])
def test_singular_values_become_alike_and_vectors_stay(shape: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(1)
    matrices = torch.randn(shape, generator=generator)
    found = orthogonalised(matrices)
    before, after = (torch.linalg.svd(m, full_matrices=False) for m in (matrices, found))
    # The iteration is not meant to converge: 0.7 to 1.2 is what its authors give, for singular
    # values above a hundredth of the norm; a random square matrix has a few smaller ones.
    large = 0.02 * before.S.norm(dim=-1, keepdim=True) < before.S
    assert torch.all(after.S[after.S > 0.65] < 1.25)
    assert (after.S > 0.65).sum() >= 0.9 * large.sum()
    # The factors of U and V come out again: U^T X V is diagonal.
    diagonal = before.U.mT @ found @ before.Vh.mT
    off = diagonal - torch.diag_embed(torch.diagonal(diagonal, dim1=-2, dim2=-1))
    # Five products of single precision, each good to about 1e-6 of the largest value.
    assert off.abs().max() < 1e-3


def _fit(
    seeds: list[int], checkpoint: Checkpoint | None = None, advance: Advance = QUIET
) -> list[float]:
    """Learn a smooth function of three numbers; the last loss of each member."""
    x = torch.randn(512, 3, generator=torch.Generator().manual_seed(2))
    y = torch.sin(x).sum(dim=1)
    network = ResidualNetwork(seeds, 3, 1, 24, 1)

    def loss(rows: torch.Tensor) -> torch.Tensor:
        return ((network(x[rows].expand(len(seeds), -1, -1))[..., 0] - y[rows]) ** 2).mean(dim=1)

    batches = torch.arange(512).split(64)
    settings = Annealing(12, 64, 5e-3, optimizer="muon")
    history = anneal(network, 512, lambda _: iter(batches), loss, settings, advance, checkpoint)
    return history[-1]


def test_it_learns() -> None:
    # The variance of the target is 3 (1 - exp(-2)) / 2 = 1.3; a hundred steps explain most of it.
    assert _fit([1])[0] < 0.2


def test_members_do_not_influence_each_other() -> None:
    alone, together = [_fit([1])[0], _fit([2])[0]], _fit([1, 2])
    # Products of stacks may sum in another order: single precision, a hundred steps.
    np.testing.assert_allclose(together, alone, rtol=1e-2)


def test_a_killed_training_continues_to_the_same_loss(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "state.npz", "same", 0.0)

    class KilledError(Exception):
        pass

    epochs = iter(range(5))

    def killed(*_: object) -> None:
        if next(epochs, None) is None:
            raise KilledError

    whole = _fit([3])
    with pytest.raises(KilledError):
        _fit([3], checkpoint, killed)
    assert _fit([3], checkpoint) == whole


def test_small_matrices_and_biases_learn_as_with_adam() -> None:
    start = torch.ones(1, 4, 4)
    ours, theirs = (torch.nn.Parameter(start.clone()) for _ in range(2))
    muon = Muon([ours], weight_decay=0.0)
    adam = torch.optim.Adam([theirs], lr=1e-2, betas=(0.9, 0.99))
    muon.param_groups[0]["lr"] = 1e-2
    for step in range(5):
        for parameter in (ours, theirs):
            parameter.grad = torch.full_like(parameter, 0.5 + step)
        muon.step()
        adam.step()
    # Rounding of single precision.
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)
