"""The solver's contract: seeds, resumption, files, failures, and what it warns of."""

import logging
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mwatlas.errors import ConfigError, InputError, TrainingError
from mwatlas.flows.annealing import Annealing
from mwatlas.learning.loop import Checkpoint
from mwatlas.potential.batch_problem import BatchProblem
from mwatlas.potential.boltzmann_fields import Method
from mwatlas.potential.ensemble import Ensemble
from mwatlas.potential.fields import FieldShape
from mwatlas.potential.free_frame import FreeFrame
from mwatlas.potential.least_squares import LeastSquares
from mwatlas.potential.phase_samples import PhaseSamples
from mwatlas.potential.solver import SolverSettings, solve
from tests.unit.steady_systems import FRAME, SYSTEMS, points

SHAPE = FieldShape(width=6, depth=1)
QUICK = {
    "least squares": SolverSettings(SHAPE, SHAPE, LeastSquares(2, 1, 256, 512)),
    "adamw": SolverSettings(SHAPE, SHAPE, Annealing(3, 256), weight_penalty=1e-3),
}
OPTIMISERS = list(QUICK)


def _samples(name: str = "plummer", n: int = 1024, method: Method = Method.CONDITIONAL):
    x, v = points(name, n)
    conditional = method is Method.CONDITIONAL
    return PhaseSamples.of_system(SYSTEMS[name], x.numpy(), v.numpy(), conditional)


def _ignore(*_: object) -> None:
    pass


def _bytes(ensemble: Ensemble, path: Path) -> bytes:
    ensemble.save(path)
    return path.read_bytes()


@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_the_same_seeds_give_the_same_bytes(optimiser: str, tmp_path: Path) -> None:
    runs = [
        solve(_samples(), Method.CONDITIONAL, QUICK[optimiser], [1, 2], _ignore) for _ in range(2)
    ]
    one, other = (_bytes(run, tmp_path / f"{k}.h5") for k, run in enumerate(runs))
    assert one == other


@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_a_member_depends_on_its_own_seed_alone(optimiser: str) -> None:
    both = solve(_samples(), Method.CONDITIONAL, QUICK[optimiser], [1, 2], _ignore)
    alone = solve(_samples(), Method.CONDITIONAL, QUICK[optimiser], [2], _ignore)
    x = _samples().x[:20]
    # AdamW is in single precision, where products of two members are summed in another order.
    rtol = 0.0 if optimiser == "least squares" else 1e-3
    np.testing.assert_allclose(both.acceleration(x)[1:], alone.acceleration(x), rtol=rtol)


class _KilledError(Exception):
    pass


def _kill_after(calls: int) -> Callable[..., None]:
    left = calls

    def kill(steps: int, note: str = "") -> None:  # noqa: ARG001
        nonlocal left
        left -= 1
        if not left:
            raise _KilledError

    return kill


@pytest.mark.parametrize("optimiser", OPTIMISERS)
@pytest.mark.parametrize("calls", [1, 3])
def test_a_killed_run_continues_to_the_same_weights(
    optimiser: str, calls: int, tmp_path: Path
) -> None:
    def run(advance, checkpoint: Checkpoint | None) -> Ensemble:
        frame = FreeFrame(FRAME)
        return solve(
            _samples("jacobi_power"),
            Method.CONDITIONAL,
            QUICK[optimiser],
            [1, 2],
            advance,
            frame=frame,
            checkpoint=checkpoint,
        )

    checkpoint = Checkpoint(tmp_path / "c.npz", "same", 0.0)
    with pytest.raises(_KilledError):
        run(_kill_after(calls), checkpoint)
    notes: list[str] = []
    resumed = run(lambda _, note="": notes.append(note), checkpoint)
    assert notes[0] == "resumed"
    whole = run(_ignore, None)
    assert _bytes(resumed, tmp_path / "a.h5") == _bytes(whole, tmp_path / "b.h5")


@pytest.mark.parametrize("method", list(Method))
def test_files(method: Method, tmp_path: Path) -> None:
    samples = _samples("jacobi_power", method=method)
    frame = FreeFrame(FRAME)
    ensemble = solve(samples, method, QUICK["least squares"], [1, 2], _ignore, frame=frame)
    ensemble.save(tmp_path / "e.h5")
    again = Ensemble.load(tmp_path / "e.h5")
    x = samples.x[:30]
    np.testing.assert_array_equal(again.acceleration(x), ensemble.acceleration(x))
    np.testing.assert_array_equal(again.residual(samples), ensemble.residual(samples))
    if method is not Method.VANILLA:
        np.testing.assert_array_equal(again.log_extra(x), ensemble.log_extra(x))
    assert again.frame_parameters().keys() == {"omega_z_km_s_kpc"}
    assert again.degeneracy == ensemble.degeneracy
    assert (again.degeneracy is None) == (method is Method.VANILLA)
    assert again.history == ensemble.history
    with pytest.raises(InputError):
        Ensemble.load(tmp_path / "none.h5")


