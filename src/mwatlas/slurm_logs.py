"""What SLURM's own logs say of jobs that failed before the log of their rule was open."""

from __future__ import annotations

import re
from pathlib import Path

_FAILED = "Error"
_LOG_OF_RULE = re.compile(r"^ +log: ([^, ]+)", re.M)
_LINES = 15


def unsaid_failures(folder: Path, since: float) -> str:
    """Ends of the logs of failed jobs whose rule's log is empty; no text without any.

    Snakemake shows the log of a rule, and SLURM's after it only if the first holds something.

    Parameters
    ----------
    folder
        Where the executor keeps SLURM's logs.
    since
        Time in seconds since 1970 from which on logs count: the start of the run.
    """
    said = []
    for path in sorted(folder.rglob("*.log")):
        if path.stat().st_mtime < since:
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        if _FAILED in text and not _rule_says_more(text):
            end = [line for line in text.splitlines() if line.strip()][-_LINES:]
            said.append("\n".join([f"{path}:", *(f"  {line}" for line in end)]))
    return "\n".join(said)


def _rule_says_more(text: str) -> bool:
    named = _LOG_OF_RULE.search(text)
    return named is not None and Path(named[1]).exists() and Path(named[1]).stat().st_size > 0
