"""Downloads: each fault ends in the right file, or in a message that says what to do."""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mwatlas.archive import download as module
from mwatlas.archive.download import download, fetch_text
from mwatlas.archive.transport import Transport
from mwatlas.errors import ArchiveError
from tests.fake_clock import FakeClock
from tests.faulty_answers import File, Reply, page, reset, stall
from tests.faulty_server import FaultyServer

from .downloads import CUT, DATA, MD5, OTHER, SETTINGS, SHA256, begun, left

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
    # A machine under load may be slow to answer, too: that only costs more tries.
    stalled = replace(SETTINGS, read_timeout_s=0.1, retries=100)
    transport = Transport(stalled if stall in answers else SETTINGS, clock=clock, sleep=clock.sleep)
    came: list[int] = []
    checksum = f"md5:{hashlib.md5(data).hexdigest()}" if checked else None
    url = server.script("/data.csv.gz", *answers)
    download(transport, url, path, checksum=checksum, advance=came.append)
    assert path.read_bytes() == data
    assert left(path) == {""}
    assert sum(came) == len(data)
    assert len(server.requests) == len(answers) or stall in answers


def test_a_truncated_body_goes_on_where_it_broke(
    server: FaultyServer, path: Path, transport: Transport, clock: FakeClock
) -> None:
    url = server.script("/data", File(DATA, stop_after=CUT), File(DATA))
    download(transport, url, path)
    assert [request.range_start for request in server.requests] == [None, CUT]
    assert server.requests[1].headers["If-Range"] == '"v1"'
    assert server.requests[1].headers["Accept-Encoding"] == "identity"
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


@pytest.mark.parametrize(
    "body", [b'{"status": "error", "message": "busy"}', b' [ {"code":1}]', b"{}"]
)
def test_a_message_in_json_is_no_file_unless_that_is_wanted(
    server: FaultyServer, transport: Transport, tmp_path: Path, body: bytes
) -> None:
    url = server.script("/stars", Reply(200, body))
    with pytest.raises(ArchiveError, match="not the file") as caught:
        download(transport, url, tmp_path / "stars.fits")
    assert str(caught.value.found).startswith("JSON: ")
    assert list(tmp_path.iterdir()) == []
    download(transport, url, tmp_path / "config.json")
    checksum = f"md5:{hashlib.md5(body, usedforsecurity=False).hexdigest()}"
    download(transport, url, tmp_path / "known", checksum=checksum)
    assert (tmp_path / "config.json").read_bytes() == (tmp_path / "known").read_bytes() == body
