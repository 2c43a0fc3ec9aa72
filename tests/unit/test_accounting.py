"""Where the time and memory of a run went."""

import csv
import math
from pathlib import Path

import pytest

from mwatlas.errors import InputError
from mwatlas.estimate.accounting import account, table_text, write_accounting

from .finished_runs import EPOCHS, START_GB, finished_run, release

ROWS, PARTITIONS = 8000, 4


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A finished run whose jobs said what they had asked for, but one."""
    run = finished_run(tmp_path / "run", ROWS, PARTITIONS)
    for path in (run / "benchmarks").rglob("*.tsv"):
        log = run / "logs" / path.relative_to(run / "benchmarks").with_suffix(".log")
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text("10:00:00 asked for 1 core(s), 2048 MB, 60 min\n")
    (run / "logs/write_report.log").unlink()
    return run


def test_rules_are_summed_up(folder: Path, root: Path) -> None:
    settings = release(root, ROWS, PARTITIONS)
    rows = {row.rule: row for row in account(settings, folder)}
    clean = rows["clean_stars"]
    assert clean.jobs == PARTITIONS
    assert clean.rows == ROWS
    # Each job takes two seconds and 1e-4 s for each star (see finished_runs).
    assert clean.wall_s == pytest.approx(PARTITIONS * 2 + 1e-4 * ROWS)
    assert clean.longest_s == pytest.approx(clean.wall_s / PARTITIONS)
    assert clean.rows_per_s == pytest.approx(ROWS / clean.cpu_s)
    assert (clean.asked_gb, clean.asked_min) == (2, 60)
    assert clean.memory_gb >= START_GB
    # The study, and the variant with networks of its own, which trains on all subsets it may.
    training, subset = rows["train_line_of_sight"], ROWS // 4 // 5
    assert training.jobs == 10
    assert training.rows == 5 * EPOCHS * (1 + 3) * subset
    assert math.isnan(rows["write_report"].asked_gb)
    assert math.isnan(rows["write_report"].rows)


def test_the_table_and_the_figure_are_written(folder: Path, root: Path) -> None:
    settings = release(root, ROWS, PARTITIONS)
    text = write_accounting(settings, folder)
    assert "clean_stars" in text
    assert text.splitlines()[-2].startswith("together")
    with (folder / "accounting.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["rule"] for row in rows] == [row.rule for row in account(settings, folder)]
    assert (folder / "accounting.png").stat().st_size > 10_000
    assert (folder / "accounting.pdf").exists()


def test_a_run_that_stopped_early_is_accounted_for(folder: Path, root: Path) -> None:
    for path in (folder / "raw/gaia_source").iterdir():
        path.unlink()
    rows = account(release(root, ROWS, PARTITIONS), folder)
    assert all(math.isnan(row.rows) for row in rows)
    assert "clean_stars" in table_text(rows)


def test_a_folder_without_a_run_is_named(tmp_path: Path, root: Path) -> None:
    with pytest.raises(InputError, match="no run to account for"):
        account(release(root, ROWS, PARTITIONS), tmp_path)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"s\tcpu_time\tmax_rss\ninf\tnan\t-\n"])
def test_a_damaged_benchmark_file_spoils_no_account(
    folder: Path, root: Path, content: bytes
) -> None:
    settings = release(root, ROWS, PARTITIONS)
    before = {row.rule: row for row in account(settings, folder)}["clean_stars"]
    next((folder / "benchmarks/clean_stars").iterdir()).write_bytes(content)
    text = write_accounting(settings, folder)
    after = {row.rule: row for row in account(settings, folder)}["clean_stars"]
    assert after.wall_s == pytest.approx(before.wall_s * (1 - 1 / PARTITIONS))
    together = next(line for line in text.splitlines() if line.startswith("together"))
    assert len(together.split()) >= 4
