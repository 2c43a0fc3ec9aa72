"""What has been fetched of a table: finished pieces and where each is from.

A table is fetched in pieces, each a Parquet file of its own that is complete once it is listed.
A killed run continues with the pieces that are not.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from mwatlas.errors import InputError
from mwatlas.files import read_json, write_json

MANIFEST = "manifest.json"
_SEAL = "sha256"


@dataclass(frozen=True)
class Piece:
    """A finished file.

    Parameters
    ----------
    name
        Of the file, within the folder.
    rows, size_bytes
        Its length.
    origin
        Address it is from.
    detail
        What tells it from other pieces of the same origin: range of source_id, name in a file
        tree, checksum of the source.
    """

    name: str
    rows: int
    size_bytes: int
    origin: str
    detail: dict[str, Any] = field(default_factory=dict)


class Manifest:
    """The pieces of one table in one folder.

    Parameters
    ----------
    folder
        Where the pieces are; made if it is not there.
    request
        What was asked for, as plain values. Pieces of another request are not ours.

    Attributes
    ----------
    complete, finished
        Whether no piece is missing, and the day (ISO) since when.

    Raises
    ------
    InputError
        If the folder holds the pieces of another request, or a manifest that cannot be read or was
        changed by hand.
    """

    def __init__(self, folder: Path, request: dict[str, Any]) -> None:
        self.folder = folder
        self.request = request
        self.complete = False
        self.finished = ""
        self._pieces: dict[str, Piece] = {}
        folder.mkdir(parents=True, exist_ok=True)
        if self.path.exists():
            self._load()

    @property
    def rows(self) -> int:
        """Rows of all finished pieces."""
        return sum(piece.rows for piece in self._pieces.values())

    @property
    def path(self) -> Path:
        """File of the manifest."""
        return self.folder / MANIFEST

    @property
    def pieces(self) -> list[Piece]:
        """Finished pieces, by name."""
        return [self._pieces[name] for name in sorted(self._pieces)]

    @property
    def files(self) -> list[Path]:
        """Their files, in the same order."""
        return [self.folder / piece.name for piece in self.pieces]

    def has(self, name: str) -> bool:
        """Whether a piece is finished and its file as long as it was."""
        piece = self._pieces.get(name)
        path = self.folder / name
        return piece is not None and path.exists() and path.stat().st_size == piece.size_bytes

    def add(self, name: str, origin: str, **detail: Any) -> Piece:
        """List the file ``name``, which is complete, and save the manifest."""
        path = self.folder / name
        rows = pq.read_metadata(path).num_rows
        piece = Piece(name, rows, path.stat().st_size, origin, detail)
        self._pieces[name] = piece
        self._save()
        return piece

    def drop(self, names: Iterable[str]) -> None:
        """Take pieces off the list, and remove their files."""
        names = list(names)
        self._pieces = {name: p for name, p in self._pieces.items() if name not in names}
        self.complete = False
        # The list goes first: a run killed here leaves files that nobody claims.
        self._save()
        for name in names:
            (self.folder / name).unlink(missing_ok=True)

    def finish(self) -> None:
        """Say that no piece is missing."""
        self.complete = True
        self.finished = datetime.now(UTC).date().isoformat()
        self._save()

    def _save(self) -> None:
        content = {
            "request": self.request,
            "complete": self.complete,
            "finished": self.finished,
            "pieces": [asdict(piece) for piece in self.pieces],
        }
        write_json(self.path, {**content, _SEAL: _seal_of(content)})

    def _load(self) -> None:
        saved = _read(self.path)
        if saved["request"] != self.request:
            changed = sorted(
                key
                for key in {*saved["request"], *self.request}
                if saved["request"].get(key) != self.request.get(key)
            )
            raise InputError(
                "the folder holds what another request fetched",
                file=self.path,
                found=f"another {', '.join(changed)}",
                expected="the request of this run",
                remedy="keep the old files by moving the folder away, or remove it; "
                "the table is fetched again",
            )
        self.finished = saved["finished"]
        self._pieces = {piece["name"]: Piece(**piece) for piece in saved["pieces"]}
        self.complete = saved["complete"] and all(self.has(name) for name in self._pieces)


def listed_sizes(folder: Path) -> dict[Path, int]:
    """Bytes of each finished piece in a folder; none if it has no manifest.

    Raises
    ------
    InputError
        If its manifest cannot be read or was changed by hand.
    """
    path = folder / MANIFEST
    pieces = _read(path)["pieces"] if path.exists() else []
    return {folder / piece["name"]: piece["size_bytes"] for piece in pieces}


def _read(path: Path) -> dict[str, Any]:
    """Content of a manifest as it was saved."""
    try:
        saved = read_json(path)
        seal = saved.pop(_SEAL, None)
        found = "" if seal == _seal_of(saved) else "it is not as it was saved"
    except (ValueError, AttributeError, TypeError) as error:
        found = str(error)
    if found:
        raise InputError(
            "the list of what was fetched cannot be read",
            file=path,
            found=found,
            expected=f"what a run saved, with its digest under {_SEAL}",
            remedy="bring the file back as it was, or remove the folder; the table is fetched "
            "again",
        )
    content: dict[str, Any] = saved
    return content


def _seal_of(content: dict[str, Any]) -> str:
    """Digest of a manifest: a piece that is taken off or changed by hand must not go unnoticed."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