def test_what_an_ensemble_gives() -> None:
    samples = _samples()
    ensemble = solve(samples, Method.CONDITIONAL, QUICK["least squares"], [1, 2], _ignore)
    x = samples.x[:5]
    assert ensemble.potential(x).shape == (2, 5)
    assert ensemble.acceleration(x).shape == ensemble.log_extra_gradient(x).shape == (2, 5, 3)
    assert ensemble.mass_density(x).shape == ensemble.log_extra(x).shape == (2, 5)
    # ln n is normalised over the samples.
    np.testing.assert_allclose(ensemble.log_extra(samples.x).mean(axis=1), 0.0, atol=1e-12)
    # Derivatives against differences of the fields, whose error is h^2 and rounding over h.
    h = 1e-4
    for axis in range(3):
        step = h * np.eye(3)[axis]
        slope = (ensemble.potential(x + step) - ensemble.potential(x - step)) / (2 * h)
        np.testing.assert_allclose(-slope, ensemble.acceleration(x)[..., axis], atol=1e-6)
    counts = ensemble.parameter_counts()
    assert counts == {"potential": 5 * 6 + 2 * 7 * 6 + 7, "extra": 121, "frame": 0}
    assert len(ensemble.validation_loss) == 2
    assert [len(row) for row in ensemble.history] == [2, 2]


def test_the_vanilla_method_has_no_other_field() -> None:
    samples = _samples(method=Method.VANILLA)
    ensemble = solve(samples, Method.VANILLA, QUICK["least squares"], [1], _ignore)
    assert ensemble.parameter_counts()["extra"] == 0
    with pytest.raises(ValueError, match="no field but the potential"):
        ensemble.log_extra(samples.x)


def test_a_selection_is_at_most_one_and_reaches_it() -> None:
    samples = _samples(method=Method.SELECTION)
    ensemble = solve(samples, Method.SELECTION, QUICK["least squares"], [1], _ignore)
    assert ensemble.log_extra(samples.x).max() == 0


def test_losses_are_of_the_validation_if_there_is_one() -> None:
    settings = QUICK["least squares"]
    train, other = _samples(n=1024), _samples(n=700)
    own = solve(train, Method.CONDITIONAL, settings, [1], _ignore)
    valid = solve(train, Method.CONDITIONAL, settings, [1], _ignore, validation=other)
    np.testing.assert_array_equal(valid.acceleration(other.x), own.acceleration(other.x))
    residual = torch.from_numpy(valid.residual(other))
    laplacian = torch.from_numpy(4 * math.pi * valid.mass_density(other.x))
    assert valid.validation_loss == pytest.approx(settings.loss(residual, laplacian).tolist())
    assert valid.validation_loss != own.validation_loss


def test_maxwellian_velocities_are_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "mwatlas"):
        ensemble = solve(
            _samples("isothermal"), Method.CONDITIONAL, QUICK["least squares"], [1], _ignore
        )
    assert ensemble.degeneracy is not None
    assert ensemble.degeneracy.degenerate
    assert "must not be trusted" in caplog.text


def test_outliers_among_the_slopes_spoil_squares_but_not_the_robust_fit() -> None:
    samples = _samples(n=4096, method=Method.VANILLA)
    score_x = samples.score_x.copy()
    # One row in fifty points a hundred times too far, outwards.
    score_x[::50] = 100 * np.abs(score_x[::50])
    spoiled = replace(samples, score_x=score_x)
    x = samples.x[np.linalg.norm(samples.x, axis=1) < 3][:500]
    true = SYSTEMS["plummer"].acceleration(torch.from_numpy(x)).numpy()
    errors = {}
    for robust in (False, True):
        fit = LeastSquares(4, 4, 768, 768, robust)
        ensemble = solve(spoiled, Method.VANILLA, SolverSettings(SHAPE, SHAPE, fit), [1], _ignore)
        off = np.linalg.norm(ensemble.acceleration(x)[0] - true, axis=1)
        errors[robust] = np.median(off / np.linalg.norm(true, axis=1))
    # Outliers count by their number: a bias of one or two in fifty.
    assert errors[True] < 0.04
    assert errors[False] > 0.2


