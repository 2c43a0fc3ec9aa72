"""Jobs that an earlier run left in the queue."""

from pathlib import Path

import pytest

from mwatlas.errors import InputError
from mwatlas.slurm_queue import QueuedJob, check_queue, jobs_in_queue

LINES = """\
17|RUNNING|{here}|rule_train_line_of_sight_wildcards_line_of_sight_0
18|PENDING|{here}|rule_clean_stars_wildcards_0001
19|RUNNING|/elsewhere|rule_clean_stars_wildcards_0001
20|RUNNING|{here}|(null)
21|RUNNING|{here}|two
lines | of somebody
"""


def _squeue(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """A program of that name that prints a text."""
    path = folder / "bin" / "squeue"
    path.parent.mkdir()
    path.write_text(f"#!/bin/sh\ncat <<'END'\n{text}END\n")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{path.parent}:/usr/bin:/bin")


def test_only_jobs_of_the_folder_count(tmp_path: Path) -> None:
    assert jobs_in_queue(LINES.format(here=tmp_path), tmp_path) == [
        QueuedJob("17", "running", "train_line_of_sight_wildcards_line_of_sight_0"),
        QueuedJob("18", "pending", "clean_stars_wildcards_0001"),
    ]


def test_a_run_does_not_meet_jobs_of_an_earlier_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _squeue(tmp_path, monkeypatch, LINES.format(here=tmp_path))
    with pytest.raises(InputError, match=r"2 job\(s\) of an earlier run") as caught:
        check_queue(tmp_path)
    assert "scancel 17 18" in str(caught.value)
    assert "17 (train_line_of_sight" in str(caught.value)


@pytest.mark.parametrize("text", ["", "20|RUNNING|/elsewhere|(null)\n"])
def test_an_empty_queue_is_fine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    _squeue(tmp_path, monkeypatch, text)
    check_queue(tmp_path)


def test_a_cluster_that_does_not_answer_stops_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _squeue(tmp_path, monkeypatch, "")
    program = tmp_path / "bin" / "squeue"
    program.write_text("#!/bin/sh\necho 'Unable to contact slurm controller' >&2; exit 1\n")
    with pytest.raises(InputError, match="Unable to contact slurm controller"):
        check_queue(tmp_path)


def test_without_a_cluster_there_is_no_queue(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    check_queue(tmp_path)
