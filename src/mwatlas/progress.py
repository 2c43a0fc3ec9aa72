"""Progress of long work: a bar on a terminal, lines in the log otherwise."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Bar

_LOG_EVERY_SECONDS = 15.0

Advance = Callable[..., None]


class Progress:
    """Reports how far a job is.

    Parameters
    ----------
    name
        Name of the job, shown before each line: several jobs may share a terminal.
    log
        Where lines go.
    """

    def __init__(self, name: str, log: logging.Logger) -> None:
        self._name = name
        self._log = log

    @contextmanager
    def task(self, what: str, total: int, unit: str) -> Iterator[Advance]:
        """Yield ``advance(steps, note="")``, to be called as work gets done.

        Parameters
        ----------
        what
            What is being done, for instance "orbits".
        total
            Number of steps; an estimate is enough.
        unit
            What a step is, for instance "stars".
        """
        started = time.monotonic()
        last = started
        done = 0

        def rate_and_rest() -> str:
            rate = done / max(time.monotonic() - started, 1e-9)
            rest = (total - done) / rate if rate else 0.0
            return f"{_rate(rate, unit)}, {_clock(rest)} left"

        with _bar() as bar:
            row = bar.add_task(f"{self._name}: {what}", total=total, note="") if bar else None

            def advance(steps: int = 1, note: str = "") -> None:
                nonlocal done, last
                done += steps
                if bar is not None and row is not None:
                    bar.update(row, completed=done, note=f"{rate_and_rest()} {note}")
                if time.monotonic() - last >= _LOG_EVERY_SECONDS:
                    last = time.monotonic()
                    self._log.info(
                        "%s: %s of %s %s, %s %s",
                        what,
                        f"{done:,}",
                        f"{total:,}",
                        unit,
                        rate_and_rest(),
                        note,
                    )

            yield advance
        seconds = time.monotonic() - started
        self._log.info(
            "%s: %s %s in %.1f s (%s)",
            what,
            f"{done:,}",
            unit,
            seconds,
            _rate(done / max(seconds, 1e-9), unit),
        )


@contextmanager
def _bar() -> Iterator[Bar | None]:
    if not sys.stderr.isatty():
        yield None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        yield bar


def _rate(per_second: float, unit: str) -> str:
    """Rates below one a second are told by the minute."""
    if per_second < 1:
        return f"{60 * per_second:.3g} {unit}/min"
    return f"{per_second:,.0f} {unit}/s"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
