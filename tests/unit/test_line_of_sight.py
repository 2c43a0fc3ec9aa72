"""Steps of the line-of-sight study on hand-made stars."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from mwatlas.studies.line_of_sight.sampling import velocity_draws

from mwatlas.archive.files import import_files
from mwatlas.catalogs import clean_stars
from mwatlas.config import Settings, load_settings
from mwatlas.config.line_of_sight import CrossValidation, Cut, LineOfSight
from mwatlas.config.release import ReleaseAdapter
from mwatlas.cuts import describe, disabled_cuts, passes
from mwatlas.files import read_json
from mwatlas.progress import Progress
from mwatlas.statistics import Statistics
from mwatlas.studies.line_of_sight.accumulate import (
    Stars,
    accumulate,
    empty_statistics,
    gather,
)
from mwatlas.studies.line_of_sight.features import astrometry, features
from mwatlas.studies.line_of_sight.folds import (
    sort_into_folds,
    training_subsets,
    validation_subset,
)
from mwatlas.studies.line_of_sight.numbers import measure
from mwatlas.studies.line_of_sight.selection import fold_of, not_applied, select_sample
from mwatlas.tables.parquet import read_columns

from .test_archive import write

NAN = math.nan


@pytest.mark.parametrize(
    ("cut", "expected"),
    [
        ({"above": 1}, [False, False, True, True, False]),
        ({"min": 1}, [False, True, True, True, False]),
        ({"below": 2}, [True, True, False, False, False]),
        ({"max": 2}, [True, True, True, False, False]),
        ({"min": 1, "below": 3}, [False, True, True, False, False]),
    ],
)
def test_cuts_are_open_or_closed_as_named(cut: dict, expected: list[bool]) -> None:
    assert list(passes(Cut(column="ruwe", **cut), np.array([0, 1, 2, 3, NAN]))) == expected


def test_cuts_describe_themselves() -> None:
    assert describe(Cut(column="ruwe", below=2)) == "ruwe < 2"
    assert describe(Cut(column="ruwe", min=6, max=17), "G") == "G >= 6 and G <= 17"
    assert disabled_cuts({"a": Cut(column="ruwe", below=2)}, {"ruwe": "lost"}) == {
        "a": "ruwe < 2 not applied: ruwe lost"
    }


def test_longitude_has_no_jump() -> None:
    stars = {name: np.zeros(2) for name in ("b", "pmra", "pmdec", "parallax_corr")}
    stars["l"] = np.array([0.0, 360.0])
    first, last = features(astrometry(stars), "paper")
    np.testing.assert_allclose(first, last, atol=1e-12)


def test_subsets_are_equal_on_average_and_independent_of_order() -> None:
    stars = np.arange(1, 100_001) * 12345
    settings = CrossValidation()
    fold = fold_of(stars, settings)
    counts = np.bincount(fold)
    assert counts.size == 5
    # Binomial noise of 20,000 is 126.
    assert np.abs(counts - 20_000).max() < 5 * 126
    np.testing.assert_array_equal(fold[::-1], fold_of(stars[::-1], settings))


def test_the_subsets_of_a_round_are_different() -> None:
    for folds in (3, 5, 8):
        for number in range(1, folds - 1):
            settings = CrossValidation(folds=folds, training_subsets=number)
            for test in range(folds):
                training = training_subsets(test, settings)
                assert len({test, *training, validation_subset(test, settings)}) == 2 + number
                assert training[0] == (test + 1) % folds
    assert training_subsets(4, CrossValidation(training_subsets=3)) == (0, 2, 3)


def _sample(
    tmp_path: Path, rows: dict, adapter: ReleaseAdapter, progress: Progress
) -> tuple[Path, dict]:
    raw, stars, sample = (tmp_path / f"{n}.parquet" for n in ("raw", "stars", "sample"))
    path = write(tmp_path / "in.parquet", rows)
    import_files([path], adapter.source, [raw], adapter.healpix_order, progress)
    clean_stars(raw, adapter, stars, tmp_path / "clean.json", progress)
    select_sample(stars, adapter, LineOfSight(), sample, tmp_path / "cuts.json", progress)
    return sample, read_json(tmp_path / "cuts.json")


def test_the_base_cut_removes_what_it_should(
    tmp_path: Path, gaia_rows: Callable, files_adapter: ReleaseAdapter, progress: Progress
) -> None:
    rows = gaia_rows(100)
    rows["parallax"][0] = -0.5
    rows["parallax_error"][1] = 2
    rows["phot_g_mean_mag"][2] = 17.5
    rows["ruwe"][3] = 2.0
    rows["ruwe"][4] = NAN
    rows["radial_velocity"][5] = 551
    rows["radial_velocity"][6] = NAN
    rows["radial_velocity"][7] = -550
    sample, counts = _sample(tmp_path, rows, files_adapter, progress)
    assert counts == {
        "read": 100,
        "removed_by_parallax": 1,
        "removed_by_parallax_error": 1,
        "removed_by_magnitude": 1,
        "removed_by_ruwe": 2,
        "removed_by_radial_velocity": 1,
        "with_radial_velocity": 93,
        "without_radial_velocity": 1,
    }
    kept = read_columns([sample], ["source_id", "fold"])
    assert list(kept["source_id"]) == list(rows["source_id"][6:])
    assert kept["fold"][0] == -1
    assert (kept["fold"][1:] >= 0).all()


def test_what_a_release_lacks_is_switched_off_and_said(root: Path) -> None:
    settings = load_settings({"release": "brightsky"}, root)
    reasons = not_applied(settings.adapter, settings.line_of_sight)
    assert set(reasons) == {"ruwe", "parallax_zero_point", "redraw"}
    assert "ruwe < 2" in reasons["ruwe"]
    complete = load_settings({"release": "gaiaedr3"}, root)
    assert not_applied(complete.adapter, complete.line_of_sight) == {}


def test_folds_partition_the_stars_with_a_velocity(
    tmp_path: Path, gaia_rows: Callable, files_adapter: ReleaseAdapter, progress: Progress
) -> None:
    rows = gaia_rows(2000)
    rows["radial_velocity"][::4] = NAN
    sample, _ = _sample(tmp_path, rows, files_adapter, progress)
    outputs = [tmp_path / f"fold{k}.parquet" for k in range(5)]
    sort_into_folds([sample], files_adapter, LineOfSight().cross_validation, outputs)
    found = [read_columns([path], ["source_id"])["source_id"] for path in outputs]
    assert len(set(np.concatenate(found))) == sum(map(len, found)) == 1500


def test_draws_scatter_as_predicted() -> None:
    number = 40_000
    predicted = {"vlos_pred": np.full(number, 12.0), "sigma_los": np.full(number, 30.0)}
    draws = velocity_draws(1, 5, np.arange(1, number + 1), predicted)
    assert draws.shape == (number, 5)
    error = 30 / np.sqrt(draws.size)
    assert abs(draws.mean() - 12) < 4 * error
    assert abs(draws.std() - 30) < 4 * error
    # One draw more leaves the others as they were.
    more = velocity_draws(1, 6, np.arange(1, number + 1), predicted)
    np.testing.assert_array_equal(more[:, :5], draws)


def _stars(number: int, study: LineOfSight, fold: int, **columns: np.ndarray) -> Stars:
    """Stars with given columns and dull values elsewhere."""
    draws = study.error_sampling.draws
    shapes = {
        "draws": (number, draws),
        "eccentricity_draws": (number, draws),
        "spherical_true": (number, 3),
        "spherical_pred": (number, 3),
        "spherical_sigma": (number, 3),
        "spherical_draws": (number, draws, 3),
    }
    values = {
        name: columns.get(name, np.zeros(shapes.get(name, (number,))))
        for name in list(Stars.__dataclass_fields__)[1:]
    }
    values["fold"] = np.full(number, fold)
    values["complete"] = columns.get("complete", np.ones(number, dtype=bool))
    return Stars(cell=fold + 5, **values)


def _measured(statistics: Statistics, study: LineOfSight) -> dict[str, tuple]:
    return {m.quantity: (m.value, m.rows) for m in measure(statistics, study)}


def test_table_1_counts_by_hand() -> None:
    study = LineOfSight()
    statistics = empty_statistics(study)
    rng = np.random.default_rng(0)
    true = np.array([0.9, 0.85, 0.1, 0.95])
    draws = np.array([[0.9] * 5, [0.1] * 5, [0.9, 0.1, 0.1, 0.1, 0.1], [0.81] * 5])
    complete = np.array([True, True, True, False])
    known = _stars(
        4,
        study,
        0,
        complete=complete,
        eccentricity=true,
        eccentricity_draws=draws,
        sigma=np.ones(4),
        velocity=rng.normal(size=4),
        predicted=np.array([1.0, -2, 3, -1]),
        eccentricity_pred=draws[:, 0],
    )
    unknown = _stars(
        2,
        study,
        -1,
        eccentricity=np.full(2, NAN),
        sigma=np.ones(2),
        velocity=np.full(2, NAN),
        eccentricity_draws=np.array([[0.9] * 5, [0.2] * 5]),
    )
    accumulate(known, study, statistics)
    accumulate(unknown, study, statistics)
    numbers = _measured(statistics, study)
    assert numbers["count_rv_row0"][0] == 4
    assert numbers["count_rv_row1"][0] == 3
    assert numbers["count_rv_row2"][0] == 2
    assert numbers["count_rv_row0_high"][0] == 3
    # Complete stars with a drawn e > 0.8: two in the first draw, one in the others.
    assert numbers["count_test_set_row2"][0] == pytest.approx(1.2)
    assert numbers["count_ml_rv_row2"][0] == 1
    assert numbers["share_rv_row2"] == (pytest.approx(2 / 3), 3)
    # Contamination: the third star, in one draw of five.
    assert numbers["contamination_high_draws"][0] == pytest.approx(0.2 / 4)
    assert numbers["contamination_high_point"][0] == pytest.approx(1 / 4)


def test_quadrants_by_hand() -> None:
    study = LineOfSight()
    statistics = empty_statistics(study)
    pairs = np.array([[0.9, 0.9], [0.9, 0.7], [0.7, 0.9], [0.65, 0.7], [0.75, 0.9], [0.3, 0.9]])
    known = _stars(
        6,
        study,
        0,
        eccentricity=pairs[:, 0],
        sigma=np.ones(6),
        eccentricity_draws=np.repeat(pairs[:, 1:], 5, axis=1),
        predicted=np.array([0.5, -1.2, 2.0, 1.0, -2, 0]),
    )
    accumulate(known, study, statistics)
    numbers = _measured(statistics, study)
    # Five of six lie on axes that begin at 0.6.
    assert numbers["eccentricities_shown"][0] == 5
    assert numbers["share_upper_right"][0] == pytest.approx(1 / 5)
    assert numbers["share_upper_left"][0] == pytest.approx(1 / 5)
    assert numbers["share_lower_right"][0] == pytest.approx(2 / 5)
    # Their true eccentricities are 0.7, which is not above 0.7, and 0.75.
    assert numbers["share_lower_right_moderate"][0] == pytest.approx(1 / 2)


def test_quality_numbers_are_those_of_numpy() -> None:
    study = LineOfSight()
    statistics = empty_statistics(study)
    rng = np.random.default_rng(1)
    everything = []
    for fold in range(5):
        number = 2000
        true = rng.normal(0, 40, number)
        predicted, sigma = true + rng.normal(0, 20, number), rng.uniform(15, 25, number)
        e = rng.uniform(0, 1, number)
        e_pred = np.clip(e + rng.normal(0, 0.1, number), 0, 1)
        everything.append((true, predicted, sigma, e, e_pred))
        accumulate(
            _stars(
                number,
                study,
                fold,
                velocity=true,
                predicted=predicted,
                sigma=sigma,
                eccentricity=e,
                eccentricity_pred=e_pred,
                eccentricity_draws=np.repeat(e_pred[:, None], 5, axis=1),
            ),
            study,
            statistics,
        )
    true, predicted, sigma, e, e_pred = (np.concatenate(x) for x in zip(*everything, strict=True))
    pull = (predicted - true) / sigma
    numbers = _measured(statistics, study)
    loss = 0.5 * pull**2 + np.log(sigma) + 0.5 * np.log(2 * np.pi)
    expected = {
        "nll_mean": loss.mean(),
        "nll_constant": 0.5 * np.log(2 * np.pi * np.e * true.var()),
        "residual_rms": np.sqrt(np.mean((predicted - true) ** 2)),
        "velocity_correlation": np.corrcoef(true, predicted)[0, 1],
        "eccentricity_correlation": np.corrcoef(e, e_pred)[0, 1],
        "coverage_68": (np.abs(pull) < 1).mean(),
        "coverage_95": (np.abs(pull) < 2).mean(),
        "pull_average": pull.mean(),
    }
    for name, value in expected.items():
        assert numbers[name] == (pytest.approx(value, rel=1e-9), 10_000)
    # Both follow a normal distribution of width about 1; their errors are about 0.01.
    assert numbers["pull_width"][0] == pytest.approx(pull.std(), abs=0.01)


def test_uncertainties_of_spherical_velocities_are_those_of_the_draws(settings: Settings) -> None:
    rng = np.random.default_rng(2)
    study = LineOfSight.model_validate({"error_sampling": {"draws": 100}})
    number = 200
    data = {
        "source_id": np.arange(1, number + 1),
        "fold": np.zeros(number),
        "phot_g_mean_mag": np.full(number, 13.0),
        "radial_velocity": rng.normal(0, 30, number),
        "ra": rng.uniform(0, 360, number),
        "dec": rng.uniform(-80, 80, number),
        "parallax_corr": rng.uniform(0.3, 4, number),
        "pmra": rng.normal(0, 10, number),
        "pmdec": rng.normal(0, 10, number),
    }
    predicted = {"vlos_pred": rng.normal(0, 20, number), "sigma_los": rng.uniform(10, 60, number)}
    orbits = {
        "eccentricity_true": np.zeros(number),
        "eccentricity_pred": np.zeros(number),
        "eccentricity_draws": np.zeros((number, 100)),
    }
    stars = gather(0, data, predicted, orbits, study, settings.seed)
    scatter = stars.spherical_draws.std(axis=1)
    # The scatter of 100 draws is known to 7 per cent.
    ratio = scatter[stars.spherical_sigma > 1] / stars.spherical_sigma[stars.spherical_sigma > 1]
    assert abs(ratio.mean() - 1) < 0.02
    assert np.abs(ratio - 1).max() < 0.4
