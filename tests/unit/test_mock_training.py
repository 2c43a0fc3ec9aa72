"""From the stars of the mock to flows, quick scores, potentials and evaluated tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mwatlas.config.conditional_potential import ConditionalPotential
from mwatlas.errors import ConfigError, InputError, TrainingError
from mwatlas.flows.distilled import DistilledDensity
from mwatlas.flows.matching_flow import MatchingFlow
from mwatlas.studies.conditional_potential.distilling import (
    mixed_places,
    sample_within,
)
from mwatlas.studies.conditional_potential.evaluate import Evaluation, MockTruth, Models
from mwatlas.studies.conditional_potential.evaluated import Evaluated
from mwatlas.studies.conditional_potential.names import METHODS, FlowKind, positions_of
from mwatlas.studies.conditional_potential.networks import general_choices, write_networks
from mwatlas.studies.conditional_potential.numbers import measure
from mwatlas.studies.conditional_potential.sampling import LearnedDensity, phase_samples
from mwatlas.studies.conditional_potential.solving import solve_member
from mwatlas.studies.conditional_potential.stars import total_counts
from mwatlas.studies.conditional_potential.training import (
    is_validation,
    read_stars,
    star_weights,
    train_flow,
    training_stars,
)
from mwatlas.tables.parquet import read_rows

from .learned_mock import PROGRESS, SEED, TINY, distil_one, make_mock, train_one

RADIUS = TINY.mock.tracer.radius_kpc
KINDS: tuple[FlowKind, ...] = ("velocities", "observed", "weighted")


@pytest.fixture(scope="module")
def mock(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    return make_mock(tmp_path_factory.mktemp("mock"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def flows(mock: dict[str, list[Path]], folder: Path) -> dict[str, dict[str, Path]]:
    """First members of all flows and of what stands in for them, and their records."""
    out: dict[str, dict[str, Path]] = {"flow": {}, "quick": {}}
    records = {}
    for kind in KINDS:
        path, quick = folder / f"{kind}.h5", folder / f"{kind}-quick.h5"
        records[kind] = train_one(kind, mock, path)
        records[f"{kind}-quick"] = distil_one(kind, mock, path, quick)
        out["flow"][kind], out["quick"][kind] = path, quick
    return out | {"records": records}


def test_a_quarter_validates_whatever_the_partitions(mock: dict[str, list[Path]]) -> None:
    stars = read_stars(mock["stars"])
    kept = is_validation(stars.star_id, TINY.flows, SEED)
    # Binomial: 20,000 stars, standard deviation of the share 0.003; four of them.
    assert kept.mean() == pytest.approx(0.25, abs=0.0125)
    second = read_stars(mock["stars"][1:])
    np.testing.assert_array_equal(
        is_validation(second.star_id, TINY.flows, SEED), kept[-len(second.star_id) :]
    )


def test_weights_undo_the_selection_up_to_a_limit() -> None:
    star = np.arange(50_000)
    plain = TINY.flows.model_copy(update={"bootstrap": False, "largest_weight": 4.0})
    share = np.linspace(0.05, 1, star.size)
    weights = star_weights(star, np.log(share), plain, 0, SEED)
    np.testing.assert_allclose(weights, np.minimum(1 / share, 4.0))
    assert (star_weights(star, None, plain, 0, SEED) == 1).all()
    drawn = [star_weights(star, None, TINY.flows, member, SEED) for member in (0, 1)]
    for each in drawn:
        # Poisson of mean 1: standard deviation of the mean 0.0045, of the variance 0.0077.
        assert each.mean() == pytest.approx(1, abs=0.018)
        assert each.var() == pytest.approx(1, abs=0.031)
    # Members draw independently.
    assert abs(np.corrcoef(drawn)[0, 1]) < 0.018


def test_truth_in_another_order_is_refused(mock: dict[str, list[Path]]) -> None:
    with pytest.raises(
        InputError, match=r"column: *star_id\n *found: *20000 rows, for 20000 stars"
    ):
        training_stars("weighted", 0, TINY.flows, SEED, mock["stars"], mock["truth"][::-1])


def test_the_same_seed_gives_the_same_flow_and_another_member_another(
    mock: dict[str, list[Path]], flows: dict[str, dict[str, Path]], tmp_path: Path
) -> None:
    train_one("velocities", mock, tmp_path / "again.h5")
    train_one("velocities", mock, tmp_path / "other.h5", member=1)
    first = flows["flow"]["velocities"].read_bytes()
    assert (tmp_path / "again.h5").read_bytes() == first
    assert (tmp_path / "other.h5").read_bytes() != first


def test_records_tell_what_tables_need(flows: dict[str, dict[str, Path]]) -> None:
    record = flows["records"]["velocities"]
    flow = MatchingFlow.load(flows["flow"]["velocities"])
    assert record["parameters"] == flow.parameters
    # A Poisson weight is zero for one star in e; three in four stars train.
    assert record["rows"] == pytest.approx(15_000, rel=0.05)


def test_velocities_alone_are_learned_from_stars(
    mock: dict[str, list[Path]], flows: dict[str, dict[str, Path]], tmp_path: Path
) -> None:
    distillation = TINY.flows.distillation.model_copy(update={"from_stars": None})
    settings = TINY.flows.model_copy(update={"distillation": distillation})
    for kind in ("velocities", "observed"):
        again = tmp_path / f"{kind}.h5"
        distil_one(kind, mock, flows["flow"][kind], again, settings)
        same = again.read_bytes() == flows["quick"][kind].read_bytes()
        assert same == (kind == "observed")
    record = flows["records"]["velocities-quick"]
    quick = DistilledDensity.load(flows["quick"]["velocities"])
    assert record["parameters"] == quick.parameters


def test_places_are_mixed_as_asked() -> None:
    rng = np.random.default_rng(1)
    observed = np.full((10, 3), 0.5)
    places = mixed_places(observed, 4000, 0.25, 8.0, rng)
    known = (places == 0.5).all(axis=1)
    assert known.sum() == 3000
    radius = np.linalg.norm(places[~known], axis=1)
    # Uniform from 0 to 8: mean 4, standard deviation of the mean 0.073.
    assert radius.mean() == pytest.approx(4, abs=0.3)
    assert radius.max() < 8


def test_samples_of_positions_stay_in_the_volume(flows: dict[str, dict[str, Path]]) -> None:
    flow = MatchingFlow.load(flows["flow"]["observed"])
    drawn = sample_within(flow, 500, 3.0, np.random.default_rng(2))
    assert drawn.shape == (500, 3)
    assert np.linalg.norm(drawn, axis=1).max() < 3.0
    with pytest.raises(TrainingError, match="leaves the volume"):
        sample_within(flow, 500, 0.1, np.random.default_rng(2))


@pytest.mark.parametrize("method", METHODS)
def test_scores_are_those_of_what_a_method_learns(
    method: str, mock: dict[str, list[Path]], flows: dict[str, dict[str, Path]]
) -> None:
    learned = {
        kind: LearnedDensity.load(flows["flow"][kind], flows["quick"][kind], "cpu")
        for kind in KINDS
    }
    positions = positions_of(method)
    observed = read_stars(mock["stars"]).position_kpc
    samples = phase_samples(
        learned["velocities"],
        None if positions is None else learned[positions],
        observed,
        TINY.sampling,
        RADIUS,
        np.random.default_rng(3),
    )
    by_velocity, by_position = learned["velocities"].quick.score(samples.v, samples.x)
    np.testing.assert_array_equal(samples.score_v, by_velocity)
    if positions is not None:
        by_position = by_position + learned[positions].quick.score(samples.x)[0]
    np.testing.assert_array_equal(samples.score_x, by_position)


def test_a_run_ends_in_tables_that_numbers_can_be_taken_of(
    mock: dict[str, list[Path]], flows: dict[str, dict[str, Path]], folder: Path
) -> None:
    solved, potentials = {}, {}
    for method in TINY.methods:
        needed = [k for k in ("velocities", positions_of(method)) if k is not None]
        path = folder / f"{method}.h5"
        solved[method] = solve_member(
            method,
            0,
            getattr(TINY.solvers, method),
            TINY.flows.device,
            TINY.sampling,
            RADIUS,
            SEED,
            flow_files={k: flows["flow"][k] for k in needed},
            quick_files={k: flows["quick"][k] for k in needed},
            stars=mock["stars"],
            code="test",
            model_file=path,
            progress=PROGRESS,
        )
        potentials[method] = [path, path]
    positions = {k: [flows["flow"][k]] for k in KINDS if k != "velocities"}
    models = Models.load(positions, [flows["quick"]["velocities"]], potentials, "cpu")
    truth = MockTruth.load(TINY.mock, mock["dust"][0], mock["extinction"][0])
    tables = folder / "evaluated"
    files = {
        name: tables / f"{name}.parquet" for name in ("points", "profile", "plane", "sky", "phase")
    }
    Evaluation(models, truth, TINY, SEED).write(mock["stars"], files, PROGRESS)
    _write_networks(flows["records"], solved, tables)
    evaluated = Evaluated.read(tables)
    assert evaluated.methods == tuple(METHODS)
    # Both members are the same, so they do not scatter.
    assert (evaluated.points["density_spread_conditional"] == 0).all()
    _check_truth(evaluated)
    counts = total_counts(mock["counts"])
    assert counts["observed"] == TINY.mock.observed_stars
    numbers = {m.quantity: m.value for m in measure(evaluated, counts, TINY)}
    assert numbers["count_observed"] == TINY.mock.observed_stars
    assert np.isfinite(numbers["density_error_conditional"])


def _write_networks(records: dict, solved: dict, tables: Path) -> None:
    from mwatlas.files import write_json

    def write(name: str, record: dict) -> Path:
        path = tables / f"{name}.json"
        write_json(path, record)
        return path

    write_networks(
        TINY,
        {kind: [write(kind, records[kind])] for kind in KINDS},
        [write("quick", records["velocities-quick"])],
        {method: [write(method, record)] for method, record in solved.items()},
        tables / "networks.parquet",
    )
    rows = read_rows([tables / "networks.parquet"], ["field", "parameters", "methods"])
    assert list(rows["field"]).count("potential") == 3
    assert rows["methods"][list(rows["field"]).index("velocities")] == " ".join(METHODS)
    assert list(rows["field"]).count("scores") == 1
    assert general_choices(TINY)["conditional"]["optimizer"] == "Muon, Levenberg-Marquardt"
    gradient = general_choices(ConditionalPotential())["selection"]
    assert gradient["optimizer"] == "Muon"
    assert gradient["minibatch optimal transport, batch"] == "256"


def _check_truth(evaluated: Evaluated) -> None:
    points = evaluated.points
    tracer = TINY.mock.tracer
    square = 1 + (points["radius_kpc"] / tracer.scale_kpc) ** 2
    # The mass density of Plummer's sphere, by its closed form.
    np.testing.assert_allclose(points["density_true"], tracer.central_density * square**-2.5)
    volume = 4 / 3 * np.pi * RADIUS**3
    # Places are uniform: the mean of a density of one star times the volume is 1. S and n vary
    # by their own size and more, 300 places: 1 / sqrt(300) times the relative scatter.
    for name in ("tracer_density_true", "observed_density_true"):
        values = points[name] * volume
        error = values.std() / np.sqrt(values.size)
        assert values.mean() == pytest.approx(1, abs=4 * error)
    seen = points["selection_true"] >= TINY.comparison.least_selection
    for model, true in (
        ("selection_model", "selection_true"),
        ("tracer_density_model", "tracer_density_true"),
    ):
        assert np.median((points[model] / points[true])[seen]) == pytest.approx(1, rel=1e-6)


def test_a_file_of_another_kind_is_refused(
    mock: dict[str, list[Path]], flows: dict[str, dict[str, Path]]
) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        MatchingFlow.load(flows["quick"]["velocities"])
    with pytest.raises(InputError, match="cannot be read"):
        DistilledDensity.load(mock["dust"][0])


def test_a_device_that_is_not_there_stops_before_the_work(
    mock: dict[str, list[Path]], tmp_path: Path
) -> None:
    settings = TINY.flows.model_copy(update={"device": "cuda:99"})
    with pytest.raises(ConfigError, match="device"):
        train_flow(
            "velocities",
            0,
            settings,
            SEED,
            stars=mock["stars"],
            truth=mock["truth"],
            code="test",
            model_file=tmp_path / "flow.h5",
            progress=PROGRESS,
        )
