"""A clone of the repository and a small finished run in it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import ROOT

SMALL = Path("tests/workflow/small.yaml")
# Settings of a release without the files of its surveys.
NO_SURVEYS = "surveys: {apogee: {left_out: not here}, galah: {left_out: not here}}"


def clone(to: Path) -> Path:
    """Copy what git tracks or would track: a clone that includes work in progress."""
    files = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    ).stdout.split("\0")
    for name in filter(None, files):
        source, target = ROOT / name, to / name
        if not (source.exists() or source.is_symlink()):
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target, follow_symlinks=False)
    return to


@dataclass
class Result:
    """Outcome of one call of snakemake."""

    status: int
    text: str

    @property
    def jobs(self) -> dict[str, int]:
        """Planned or run jobs by rule, from the table snakemake prints."""
        table = re.search(r"^job +count\n-+ +-+\n(.*?)^total", self.text, re.M | re.S)
        if table is None:
            return {}
        rows = (line.split() for line in table.group(1).splitlines())
        return {rule: int(count) for rule, count in rows if rule != "all"}


class Workflow:
    """Runs snakemake in a clone, as a user in its folder would."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.results = folder / "results" / "sky"

    def __call__(self, *arguments: str, small: bool = True, **environment: str) -> Result:
        command = [sys.executable, "-m", "snakemake", *arguments]
        if small:
            command += ["--configfile", str(SMALL)]
        done = subprocess.run(
            command,
            cwd=self.folder,
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        return Result(done.returncode, done.stdout)

    def plan(self, *arguments: str, small: bool = True) -> dict[str, int]:
        """Jobs of a dry run."""
        result = self("-n", *arguments, small=small)
        assert result.status == 0, result.text
        return result.jobs


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Workflow:
    """A finished run of two partitions on two cores. Tests leave it as they found it."""
    workflow = Workflow(clone(tmp_path_factory.mktemp("finished")))
    result = workflow("--cores", "2")
    assert result.status == 0, result.text
    return workflow


@pytest.fixture
def edited(finished: Workflow):
    """Edits files of the finished run's clone, and takes the edits back afterwards."""
    originals: dict[Path, tuple[str, os.stat_result]] = {}

    def edit(file: str, old: str, new: str) -> None:
        path = finished.folder / file
        text = path.read_text()
        assert old in text, f"{old!r} is not in {file}"
        originals.setdefault(path, (text, path.stat()))
        path.write_text(text.replace(old, new, 1))

    yield edit
    for path, (text, stat) in originals.items():
        path.write_text(text)
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


@pytest.fixture
def fresh(tmp_path: Path) -> Workflow:
    """A clone without results."""
    return Workflow(clone(tmp_path / "clone"))


def copy_results(source: Workflow, to: Workflow, *names: str) -> Workflow:
    """Copy some of a run's results, and what Snakemake knows of them, to another clone."""
    for name in (".snakemake/metadata", *(f"results/sky/{name}" for name in names)):
        origin, target = source.folder / name, to.folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if origin.is_dir() else shutil.copy2)(origin, target)
    return to


@pytest.fixture
def with_sky(finished: Workflow, fresh: Workflow) -> Workflow:
    """A clone that has the sky of the finished run, and nothing else."""
    return copy_results(finished, fresh, "truth", "raw")
