"""Requests: who asks, how often, how many at a time, what is tried again, and what is told."""

import logging
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from mwatlas import __version__
from mwatlas.archive.redact import redact
from mwatlas.archive.transport import Politeness, Transport
from mwatlas.errors import ArchiveError
from tests.fake_clock import FakeClock
from tests.faulty_answers import Crowd, File, Reply, page, reset, stall
from tests.faulty_server import FaultyServer

PATIENT = Politeness(retries=3, backoff_s=2.0, longest_wait_s=100.0, interval_s=0.0)
SECRET = "s3cret"


def made(settings: Politeness = PATIENT) -> tuple[Transport, FakeClock]:
    clock = FakeClock()
    return Transport(settings, clock=clock, sleep=clock.sleep), clock


def test_requests_say_who_asks(server: FaultyServer) -> None:
    transport, _ = made(replace(PATIENT, contact="astronomer@example.org"))
    transport.session.get(server.script("/", Reply(200)))
    agent = server.requests[0].headers["User-Agent"]
    assert agent == f"mwatlas/{__version__} (Milky Way Atlas; astronomer@example.org)"
    assert Politeness().user_agent == f"mwatlas/{__version__} (Milky Way Atlas)"


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_failing_server_is_asked_again_after_growing_waits(
    server: FaultyServer, status: int
) -> None:
    transport, clock = made()
    url = server.script("/", Reply(status), Reply(status), reset, Reply(200, b"data"))
    assert transport.session.get(url).content == b"data"
    assert clock.slept == [2.0, 4.0, 8.0]


def test_the_wait_is_capped(server: FaultyServer) -> None:
    transport, clock = made(replace(PATIENT, retries=5, longest_wait_s=10.0))
    transport.session.get(server.script("/", *[Reply(503)] * 5, Reply(200)))
    assert clock.slept == [2.0, 4.0, 8.0, 10.0, 10.0]


@pytest.mark.parametrize(
    ("asked", "waited"),
    [("30", 30.0), ("1", 2.0), ("soon", 2.0), ("Thu, 01 Jan 1970 00:00:00 GMT", 2.0)],
)
def test_the_server_may_ask_for_a_longer_wait(
    server: FaultyServer, asked: str, waited: float
) -> None:
    transport, clock = made()
    transport.session.get(
        server.script("/", Reply(503, headers={"Retry_After": asked}), Reply(200))
    )
    assert clock.slept == [waited]


def test_a_wait_beyond_the_cap_is_left_to_the_user(server: FaultyServer) -> None:
    transport, clock = made()
    url = server.script("/", Reply(429, headers={"Retry_After": "7200"}))
    with pytest.raises(ArchiveError, match="come back in 7,200 s"):
        transport.session.get(url)
    assert len(server.requests) == 1
    assert clock.slept == []


def test_a_wait_holds_for_all_requests_to_the_host(server: FaultyServer) -> None:
    transport, clock = made()
    transport.back_off(server.url(), 2)
    transport.session.get(server.script("/", Reply(200)))
    assert clock.slept == [4.0]


def test_what_happened_how_often_is_told(server: FaultyServer) -> None:
    transport, _ = made()
    url = server.script("/", reset, Reply(503), Reply(503, b"<p>down for\nrepair</p>"))
    with pytest.raises(ArchiveError) as caught:
        transport.session.get(url)
    assert len(server.requests) == 4
    assert caught.value.file == url
    assert caught.value.item == "GET request"
    assert "HTTP 503, 3 times" in str(caught.value.found)
    assert "the connection broke" in str(caught.value.found)
    assert "<p>down for repair</p>" in str(caught.value.found)
    assert "run again" in caught.value.remedy
    assert caught.value.__context__ is None


def test_a_refused_connection_is_tried_again() -> None:
    with FaultyServer(listening=False) as server:
        url = server.script("/", Reply(200, b"data"))
        clock = FakeClock(lambda n: server.listen() if n == 2 else None)
        transport = Transport(PATIENT, clock=clock, sleep=clock.sleep)
        assert transport.session.get(url).content == b"data"
    assert clock.slept == [2.0, 4.0]


