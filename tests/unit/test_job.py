"""Logs and progress of a job."""

import errno
import json
import logging
import math
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from mwatlas import progress as progress_module
from mwatlas.codehash import code_version
from mwatlas.errors import ConfigError, InputError
from mwatlas.job import Asked, asked_in, job
from mwatlas.preflight import check_writable
from mwatlas.progress import Progress
from mwatlas.run_code import VARIABLE, check_settings, code_of_run


@pytest.fixture
def script(tmp_path: Path):
    """What Snakemake hands to a script, with a log file of its own."""
    yield SimpleNamespace(
        log=[str(tmp_path / "logs" / "x.log")],
        rule="x",
        wildcards=["0001"],
        threads=2,
        resources={"mem_mb": 1500, "runtime": 60},
    )
    log = logging.getLogger("mwatlas")
    for handler in list(log.handlers):
        handler.close()
        log.removeHandler(handler)


def _text(script: SimpleNamespace) -> str:
    return Path(script.log[0]).read_text()


def test_a_job_logs_its_name_and_time(script: SimpleNamespace) -> None:
    with job(script):
        pass
    assert "x 0001, mwatlas" in _text(script)
    assert "done in" in _text(script)


def test_a_log_tells_what_a_job_asked_for(script: SimpleNamespace, tmp_path: Path) -> None:
    with job(script):
        pass
    assert asked_in(Path(script.log[0])) == Asked(1500, 60)
    nothing = asked_in(tmp_path / "absent.log")
    assert math.isnan(nothing.memory_mb)
    assert math.isnan(nothing.minutes)


def test_a_job_does_not_run_edited_code(
    script: SimpleNamespace, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script.rule = "clean_stars"
    # Set here, so that what the run notes is gone with the test.
    monkeypatch.setenv(VARIABLE, "{}")
    figures = [("line_of_sight", "fig01")]
    codes = code_of_run(root, starts=True, figures=figures)
    assert codes["draw_figure"] != code_version("draw_figure", root)
    with job(script):
        pass
    noted = {"files": "others", "rules": {**codes, "clean_stars": "0123"}, "figures": figures}
    monkeypatch.setenv(VARIABLE, json.dumps(noted))
    with pytest.raises(SystemExit), job(script):
        raise AssertionError("the job ran")
    assert "the code of this rule was edited after the run had started" in _text(script)
    # An edit of what another rule uses does not concern this one.
    for script.rule in ("predict_line_of_sight", "draw_figure"):
        with job(script):
            pass


def test_jobs_keep_to_the_settings_of_the_runs_start(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, json.dumps({"rules": {}}))
    check_settings("seed: 1", root, starts=True)
    assert json.loads(os.environ[VARIABLE])["rules"] == {}
    check_settings("seed: 1", root, starts=False)
    with pytest.raises(ConfigError, match="edited after the run had started"):
        check_settings("seed: 2", root, starts=False)
    # A run of its own starts with what it finds.
    check_settings("seed: 2", root, starts=True)


def test_jobs_take_the_code_of_the_runs_start(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, json.dumps({"files": "", "rules": {"x": "0123"}}))
    assert code_of_run(root, starts=False) == {"x": "0123"}
    assert "clean_stars" in code_of_run(root, starts=True)


def test_an_expected_error_ends_with_its_message_alone(script: SimpleNamespace) -> None:
    with pytest.raises(SystemExit) as caught, job(script):
        raise InputError("the table is empty", file="a.parquet", remedy="fill it")
    assert caught.value.code == 1
    text = _text(script)
    assert "the table is empty" in text
    assert "what to do: fill it" in text
    assert "Traceback" not in text


def test_an_unexpected_error_keeps_its_traceback_and_says_what_to_do(
    script: SimpleNamespace,
) -> None:
    with pytest.raises(SystemExit), job(script):
        raise ZeroDivisionError("oh")
    last = _text(script).strip().splitlines()[-3:]
    assert "Traceback" in _text(script)
    assert any("what to do" in line for line in last)


def test_progress_reports_rate_and_time_left(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clock = iter(range(0, 10_000, 20))
    monkeypatch.setattr(progress_module.time, "monotonic", lambda: float(next(clock)))
    with caplog.at_level(logging.INFO, "mwatlas"):
        progress = Progress("fit", logging.getLogger("mwatlas"))
        with progress.task("epochs", 10, "epochs") as advance:
            for _ in range(4):
                advance(1, "loss 0.5")
    assert any(
        "of 10 epochs" in line and "left" in line and "loss 0.5" in line for line in caplog.messages
    )
    # An epoch takes longer than a second.
    assert "epochs/min" in caplog.messages[-1]


def test_a_terminal_gets_a_bar(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    with progress_module.Progress("fit", logging.getLogger("mwatlas")).task(
        "epochs", 2, "epochs"
    ) as advance:
        advance(2, "loss 0.1")
    assert "fit: epochs" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("number", "what"), [(errno.ENOSPC, "the disk is full"), (errno.EROFS, "read-only")]
)
def test_a_full_disk_is_said_plainly(script: SimpleNamespace, number: int, what: str) -> None:
    with pytest.raises(SystemExit), job(script):
        raise OSError(number, os.strerror(number), "/results/x.parquet")
    text = _text(script)
    assert what in text
    assert "/results/x.parquet" in text
    assert "what to do" in text
    assert "Traceback" not in text


def test_results_that_cannot_be_written_are_said_before_a_run(tmp_path: Path) -> None:
    check_writable(tmp_path / "results")
    assert list((tmp_path / "results").iterdir()) == []
    (tmp_path / "taken").write_text("")
    with pytest.raises(InputError, match="results cannot be written"):
        check_writable(tmp_path / "taken")
