"""Accidents on the cluster: nothing finished is lost, nothing wrong is kept, the reason is said."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.workflow.conftest import SMALL, copy_results

from .conftest import MODEL, Accident, Site
from .slurm import Slurm, wait_for

TRAINING = "rule_train_line_of_sight"
LOG = "logs/train_line_of_sight/line_of_sight/round0.log"


@pytest.fixture
def right(on_cluster: Site) -> bytes:
    """The model of a training that nothing happened to."""
    return (on_cluster.folder / MODEL).read_bytes()


def resumed(site: Site) -> bool:
    """Whether the last training went on from a checkpoint."""
    return "resumed stage" in (site.results / LOG).read_text()


def test_a_cancelled_job_is_sent_again(
    slurm: Slurm, trained: Site, accident: Accident, struck: Callable, right: bytes
) -> None:
    head = trained.start(MODEL, **accident("hold"))
    struck()
    number = slurm.wait_for_job(TRAINING)
    slurm.cancel(number)
    assert head.wait() == 0, head.text
    assert f"SLURM-job '{number}' failed, SLURM status is: 'CANCELLED'" in head.text
    assert resumed(trained)
    assert (trained.folder / MODEL).read_bytes() == right


def test_a_killed_training_goes_on_from_its_checkpoint(
    trained: Site, accident: Accident, right: bytes
) -> None:
    head = trained.start(MODEL, **accident("kill"))
    assert head.wait() == 0, head.text
    assert "FAILED" in head.text
    assert resumed(trained)
    assert (trained.folder / MODEL).read_bytes() == right


def test_a_job_killed_for_its_memory_gets_more(
    slurm: Slurm, trained: Site, accident: Accident, right: bytes
) -> None:
    head = trained.start(MODEL, **accident("memory", 5_000_000_000))
    assert head.wait() == 0, head.text
    first, second = re.findall(r"SLURM jobid (\d+)", head.text)
    # The job's own output, which the head process shows, says so; its state is plain failure.
    assert "exceeded memory limit" in head.text
    asked = [int(slurm.details(job)["MinMemoryNode"].removesuffix("M")) for job in (first, second)]
    assert asked[1] == 2 * asked[0]
    assert resumed(trained)
    assert (trained.folder / MODEL).read_bytes() == right


def test_a_job_out_of_time_goes_on(trained: Site, accident: Accident, right: bytes) -> None:
    limit = ["--set-resources", "train_line_of_sight:runtime=1"]
    head = trained.start(MODEL, *limit, **accident("hold"))
    assert head.wait() == 0, head.text
    assert "TIMEOUT" in head.text
    assert resumed(trained)
    assert (trained.folder / MODEL).read_bytes() == right


def test_a_drained_node_keeps_jobs_waiting(slurm: Slurm, trained: Site, right: bytes) -> None:
    slurm.drain()
    try:
        head = trained.start(MODEL)
        slurm.wait_for_job(TRAINING, "PENDING")
        assert head.process.poll() is None
    finally:
        slurm.resume()
    assert head.wait() == 0, head.text
    assert (trained.folder / MODEL).read_bytes() == right


def test_a_restarted_controller_loses_no_job(
    slurm: Slurm,
    trained: Site,
    accident: Accident,
    struck: Callable,
    go_on: Callable,
    right: bytes,
) -> None:
    head = trained.start(MODEL, **accident("hold"))
    struck()
    slurm.stop_controller()
    go_on()
    # The job ends while nobody is there to be told.
    wait_for((trained.folder / MODEL).exists, "the model")
    slurm.start_controller()
    assert head.wait() == 0, head.text
    assert len(re.findall(r"SLURM jobid (\d+)", head.text)) == 1
    assert (trained.folder / MODEL).read_bytes() == right


def test_a_lost_head_is_replaced_when_its_jobs_have_ended(
    slurm: Slurm,
    trained: Site,
    accident: Accident,
    struck: Callable,
    right: bytes,
) -> None:
    trained.start(MODEL, **accident("hold"))
    struck()
    trained.heads[0].kill()
    number = slurm.wait_for_job(TRAINING)
    locked = trained.start(MODEL)
    assert locked.wait() != 0
    assert "--unlock" in locked.text
    assert trained.start("--unlock").wait() == 0
    early = trained.start(MODEL)
    assert early.wait() != 0
    assert f"{number} (train_line_of_sight" in early.text
    assert f"scancel {number}" in early.text
    slurm.cancel(number)
    wait_for(lambda: not slurm.jobs(), "the cancelled job to end")
    head = trained.start(MODEL)
    assert head.wait() == 0, head.text
    assert re.findall(r"^(\w+) +\d+$", head.text, re.M) == ["train_line_of_sight", "total"]
    assert resumed(trained)
    assert (trained.folder / MODEL).read_bytes() == right


def test_a_second_head_refuses(
    trained: Site, accident: Accident, struck: Callable, go_on: Callable, right: bytes
) -> None:
    head = trained.start(MODEL, **accident("hold"))
    struck()
    second = trained.start(MODEL)
    assert second.wait() != 0
    assert "Directory cannot be locked" in second.text
    go_on()
    assert head.wait() == 0, head.text
    assert (trained.folder / MODEL).read_bytes() == right


def test_code_edited_during_a_run_is_not_used(
    trained: Site, accident: Accident, struck: Callable, go_on: Callable, right: bytes
) -> None:
    prediction = "results/sky/line_of_sight/predictions/part-0000.parquet"
    (trained.folder / prediction).unlink()
    head = trained.start(prediction, "--retries", "0", **accident("hold"))
    struck()
    script = trained.folder / "scripts/predict_line_of_sight.py"
    original = script.read_text()
    script.write_text(original.replace("with job(snakemake)", "EDITED = 1\nwith job(snakemake)", 1))
    go_on()
    assert head.wait() != 0
    assert "the code of this rule was edited after the run had started" in head.text
    assert not (trained.folder / prediction).exists()
    assert (trained.folder / MODEL).read_bytes() == right
    script.write_text(original)
    again = trained.start(prediction)
    assert again.wait() == 0, again.text


def test_settings_edited_during_a_run_are_not_used(
    slurm: Slurm, on_cluster: Site, site: Site
) -> None:
    target = "raw/psrcat.parquet"
    copy_results(on_cluster, site, "truth")
    config = site.folder / "config/config.yaml"
    original = config.read_text()
    slurm.drain()
    try:
        head = site.start(f"results/sky/{target}", "--retries", "0")
        slurm.wait_for_job("rule_synthesize_pulsars", "PENDING")
        config.write_text(re.sub(r"^seed: .*$", "seed: 7", original, flags=re.M))
    finally:
        slurm.resume()
    assert head.wait() != 0
    assert not (site.results / target).exists()
    assert "the settings were edited after the run had started" in head.text
    config.write_text(original)
    assert site.start(f"results/sky/{target}").wait() == 0
    assert (site.results / target).read_bytes() == (on_cluster.results / target).read_bytes()


def test_a_cancelled_head_cancels_its_jobs(slurm: Slurm, site: Site) -> None:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    command = ["sbatch", "--parsable", "profiles/slurm/head.sh", "results/sky/truth/galaxy.h5"]
    command += ["--configfile", str(SMALL)]
    sent = subprocess.run(
        command, cwd=site.folder, env={**os.environ, "PATH": path}, capture_output=True, text=True
    )
    slurm.wait_for_job("rule_tabulate_galaxy")
    slurm.cancel(sent.stdout.strip())
    wait_for(lambda: not slurm.jobs(), "the head and its job to end")
    locks = site.folder / ".snakemake/locks"
    wait_for(lambda: not locks.exists() or not any(locks.iterdir()), "the folder to be unlocked")


def test_a_half_written_table_is_named(on_cluster: Site, site: Site) -> None:
    copy_results(on_cluster, site, "truth", "raw", "catalogs", "line_of_sight", "models")
    table = site.results / "line_of_sight/sample/part-0000.parquet"
    written = table.stat()
    table.write_bytes(table.read_bytes()[:-1000])
    # As a broken disk would, without a new time.
    os.utime(table, ns=(written.st_atime_ns, written.st_mtime_ns))
    prediction = "results/sky/line_of_sight/predictions/part-0000.parquet"
    (site.folder / prediction).unlink()
    head = site.start(prediction, "--retries", "0")
    assert head.wait() != 0
    # Rule, number of the job, log and reason.
    assert "predict_line_of_sight" in head.text
    assert re.search(r"SLURM-job '\d+' failed", head.text)
    assert "logs/predict_line_of_sight/line_of_sight/part-0000.log" in head.text
    assert "sample/part-0000.parquet" in head.text
    assert "what to do" in head.text
    table.unlink()
    mended = site.start(prediction)
    assert mended.wait() == 0, mended.text
    good = on_cluster.results / "line_of_sight/predictions/part-0000.parquet"
    assert (site.folder / prediction).read_bytes() == good.read_bytes()


@pytest.fixture
def small_disk(site: Site) -> Iterator[Path]:
    """A file system of 20 MB for the results."""
    folder = site.folder / "results"
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=20m", "tmpfs", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_is_said_and_costs_nothing(site: Site, small_disk: Path) -> None:
    target = "results/sky/truth/galaxy.h5"
    filler = small_disk / "filler"
    filler.write_bytes(bytes(19 << 20))
    head = site.start(target, "--retries", "0")
    assert head.wait() != 0
    assert "the disk is full" in head.text
    assert not (site.folder / target).exists()
    filler.unlink()
    again = site.start(target)
    assert again.wait() == 0, again.text
