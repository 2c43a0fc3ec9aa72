"""Downloads: each fault ends in the right file, or in a message that says what to do."""

import errno
import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections import namedtuple
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mwatlas.archive import download as module
from mwatlas.archive.checksums import parse_checksums
from mwatlas.archive.download import download, fetch_text
from mwatlas.archive.part import Part
from mwatlas.archive.transport import Politeness, Transport
from mwatlas.errors import ArchiveError, MwatlasError
from mwatlas.files import read_json, write_json
from tests.fake_clock import FakeClock
from tests.faulty_answers import File, Reply, page, reset, stall
from tests.faulty_server import FaultyServer

DATA = np.random.default_rng(5).bytes(200_000)
OTHER = np.random.default_rng(6).bytes(200_000)
CUT = 70_000
MD5 = f"md5:{hashlib.md5(DATA).hexdigest()}"
SHA256 = f"sha256:{hashlib.sha256(DATA).hexdigest()}"
SETTINGS = Politeness(retries=2, interval_s=0.0, read_timeout_s=5.0)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def transport(clock: FakeClock) -> Transport:
    return Transport(SETTINGS, clock=clock, sleep=clock.sleep)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "GaiaSource_000000-003111.csv.gz"


def left(path: Path) -> set[str]:
    """Names in the folder of a download, by what follows the file's own."""
    return {entry.name.removeprefix(path.name) for entry in path.parent.iterdir()}


def begun(path: Path, source: str, data: bytes = DATA[:CUT], **state: Any) -> None:
    """Leave what a stopped run leaves."""
    Part(path, source).path.write_bytes(data)
    note = {"url": source, "etag": '"v1"', "last_modified": None, "size": len(DATA), **state}
    write_json(Part(path, source).note, note)


