"""What has been fetched of a table."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mwatlas.archive.manifest import MANIFEST, Manifest
from mwatlas.errors import InputError
from mwatlas.files import read_json, write_json

REQUEST = {"table": "gaiadr3.gaia_source", "columns": ["source_id"]}


def _write(folder: Path, name: str, rows: int) -> None:
    pq.write_table(pa.table({"source_id": list(range(rows))}), folder / name)


def test_finished_pieces_are_known_again(tmp_path: Path) -> None:
    first = Manifest(tmp_path / "table", REQUEST)
    for name, rows in (("b.parquet", 3), ("a.parquet", 2)):
        _write(first.folder, name, rows)
        first.add(name, "https://archive", first=0, last=rows)
    again = Manifest(tmp_path / "table", REQUEST)
    assert [piece.name for piece in again.pieces] == ["a.parquet", "b.parquet"]
    assert [piece.rows for piece in again.pieces] == [2, 3]
    assert again.has("a.parquet")
    assert not again.has("c.parquet")
    assert not again.complete
    again.finish()
    last = Manifest(tmp_path / "table", REQUEST)
    assert (last.complete, last.rows, last.finished) == (True, 5, again.finished)


def test_a_piece_whose_file_changed_is_not_finished(tmp_path: Path) -> None:
    manifest = Manifest(tmp_path, REQUEST)
    _write(tmp_path, "a.parquet", 2)
    manifest.add("a.parquet", "https://archive")
    manifest.finish()
    (tmp_path / "a.parquet").write_bytes(b"cut off")
    again = Manifest(tmp_path, REQUEST)
    assert not again.has("a.parquet")
    assert not again.complete


def test_pieces_of_another_request_are_refused(tmp_path: Path) -> None:
    Manifest(tmp_path, REQUEST).finish()
    with pytest.raises(InputError, match="another columns"):
        Manifest(tmp_path, {**REQUEST, "columns": ["ra"]})


def test_a_broken_list_is_named(tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_text("{")
    with pytest.raises(InputError, match=MANIFEST):
        Manifest(tmp_path, REQUEST)


def _without(key: str) -> Callable[[dict[str, Any]], object]:
    return lambda saved: saved["pieces"][0]["detail"].pop(key)


BY_HAND: dict[str, Callable[[dict[str, Any]], object]] = {
    "a piece without its range": _without("first"),
    "a piece less": lambda saved: saved["pieces"].pop(),
    "no word on whether it is complete": lambda saved: saved.pop("complete"),
    "a text for a request": lambda saved: saved.update(request="all"),
    "a text for rows": lambda saved: saved["pieces"][0].update(rows="2"),
    "no digest": lambda saved: saved.pop("sha256"),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_a_list_that_was_changed_by_hand_is_named(tmp_path: Path, name: str) -> None:
    manifest = Manifest(tmp_path, REQUEST)
    for piece in ("a.parquet", "b.parquet"):
        _write(tmp_path, piece, 2)
        manifest.add(piece, "https://archive", first=0, last=1)
    manifest.finish()
    assert Manifest(tmp_path, REQUEST).complete
    saved = read_json(manifest.path)
    BY_HAND[name](saved)
    write_json(manifest.path, saved)
    with pytest.raises(InputError, match="not as it was saved") as raised:
        Manifest(tmp_path, REQUEST)
    assert raised.value.file == manifest.path


@pytest.mark.parametrize("text", ["[]", "1", '"all"', "null"])
def test_a_list_of_another_kind_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / MANIFEST).write_text(text)
    with pytest.raises(InputError, match=MANIFEST):
        Manifest(tmp_path, REQUEST)


def test_dropped_pieces_leave_list_and_disk(tmp_path: Path) -> None:
    manifest = Manifest(tmp_path, REQUEST)
    for piece in ("a.parquet", "b.parquet"):
        _write(tmp_path, piece, 2)
        manifest.add(piece, "https://archive")
    manifest.finish()
    manifest.drop(["a.parquet"])
    again = Manifest(tmp_path, REQUEST)
    assert [piece.name for piece in again.pieces] == ["b.parquet"]
    assert not again.complete
    assert not (tmp_path / "a.parquet").exists()
