"""Runs on the cluster: same bytes as on one machine; GPUs, one figure, another release."""

from __future__ import annotations

import csv
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.workflow.conftest import SMALL, Workflow, copy_results
from tests.workflow.outputs import science

from .conftest import CONFIG, MODEL, Site
from .slurm import Slurm


def test_a_run_gives_the_bytes_of_one_machine(on_cluster: Site, on_one_machine: Workflow) -> None:
    submitted = re.findall(r"has been submitted with SLURM jobid \d+", on_cluster.heads[0].text)
    assert len(submitted) > 20
    expected = science(on_one_machine.results)
    assert len(expected) > 60
    assert science(on_cluster.results) == expected


def test_a_run_ends_with_an_account_of_time_and_memory(on_cluster: Site) -> None:
    assert "Where time and memory went" in on_cluster.heads[0].text
    assert (on_cluster.results / "accounting.png").stat().st_size > 10_000
    with (on_cluster.results / "accounting.csv").open() as stream:
        rows = {row["rule"]: row for row in csv.DictReader(stream)}
    assert int(rows["train_line_of_sight"]["jobs"]) == 3
    assert float(rows["select_line_of_sight"]["rows"]) == 6000
    for rule, row in rows.items():
        assert float(row["longest_s"]) < 60 * float(row["asked_min"]), rule
        if row["memory_gb"]:
            assert float(row["memory_gb"]) < float(row["asked_gb"]), rule


def test_a_job_that_trains_gets_its_gpu(slurm: Slurm, trained: Site, on_cluster: Site) -> None:
    head = trained.start(MODEL, config=[*CONFIG, "gpus=1"])
    assert head.wait() == 0, head.text
    number = re.search(r"SLURM jobid (\d+)", head.text)[1]
    details = slurm.details(number)
    assert details["Partition"] == "gpu"
    assert "gpu" in details["TresPerJob"]
    log = trained.results / "logs/train_line_of_sight/line_of_sight/round0.log"
    assert re.search(r"GPUs given to this job: [01]\n", log.read_text())
    # The stand-in is no GPU, so the processor trained, and the model is the same.
    assert (trained.folder / MODEL).read_bytes() == (on_cluster.folder / MODEL).read_bytes()


def test_one_figure_alone(on_cluster: Site, site: Site) -> None:
    copy_results(on_cluster, site, "truth", "raw", "catalogs", "line_of_sight", "models")
    figure = "line_of_sight/figures/fig07.png"
    for name in (figure, "line_of_sight/data/fig07.parquet"):
        (site.results / name).unlink()
    head = site.start(f"results/sky/{figure}")
    assert head.wait() == 0, head.text
    jobs = re.findall(r"^(\w+) +\d+$", head.text, re.M)
    assert set(jobs) == {"summarise_line_of_sight", "draw_figure", "total"}
    assert (site.results / figure).read_bytes() == (on_cluster.results / figure).read_bytes()


@pytest.mark.parametrize("release", ["sky_edr3"])
def test_another_release_is_one_word(site: Site, release: str) -> None:
    target = f"results/{release}/line_of_sight/sample/part-0000.parquet"
    head = site.start(target, config=[*CONFIG, f"release={release}"])
    assert head.wait() == 0, head.text
    assert (site.folder / target).exists()


def test_jobs_of_a_rule_as_one_array(on_cluster: Site, site: Site) -> None:
    copy_results(on_cluster, site, "truth", "raw")
    profile = site.folder / "profiles/slurm/profile.yaml"
    profile.write_text(profile.read_text() + "slurm-array-jobs: all\n")
    parts = [f"catalogs/stars/part-{number:04d}.parquet" for number in range(2)]
    head = site.start(*(f"results/sky/{part}" for part in parts))
    assert head.wait() == 0, head.text
    assert re.search(r"SLURM job ID \d+\. The individual task IDs are 1-2\.", head.text)
    for part in parts:
        assert (site.results / part).read_bytes() == (on_cluster.results / part).read_bytes()


def test_the_head_as_a_job(on_cluster: Site, site: Site) -> None:
    copy_results(on_cluster, site, "truth", "raw")
    part = "catalogs/stars/part-0000.parquet"
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    command = ["sbatch", "--wait", "profiles/slurm/head.sh", f"results/sky/{part}"]
    command += ["--configfile", str(SMALL), "--config", *CONFIG]
    ended = subprocess.run(command, cwd=site.folder, env={**os.environ, "PATH": path}, check=False)
    log = "".join(path.read_text() for path in site.folder.glob("mwatlas-*.log"))
    assert ended.returncode == 0, log
    assert len(re.findall(r"SLURM jobid \d+", log)) == 1
    assert (site.results / part).read_bytes() == (on_cluster.results / part).read_bytes()
