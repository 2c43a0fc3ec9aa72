"""Training by flow matching: its loss, its weights, ensembles, and continuation."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.integrate import quad

from mwatlas.errors import ConfigError, TrainingError
from mwatlas.flows import matching
from mwatlas.flows.annealing import Annealing
from mwatlas.flows.data import Standard
from mwatlas.flows.matching import Batch, MatchingSettings, Targets, matching_loss
from mwatlas.flows.matching_flow import MatchingFlow, fit_together
from mwatlas.flows.pairing import OptimalTransport
from mwatlas.flows.vector_field import VectorField
from mwatlas.learning.loop import Checkpoint
from mwatlas.progress import Progress
from tests.unit.flow_samples import (
    SMALL,
    Heteroscedastic,
    KilledError,
    Killing,
    Normal,
    small_flow,
)

TRANSPORT = OptimalTransport(batch=32, passes=2)


def _weights(flow: MatchingFlow, path: Path) -> bytes:
    flow.save(path)
    return path.read_bytes()


def test_a_weight_is_a_repeated_row() -> None:
    rng = torch.Generator().manual_seed(0)
    z1, z0 = torch.randn(2, 1, 50, 3, generator=rng, dtype=torch.float64)
    given = torch.randn(1, 50, 2, generator=rng, dtype=torch.float64)
    t = torch.rand(1, 50, 1, generator=rng, dtype=torch.float64)
    times = torch.randint(1, 4, (50,), generator=rng)
    field = VectorField(SMALL, Standard(np.zeros(3), np.ones(3)), 2, [1]).double()
    weighted = matching_loss(field, Batch(z1, z0, given, times[None].double(), t))
    rows = torch.arange(50).repeat_interleave(times)
    ones = torch.ones(1, len(rows), dtype=torch.float64)
    parts = (a[:, rows] for a in (z1, z0, given))
    repeated = matching_loss(field, Batch(*parts, ones, t[:, rows]))
    assert float(weighted.detach()) == pytest.approx(float(repeated.detach()), rel=1e-12)


def test_the_loss_of_the_exact_field_is_what_cannot_be_known() -> None:
    # In one dimension with deviation s, z1 - z0 given z_t has the variance
    # s^2 / ((1 - t)^2 + t^2 s^2), and t = sqrt(u) has the density 2 t.
    s, n = 2.5, 400_000
    expected = quad(lambda t: 2 * t * s**2 / ((1 - t) ** 2 + t**2 * s**2), 0, 1)[0]
    normal = Normal(1)
    normal.mean, normal.covariance = np.array([0.7]), np.array([[s**2]])
    z1 = torch.tensor(np.random.default_rng(0).normal(0.7, s, (n, 1)))
    settings = MatchingSettings(SMALL, Annealing(1, batch_size=n))
    targets = Targets(z1, None, torch.ones(n))
    batch = next(matching._batches(targets, settings, [3])(0))

    def velocity(t: torch.Tensor, z: torch.Tensor, given: torch.Tensor | None) -> torch.Tensor:
        assert given is None
        slope = (t * s**2 - (1 - t)) / ((1 - t) ** 2 + t**2 * s**2)
        return 0.7 + slope * (z - t * 0.7)

    # Squares of a normal with the variances above: error sqrt(2) times their root mean square,
    # over sqrt(n); five of them.
    spread = quad(lambda t: 2 * t * 3 * (s**2 / ((1 - t) ** 2 + t**2 * s**2)) ** 2, 0, 1)[0]
    assert float(matching_loss(velocity, batch)) == pytest.approx(
        expected, abs=5 * np.sqrt(spread / n)
    )


def test_an_epoch_has_every_row_once_with_its_own_weight_and_condition() -> None:
    rows = torch.arange(103.0)
    targets = Targets(rows[:, None], 2 * rows[:, None], 3 * rows)
    settings = MatchingSettings(SMALL, Annealing(1, batch_size=20))
    batches = list(matching._batches(targets, settings, [0, 1])(0))
    assert [b.z1.shape[1] for b in batches] == [18, 17, 17, 17, 17, 17]
    joined = torch.cat([torch.cat([b.z1, b.given, b.weights[..., None]], -1) for b in batches], 1)
    for member in joined:
        ordered = member[member[:, 0].argsort()]
        np.testing.assert_array_equal(ordered, torch.stack([rows, 2 * rows, 3 * rows], 1))
    assert not torch.equal(joined[0], joined[1])


def test_rows_of_no_weight_change_nothing(progress: Progress, tmp_path: Path) -> None:
    x = Normal(2).sample(300, 1)
    weights = np.random.default_rng(0).exponential(size=300)
    weights[::3] = 0
    with_zeros, without = small_flow(2), small_flow(2)
    with_zeros.fit(x, weights=weights, progress=progress)
    without.fit(x[weights > 0], weights=weights[weights > 0], progress=progress)
    assert _weights(with_zeros, tmp_path / "a.h5") == _weights(without, tmp_path / "b.h5")


@pytest.mark.parametrize("transport", [None, TRANSPORT])
def test_a_factor_in_the_weights_changes_nothing(
    transport: OptimalTransport | None, progress: Progress, tmp_path: Path
) -> None:
    x, weights = Normal(2).sample(300, 1), np.random.default_rng(0).integers(1, 9, 300)
    one, other = (small_flow(2, transport=transport) for _ in range(2))
    one.fit(x, weights=weights, progress=progress)
    other.fit(x, weights=4.0 * weights, progress=progress)
    assert _weights(one, tmp_path / "a.h5") == _weights(other, tmp_path / "b.h5")


@pytest.mark.parametrize("transport", [None, TRANSPORT])
def test_members_learn_together_what_they_learn_alone(
    transport: OptimalTransport | None, progress: Progress
) -> None:
    x = Normal(2).sample(500, 2)
    together = [small_flow(2, seed=seed, transport=transport) for seed in (4, 5, 6)]
    histories = fit_together(together, x, progress=progress)
    for seed, member, history in zip((4, 5, 6), together, histories, strict=True):
        alone = small_flow(2, seed=seed, transport=transport)
        # Products of several matrices are summed in another order: rounding of 1e-7 in each of
        # two steps, that Adam magnifies where gradients are small.
        np.testing.assert_allclose(alone.fit(x, progress=progress), history, rtol=1e-5)
        np.testing.assert_allclose(alone.log_prob(x[:50]), member.log_prob(x[:50]), atol=1e-3)
    assert np.abs(together[0].log_prob(x[:50]) - together[1].log_prob(x[:50])).max() > 1e-2


def test_only_alike_flows_learn_together(progress: Progress) -> None:
    with pytest.raises(ConfigError, match="2 kinds of flow among 2"):
        fit_together(
            [small_flow(2), small_flow(2, epochs=3)], Normal(2).sample(50, 1), progress=progress
        )


@pytest.mark.parametrize("transport", [None, TRANSPORT])
def test_a_killed_training_continues_to_the_same_bytes(
    transport: OptimalTransport | None, progress: Progress, tmp_path: Path
) -> None:
    x, file = Normal(2).sample(500, 3), tmp_path / "checkpoint.npz"
    seeds = (1, 2)

    def flows() -> list[MatchingFlow]:
        return [small_flow(2, epochs=6, seed=s, transport=transport, batch_size=100) for s in seeds]

    undisturbed, killed, resumed = flows(), flows(), flows()
    expected = fit_together(undisturbed, x, progress=progress)
    with pytest.raises(KilledError):
        fit_together(killed, x, progress=progress, checkpoint=Killing(file))
    checkpoint = Checkpoint(file, "same", 0.0)
    assert fit_together(resumed, x, progress=progress, checkpoint=checkpoint) == expected
    for one, other in zip(undisturbed, resumed, strict=True):
        assert _weights(one, tmp_path / "a.h5") == _weights(other, tmp_path / "b.h5")
    # And from the end of the training, when only the file of the flow was not written.
    again = flows()
    assert fit_together(again, x, progress=progress, checkpoint=checkpoint) == expected
    assert _weights(again[0], tmp_path / "c.h5") == _weights(undisturbed[0], tmp_path / "a.h5")


def test_a_checkpoint_of_other_settings_is_not_used(progress: Progress, tmp_path: Path) -> None:
    x, file = Normal(1).sample(100, 3), tmp_path / "checkpoint.npz"
    with pytest.raises(KilledError):
        small_flow(1, epochs=5).fit(x, progress=progress, checkpoint=Killing(file))
    fresh, continued = (small_flow(1, epochs=4) for _ in range(2))
    history = continued.fit(x, progress=progress, checkpoint=Checkpoint(file, "other", 1e9))
    assert history == fresh.fit(x, progress=progress)


def test_the_same_seed_gives_the_same_bytes(progress: Progress, tmp_path: Path) -> None:
    v, x = Heteroscedastic().sample(300, 1)
    files = []
    for i, seed in enumerate((3, 3, 4)):
        flow = small_flow(2, 1, seed=seed)
        flow.fit(v, x, progress=progress)
        files.append(_weights(flow, tmp_path / f"{i}.h5"))
    assert files[0] == files[1]
    assert files[0] != files[2]


def test_a_diverging_training_is_named(progress: Progress) -> None:
    flow = small_flow(2, epochs=40, rate=1e18, batch_size=20)
    with pytest.raises(TrainingError, match=r"epoch \d+ of 40, member 0"):
        flow.fit(Normal(2).sample(200, 1), progress=progress)
