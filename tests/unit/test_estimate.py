"""What a run will take, from runs of known cost."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mwatlas.config import load_settings
from mwatlas.estimate.finished_run import FinishedRun, processor_seconds
from mwatlas.estimate.plan import estimate
from mwatlas.estimate.scaling import Line, makespan
from mwatlas.estimate.stages import STAGES, STUDY

from . import finished_runs as known

# Sums and products of a few doubles, and a least-squares fit of a line through exact points.
EXACT = pytest.approx
ROWS, PARTITIONS = 960_000, 16


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    return FinishedRun(known.finished_run(tmp_path_factory.mktemp("small"), 16_000, 4))


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    return FinishedRun(known.finished_run(tmp_path_factory.mktemp("large"), 80_000, 2))


@pytest.mark.parametrize(
    ("wall", "seen", "whole"),
    [
        (8.0, 6.0, 6.0),  # seen to its end
        (30.0, 15.0, 30.0),  # seen for 15 s
        (44.0, 7.5, 22.0),
        (45.0, 40.0, 40.0),  # and after 30 s more
        (90.0, 75.0, 90.0),
    ],
)
def test_processor_time_goes_on_after_snakemake_last_looked(
    wall: float, seen: float, whole: float
) -> None:
    assert processor_seconds(wall, seen) == EXACT(whole)


def test_sizes_apart_tell_start_up_from_rate() -> None:
    line = Line.through([1e5, 2e5, 8e5], [3.0, 4.0, 10.0], start=0.5)
    assert (line.start, line.slope) == (EXACT(2.0), EXACT(1e-5))


def test_sizes_alike_take_the_start_up_given() -> None:
    line = Line.through([1e5, 1.2e5], [3.0, 3.4], start=2.0)
    assert (line.start, line.slope) == (2.0, EXACT((6.4 - 4.0) / 2.2e5))
    # A rule's own job may be shorter than any start-up.
    assert Line.through([10.0], [1.0], start=2.0) == Line(1.0, 0.0)


def test_without_work_a_job_costs_the_mean() -> None:
    assert Line.through([0, 0], [1.0, 3.0], start=0.0) == Line(2.0, 0.0)


def test_cost_does_not_fall_with_work() -> None:
    line = Line.through([1.0, 10.0], [5.0, 3.0], start=0.0)
    assert (line.start, line.slope) == (EXACT(4.0), 0.0)


def test_jobs_share_the_cores() -> None:
    assert makespan([1.0] * 5, 2) == 3.0
    assert makespan([1.0, 1.0, 3.0], 2) == 3.0
    assert makespan([1.0, 2.0], 1) == 3.0


def test_every_rule_of_the_workflow_has_a_stage(root: Path) -> None:
    rules = {}
    for path in (root / "workflow/rules").glob("*.smk"):
        blocks = re.split(r"^ *rule (\w+):", path.read_text(), flags=re.M)[1:]
        for name, body in zip(blocks[::2], blocks[1::2], strict=True):
            if "script:" not in body:
                continue  # a name for a list of files
            rules[name] = re.search(r'"<benchmarks>/(.*)\.tsv"', body)[1]
    assert {stage.rule for stage in STAGES} == set(rules)
    for stage in STAGES:
        names = [f"{stage.rule}/{pattern}" for pattern in stage.benchmarks] or [stage.rule]
        ours = [re.sub(r"\{run\}", "RUN", name).split("/") for name in names]
        theirs = rules[stage.rule].replace("{run}", "RUN")
        if "{case}" in theirs:
            # A variant's folder is inside that of its study.
            variants = theirs.replace("{case}", "conditional_potential/variants/*")
            assert len(ours.pop()) == len(variants.split("/")), stage.rule
        for parts in ours:
            assert len(parts) == len(theirs.split("/")), stage.rule
            assert ("RUN" in parts) == ("RUN" in theirs), stage.rule


def test_rates_of_two_sizes_scale_up(root: Path, small: FinishedRun, large: FinishedRun) -> None:
    settings = known.release(root, ROWS, PARTITIONS)
    result = estimate(settings, [small, large], cores=4)
    rows = {(row.rule, row.variants): row for row in result.rows}
    per_part, sample = ROWS / PARTITIONS, ROWS / 2 / PARTITIONS

    def hours(jobs: int, work: float, rate: float = known.PER_STAR_S) -> float:
        return jobs * (known.START_S + rate * work) / 3600

    clean = rows["clean_stars", False]
    assert (clean.jobs, clean.cpu_hours) == (PARTITIONS, EXACT(hours(PARTITIONS, per_part)))
    assert clean.wall_hours == EXACT(clean.cpu_hours / 4)
    # A run writes whole bytes, and one cell in two holds 3/4: 1.5 times the mean of 48 cells.
    assert clean.written_gb == EXACT(known.PER_STAR_GB * ROWS)
    cell = 1.5 * ROWS / 48
    assert clean.memory_gb == EXACT(known.START_GB + known.PER_HELD_GB * cell)
    assert rows["import_files", False].cpu_hours == EXACT(hours(1, ROWS))
    assert rows["predict_line_of_sight", False].cpu_hours == EXACT(hours(PARTITIONS, sample))
    # Two variants draw, one of them has networks of its own.
    assert rows["predict_line_of_sight", True].jobs == PARTITIONS
    assert rows["accumulate_line_of_sight", True].cpu_hours == EXACT(hours(2 * PARTITIONS, sample))
    trained = ROWS / 4 / 5
    study, mixture = rows["train_line_of_sight", False], rows["train_line_of_sight", True]
    work = trained * known.EPOCHS
    assert study.cpu_hours == EXACT(hours(5, work, known.PER_EPOCH_S))
    assert mixture.cpu_hours == EXACT(hours(5, 3 * work, known.PER_EPOCH_S))
    assert study.memory_gb == EXACT(known.START_GB + known.PER_HELD_GB * trained)
    assert rows["publish_line_of_sight", True].jobs == 2
    totals = result.totals()
    assert totals["with variants"]["cpu_hours"] == EXACT(sum(r.cpu_hours for r in result.rows))
    alone = sum(row.cpu_hours for row in result.rows if not row.variants)
    assert totals["study alone"]["cpu_hours"] == EXACT(alone)


def test_merging_grows_with_the_partitions(root: Path, small: FinishedRun) -> None:
    # All its jobs are alike, so the start-up is the shortest job of all: START_S.
    result = estimate(known.release(root, ROWS, PARTITIONS), [small], cores=1)
    summary = next(row for row in result.rows if row.rule == "summarise_line_of_sight")
    expected = known.START_S + PARTITIONS * known.PER_FILE_S
    assert summary.cpu_hours == EXACT(expected / 3600)


def test_a_run_is_estimated_from_itself_to_what_it_took(root: Path, small: FinishedRun) -> None:
    result = estimate(known.release(root, 16_000, 4), [small], cores=1)
    files = list((small.folder / "benchmarks").rglob("*.tsv"))
    took = sum(float(path.read_text().splitlines()[1].split("\t")[-1]) for path in files)
    total = result.totals()["with variants"]
    assert total["jobs"] == len(files)
    assert total["cpu_hours"] == EXACT(took / 3600)
    assert total["wall_hours"] == EXACT(took / 3600)


def test_a_growth_that_is_not_known_is_marked(root: Path, small: FinishedRun) -> None:
    result = estimate(known.release(root, ROWS, PARTITIONS), [small], cores=1)
    clean = next(row for row in result.rows if row.rule == "clean_stars")
    assert not clean.memory_scaled
    assert re.search(r"^clean_stars .* > 0\.13 ", result.text(), re.M)


def test_a_variant_that_was_not_run_is_as_the_study(root: Path, small: FinishedRun) -> None:
    settings = known.release(root, ROWS, PARTITIONS, compare=["dropulic2021"])
    result = estimate(settings, [small], cores=1)
    rows = {(row.rule, row.variants): row.cpu_hours for row in result.rows}
    rule = "accumulate_line_of_sight"
    assert rows[rule, True] == rows[rule, False]
    assert any("dropulic2021 was not run" in line for line in result.assumptions)


def test_benchmarks_of_other_layouts_do_not_count(root: Path, tmp_path: Path) -> None:
    run = known.finished_run(tmp_path / "run", 16_000, 4)
    settings = known.release(root, ROWS, PARTITIONS)
    before = estimate(settings, [FinishedRun(run)], cores=1)
    for stale in ("clean_stars/part-0007", "predict_line_of_sight/part-0000", "forgotten"):
        known.benchmark(run / f"benchmarks/{stale}.tsv", 1000.0, 50.0)
    assert estimate(settings, [FinishedRun(run)], cores=1) == before


def test_shares_that_a_release_does_not_know_are_those_of_the_run(
    root: Path, small: FinishedRun
) -> None:
    settings = load_settings({"studies": [STUDY], "adapter": {"source": {"n_stars": ROWS}}}, root)
    # A run of files knows nothing of the rules that make a sky.
    result = estimate(settings, [small], cores=1)
    assert f"{ROWS:,} rows: source.n_stars" in result.assumptions
    assert f"{ROWS // 2:,} stars in the sample, the share of {small.folder}" in result.assumptions
    assert any(line.startswith("synthesize_sky is not counted") for line in result.assumptions)


def test_the_command_prints_a_table_or_json(root: Path, small: FinishedRun, tmp_path: Path) -> None:
    chosen = tmp_path / "my.yaml"
    chosen.write_text(f"studies: [{STUDY}]\n")
    command = [sys.executable, "-m", "mwatlas", "estimate", "gaiaedr3", "--root", str(root)]
    command += ["--configfile", str(chosen), "--like", str(small.folder), "--cores", "8"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert text.startswith("gaiaedr3, 8 cores\n")
    assert "92,371,404 stars without and 6,444,871 with a radial velocity" in text
    printed = subprocess.run([*command, "--json"], capture_output=True, text=True, check=True)
    content = json.loads(printed.stdout)
    assert content["cores"] == 8
    assert set(content["totals"]) == {"study alone", "with variants"}
