"""A run goes on with the code and settings it started with, or stops and says why not.

Jobs read both when they start, which may be days after the run did. The head process notes them in
the environment, which jobs inherit on any machine, and each job compares.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path

from mwatlas.codehash import code_version
from mwatlas.errors import ConfigError, InputError

VARIABLE = "MWATLAS_CODE_AT_START"
# The rule whose code is that of its script and of whatever figures it draws.
_DRAWS = "draw_figure"


def code_of_run(
    root: Path, *, starts: bool, figures: Iterable[tuple[str, str]] = ()
) -> dict[str, str]:
    """Hash of the code behind each rule, as it was when the run started.

    Parameters
    ----------
    root
        Root of the repository.
    starts
        Whether this process starts a run: it notes the code, others read the note.
    figures
        Study and figure of all that the run may draw.
    """
    if starts or VARIABLE not in os.environ:
        drawn = list(figures)
        scripts = sorted((root / "scripts").glob("*.py"))
        rules = {path.stem: _version(path.stem, root, drawn) for path in scripts}
        note = {"files": _files(root), "rules": rules, "figures": drawn}
        os.environ[VARIABLE] = json.dumps(note)
    noted: dict[str, str] = json.loads(os.environ[VARIABLE])["rules"]
    return noted


def check_settings(settings: str, root: Path, *, starts: bool) -> None:
    """Make sure that the settings of a run are still those of its start.

    Parameters
    ----------
    settings
        All that is set and published, as text; the same for the same settings.
    root
        Root of the repository.
    starts
        Whether this process starts a run: it adds to the note of :func:`code_of_run`.

    Raises
    ------
    ConfigError
        If they were edited.
    """
    now = hashlib.blake2b(settings.encode(), digest_size=12).hexdigest()
    noted = json.loads(os.environ.get(VARIABLE, "{}"))
    if starts:
        os.environ[VARIABLE] = json.dumps({**noted, "settings": now})
        return
    before = noted.get("settings", now)
    if now != before:
        raise ConfigError(
            "the settings were edited after the run had started",
            file=root / "config",
            item="or a file given with --configfile",
            found=f"settings {now}",
            expected=f"settings {before}, so that all jobs of a run have the same",
            remedy="start the run again when it has ended: finished work is kept, and what the "
            "edit concerns is made anew; for two runs at once use two clones",
        )


def check_code(rule: str, root: Path) -> None:
    """Make sure that the code of a rule is still that of the run's start.

    Without a note of it, as when a script is called by hand, nothing is checked.

    Raises
    ------
    InputError
        If it was edited.
    """
    noted = json.loads(os.environ.get(VARIABLE, "{}"))
    before = noted.get("rules", {}).get(rule)
    # Most often no file changed, which is much quicker to see than what a rule depends on.
    if before is None or noted["files"] == _files(root):
        return
    now = _version(rule, root, [(study, figure) for study, figure in noted["figures"]])
    if now != before:
        raise InputError(
            "the code of this rule was edited after the run had started",
            file=root / "scripts" / f"{rule}.py",
            item=rule,
            found=f"code {now}",
            expected=f"code {before}, so that all jobs of a run have the same",
            remedy="start the run again when it has ended: finished work is kept, and what the "
            "edit concerns is made anew; for long runs use a clone of their own",
        )


def _version(rule: str, root: Path, figures: list[tuple[str, str]]) -> str:
    return code_version(rule, root, figures if rule == _DRAWS else ())


def _files(root: Path) -> str:
    digest = hashlib.blake2b(digest_size=12)
    for folder in (root / "src", root / "scripts"):
        for path in sorted(folder.rglob("*.py")):
            digest.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
