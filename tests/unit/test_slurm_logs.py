"""Reasons of failures that only SLURM's logs hold."""

import os
from pathlib import Path

import pytest

from mwatlas.slurm_logs import unsaid_failures

STARTED = 1_000_000_000.0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Logs of jobs that failed early, silently and loudly, of one that is well, and an old one."""
    rule = tmp_path / "rule.log"
    rule.write_text("the table is empty\n")
    texts = {
        "early": "building\nModuleNotFoundError: No module named 'x'\n",
        "silent": f"Error in rule a:\n    log: {tmp_path / 'absent.log'} (check)\nKilled\n",
        "said": f"Error in rule b:\n    log: {rule}, more (check)\n",
        "well": "Finished job 0.\n",
        "old": "Error of yesterday\n",
    }
    logs = tmp_path / "slurm_logs"
    for name, text in texts.items():
        path = logs / f"rule_{name}" / "1.log"
        path.parent.mkdir(parents=True)
        path.write_text(text)
        age = -1 if name == "old" else 1
        os.utime(path, (STARTED + age, STARTED + age))
    return logs


def test_only_what_no_other_log_says_is_shown(folder: Path) -> None:
    text = unsaid_failures(folder, STARTED)
    assert "ModuleNotFoundError: No module named 'x'" in text
    assert "Killed" in text
    assert not any(name in text for name in ("rule_said", "rule_well", "rule_old"))


def test_without_logs_there_is_nothing_to_say(tmp_path: Path) -> None:
    assert unsaid_failures(tmp_path / "absent", STARTED) == ""
