"""Where the time and memory of a run went, and what its jobs had asked for."""

from __future__ import annotations

import csv
import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from mwatlas.config import Settings
from mwatlas.errors import InputError
from mwatlas.estimate.finished_run import FinishedRun, processor_seconds
from mwatlas.estimate.plan import runs_of
from mwatlas.estimate.stages import STAGES
from mwatlas.files import atomic_path
from mwatlas.job import asked_in

NAME = "accounting"
"""Stem of the files, in the folder of the run."""


@dataclass(frozen=True)
class Spent:
    """What the jobs of one rule took.

    Parameters
    ----------
    rule, jobs
        The rule, and how many of its jobs are counted.
    wall_s, longest_s, cpu_s
        Time of all jobs, of the longest, and processor time of all.
    asked_min
        Longest time a job asked for; NaN where its log does not say.
    memory_gb, asked_gb
        Largest resident memory of a job, and the most one asked for.
    rows
        Rows worked on, or training stars times epochs; NaN where a job costs the same whatever
        their number.
    """

    rule: str
    jobs: int
    wall_s: float
    longest_s: float
    cpu_s: float
    asked_min: float
    memory_gb: float
    asked_gb: float
    rows: float

    @property
    def rows_per_s(self) -> float:
        """Rows of a second of processor time."""
        return self.rows / self.cpu_s if self.cpu_s > 0 else math.nan


@dataclass(frozen=True)
class _Job:
    wall_s: float
    cpu_s: float
    memory_gb: float
    asked_gb: float
    asked_min: float


def account(settings: Settings, folder: Path) -> list[Spent]:
    """Sum up a run, finished or not, from its benchmark files and logs.

    Parameters
    ----------
    settings
        Its configuration.
    folder
        Its results, for instance ``results/sky``.

    Returns
    -------
    list of Spent
        Rules in the order of the data.

    Raises
    ------
    InputError
        If no job of the run has ended.
    """
    jobs: dict[str, list[_Job]] = defaultdict(list)
    for path in sorted((folder / "benchmarks").rglob("*.tsv")):
        relative = path.relative_to(folder / "benchmarks")
        jobs[relative.parts[0].removesuffix(".tsv")].append(_read(path, folder, relative))
    if not jobs:
        raise InputError(
            "there is no run to account for",
            file=folder,
            found="no benchmark file",
            expected="results of a run",
            remedy=f"start one first: snakemake --config release={folder.name}",
        )
    rows = _rows(settings, folder)
    order = list(dict.fromkeys(stage.rule for stage in STAGES))
    return [_sum(rule, jobs[rule], rows.get(rule, math.nan)) for rule in order if rule in jobs]


def write_accounting(settings: Settings, folder: Path) -> str:
    """Write the table and the figure of a run, and return both's summary as text.

    Raises
    ------
    InputError
        If no job of the run has ended.
    """
    # Drawing takes a second to load, which starting a run need not wait for.
    from mwatlas.figures.accounting import draw_accounting

    spent = account(settings, folder)
    paths = {kind: folder / f"{NAME}.{kind}" for kind in ("csv", "pdf", "png")}
    write_table(spent, paths["csv"])
    draw_accounting(spent, settings.adapter.title, paths["pdf"], paths["png"])
    return f"{table_text(spent)}\nTable and figure: {paths['csv']}, {paths['png']}"


def _read(path: Path, folder: Path, relative: Path) -> _Job:
    # A full disk may have left anything.
    with path.open(encoding="utf-8", errors="replace") as stream:
        line = next(csv.DictReader(stream, delimiter="\t"), {})
    wall, seen = _number(line.get("s")), _number(line.get("cpu_time"))
    asked = asked_in(folder / "logs" / relative.with_suffix(".log"))
    return _Job(
        wall_s=wall,
        cpu_s=wall if math.isnan(seen) else processor_seconds(wall, seen),
        memory_gb=_number(line.get("max_rss")) / 1024,
        asked_gb=asked.memory_mb / 1024,
        asked_min=asked.minutes,
    )


def _number(text: str | None) -> float:
    try:
        value = float(text or "")
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan


def _sum(rule: str, jobs: list[_Job], rows: float) -> Spent:
    def known(name: str) -> list[float]:
        return [value for job in jobs if not math.isnan(value := getattr(job, name))]

    def most(name: str) -> float:
        return max(known(name), default=math.nan)

    return Spent(
        rule=rule,
        jobs=len(jobs),
        wall_s=sum(known("wall_s")),
        longest_s=most("wall_s"),
        cpu_s=sum(known("cpu_s")),
        asked_min=most("asked_min"),
        memory_gb=most("memory_gb"),
        asked_gb=most("asked_gb"),
        rows=rows,
    )


def _rows(settings: Settings, folder: Path) -> dict[str, float]:
    """Rows that each rule worked on; a run that stopped early does not tell of all."""
    out: dict[str, float] = {}
    try:
        run = FinishedRun(folder)
    except InputError:
        return out
    for stage in STAGES:
        if stage.work not in ("rows", "sample", "training"):
            continue
        try:
            found = [
                job.work
                for name in runs_of(stage, settings)
                for job in run.measured(
                    stage, name, settings.line_of_sight.variant(name.partition("/variants/")[2])
                )
            ]
        except InputError:
            continue
        if found:
            out[stage.rule] = sum(found)
    return out


def write_table(spent: list[Spent], path: Path) -> None:
    """Write all numbers as comma-separated text."""
    with atomic_path(path) as partial, partial.open("w", encoding="utf-8", newline="") as stream:
        names = [field.name for field in fields(Spent)]
        writer = csv.DictWriter(stream, [*names, "rows_per_s"])
        writer.writeheader()
        for row in spent:
            values = {**asdict(row), "rows_per_s": row.rows_per_s}
            writer.writerow({name: _short(value) for name, value in values.items()})


def _short(value: object) -> object:
    if not isinstance(value, float):
        return value
    return "" if math.isnan(value) else f"{value:.6g}"


def table_text(spent: list[Spent]) -> str:
    """The table as text of few columns, with its sums."""
    head = ("rule", "jobs", "wall", "CPU", "longest", "asked", "memory", "asked", "rows/s")
    body = [
        (
            row.rule,
            f"{row.jobs}",
            _time(row.wall_s),
            _time(row.cpu_s),
            _time(row.longest_s),
            _time(60 * row.asked_min),
            _size(row.memory_gb),
            _size(row.asked_gb),
            "" if math.isnan(row.rows_per_s) else f"{row.rows_per_s:,.0f}",
        )
        for row in spent
    ]
    wall, cpu = sum(row.wall_s for row in spent), sum(row.cpu_s for row in spent)
    jobs = sum(row.jobs for row in spent)
    body.append(("together", f"{jobs}", _time(wall), _time(cpu), "", "", "", "", ""))
    widths = [max(len(line[i]) for line in (head, *body)) for i in range(len(head))]
    return "\n".join(_lines([head, *body], widths))


def _lines(rows: list[tuple[str, ...]], widths: list[int]) -> Iterator[str]:
    for row in rows:
        first, *others = (
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield "  ".join([first, *others]).rstrip()


def _time(seconds: float) -> str:
    if math.isnan(seconds):
        return ""
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _size(gigabytes: float) -> str:
    return "" if math.isnan(gigabytes) else f"{gigabytes:.1f} GB"