FAULTS = {
    "none": [File(DATA)],
    "without validators": [File(DATA, etag=None)],
    "slow drip": [File(DATA[:3000], step=1)],
    "chunked": [File(DATA, chunked=True)],
    "announced as an encoding": [File(DATA, headers={"Content-Encoding": "x-gzip"})],
    "reset, then there": [reset, File(DATA)],
    "503, then there": [Reply(503, headers={"Retry_After": "60"}), File(DATA)],
    "stalled, then there": [stall, File(DATA)],
    "truncated": [File(DATA, stop_after=CUT), File(DATA)],
    "truncated, twice": [File(DATA, stop_after=CUT), File(DATA, stop_after=10), File(DATA)],
    "truncated in a chunk": [File(DATA, stop_after=CUT, chunked=True), File(DATA)],
    "truncated, ranges ignored": [File(DATA, stop_after=CUT), File(DATA, ranges=False)],
    "truncated without validators": [
        File(DATA, stop_after=CUT, etag=None),
        File(DATA, etag=None),
    ],
    "truncated, dated": [
        File(DATA, stop_after=CUT, etag=None, last_modified="Mon, 13 Jun 2022 10:00:00 GMT"),
        File(DATA, etag=None, last_modified="Mon, 13 Jun 2022 10:00:00 GMT"),
    ],
    "claims too much, then not": [
        File(DATA, claimed=len(DATA) + 5),
        Reply(416),
        File(DATA),
    ],
    "changed meanwhile": [File(OTHER, stop_after=CUT, etag='"v0"'), File(DATA)],
    "changed, If-Range ignored": [
        File(OTHER, stop_after=CUT, etag='"v0"'),
        File(DATA, if_range=False),
        File(DATA),
    ],
    "shrunk meanwhile": [
        File(OTHER + OTHER, stop_after=len(DATA) + 1, etag=None, last_modified="Mon"),
        File(DATA, last_modified="Mon", if_range=False),
        File(DATA),
    ],
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("checked", [False, True])
def test_a_fault_that_passes_ends_in_the_file(
    server: FaultyServer, path: Path, fault: str, checked: bool
) -> None:
    answers = FAULTS[fault]
    data = answers[-1].data
    clock = FakeClock()
    transport = Transport(
        replace(SETTINGS, read_timeout_s=0.05 if "stalled" in fault else 5.0),
        clock=clock,
        sleep=clock.sleep,
    )
    came: list[int] = []
    checksum = f"md5:{hashlib.md5(data).hexdigest()}" if checked else None
    url = server.script("/data.csv.gz", *answers)
    download(transport, url, path, checksum=checksum, advance=came.append)
    assert path.read_bytes() == data
    assert left(path) == {""}
    assert sum(came) == len(data)
    assert len(server.requests) == len(answers)


def test_a_truncated_body_goes_on_where_it_broke(
    server: FaultyServer, path: Path, transport: Transport, clock: FakeClock
) -> None:
    url = server.script("/data", File(DATA, stop_after=CUT), File(DATA))
    download(transport, url, path)
    assert [request.range_start for request in server.requests] == [None, CUT]
    assert server.requests[1].headers["If-Range"] == '"v1"'
    assert server.sent("/data") == len(DATA)
    assert clock.slept == [SETTINGS.backoff_s]


def test_progress_between_breaks_starts_the_count_of_tries_again(
    server: FaultyServer, path: Path, transport: Transport
) -> None:
    data = np.random.default_rng(7).bytes(8 * module._BLOCK)
    url = server.script("/data", *[File(data, stop_after=module._BLOCK + 1)] * 7, File(data))
    download(transport, url, path)
    assert path.read_bytes() == data
    assert server.sent("/data") == len(data)


def test_a_body_that_always_breaks_is_given_up_and_kept(
    server: FaultyServer, path: Path, transport: Transport
) -> None:
    url = server.script(
        "/data", File(DATA, stop_after=CUT), File(DATA, stop_after=10), File(DATA, stop_after=0)
    )
    with pytest.raises(ArchiveError) as caught:
        download(transport, url, path)
    error = caught.value
    assert error.file == url
    assert error.item == f"{path}.part"
    assert str(error.found).startswith(f"{CUT + 10:,} bytes; the connection broke")
    assert error.expected == f"{len(DATA):,} bytes"
    assert "run again" in error.remedy
    assert Path(f"{path}.part").read_bytes() == DATA[: CUT + 10]
    assert left(path) == {".part", ".part.json"}


REFUSED = {
    "accepted": (Reply(202), "HTTP 202 Accepted", "run again later"),
    "no content": (Reply(204), "HTTP 204 No Content", "browser"),
    "range not asked for": (Reply(206, b"x"), "HTTP 206 Partial Content", "browser"),
    "no permission": (Reply(403), "HTTP 403 Forbidden", "needs a login"),
    "not there": (Reply(404), "HTTP 404 Not Found", "moved"),
    "page": (page("Site is down"), 'an HTML page with the title "Site is down"', "browser"),
    "page without a title": (Reply(200, b" \n<HTML><body/>"), "an HTML page", "browser"),
    "XHTML": (
        Reply(
            200, b'\xef\xbb\xbf<?xml version="1.0"?>\n<!-- a --><!doctype html><title>a\nb</title>'
        ),
        'an HTML page with the title "a b"',
        "browser",
    ),
    "page in drops": (File(page("Slow").body, step=1), 'title "Slow"', "browser"),
    "packed": (
        File(DATA, headers={"Content-Encoding": "br"}),
        "a body packed as br",
        "another mirror",
    ),
    "of no known length": (File(DATA, sized=False), "neither a length nor chunks", "register"),
}


# What is another fault, or none, where a range was asked for.
ONLY_FRESH = {"range not asked for", "packed"}


@pytest.mark.parametrize(
    ("fault", "resumed"),
    [(f, r) for f in REFUSED for r in (False, True) if not (r and f in ONLY_FRESH)],
)
def test_what_is_not_the_file_is_refused(
    server: FaultyServer, path: Path, transport: Transport, fault: str, resumed: bool
) -> None:
    answer, found, remedy = REFUSED[fault]
    url = server.script("/data.gz", answer)
    if resumed:
        begun(path, url)
        if isinstance(answer, File):
            server.script("/data.gz", replace(answer, ranges=False))
    with pytest.raises(ArchiveError) as caught:
        download(transport, url, path)
    assert caught.value.file == url
    assert found in str(caught.value.found)
    assert remedy in caught.value.remedy
    assert caught.value.expected
    # Nothing is written, and nothing that came before is lost.
    assert left(path) == ({".part", ".part.json"} if resumed else set())
    if resumed:
        assert Path(f"{path}.part").read_bytes() == DATA[:CUT]


def test_a_redirect_is_named(server: FaultyServer, path: Path, transport: Transport) -> None:
    login = server.script("/login", page("Log in"))
    url = server.script("/data", Reply(302, headers={"Location": login}))
    with pytest.raises(ArchiveError) as caught:
        download(transport, url, path)
    assert caught.value.file == url
    assert caught.value.item == f"redirected to {login}"


@pytest.mark.parametrize("url", ["data.csv", "ftp://archive.org/x", "http://"])
def test_what_is_no_address_is_refused(url: str, path: Path, transport: Transport) -> None:
    with pytest.raises(ArchiveError, match="an address cannot be asked") as caught:
        download(transport, url, path)
    assert caught.value.file == url


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("length", [len(DATA) - 1, len(DATA) + 1])
def test_another_length_than_registered_is_refused(
    server: FaultyServer, path: Path, transport: Transport, length: int, chunked: bool
) -> None:
    url = server.script("/data", File(DATA, chunked=chunked))
    with pytest.raises(ArchiveError) as caught:
        download(transport, url, path, size=length)
    assert caught.value.file == url
    assert f"{len(DATA):,} bytes" in str(caught.value.found)
    assert caught.value.expected == f"{length:,} bytes"
    assert not path.exists()


def test_corrupted_bytes_are_fetched_once_more(
    server: FaultyServer, path: Path, transport: Transport
) -> None:
    came: list[int] = []
    url = server.script("/data", File(OTHER), File(DATA))
    download(transport, url, path, checksum=SHA256, advance=came.append)
    assert path.read_bytes() == DATA
    assert [request.range_start for request in server.requests] == [None, None]
    assert sum(came) == len(DATA)


def test_corrupted_bytes_twice_are_an_error_with_both_sums(
    server: FaultyServer, path: Path, transport: Transport
) -> None:
    path.write_bytes(b"the old file")
    url = server.script("/data", File(OTHER))
    with pytest.raises(ArchiveError) as caught:
        download(transport, url, path, checksum=MD5)
    assert caught.value.file == url
    assert caught.value.found == f"md5:{hashlib.md5(OTHER).hexdigest()}"
    assert caught.value.expected == MD5
    assert len(server.requests) == 2
    assert left(path) == {""}
    assert path.read_bytes() == b"the old file"


@pytest.mark.parametrize(
    "checksum", ["md5:12", "crc32:aaaaaaaa", "d41d8cd98f00b204e9800998ecf8427e"]
)
def test_a_checksum_of_no_known_kind_is_refused(
    path: Path, transport: Transport, checksum: str
) -> None:
    with pytest.raises(ArchiveError, match="not well formed") as caught:
        download(transport, "http://archive.org/x", path, checksum=checksum)
    assert caught.value.found == checksum


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


@pytest.mark.parametrize(
    ("known", "asked"),
    [
        ({}, 0),
        ({"size": len(DATA)}, 0),
        ({"size": len(DATA), "checksum": MD5.upper().replace("MD5", "md5")}, 0),
        ({"size": len(OTHER) + 1}, 1),
        ({"checksum": f"md5:{hashlib.md5(OTHER + b'x').hexdigest()}"}, 1),
    ],
)
def test_a_finished_file_is_fetched_again_only_if_it_is_another(
    server: FaultyServer, path: Path, transport: Transport, known: dict[str, Any], asked: int
) -> None:
    came: list[int] = []
    path.write_bytes(DATA)
    url = server.script("/data", File(OTHER + b"x"))
    download(transport, url, path, advance=came.append, **known)
    assert len(server.requests) == asked
    assert path.read_bytes() == (OTHER + b"x" if asked else DATA)
    assert sum(came) == path.stat().st_size


def test_an_empty_file_is_a_file(server: FaultyServer, path: Path, transport: Transport) -> None:
    download(transport, server.script("/data", File(b"")), path)
    assert path.read_bytes() == b""


def test_room_is_looked_for_before_a_file_is_fetched(
    server: FaultyServer, path: Path, transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: usage(1_000))
    url = server.script("/data", File(DATA))
    begun(path, url)
    with pytest.raises(MwatlasError, match="the disk is full") as caught:
        download(transport, url, path)
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
    assert str(error.file) == f"{path}.part"
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


def test_no_secret_is_written_down(
    server: FaultyServer, path: Path, transport: Transport, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    server.script("/data", File(DATA, stop_after=CUT), File(DATA, stop_after=0))
    url = server.url("/data").replace("//", "//me:s3cret@") + "?token=s3cret"
    with pytest.raises(ArchiveError) as caught:
        download(transport, url, path)
    assert "s3cret" not in str(caught.value) + caplog.text
    assert "s3cret" not in Path(f"{path}.part.json").read_text()
    server.script("/data", File(DATA))
    download(transport, url.replace("token=s3cret", "token=n3w"), path)
    assert server.sent("/data") == len(DATA)


def test_a_small_text_is_fetched(server: FaultyServer, transport: Transport) -> None:
    url = server.script("/_MD5SUM.txt", reset, Reply(200, "5 \u03b1\n".encode()))
    assert fetch_text(transport.session, url) == "5 \u03b1\n"


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (page("Gone fishing"), "Gone fishing"),
        (Reply(202), "HTTP 202"),
        (Reply(404), "HTTP 404"),
        (Reply(200, b"\x1f\x8b\x08"), "byte 1 is not UTF-8"),
    ],
)
def test_what_is_no_small_text_is_refused(
    server: FaultyServer, transport: Transport, answer: Reply, found: str
) -> None:
    url = server.script("/_MD5SUM.txt", answer)
    with pytest.raises(ArchiveError) as caught:
        fetch_text(transport.session, url)
    assert caught.value.file == url
    assert found in str(caught.value.found)