def test_a_host_that_stays_away_is_named() -> None:
    transport, _ = made()
    with FaultyServer(listening=False) as server, pytest.raises(ArchiveError) as caught:
        transport.session.get(server.url("/tap"))
    assert caught.value.file == server.url("/tap")
    assert caught.value.found == "no connection (Connection refused), 4 times"


def test_an_unknown_host_is_told_from_one_that_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    transport, _ = made(replace(PATIENT, retries=0))
    with pytest.raises(ArchiveError) as caught:
        transport.session.get("http://localhost/")
    assert caught.value.found == "the name of the host is not known, 1 time"


def test_an_answer_that_does_not_come_is_given_up(server: FaultyServer) -> None:
    transport, _ = made(replace(PATIENT, retries=1, read_timeout_s=0.05))
    with pytest.raises(ArchiveError, match=r"no answer within 0\.05 s, 2 times"):
        transport.session.get(server.script("/", stall))


def test_a_body_that_breaks_is_asked_for_again(server: FaultyServer) -> None:
    transport, clock = made()
    url = server.script("/", File(b"x" * 100, stop_after=60), File(b"x" * 100))
    assert transport.session.get(url).content == b"x" * 100
    assert clock.slept == [2.0]


@pytest.mark.parametrize("fault", [reset, File(b"x" * 100, stop_after=60)])
def test_a_job_is_not_submitted_twice(server: FaultyServer, fault: object) -> None:
    transport, clock = made()
    with pytest.raises(ArchiveError, match="not known whether a request reached") as caught:
        transport.session.post(server.script("/async", fault), data={"QUERY": "select 1"})
    assert len(server.requests) == 1
    assert clock.slept == []
    assert "see whether the archive has the job" in caught.value.remedy


def test_a_job_that_was_not_received_is_submitted_again() -> None:
    with FaultyServer(listening=False) as server:
        url = server.script("/async", Reply(200))
        clock = FakeClock(lambda n: server.listen() if n == 2 else None)
        transport = Transport(PATIENT, clock=clock, sleep=clock.sleep)
        transport.session.post(url, data={"query": "select 1"})
    assert [request.form for request in server.requests] == [{"QUERY": "select 1"}]


@pytest.mark.parametrize("status", [400, 500, 503])
def test_the_error_of_a_submitted_job_goes_to_who_asked(server: FaultyServer, status: int) -> None:
    transport, _ = made()
    response = transport.session.post(server.script("/sync", Reply(status, b"line 1: no")))
    assert (response.status_code, response.text) == (status, "line 1: no")
    assert len(server.requests) == 1


def test_what_will_not_pass_is_not_tried_again(server: FaultyServer) -> None:
    transport, _ = made()
    assert transport.session.get(server.script("/", page(status=404))).status_code == 404
    assert len(server.requests) == 1


def test_requests_to_a_host_keep_their_distance() -> None:
    clock = FakeClock()
    with FaultyServer(clock=clock) as server:
        settings = replace(PATIENT, interval_s=3.0)
        transport = Transport(settings, clock=clock, sleep=clock.sleep)
        url = server.script("/", Reply(200), Reply(200), Reply(503), Reply(200))
        for _ in range(3):
            transport.session.get(url)
        # Another host is not held up.
        transport.session.get(url.replace("127.0.0.1", "localhost"))
    assert [request.time for request in server.requests] == [0.0, 3.0, 6.0, 9.0, 9.0]


def test_threads_keep_the_distance_together(server: FaultyServer) -> None:
    transport, clock = made(replace(PATIENT, interval_s=3.0))
    url = server.script("/", Reply(200))
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: transport.session.get(url), range(24)))
    assert len(server.requests) == 24
    assert clock() >= 23 * 3.0


def test_connections_to_a_host_are_limited(server: FaultyServer) -> None:
    transport, _ = made(replace(PATIENT, connections_per_host=2))
    crowd = Crowd(2)
    url = server.script("/", crowd)
    with ThreadPoolExecutor(6) as threads:
        list(threads.map(lambda _: transport.session.get(url), range(12)))
    assert len(server.requests) == 12
    assert crowd.most == 2