@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_divergence_is_an_error(optimiser: str) -> None:
    samples = _samples()
    # Numbers that single and double precision take, but not their squares.
    huge = replace(samples, score_v=samples.score_v * (1e200 if "least" in optimiser else 1e38))
    with pytest.raises(TrainingError, match="diverged"):
        solve(huge, Method.VANILLA, QUICK[optimiser], [1], _ignore)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an accelerator")
@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_an_accelerator(optimiser: str) -> None:
    x = _samples().x[:20]
    here, there = (
        solve(_samples(), Method.CONDITIONAL, QUICK[optimiser], [1], _ignore, device=device)
        for device in ("cpu", "cuda")
    )
    assert np.isfinite(there.mass_density(x)).all()
    if optimiser == "least squares":
        # The same batches; AdamW draws its order on the device. Rounding of 1e-16, times the
        # condition of the normal matrix, which damping keeps below 1e9.
        np.testing.assert_allclose(there.acceleration(x), here.acceleration(x), rtol=1e-6)


def test_bad_arguments() -> None:
    settings = QUICK["least squares"]
    with pytest.raises(ConfigError) as caught:
        solve(_samples(), Method.CONDITIONAL, settings, [], _ignore)
    assert caught.value.item == "seeds"
    with pytest.raises(ConfigError) as caught:
        solve(_samples(), Method.CONDITIONAL, settings, [1], _ignore, device="abacus")
    assert caught.value.item == "device"
    with pytest.raises(InputError) as refused:
        solve(_samples(n=100), Method.CONDITIONAL, settings, [1], _ignore)
    assert refused.value.item == "samples"
    for item, build in (
        ("steps", lambda: LeastSquares(steps=0)),
        ("weight_penalty", lambda: SolverSettings(weight_penalty=-1.0)),
    ):
        with pytest.raises(ConfigError) as caught:
            build()
        assert caught.value.item == item


THREE_BATCHES = LeastSquares(3, 4, 512, 800)


def _three_batches(robust: bool) -> SolverSettings:
    return replace(QUICK["least squares"], optimiser=replace(THREE_BATCHES, robust=robust))


def _spoil_second_batch(monkeypatch: pytest.MonkeyPatch, factor: float = 100.0) -> None:
    """Let the second of three batches end in weights so many times too large."""
    descend, rows = BatchProblem.descend, THREE_BATCHES.rows(1, 1024)

    def spoiled(self: BatchProblem, steps: int, damping: float) -> float:
        after = descend(self, steps, damping)
        # Told by its size, also in a run that was killed.
        if len(self._scale) == rows:
            with torch.no_grad():
                for parameter in self._model.parameters():
                    parameter *= factor
        return after

    monkeypatch.setattr(BatchProblem, "descend", spoiled)


@pytest.mark.parametrize("factor", [100.0, 1e200, math.nan])
@pytest.mark.parametrize("robust", [False, True])
def test_a_batch_that_spoils_the_fields_is_undone(
    robust: bool, factor: float, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The fit of a small batch may be absurd between its samples, for instance a spike."""
    settings = _three_batches(robust)
    with caplog.at_level(logging.INFO, "mwatlas"):
        clean = solve(_samples(), Method.CONDITIONAL, settings, [1], _ignore).history[0]
        assert "in vain" not in caplog.text
        _spoil_second_batch(monkeypatch, factor)
        spoiled = solve(_samples(), Method.CONDITIONAL, settings, [1], _ignore).history[0]
    assert caplog.text.count("batch 1 of member 0 was fitted in vain") == 1
    # The third batch starts from where the second did: it ends no worse than the first.
    assert len(spoiled) == 3
    assert spoiled[2] < clean[0]


# Right after the batch that is undone, and after the one that began anew.
@pytest.mark.parametrize("calls", [2, 3])
def test_a_run_killed_where_a_batch_is_undone_continues_to_the_same_weights(
    calls: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _spoil_second_batch(monkeypatch)
    settings = _three_batches(robust=False)

    def run(advance, checkpoint: Checkpoint | None) -> Ensemble:
        return solve(
            _samples(), Method.CONDITIONAL, settings, [1, 2], advance, checkpoint=checkpoint
        )

    checkpoint = Checkpoint(tmp_path / "c.npz", "same", 0.0)
    with pytest.raises(_KilledError):
        run(_kill_after(calls), checkpoint)
    resumed, whole = run(_ignore, checkpoint), run(_ignore, None)
    assert _bytes(resumed, tmp_path / "a.h5") == _bytes(whole, tmp_path / "b.h5")