def test_lists_of_checksums_are_read() -> None:
    sha1 = "da39a3ee5e6b4b0d3255bfef95601890afd80709"
    text = f"{MD5[4:]}  a b.csv.gz\n{MD5[4:].upper()} *./b.csv.gz\r\n\n{sha1}  c\n{SHA256[7:]}  d\n"
    assert parse_checksums(text) == {
        "a b.csv.gz": MD5,
        "b.csv.gz": MD5,
        "c": f"sha1:{sha1}",
        "d": SHA256,
    }


@pytest.mark.parametrize(
    "line",
    ["<!doctype html>", "d41d8cd98f00b204e9800998ecf8427e", f"{MD5[4:-1]}  a", f"{MD5[4:]} a", "a"],
)
def test_a_bad_line_of_a_list_is_named(line: str) -> None:
    text = f"{MD5[4:]}  a\n{line}\n"
    with pytest.raises(ArchiveError) as caught:
        parse_checksums(text, "http://archive.org/_MD5SUM.txt")
    assert caught.value.file == "http://archive.org/_MD5SUM.txt"
    assert caught.value.item == "line 2"
    assert caught.value.found == repr(line)


def test_two_checksums_of_a_file_are_an_error() -> None:
    with pytest.raises(ArchiveError, match="line 2"):
        parse_checksums(f"{MD5[4:]}  a\n{'0' * 32}  a\n")
