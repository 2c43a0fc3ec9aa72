"""Jobs that an earlier run left in the queue of a SLURM cluster."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from mwatlas.errors import InputError

# The executor notes `rule_<name>`, and the wildcards, as the comment of its jobs.
_MARK = "rule_"
_SEPARATOR = "|"


@dataclass(frozen=True)
class QueuedJob:
    """A job in the queue: its number, state, and rule with wildcards."""

    number: str
    state: str
    what: str


def jobs_in_queue(text: str, folder: Path) -> list[QueuedJob]:
    """Jobs of a workflow's folder, from lines with number, state, folder and comment.

    Other people's comments may hold anything, also lines of their own.
    """
    found = []
    for line in text.splitlines():
        number, state, where, comment = (line.split(_SEPARATOR, 3) + [""] * 3)[:4]
        if comment.startswith(_MARK) and Path(where) == folder:
            found.append(QueuedJob(number, state.lower(), comment.removeprefix(_MARK)))
    return found


def check_queue(folder: Path) -> None:
    """Make sure that no job of an earlier run in this folder is waiting or running.

    Raises
    ------
    InputError
        If there is one: it and the job that replaced it would write the same files. Or if the
        cluster does not tell.
    """
    if shutil.which("squeue") is None:
        return
    form = _SEPARATOR.join(("%i", "%T", "%Z", "%k"))
    asked = subprocess.run(
        ["squeue", "--me", "--noheader", f"--format={form}"],
        capture_output=True,
        text=True,
        check=False,
    )
    if asked.returncode != 0:
        raise InputError(
            "the cluster does not say which jobs it has",
            file=folder,
            item="squeue",
            found=asked.stderr.strip() or f"exit status {asked.returncode}",
            expected="the queue, in which no job of an earlier run in this folder may be left",
            remedy="start again when squeue answers",
        )
    jobs = jobs_in_queue(asked.stdout, folder.resolve())
    if jobs:
        raise InputError(
            f"{len(jobs)} job(s) of an earlier run in this folder are still in the queue",
            file=folder,
            found=_listed(f"{job.number} ({job.what}, {job.state})" for job in jobs),
            expected="none: two jobs would write the same files",
            remedy="wait until they end, or cancel them: "
            f"scancel {' '.join(job.number for job in jobs)}; then run again. Finished work is "
            "kept, and training goes on from its last epoch. For two runs at once use two clones",
        )


def _listed(names: Iterable[str], most: int = 8) -> str:
    names = list(names)
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if names[most:] else "")
