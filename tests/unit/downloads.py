"""A file to download, and what is left of it on the disk."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from mwatlas.archive.part import Part
from mwatlas.archive.transport import Politeness
from mwatlas.files import write_json

DATA = np.random.default_rng(5).bytes(200_000)
OTHER = np.random.default_rng(6).bytes(200_000)
CUT = 70_000
MD5 = f"md5:{hashlib.md5(DATA).hexdigest()}"
SHA256 = f"sha256:{hashlib.sha256(DATA).hexdigest()}"
SETTINGS = Politeness(retries=2, interval_s=0.0, read_timeout_s=30.0)


def left(path: Path) -> set[str]:
    """Names in the folder of a download, by what follows the file's own."""
    return {entry.name.removeprefix(path.name) for entry in path.parent.iterdir()}


def begun(path: Path, source: str, data: bytes = DATA[:CUT], **state: Any) -> None:
    """Leave what a stopped run leaves."""
    Part(path, source).path.write_bytes(data)
    note = {"url": source, "etag": '"v1"', "last_modified": None, "size": len(DATA), **state}
    write_json(Part(path, source).note, note)
