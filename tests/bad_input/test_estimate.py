"""Estimates without what they rest on: the message says what to run first."""

from __future__ import annotations

from pathlib import Path

import pytest

from mwatlas.config import load_settings
from mwatlas.errors import ConfigError, InputError
from mwatlas.estimate.finished_run import FinishedRun
from mwatlas.estimate.plan import estimate
from tests.unit import finished_runs as known


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return known.finished_run(tmp_path / "sky", 16_000, 4)


@pytest.mark.parametrize("there", [True, False])
def test_no_finished_run(tmp_path: Path, there: bool) -> None:
    folder = tmp_path / "nothing"
    if there:
        folder.mkdir()
    with pytest.raises(InputError, match=r"(?s)no .*finished run.*nothing.*make demo"):
        FinishedRun(folder)


@pytest.mark.parametrize("folder", ["raw/gaia_source", "line_of_sight/folds"])
def test_a_run_without_stars(run: Path, folder: str) -> None:
    (run / folder).rename(run / "elsewhere")
    with pytest.raises(InputError, match=rf"(?s)not finished.*no table in {folder}"):
        FinishedRun(run)


def test_a_rule_was_not_run(root: Path, run: Path) -> None:
    (run / "benchmarks/sort_line_of_sight_folds.tsv").unlink()
    expected = r"(?s)never run.*no benchmark file of sort_line_of_sight_folds.*snakemake --config"
    with pytest.raises(InputError, match=expected):
        estimate(known.release(root, 16_000, 4), [FinishedRun(run)], cores=1)


def test_a_job_is_missing(root: Path, run: Path) -> None:
    (run / "benchmarks/clean_stars/part-0002.tsv").unlink()
    expected = r"(?s)not finished.*3 of 4 jobs of clean_stars.*finish it first"
    with pytest.raises(InputError, match=expected):
        estimate(known.release(root, 16_000, 4), [FinishedRun(run)], cores=1)


@pytest.mark.parametrize("content", ["", "s\tcpu_time\n", "s\tmax_rss\n1\t2\n", known.HEADER + "x"])
def test_a_benchmark_is_cut_short(root: Path, run: Path, content: str) -> None:
    (run / "benchmarks/clean_stars/part-0002.tsv").write_text(content)
    with pytest.raises(InputError, match=r"(?s)not finished.*part-0002\.tsv"):
        estimate(known.release(root, 16_000, 4), [FinishedRun(run)], cores=1)


def test_a_table_is_gone(root: Path, run: Path) -> None:
    (run / "line_of_sight/sample/part-0001.parquet").unlink()
    with pytest.raises(InputError, match=r"(?s)not finished.*part-0001"):
        estimate(known.release(root, 16_000, 4), [FinishedRun(run)], cores=1)


def test_the_release_does_not_say_how_large_it_is(root: Path, run: Path) -> None:
    settings = load_settings({"release": "brightsky"}, root)
    with pytest.raises(ConfigError, match=r"(?s)brightsky\.yaml.*key: +expected.*add them"):
        estimate(settings, [FinishedRun(run)], cores=1)
