"""The training loop of networks side by side."""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from mwatlas.errors import TrainingError
from mwatlas.flows.annealing import Annealing, anneal, epoch_generator
from mwatlas.flows.residual import ResidualNetwork
from mwatlas.learning.loop import Checkpoint

CPU = torch.device("cpu")


def _numbers(count: int) -> Iterator[int]:
    yield from range(count)


def test_rates_follow_a_cosine_to_zero() -> None:
    # Where the gradient never changes, a step of Adam is as long as the rate, and the rates of
    # K steps add up to (K + 1) / 2 times the first.
    network = ResidualNetwork([0], 2, 1, 4, 1)
    before = network.get_arrays()
    settings = Annealing(epochs=5, batch_size=10, learning_rate=1e-3, weight_decay=0.0)

    def loss(_: int) -> torch.Tensor:
        return sum(p.sum() for p in network.parameters())[None]

    anneal(network, 40, lambda _: _numbers(4), loss, settings, lambda *_: None)
    for one, other in zip(before, network.get_arrays(), strict=True):
        # float32 weights of order 1 after 20 steps, and Adam's epsilon of 1e-8.
        np.testing.assert_allclose(one - other, 1e-3 * 21 / 2, atol=20 * 1.2e-7)


def test_a_member_does_not_feel_the_losses_of_another() -> None:
    alone, pair = ResidualNetwork([0], 2, 1, 4, 1), ResidualNetwork([0, 1], 2, 1, 4, 1)
    settings = Annealing(epochs=3, batch_size=10, learning_rate=1e-2)
    inputs = torch.randn(1, 10, 2, generator=torch.Generator().manual_seed(1))
    for network, factor in ((alone, torch.ones(1)), (pair, torch.tensor([1.0, 1e3]))):
        copies = inputs.expand(network.members, -1, -1)

        def loss(
            _: int,
            network: ResidualNetwork = network,
            copies: torch.Tensor = copies,
            factor: torch.Tensor = factor,
        ) -> torch.Tensor:
            return factor * ((network(copies) - 1) ** 2).mean(dim=(1, 2))

        anneal(network, 10, lambda _: _numbers(1), loss, settings, lambda *_: None)
    for one, both in zip(alone.get_arrays(), pair.get_arrays(), strict=True):
        np.testing.assert_allclose(one[0], both[0], atol=1e-6)


def test_the_diverging_member_is_named_and_the_last_good_epoch_is_kept(tmp_path: Path) -> None:
    network = ResidualNetwork([0, 1], 2, 1, 4, 1)
    checkpoint = Checkpoint(tmp_path / "c.npz", "", 0.0)
    epochs: list[int] = []

    def batches(epoch: int) -> Iterator[int]:
        epochs.append(epoch)
        return _numbers(1)

    def loss(_: int) -> torch.Tensor:
        value = torch.stack([p.flatten(1).square().sum(dim=1) for p in network.parameters()])
        return value.sum(dim=0) * torch.tensor([1.0, math.nan if len(epochs) == 3 else 1.0])

    with pytest.raises(TrainingError, match="epoch 2 of 9, member 1"):
        anneal(network, 1, batches, loss, Annealing(9), lambda *_: None, checkpoint)
    saved = checkpoint.load()
    assert saved is not None
    assert len(saved[0]["history"]) == 2
    assert all(np.isfinite(array).all() for array in saved[1]["weights"])


def test_a_last_step_that_spoils_the_weights_is_found() -> None:
    network = ResidualNetwork([0], 2, 1, 4, 1)

    def loss(_: int) -> torch.Tensor:
        # Finite, with a derivative that is not: sqrt(0).
        return (network.biases[0][:, 0, 0] - network.biases[0][:, 0, 0].detach()).sqrt()

    with pytest.raises(TrainingError, match=r"loss 0\.0, .* weights not finite"):
        anneal(network, 1, lambda _: _numbers(1), loss, Annealing(1), lambda *_: None)


def test_random_numbers_of_an_epoch_are_its_own() -> None:
    def numbers(seed: int, epoch: int) -> list[float]:
        return torch.rand(3, generator=epoch_generator(seed, epoch, CPU)).tolist()

    assert numbers(1, 2) == numbers(1, 2)
    assert len({tuple(numbers(s, e)) for s in range(3) for e in range(3)}) == 9