@pytest.mark.parametrize("ending", ["read", "closed", "forgotten", "refused"])
def test_a_stream_holds_its_connection_until_it_ends(server: FaultyServer, ending: str) -> None:
    transport, _ = made(replace(PATIENT, connections_per_host=1))
    gate = threading.Event()
    first = server.script("/first", File(b"x" * 100, gate=gate, gate_after=50))
    second = server.script("/second", Reply(200))
    if ending == "refused":
        first = server.script("/first", page(status=404))
    response = transport.session.get(first, stream=True)
    with ThreadPoolExecutor(1) as threads:
        later = threads.submit(transport.session.get, second)
        if ending != "refused":
            with pytest.raises(TimeoutError):
                later.result(timeout=0.05)
            assert server.asked("/second") == []
        gate.set()
        if ending == "read":
            assert response.content == b"x" * 100
        elif ending == "closed":
            response.close()
        elif ending == "forgotten":
            del response
        assert later.result(timeout=10).status_code == 200


def test_this_machine_is_asked_without_a_proxy(
    server: FaultyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    transport, _ = made(replace(PATIENT, retries=0))
    assert transport.session.get(server.script("/", Reply(200))).ok
    with pytest.raises(ArchiveError, match="the proxy gives no connection"):
        transport.session.get("http://archive.example/")


SECRET_NAMES = ("key", "sig", "auth", "access_key", "AccessKeyId", "jwt", "pass", "pw", "x_key")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"https://me:{SECRET}@archive.org/x", "https://***@archive.org/x"),
        (f"https://{SECRET}@archive.org", "https://***@archive.org"),
        (f"https://me:a@{SECRET}@archive.org/x", "https://***@archive.org/x"),
        (f"/x?access_token={SECRET}&a=1", "/x?access_token=***&a=1"),
        (f"/x?a=1&PASSWORD={SECRET}#top", "/x?a=1&PASSWORD=***#top"),
        (f"/x?X-Amz-Signature={SECRET}", "/x?X-Amz-Signature=***"),
        (f"Authorization: Bearer {SECRET}", "Authorization: ***"),
        (f"JSESSIONID={SECRET}; path=/", "JSESSIONID=***; path=/"),
        *((f"/x?{name}={SECRET}&a=1", f"/x?{name}=***&a=1") for name in SECRET_NAMES),
        (f'{{"password": "a, {SECRET}", "n": 1}}', '{"password": ***, "n": 1}'),
        (f"{{'key': '{SECRET}'}}", "{'key': ***}"),
        (f"https://me:a/{SECRET}@archive.org/x", "https://***@archive.org/x"),
        ("https://archive.org:80/a@2x.png?monkey=1", "https://archive.org:80/a@2x.png?monkey=1"),
        ("the key: parallax; bypass=1, design=2", "the key: parallax; bypass=1, design=2"),
        ("https://archive.org/x?source_id=1", "https://archive.org/x?source_id=1"),
        ("mail to a@b.org", "mail to a@b.org"),
    ],
)
def test_secrets_are_taken_out(text: str, shown: str) -> None:
    assert redact(text) == shown


def test_secrets_are_in_no_message_and_no_log(
    server: FaultyServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    transport, _ = made(replace(PATIENT, retries=1))
    said = f"no session: token={SECRET}".encode()
    url = server.script("/tap", Reply(200), reset, Reply(503, said))
    secret_url = url.replace("//", f"//me:{SECRET}@") + f"?token={SECRET}&a=1"
    transport.session.get(secret_url)
    with pytest.raises(ArchiveError) as caught:
        transport.session.get(secret_url)
    assert server.requests[0].query["token"] == [SECRET]
    assert "token=***&a=1" in str(caught.value)
    assert "urllib3.connectionpool" in {record.name for record in caplog.records}
    assert "try 2 of 2" in caplog.text
    for text in (str(caught.value), repr(caught.value), caplog.text):
        assert SECRET not in text
