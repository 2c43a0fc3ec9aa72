"""Downloads that were stopped: by a kill, a server that went away, a full disk."""

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from collections import namedtuple
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mwatlas.archive import disk
from mwatlas.archive.disk import DiskFull
from mwatlas.archive.download import download
from mwatlas.archive.part import Part
from mwatlas.archive.transport import Transport
from mwatlas.errors import ArchiveError, MwatlasError
from mwatlas.files import read_json
from tests.faulty_answers import File, Reply
from tests.faulty_server import FaultyServer

from .downloads import CUT, DATA, MD5, OTHER, begun, left

RESUMED = {
    "the same": ({}, DATA[:CUT], True),
    "whole but not named": ({}, DATA, True),
    "changed": ({"etag": '"v0"'}, DATA[:CUT], False),
    "of another address": ({"url": "http://elsewhere/data"}, DATA[:CUT], False),
    "longer than its file": ({"size": 10}, DATA[:CUT], False),
    "without validators": ({"etag": None}, DATA[:CUT], False),
    "with a weak validator": ({"etag": 'W/"v1"'}, DATA[:CUT], False),
    "of another length": ({"size": len(DATA) + 1}, DATA[:CUT], False),
    "with a strange note": ({"colour": "red"}, DATA[:CUT], False),
    "empty": ({}, b"", False),
}


@pytest.mark.parametrize("state", RESUMED)
def test_a_part_goes_on_only_if_it_is_of_the_same_file(
    server: FaultyServer, path: Path, transport: Transport, state: str
) -> None:
    note, data, goes_on = RESUMED[state]
    url = server.script("/data", File(DATA))
    begun(path, url, data, **note)
    download(transport, url, path)
    assert path.read_bytes() == DATA
    assert left(path) == {""}
    # Of a part that is whole the last byte is asked for, to learn whether it still is the file.
    kept = min(len(data), len(DATA) - 1) if goes_on else 0
    assert server.requests[-1].sent == len(DATA) - kept


def test_a_part_without_a_note_starts_over(
    server: FaultyServer, path: Path, transport: Transport
) -> None:
    url = server.script("/data", File(DATA))
    Path(f"{path}.part").write_bytes(OTHER[:CUT])
    download(transport, url, path)
    assert path.read_bytes() == DATA


def test_a_checksum_vouches_for_a_part_without_validators(
    server: FaultyServer, path: Path, transport: Transport
) -> None:
    url = server.script("/data", File(DATA, etag=None))
    begun(path, url, etag=None)
    download(transport, url, path, checksum=MD5)
    assert server.sent("/data") == len(DATA) - CUT
    assert path.read_bytes() == DATA


def test_a_range_that_the_server_does_not_have_starts_over(
    server: FaultyServer, path: Path, transport: Transport
) -> None:
    url = server.script("/data", Reply(416), File(DATA))
    begun(path, url)
    download(transport, url, path)
    assert path.read_bytes() == DATA
    assert [request.range_start for request in server.requests] == [CUT, None]


def test_a_file_that_keeps_changing_is_given_up(
    server: FaultyServer, path: Path, transport: Transport
) -> None:
    answers = [File(DATA, etag=f'"v{i}"', if_range=False, stop_after=CUT) for i in range(9)]
    url = server.script("/data", *answers)
    with pytest.raises(ArchiveError, match="the file on the server changed, 1 time"):
        download(transport, url, path)


def test_a_server_that_goes_away_loses_nothing(
    server: FaultyServer, path: Path, transport: Transport
) -> None:
    url = server.script("/data", File(DATA, stop_after=CUT), Reply(503))
    with pytest.raises(ArchiveError, match="HTTP 503, 3 times") as caught:
        download(transport, url, path)
    assert caught.value.file == url
    assert Path(f"{path}.part").read_bytes() == DATA[:CUT]
    server.script("/data", File(DATA))
    download(transport, url, path)
    assert path.read_bytes() == DATA
    assert server.sent("/data") == len(DATA)


def test_room_is_looked_for_before_a_file_is_fetched(
    server: FaultyServer, path: Path, transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda _: usage(1_000))
    url = server.script("/data", File(DATA))
    begun(path, url)
    with pytest.raises(MwatlasError, match="the disk is full") as caught:
        download(transport, url, path)
    assert isinstance(caught.value, DiskFull)
    assert not isinstance(caught.value, ArchiveError)  # another mirror would not help
    assert caught.value.found == "1,000 bytes free"
    assert str(caught.value.expected).startswith(f"{len(DATA) - CUT:,} bytes")
    assert Path(f"{path}.part").read_bytes() == DATA[:CUT]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_fills_up_keeps_what_came(
    server: FaultyServer,
    path: Path,
    transport: Transport,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
) -> None:
    class FullDisk:
        """A file that takes some bytes, then no more."""

        def __init__(self, stream: Any) -> None:
            self._stream = stream

        def __enter__(self) -> "FullDisk":
            return self

        def __exit__(self, *_: object) -> None:
            self._stream.close()

        def write(self, data: memoryview) -> int:
            if self._stream.tell() >= CUT:
                raise OSError(number, os.strerror(number))
            return self._stream.write(data[: CUT - self._stream.tell()])

    url = server.script("/data", File(DATA))
    with monkeypatch.context() as patch:
        opened = Part.open_at
        patch.setattr(Part, "open_at", lambda part, offset: FullDisk(opened(part, offset)))
        with pytest.raises(MwatlasError) as caught:
            download(transport, url, path)
    error = caught.value
    assert error.problem == "the disk is full"
    assert error.file == path.parent
    assert error.item == url
    assert str(error.found).endswith("bytes free")
    assert str(error.expected).startswith(f"{len(DATA) - CUT:,} bytes")
    assert f"goes on from the {CUT:,} bytes" in error.remedy
    assert Path(f"{path}.part").read_bytes() == DATA[:CUT]
    download(transport, url, path)
    assert path.read_bytes() == DATA
    assert server.requests[-1].range_start == CUT


def test_a_killed_run_goes_on(server: FaultyServer, path: Path, transport: Transport) -> None:
    data = np.random.default_rng(8).bytes(3_000_000)
    half = len(data) // 2
    gate = threading.Event()
    url = server.script("/data", File(data, gate=gate, gate_after=half), File(data))
    program = (
        "import sys; from pathlib import Path\n"
        "from mwatlas.archive.download import download\n"
        "from mwatlas.archive.transport import Politeness, Transport\n"
        "download(Transport(Politeness()), sys.argv[1], Path(sys.argv[2]))\n"
    )
    run = subprocess.Popen([sys.executable, "-c", program, url, str(path)])
    part = Path(f"{path}.part")
    try:
        # The server sends no more than half, so the part stays at that until the run is killed.
        while run.poll() is None and not (part.exists() and part.stat().st_size == half):
            time.sleep(0.01)
        assert run.poll() is None
    finally:
        run.send_signal(signal.SIGKILL)
        run.wait()
    assert not path.exists()
    assert read_json(Path(f"{path}.part.json"))["size"] == len(data)
    download(transport, url, path)
    assert path.read_bytes() == data
    assert [request.range_start for request in server.requests] == [None, half]
    assert server.requests[0].sent == half
    assert server.sent("/data") == len(data)
    assert left(path) == {""}
