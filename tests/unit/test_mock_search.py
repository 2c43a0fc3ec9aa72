"""Search for the hyper-parameters of the study's networks."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
import yaml

from mwatlas.config import load_settings, read_yaml
from mwatlas.config.conditional_potential import ConditionalPotential
from mwatlas.config.fields import merged
from mwatlas.config.search import SEARCHED, Searched, check_ranges, value_at
from mwatlas.errors import ConfigError
from mwatlas.flows.matching_flow import MatchingFlow
from mwatlas.studies.conditional_potential import search_trials
from mwatlas.studies.conditional_potential.search import search_network
from mwatlas.studies.conditional_potential.search_trials import COST_OF_A_ROW, flow_weights

from .learned_mock import PROGRESS, SEED, TINY, distil_one, make_mock, train_one

WIDTH = {"low": 8, "high": 24, "step": 8}
SETTINGS = ConditionalPotential.model_validate(
    merged(
        TINY.model_dump(mode="json"),
        {
            "search": {
                "trials": 4,
                "share": 0.2,
                "validation_stars": 100,
                "velocities": {
                    "width": WIDTH,
                    "training.batch_size": {"low": 256, "high": 2048, "log": True},
                },
                "conditional": {
                    "optimiser.batch_size": None,
                    "potential.width": {"low": 4, "high": 8},
                    "optimiser.damping": {"low": 1e-3, "high": 0.1, "log": True},
                },
            }
        },
    )
)


@pytest.fixture(scope="module")
def mock(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    return make_mock(tmp_path_factory.mktemp("mock"))


def _search(
    network: Searched,
    mock: dict[str, list[Path]],
    folder: Path,
    files: tuple[dict[str, Path], dict[str, Path]] = ({}, {}),
) -> tuple[Path, Path]:
    table, settings = folder / f"{network}.csv", folder / f"{network}.yaml"
    search_network(
        network,
        SETTINGS,
        SEED,
        stars=mock["stars"],
        flow_files=files[0],
        quick_files=files[1],
        code="test",
        table_file=table,
        settings_file=settings,
        progress=PROGRESS,
    )
    return table, settings


def _rows(table: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(table.open()))


@pytest.fixture(scope="module")
def searched(
    mock: dict[str, list[Path]], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path]:
    return _search("velocities", mock, tmp_path_factory.mktemp("search"))


def test_a_killed_search_has_the_same_bytes(
    mock: dict[str, list[Path]],
    searched: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fit, done = MatchingFlow.fit, []

    def killed(self: MatchingFlow, *arguments: Any, **more: Any) -> Any:
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(1)
        return fit(self, *arguments, **more)

    with monkeypatch.context() as patch:
        patch.setattr(MatchingFlow, "fit", killed)
        with pytest.raises(KeyboardInterrupt):
            _search("velocities", mock, tmp_path)
    again = _search("velocities", mock, tmp_path)
    for ours, expected in zip(again, searched, strict=True):
        assert ours.read_bytes() == expected.read_bytes()


def test_the_first_trial_has_the_studys_own_settings(searched: tuple[Path, Path]) -> None:
    first = _rows(searched[0])[0]
    own = SETTINGS.flows.velocities
    for name in SETTINGS.search.ranges("velocities"):
        assert float(first[name]) == pytest.approx(value_at(own, name))
    assert int(first["epochs"]) == own.training.epochs
    assert int(first["parameters"]) == flow_weights(own, conditional=True)


def test_trials_of_a_flow_cost_the_same(searched: tuple[Path, Path]) -> None:
    first, *others = _rows(searched[0])
    cost = int(first["epochs"]) * (int(first["parameters"]) + COST_OF_A_ROW)
    for row in others:
        epochs = cost / (int(row["parameters"]) + COST_OF_A_ROW)
        # Epochs are whole: half of one is the rounding, and there is one at least.
        assert abs(int(row["epochs"]) - epochs) <= 0.5 or row["epochs"] == "1"


def test_weights_are_those_of_the_flow(mock: dict[str, list[Path]], tmp_path: Path) -> None:
    record = train_one("velocities", mock, tmp_path / "flow.h5")
    assert flow_weights(TINY.flows.velocities, conditional=True) == record["parameters"]


def test_the_best_settings_are_a_configuration(root: Path, searched: tuple[Path, Path]) -> None:
    rows = _rows(searched[0])
    best = max(rows, key=lambda row: float(row["value"]))
    settings = load_settings(yaml.safe_load(searched[1].read_text()), root)
    flow = settings.conditional_potential.flows.velocities
    assert flow.width == int(best["width"])
    # Those of a trial are of its cost, not of the run to come.
    own = load_settings({}, root).conditional_potential.flows.velocities
    assert flow.training.epochs == own.training.epochs
    assert flow.training.batch_size == int(best["training.batch_size"])


def test_the_networks_of_a_solver_are_judged_by_their_loss(
    mock: dict[str, list[Path]], tmp_path: Path
) -> None:
    flow, quick = tmp_path / "flow.h5", tmp_path / "quick.h5"
    train_one("velocities", mock, flow)
    distil_one("velocities", mock, flow, quick)
    files = {"velocities": flow}, {"velocities": quick}
    table, settings = _search("conditional", mock, tmp_path, files)
    rows = _rows(table)
    best = min(rows, key=lambda row: float(row["value"]))
    chosen = yaml.safe_load(settings.read_text())["conditional_potential"]["solvers"]["conditional"]
    assert chosen["potential"]["width"] == int(best["potential.width"])
    assert {row["potential.width"] for row in rows} != {"6"}


def test_the_same_stars_judge_whatever_the_partitions(mock: dict[str, list[Path]]) -> None:
    stars = search_trials_stars(mock["stars"])
    turned = search_trials_stars(mock["stars"][::-1])
    assert stars == turned


def search_trials_stars(paths: list[Path]) -> list[set[float]]:
    """First columns of what a trial learns from and is judged by."""
    from mwatlas.studies.conditional_potential.training import read_stars

    trials = search_trials.FlowTrials(
        "positions", SETTINGS.flows, SETTINGS.search, read_stars(paths), SEED, PROGRESS
    )
    return [set(array[:, 0]) for array in trials.arrays]


@pytest.mark.parametrize(
    ("network", "name", "tried", "message"),
    [
        ("velocities", "widht", {"low": 1, "high": 2}, "Extra inputs are not permitted"),
        ("velocities", "width", {"low": 0, "high": 99, "step": None}, "greater than or equal to 1"),
        ("velocities", "width", {"low": 8.0, "high": 99, "step": None}, "whole numbers"),
        ("velocities", "width", {"low": 100, "high": 200, "step": 4}, "the study's own value"),
        ("velocities", "width", {"low": 10, "high": 24, "step": 7}, "the study's own value"),
        ("velocities", "training.epochs", {"low": 1, "high": 9}, "cost the same"),
        ("velocities", "training", {"low": 1, "high": 9}, "Training"),
        ("conditional", "optimiser.learning_rate", {"low": 1e-4, "high": 1.0}, "Extra inputs"),
    ],
)
def test_an_impossible_range_is_refused(
    network: Searched, name: str, tried: dict[str, Any], message: str
) -> None:
    study = ConditionalPotential.model_validate(
        merged(TINY.model_dump(mode="json"), {"search": {network: {name: tried}}})
    )
    ranges = {name: study.search.ranges(network)[name]}
    with pytest.raises(ConfigError, match=message) as caught:
        check_ranges(network, ranges, study.searched(network))
    assert caught.value.item == f"conditional_potential.search.{network}.{name}"


@pytest.mark.parametrize(
    ("tried", "message"),
    [
        ({"low": 2, "high": 2}, "must be below high"),
        ({"low": 0, "high": 2, "log": True}, "logarithmic"),
        ({"low": 1, "high": 4, "step": 2}, "steps of 2"),
        ({"low": 1.0, "high": 4, "step": 1}, "whole numbers"),
    ],
)
def test_what_is_no_range_is_refused_before_any_run(
    root: Path, tried: dict[str, Any], message: str
) -> None:
    user = {"conditional_potential": {"search": {"velocities": {"width": tried}}}}
    with pytest.raises(ConfigError, match=message):
        load_settings(user, root)


@pytest.mark.parametrize("size", ["", "laptop", "full"])
def test_every_size_can_be_searched(root: Path, size: str) -> None:
    user = read_yaml(root / f"config/sizes/{size}.yaml") if size else {}
    study = load_settings(user, root).conditional_potential
    for network in SEARCHED:
        check_ranges(network, study.search.ranges(network), study.searched(network))


@pytest.mark.parametrize("network", ["velocities", "positions", "conditional"])
def test_what_was_found_is_a_configuration(root: Path, network: Searched) -> None:
    folder = root / "config/searches"
    settings = load_settings(read_yaml(folder / f"{network}.yaml"), root).conditional_potential
    rows = [row for row in _rows(folder / f"{network}.csv") if row["state"] == "complete"]
    choose = min if network == "conditional" else max
    best = choose(rows, key=lambda row: float(row["value"]))
    tried = set(best) & set(settings.search.ranges(network))
    assert len(tried) >= 4
    for name in tried:
        found = value_at(settings.searched(network), name)
        # The configuration has four digits.
        assert found == pytest.approx(float(best[name]), rel=1e-3)
