"""One acquisition at a time in a folder."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from mwatlas.archive.acquire import acquire
from mwatlas.archive.lock import LOCK, locked
from mwatlas.archive.transport import Transport
from mwatlas.config.archives import Archives
from mwatlas.errors import ArchiveError
from mwatlas.progress import Progress
from tests.faulty_answers import File
from tests.faulty_server import FaultyServer

from .test_acquire import _request, _route

_HOLD = """
import sys
from pathlib import Path
from mwatlas.archive.lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_acquisition_is_refused_while_another_process_works(
    server: FaultyServer, transport: Transport, tmp_path: Path, progress: Progress
) -> None:
    server.script("/a.fits", File(b"SIMPLE"))
    request = _request(tmp_path, _route("file", server.url("/"), files=["a.fits"]))
    folder = tmp_path / "table"
    command = [sys.executable, "-c", _HOLD, str(folder)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "held\n"
        with pytest.raises(ArchiveError, match="another acquisition works") as caught:
            acquire(request, folder, Archives(), transport, progress)
        assert caught.value.found == f"process {first.pid} on {socket.gethostname()}"
        assert caught.value.file == folder / LOCK
        assert server.requests == []
        first.kill()
    # The killed one left its lock, which is taken over.
    assert json.loads((folder / LOCK).read_text())["pid"] == first.pid
    acquire(request, folder, Archives(), transport, progress)
    assert not (folder / LOCK).exists()


def test_the_same_process_does_not_work_in_a_folder_twice(tmp_path: Path) -> None:
    with (
        locked(tmp_path / "a"),
        locked(tmp_path / "b"),
        pytest.raises(ArchiveError, match="another acquisition"),
        locked(tmp_path / "a"),
    ):
        pass
    with locked(tmp_path / "a"):
        pass


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        ('{"host": "elsewhere.example.org", "pid": 1}', False),
        # An earlier process of this number, as in a container that was started again.
        (json.dumps({"host": socket.gethostname(), "pid": os.getpid()}), True),
        ('{"host": "else', True),
        ("", True),
    ],
    ids=["elsewhere", "own number", "half", "empty"],
)
def test_a_lock_that_is_found_is_held_unless_its_process_is_dead(
    tmp_path: Path, text: str, taken: bool
) -> None:
    path = tmp_path / LOCK
    path.write_text(text)
    if taken:
        with locked(tmp_path):
            assert json.loads(path.read_text())["pid"] == os.getpid()
        assert not path.exists()
        return
    with pytest.raises(ArchiveError, match="process 1 on elsewhere") as caught, locked(tmp_path):
        pass
    assert "remove the file" in str(caught.value)
    assert path.read_text() == text
