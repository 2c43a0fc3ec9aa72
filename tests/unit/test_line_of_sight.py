"""Cuts, features and subsets of the line-of-sight study on hand-made stars."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mwatlas.archive.files import import_files
from mwatlas.catalogs import clean_stars
from mwatlas.config import load_settings
from mwatlas.config.line_of_sight import Cut, LineOfSight
from mwatlas.config.predictor import CrossValidation
from mwatlas.config.release import ReleaseAdapter
from mwatlas.cuts import describe, disabled_cuts, passes
from mwatlas.files import read_json
from mwatlas.progress import Progress
from mwatlas.studies.line_of_sight.features import astrometry, features
from mwatlas.studies.line_of_sight.folds import (
    sort_into_folds,
    training_subsets,
    validation_subset,
)
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
