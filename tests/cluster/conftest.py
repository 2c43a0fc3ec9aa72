"""The cluster, and runs on it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.workflow.conftest import SMALL, Workflow, clone, copy_results

from .slurm import Slurm, wait_for

# What a user writes into the profile: facts of this site. Status is asked for often, since jobs
# take seconds.
SITE = """
slurm-no-account: true
slurm-partition-config: profiles/slurm/partitions.yaml
slurm-init-seconds-before-status-checks: 2
seconds-between-status-checks: 2
"""
# No variants; training saves each epoch.
CONFIG = ["line_of_sight={compare: [], training: {max_epochs: 4, checkpoint_seconds: 0}}"]
MODEL = "results/sky/models/line_of_sight/round0.keras"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The accidents need what the first runs made."""
    items.sort(key=lambda item: item.fspath.basename != "test_cluster_runs.py")


@pytest.fixture(scope="session")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slurm]:
    """The cluster."""
    cluster = Slurm(tmp_path_factory.mktemp("slurm"))
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


@dataclass
class Head:
    """A head process that goes on beside the test."""

    process: subprocess.Popen
    log: Path

    @property
    def text(self) -> str:
        """What it has printed."""
        return self.log.read_text()

    def wait(self) -> int:
        """Wait for its end and return its status."""
        return self.process.wait()

    def kill(self) -> None:
        """Kill it and its threads at once; jobs go on."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@dataclass
class Site(Workflow):
    """A clone whose profile has the facts of the cluster."""

    folder: Path
    heads: list[Head] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(self.folder)
        profile = self.folder / "profiles/slurm/profile.yaml"
        profile.write_text(profile.read_text() + SITE)

    def start(self, *arguments: str, config: list[str] = CONFIG, **environment: str) -> Head:
        """Start the literal command of the README, with targets and settings after it."""
        log = self.folder / f"head{len(self.heads)}.log"
        command = [sys.executable, "-m", "snakemake", "--profile", "slurm", *arguments]
        command += ["--configfile", str(SMALL), "--config", *config]
        with log.open("w") as stream:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                env={**os.environ, **environment},
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.heads.append(Head(process, log))
        return self.heads[-1]


@pytest.fixture
def site(slurm: Slurm, tmp_path: Path) -> Iterator[Site]:
    """A fresh clone; what runs in it is ended after the test."""
    there = Site(clone(tmp_path / "clone"))
    yield there
    for head in there.heads:
        if head.process.poll() is None:
            head.kill()
    for job in slurm.jobs():
        slurm.cancel(job)
    wait_for(lambda: not slurm.jobs(), "cancelled jobs to end")


@pytest.fixture(scope="session")
def on_cluster(slurm: Slurm, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """The sky workflow at test size, run whole by the literal command."""
    there = Site(clone(tmp_path_factory.mktemp("on_cluster") / "clone"))
    head = there.start()
    assert head.wait() == 0, head.text
    assert not slurm.jobs()
    return there


@pytest.fixture(scope="session")
def on_one_machine(tmp_path_factory: pytest.TempPathFactory) -> Workflow:
    """The same run without a cluster, on two cores."""
    there = Workflow(clone(tmp_path_factory.mktemp("on_one_machine") / "clone"))
    result = there("--cores", "2", "--config", *CONFIG)
    assert result.status == 0, result.text
    return there


@pytest.fixture
def trained(on_cluster: Site, site: Site) -> Site:
    """A clone that lacks nothing that training needs."""
    copy_results(on_cluster, site, "truth", "raw", "catalogs", "line_of_sight")
    return site


Accident = Callable[..., dict[str, str]]


@pytest.fixture
def accident(tmp_path: Path) -> Accident:
    """Environment in which something happens to the job that trains."""
    folder = tmp_path / "accident"
    folder.mkdir()
    shutil.copy(Path(__file__).with_name("accident.py"), folder / "sitecustomize.py")

    def prepare(kind: str, memory: int = 0) -> dict[str, str]:
        return {
            "PYTHONPATH": str(folder),
            "MWATLAS_TEST_ACCIDENT": kind,
            "MWATLAS_TEST_NOTE": str(folder / "note"),
            "MWATLAS_TEST_BYTES": str(memory),
        }

    return prepare


@pytest.fixture
def struck(tmp_path: Path) -> Callable[[], None]:
    """Waits until it has happened."""
    return lambda: wait_for((tmp_path / "accident" / "note").exists, "the third checkpoint")


@pytest.fixture
def go_on(tmp_path: Path) -> Callable[[], None]:
    """Lets a job that was held go on."""
    return lambda: (tmp_path / "accident" / "note.go").touch()
