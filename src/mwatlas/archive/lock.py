"""One acquisition at a time in a folder: two would remove each other's unfinished files."""

from __future__ import annotations

import fcntl
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from mwatlas.errors import ArchiveError

LOCK = ".lock"
"""File that says which process works in a folder."""

# A process may have the number of an earlier one whose lock is still there.
_OWN: set[Path] = set()


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes, on this host and others, out of ``folder`` for a while.

    A lock whose process is dead is taken over, if it was one of this host.

    Parameters
    ----------
    folder
        Where the caller works; made if absent.

    Raises
    ------
    ArchiveError
        If another acquisition works there, naming its host and process.
    """
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / LOCK
    holder = {"host": socket.gethostname(), "pid": os.getpid()}
    with _at_rest(path) as stream:
        held = _read(stream)
        if held and _works(held, path):
            raise ArchiveError(
                "another acquisition works in this folder",
                file=path,
                found=f"process {held['pid']} on {held['host']}",
                expected="one process in a folder: two would remove each other's unfinished files",
                remedy="wait until it is done, or stop it; if there is no such process any more, "
                "remove the file",
            )
        os.ftruncate(stream, 0)
        os.pwrite(stream, json.dumps(holder).encode(), 0)
        _OWN.add(path)
    try:
        yield
    finally:
        _OWN.discard(path)
        with suppress(OSError):
            path.unlink()


@contextmanager
def _at_rest(path: Path) -> Iterator[int]:
    """The lock, opened, while no other process of this host looks at it or changes it."""
    while True:
        stream = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            # Some file systems of clusters cannot; then the content alone has to do.
            with suppress(OSError):
                fcntl.flock(stream, fcntl.LOCK_EX)
            # Its holder may have removed it meanwhile, so that this is no file of the folder.
            if path.exists() and os.path.samestat(os.fstat(stream), path.stat()):
                yield stream
                return
        finally:
            os.close(stream)


def _read(stream: int) -> dict[str, Any] | None:
    """Who holds the lock; nobody does if its writer was killed over it."""
    try:
        held = json.loads(os.pread(stream, 4096, 0))
        return {"host": str(held["host"]), "pid": int(held["pid"])}
    except (ValueError, KeyError, TypeError):
        return None


def _works(held: dict[str, Any], path: Path) -> bool:
    """Whether the holder of a lock may still be at work; of other hosts nothing is known."""
    if held["host"] != socket.gethostname():
        return True
    if held["pid"] == os.getpid():
        return path in _OWN
    try:
        os.kill(held["pid"], 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
