"""What every script shares: a log file, progress, and errors a user can act on."""

from __future__ import annotations

import errno
import logging
import math
import os
import platform
import re
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mwatlas import __version__
from mwatlas.errors import MwatlasError
from mwatlas.progress import Progress
from mwatlas.run_code import check_code

_STORAGE_REMEDIES = {
    errno.ENOSPC: ("the disk is full", "free space and run again; finished work is kept"),
    errno.EDQUOT: ("the disk quota is used up", "free space and run again; finished work is kept"),
    errno.EROFS: ("the file system is read-only", "run where results/ can be written"),
    errno.EACCES: ("a file may not be written", "run where results/ can be written"),
}


_ASKED = "asked for %d core(s), %d MB, %d min"


@dataclass(frozen=True)
class Asked:
    """What a job asked for; NaN where its log does not say."""

    memory_mb: float = math.nan
    minutes: float = math.nan


def asked_in(log: Path) -> Asked:
    """Read from its log what a job asked for."""
    pattern = re.sub(r"%d", r"(\\d+)", re.escape(_ASKED))
    text = log.read_text(encoding="utf-8") if log.exists() else ""
    found = re.search(pattern, text)
    return Asked(float(found[2]), float(found[3])) if found else Asked()


@contextmanager
def job(snakemake: Any) -> Iterator[Progress]:
    """Run a script's work with its log file open.

    Messages and progress go to the rule's log. An error that the package raised on purpose
    ends the job with its message alone; any other also leaves its traceback in the log.

    Parameters
    ----------
    snakemake
        The object Snakemake gives to a script; its rule, wildcards and log are used.
    """
    path = Path(snakemake.log[0])
    path.parent.mkdir(parents=True, exist_ok=True)
    name = " ".join([snakemake.rule, *map(str, snakemake.wildcards)])
    handler = logging.FileHandler(path, mode="w", encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    log = logging.getLogger("mwatlas")
    log.setLevel(logging.INFO)
    log.addHandler(handler)
    log.info("%s, mwatlas %s, Python %s", name, __version__, platform.python_version())
    asked = snakemake.resources
    log.info(_ASKED, snakemake.threads, asked.get("mem_mb", 0), asked.get("runtime", 0))
    if "CUDA_VISIBLE_DEVICES" in os.environ:
        log.info("GPUs given to this job: %s", os.environ["CUDA_VISIBLE_DEVICES"])
    started = time.monotonic()
    try:
        check_code(snakemake.rule, Path(__file__).parents[2])
        yield Progress(name, log)
    except MwatlasError as error:
        log.error("%s", error)
        sys.exit(1)
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _STORAGE_REMEDIES:
            what, remedy = _STORAGE_REMEDIES[error.errno]
            log.error("%s\n  found:      %s\n  what to do: %s", what, error, remedy)
            sys.exit(1)
        log.error("%s", traceback.format_exc())
        log.error(
            "%s failed on something it did not expect: %s\n  what to do: "
            "report it with this log; finished work is kept and the next run continues from it",
            name,
            error,
        )
        sys.exit(1)
    log.info("done in %.1f s", time.monotonic() - started)


def by_name(names: Sequence[str], paths: Sequence[str]) -> dict[str, Path]:
    """Files of a rule by what they belong to; empty without files.

    Parameters
    ----------
    names
        In the order of ``paths``.
    paths
        One for each name, or none at all.
    """
    return dict(zip(names, map(Path, paths), strict=True)) if paths else {}


def grouped(names: Sequence[str], paths: Sequence[str]) -> dict[str, list[Path]]:
    """Files of a rule by what they belong to, equally many for each name.

    Parameters
    ----------
    names
        In the order of ``paths``.
    paths
        All files of the first name, then all of the second, and so on.
    """
    size = len(paths) // max(len(names), 1)
    return {
        name: [Path(path) for path in paths[i * size : (i + 1) * size]]
        for i, name in enumerate(names)
    }
