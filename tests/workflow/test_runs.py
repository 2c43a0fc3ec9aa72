"""Runs: same bytes for any partitioning and jobs; killed and resumed; failed and mended."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mwatlas.estimate.stages import STAGES
from mwatlas.tables.parquet import read_cells

from .conftest import NO_SURVEYS, Workflow, clone, copy_results
from .outputs import science

# Imported by every Python process that has it on its path: kills one with SIGKILL, as the
# kernel does when memory runs out, when a checkpoint has been written for the n-th time.
KILLER = """
import os, pathlib, signal
replace, count = pathlib.Path.replace, 0
def counting(self, target):
    global count
    out = replace(self, target)
    if str(target).endswith(os.environ.get("MWATLAS_TEST_KILL_AFTER_FILE", "\\0")):
        count += 1
        if count == int(os.environ["MWATLAS_TEST_KILL_AFTER"]):
            os.kill(os.getpid(), signal.SIGKILL) if os.environ["MWATLAS_TEST_KILL"] == "job" \\
                else os.killpg(os.getpgrp(), signal.SIGKILL)
    return out
pathlib.Path.replace = counting
"""


def test_partitions_and_jobs_do_not_change_a_byte(finished: Workflow, fresh: Workflow) -> None:
    """One partition and one job at a time, made from scratch, against two of each."""
    result = fresh(
        *("--cores", "1"),
        *("--config", "adapter={partitions: 1}", "conditional_potential={partitions: 1}"),
    )
    assert result.status == 0, result.text
    assert len(list((fresh.results / "catalogs/stars").glob("*.parquet"))) == 1
    expected = science(finished.results)
    assert len(expected) > 60
    assert science(fresh.results) == expected
    for table in (
        "raw/gaia_source",
        "catalogs/stars",
        "catalogs/survey_matches",
        "line_of_sight/orbits",
        "line_of_sight/candidates",
        "line_of_sight/variants/mixture/predictions",
    ):
        ours, theirs = (
            [
                cell
                for path in sorted((w.results / table).glob("*.parquet"))
                for cell in read_cells(path)
            ]
            for w in (fresh, finished)
        )
        assert [c for c, _ in ours] == [c for c, _ in theirs]
        for (_, one), (_, other) in zip(ours, theirs, strict=True):
            for name in one:
                np.testing.assert_array_equal(one[name], other[name])
    for folder in (fresh.results / "raw").iterdir():
        if folder.is_dir():
            one, other = (_whole(w.results / "raw" / folder.name) for w in (fresh, finished))
            assert one == other, folder.name


def _whole(folder: Path) -> bytes:
    """All partitions of a table as one stream of bytes."""
    parts = [pq.read_table(path) for path in sorted(folder.glob("*.parquet"))]
    sink = pa.BufferOutputStream()
    table = pa.concat_tables(parts).combine_chunks()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return sink.getvalue().to_pybytes()


def _long_training() -> list[str]:
    return ["--config", "line_of_sight={training: {max_epochs: 12, checkpoint_seconds: 0}}"]


@pytest.fixture(scope="module")
def model(finished: Workflow, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Weights of a training that nobody disturbed."""
    clean = Workflow(clone(tmp_path_factory.mktemp("undisturbed")))
    workflow = copy_results(finished, clean, "truth", "raw")
    target = "results/sky/models/line_of_sight/round0.keras"
    result = workflow(target, *_long_training())
    assert result.status == 0, result.text
    return (workflow.folder / target).read_bytes()


def test_a_killed_training_resumes_to_the_same_weights(
    with_sky: Workflow, tmp_path: Path, model: bytes
) -> None:
    (tmp_path / "sitecustomize.py").write_text(KILLER)
    target = "results/sky/models/line_of_sight/round0.keras"
    killed = with_sky(
        target,
        *_long_training(),
        PYTHONPATH=str(tmp_path),
        MWATLAS_TEST_KILL="job",
        MWATLAS_TEST_KILL_AFTER="17",
        MWATLAS_TEST_KILL_AFTER_FILE=".checkpoint.npz",
    )
    assert killed.status != 0
    assert not (with_sky.folder / target).exists()
    checkpoint = with_sky.results / "models/line_of_sight/.round0.checkpoint.npz"
    assert checkpoint.exists()
    finished_work = {p: p.stat().st_mtime_ns for p in with_sky.results.rglob("*/folds/*.parquet")}
    resumed = with_sky(target, *_long_training())
    assert resumed.status == 0, resumed.text
    assert resumed.jobs == {"train_line_of_sight": 1}
    log = (with_sky.results / "logs/train_line_of_sight/line_of_sight/round0.log").read_text()
    assert "resumed stage 'sigma' after epoch 5" in log
    assert (with_sky.folder / target).read_bytes() == model
    assert not checkpoint.exists()
    assert all(path.stat().st_mtime_ns == time for path, time in finished_work.items())


