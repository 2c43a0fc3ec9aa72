"""What flows refuse to learn from, or to be asked about."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from mwatlas.errors import ConfigError, InputError, TrainingError
from mwatlas.flows.annealing import Annealing
from mwatlas.flows.data import Standard, checked_pair, checked_samples
from mwatlas.flows.device import checked_device
from mwatlas.flows.distilled import DistilledDensity
from mwatlas.flows.distilling import DistillingSettings
from mwatlas.flows.matching_flow import MatchingFlow
from mwatlas.flows.pairing import OptimalTransport
from mwatlas.flows.storage import opened_model, write_model
from mwatlas.progress import Progress
from tests.unit.flow_samples import small_flow

X = np.random.default_rng(0).normal(size=(40, 2))


def _with(row: int, value: float) -> np.ndarray:
    out = X.copy()
    out[row, 1] = value
    return out


@pytest.mark.parametrize(
    ("x", "weights", "message"),
    [
        (_with(7, np.nan), None, "1 of 40 rows, the first is row 7"),
        (_with(3, np.inf), None, "the first is row 3"),
        (X[:0], None, "0 rows, none of positive weight"),
        (X, np.zeros(40), "40 rows, none of positive weight"),
        (X, np.full(40, np.inf), "a selection function of zero gives infinite weights"),
        (X, -np.ones(40), "none negative"),
        (X, np.ones(39), r"expected: *shape \(40,\)"),
        (X[:, :1], None, r"found: *shape \(40, 1\)\n *expected: *shape \(N, 2\)"),
        (X[:, 0], None, r"shape \(40,\)"),
        (np.ma.masked_greater(X, 2.0), None, "1 of 40 rows"),
        (X * 1j, None, "type complex128"),
        (X.astype(str), None, "type <U"),
        (X, np.ma.masked_equal(np.arange(40.0), 5), "nan in row 5, and 1 such rows of 40"),
        (X, np.full(40, 1j), r"column: *weights\n *found: *type complex128"),
        (X[:1], None, "constant"),
        (np.concatenate([X[:, :1], np.full((40, 1), 0.1)], axis=1), None, r"x\[:, 1\]"),
    ],
)
def test_samples_that_cannot_be_learned_from(
    x: np.ndarray, weights: np.ndarray | None, message: str, progress: Progress
) -> None:
    flow = small_flow(2)
    with pytest.raises(InputError, match=message):
        flow.fit(x, weights=weights, progress=progress)
    with pytest.raises(TrainingError, match="before it learned"):
        flow.sample(3, np.random.default_rng(0))


def test_conditions_must_be_those_the_density_was_made_for(progress: Progress) -> None:
    with pytest.raises(InputError, match="conditional and got no conditions"):
        small_flow(2, 1).fit(X, progress=progress)
    with pytest.raises(InputError, match="unconditional and got conditions"):
        small_flow(2).fit(X, X[:, :1], progress=progress)
    with pytest.raises(InputError, match="39 rows"):
        checked_pair(X, X[:39, :1], 2, 1)
    with pytest.raises(InputError, match=r"column: *given"):
        checked_pair(X, _with(1, np.nan), 2, 2)


def test_an_untrained_density_says_so(tmp_path: Path) -> None:
    distilled = DistilledDensity(2, settings=DistillingSettings(Annealing(1)))
    for density in (small_flow(2), distilled):
        for ask in (density.log_prob, density.score):
            with pytest.raises(TrainingError, match="before it learned"):
                ask(X)
        with pytest.raises(TrainingError, match="before it learned"):
            density.save(tmp_path / "flow.h5")
    assert list(tmp_path.iterdir()) == []


def test_rows_of_no_weight_are_left_out() -> None:
    weights = np.repeat([2.0, 0.0], 20)
    samples = checked_samples(X, X[:, :1], weights, 2, 1)
    np.testing.assert_array_equal(samples.x, X[:20])
    np.testing.assert_array_equal(samples.given, X[:20, :1])
    np.testing.assert_array_equal(samples.weights, np.ones(20))


def test_standard_units_of_weighted_rows_are_those_of_repeated_rows() -> None:
    times = np.random.default_rng(1).integers(1, 4, 40)
    weighted = Standard.of(X, times.astype(float), "x")
    repeated = Standard.of(np.repeat(X, times, axis=0), np.ones(times.sum()), "x")
    np.testing.assert_allclose(weighted.mean, repeated.mean, atol=1e-14)
    np.testing.assert_allclose(weighted.std, repeated.std, rtol=1e-14)
    np.testing.assert_allclose(weighted.invert(weighted.apply(X)), X, atol=1e-14)


def test_a_conditional_flow_cannot_be_transported() -> None:
    with pytest.raises(ConfigError, match="1 conditions"):
        small_flow(2, 1, transport=OptimalTransport())


def test_a_device_that_is_not_there() -> None:
    assert checked_device("cpu").type == "cpu"
    for name in ("cuda:77", "abacus"):
        with pytest.raises(ConfigError, match=name):
            checked_device(name)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", 0),
        ("epochs", 1.5),
        ("batch_size", 0),
        ("learning_rate", 0),
        ("learning_rate", np.nan),
        ("optimizer", "sgd"),
    ],
)
def test_trainings_that_are_none(name: str, value: object) -> None:
    with pytest.raises(ConfigError, match=f"key: *{name}\n *found: *{value}"):
        Annealing(**{"epochs": 1, name: value})


def test_files_that_are_no_flow(tmp_path: Path) -> None:
    path = tmp_path / "flow.h5"
    with pytest.raises(InputError, match="cannot be read"):
        MatchingFlow.load(path)
    path.write_bytes(b"<html>")
    with pytest.raises(InputError, match="cannot be read"):
        MatchingFlow.load(path)
    write_model(path, "potential", {}, {})
    with pytest.raises(InputError, match=r"found: *a 'potential'"):
        MatchingFlow.load(path)
    write_model(path, "potential", {}, {"a": np.array([np.nan])})
    with (
        pytest.raises(InputError, match="'a' that are not finite"),
        opened_model(path, "potential"),
    ):
        pass


def test_files_whose_weights_do_not_fit_their_settings(tmp_path: Path, progress: Progress) -> None:
    path = tmp_path / "flow.h5"
    flow = small_flow(2)
    flow.fit(X, progress=progress)
    flow.save(path)
    for change, said in (
        (lambda file: file.attrs.__setitem__("settings", "{}"), "'settings'"),
        (lambda file: file.pop("weights_000"), "arrays of weights instead of"),
        (_stretchable, r"weights 0 of shape \(1,\) instead of"),
    ):
        broken = tmp_path / "broken.h5"
        broken.write_bytes(path.read_bytes())
        with h5py.File(broken, "a") as file:
            change(file)
        with pytest.raises(InputError, match=said):
            MatchingFlow.load(broken)


def test_a_single_damaged_byte_is_found(tmp_path: Path) -> None:
    path = tmp_path / "model.h5"
    weights = np.random.default_rng(2).normal(size=(8, 8))
    write_model(path, "potential", {}, {"a": weights})
    data = path.read_bytes()
    place = data.index(weights.tobytes()) + 100
    path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
    with pytest.raises(InputError, match="cannot be read"), opened_model(path, "potential"):
        pass


def _stretchable(file: h5py.File) -> None:
    file.pop("weights_000")
    file["weights_000"] = np.zeros(1)