def test_a_machine_that_goes_down_loses_no_finished_work(
    with_sky: Workflow, tmp_path: Path, model: bytes
) -> None:
    """Workflow and job die at once; after unlocking, the same command continues."""
    (tmp_path / "sitecustomize.py").write_text(KILLER)
    target = "results/sky/models/line_of_sight/round0.keras"
    with_sky(
        target,
        *_long_training(),
        PYTHONPATH=str(tmp_path),
        MWATLAS_TEST_KILL="all",
        MWATLAS_TEST_KILL_AFTER="3",
        MWATLAS_TEST_KILL_AFTER_FILE=".checkpoint.npz",
    )
    locked = with_sky(target, *_long_training())
    assert "unlock" in locked.text
    assert with_sky("--unlock").status == 0
    again = with_sky(target, *_long_training())
    assert again.status == 0, again.text
    assert again.jobs == {"train_line_of_sight": 1}
    assert (with_sky.folder / target).read_bytes() == model


def test_a_failed_job_shows_its_log_and_keeps_what_is_finished(
    fresh: Workflow, gaia_rows: Callable, tmp_path: Path
) -> None:
    from tests.unit.test_archive import write

    (tmp_path / "gaiadr3").mkdir()
    rows = gaia_rows(2000)
    rows["ruwe"][:] = 5.0
    write(tmp_path / "gaiadr3" / "stars.parquet", rows)
    release = [
        "--config",
        "release=gaiadr3",
        "studies=[line_of_sight]",
        f"data_dir={tmp_path}",
        f"adapter={{partitions: 2, healpix_order: 1, {NO_SURVEYS}}}",
    ]
    failed = fresh(*release, small=False)
    assert failed.status != 0
    assert "too few stars with a radial velocity" in failed.text
    assert "what to do" in failed.text
    assert "run the same command again" in failed.text
    kept = {p: p.stat().st_mtime_ns for p in (fresh.folder / "results").rglob("*.parquet")}
    # What the failed job does not need may have been made before it, or not.
    assert len([path for path in kept if path.parent.name != "survey_matches"]) == 6
    again = fresh("-n", *release, small=False)
    assert not {"import_files", "clean_stars", "select_line_of_sight"} & set(again.jobs)
    assert all(path.stat().st_mtime_ns == time for path, time in kept.items())


def test_the_ledger_of_a_run(finished: Workflow) -> None:
    ledger = json.loads((finished.results / "ledger.json").read_text())
    own = [row for row in ledger["rows"] if not row["item"].startswith("variants.")]
    assert len({(row["study"], row["quantity"]) for row in own}) == len(own)
    rows = {row["quantity"]: row for row in own if row["study"] == "line_of_sight"}
    assert rows["count_rv_row0"]["published"] == 6444871
    assert rows["count_rv_row0"]["verdict"] == "not comparable"
    assert rows["excess_loss_over_optimum"]["truth"] == 0
    assert all(row["reason"] for row in ledger["rows"])
    assert sum(ledger["summary"].values()) == len(ledger["rows"])
    # Every number that the paper gives and every number of a variant that is shown is there.
    assert len([row for row in own if row["published"] is not None]) > 60
    mock = {row["quantity"]: row for row in own if row["study"] == "conditional_potential"}
    assert mock["density_error_conditional"]["truth"] == 0
    assert "20,000 observed stars" in mock["count_observed"]["reason"]
    assert "variants.mixture" in {row["item"] for row in ledger["rows"]}


def test_every_job_has_a_log_and_a_benchmark(finished: Workflow) -> None:
    of_other_releases = {"import_files", "check_readiness", "acquire_table"}
    of_few_runs = {stage.rule for stage in STAGES if stage.asked}
    rules = {path.stem for path in (finished.folder / "scripts").glob("*.py")}
    rules -= of_other_releases | of_few_runs
    for folder in ("logs", "benchmarks"):
        found = {
            p.relative_to(finished.results / folder).parts[0].split(".")[0]
            for p in (finished.results / folder).rglob("*.*")
        }
        assert rules <= found
    for log in (finished.results / "logs").rglob("*.log"):
        assert re.search(r"done in [\d.]+ s", log.read_text()), log


def test_the_report_of_a_run_stands_alone(finished: Workflow) -> None:
    html = (finished.results / "report/index.html").read_text()
    assert html.count("data:image/png;base64,") == 27
    # Links to papers apart, it needs nothing from elsewhere.
    assert not re.search(r'(?:src="|url\(|@import|<link|<script)(?!data:)', html)
    for link in re.findall(r'href="\.\./([^"]+)"', html):
        assert (finished.results / link).exists(), link
