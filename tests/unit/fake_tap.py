"""A TAP server on this machine over one table in memory, which misbehaves on demand."""

from __future__ import annotations

import base64
import gzip
import re
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import numpy as np
from numpy.ma import MaskedArray

Rows = dict[str, MaskedArray[Any, Any]]

BASE = "/tap-server/tap"
FIELDS = {
    "source_id": ("long", ">i8", ""),
    "ra": ("double", ">f8", "deg"),
    "parallax": ("double", ">f8", "mas"),
    "radial_velocity": ("float", ">f4", "km.s**-1"),
    "rv_nb_transits": ("short", ">i2", ""),
    "has_xp_continuous": ("boolean", "S1", ""),
}
HTML = b"<!DOCTYPE html><html><body>The archive is down for maintenance</body></html>"


def stars(number: int = 400, seed: int = 3) -> Rows:
    """Rows sorted by source_id, with missing values in every column that may have them."""
    rng = np.random.default_rng(seed)
    # Such identifiers do not survive a floating-point number.
    ids = np.sort(rng.choice(12 * 4**12, number, replace=False)).astype(np.int64) << 35 | 129
    data = {
        "source_id": ids,
        "ra": rng.uniform(0, 360, number),
        "parallax": rng.normal(1, 1, number),
        "radial_velocity": rng.normal(0, 40, number).astype("f4"),
        "rv_nb_transits": rng.integers(0, 30, number).astype("i2"),
        "has_xp_continuous": rng.random(number) < 0.5,
    }
    share = {name: 0.0 if name in ("source_id", "ra") else 0.3 for name in data}
    return {n: np.ma.array(v, mask=rng.random(number) < share[n]) for n, v in data.items()}


def bounds(query: str) -> tuple[int, int]:
    """Range of source_id that a query asks for."""
    match = re.search(r"BETWEEN (-?\d+) AND (-?\d+)", query)
    assert match is not None
    return int(match[1]), int(match[2])


@dataclass
class Faults:
    """What goes wrong.

    Parameters
    ----------
    times
        How many more times something happens, by its name.
    row_limit, told_limit
        Rows after which an answer is cut off, and what the capabilities say of it.
    foreign, repeated
        Whether answers hold rows of other chunks, or a row twice.
    columns
        Name, datatype, numpy type and unit of fields served instead of those asked for; None for
        one that is not served.
    binary
        Whether answers are in records rather than in XML.
    """

    times: Counter[str] = field(default_factory=Counter)
    row_limit: int | None = None
    told_limit: int | None = None
    foreign: bool = False
    repeated: bool = False
    columns: dict[str, tuple[str, str, str, str] | None] = field(default_factory=dict)
    binary: bool = True

    def take(self, name: str) -> bool:
        """Whether it happens this time."""
        happens = self.times[name] > 0
        self.times[name] -= happens
        return happens


@dataclass
class Job:
    """A job on the server."""

    query: str
    maxrec: int
    phase: str = "PENDING"
    stuck: bool = False


class FakeTap(ThreadingHTTPServer):
    """The server and what it was asked: chunks by the first identifier of their range."""

    daemon_threads = True

    def __init__(self, data: Rows, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.data, self.faults = data, Faults()
        self.jobs: dict[str, Job] = {}
        self.counted: list[int] = []
        self.submitted: list[int] = []
        self.polled: Counter[str] = Counter()
        self.agents: set[str] = set()
        self.most_at_once = 0
        self.lock = threading.RLock()
        # A job of this chunk goes on only when it is let go.
        self.hold: int | None = None
        self.held = threading.Event()
        self.closing = threading.Event()

    @property
    def root(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    @property
    def url(self) -> str:
        return self.root + BASE

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up early is none of the server's errors."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]

    def rows(self, query: str) -> Rows:
        """Rows of a range, as the faults make them."""
        first, last = bounds(query)
        ids = self.data["source_id"].data
        inside = (ids >= first) & (ids <= last)
        if self.faults.foreign:
            inside |= ids == ids[-1]
        picked = {name: values[inside] for name, values in self.data.items()}
        if self.faults.repeated:
            picked = {n: np.ma.concatenate([v[:1], v[:-1]]) for n, v in picked.items()}
        # Servers promise no order.
        return {name: values[::-1] for name, values in picked.items()}

    def look(self, name: str) -> Job:
        """A job, which moves on each time somebody looks."""
        job, faults = self.jobs[name], self.faults
        self.polled[name] += 1
        if job.phase == "QUEUED" and not job.stuck:
            job.phase, job.stuck = "EXECUTING", faults.take("stuck in EXECUTING")
        elif job.phase == "EXECUTING" and bounds(job.query)[0] == self.hold:
            self.held.set()
        elif job.phase == "EXECUTING" and not job.stuck:
            failed = [p for p in ("ERROR", "ABORTED") if faults.take(p)]
            job.phase = failed[0] if failed else "COMPLETED"
        busy = sum(j.phase in ("QUEUED", "EXECUTING") for j in self.jobs.values())
        self.most_at_once = max(self.most_at_once, busy)
        return job

    def run(self, job: Job) -> None:
        """Start a job."""
        if self.faults.take("stuck in PENDING"):
            return
        job.phase, job.stuck = "QUEUED", self.faults.take("stuck in QUEUED")


@contextmanager
def serving(data: Rows, port: int = 0) -> Iterator[FakeTap]:
    """Run a server while the block lasts."""
    with FakeTap(data, port) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.closing.set()
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # it delays each answer by 40 ms
    server: FakeTap

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self._answer("GET", {})

    def do_DELETE(self) -> None:
        self._answer("DELETE", {})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        self._answer("POST", {key.upper(): value for key, value in parse_qsl(body)})

    def _send(self, body: bytes, status: int = 200, location: str = "", kind: str = "xml") -> None:
        self.send_response(status)
        self.send_header("Content-Type", f"text/{kind}")
        self.send_header("Content-Length", str(len(body)))
        if location:
            self.send_header("Location", location)
        self.end_headers()
        self.wfile.write(body)

    def _answer(self, method: str, form: dict[str, str]) -> None:
        parts = urlsplit(self.path).path[len(BASE) :].split("/")
        _, top, name, part, *_ = [*parts, "", "", ""]
        step = {"sync": "count", "capabilities": "capabilities"}.get(top) or (
            {"results": "result", "phase": "start"}.get(part, "poll") if name else "submit"
        )
        if method == "DELETE" or top == "deletejobs":
            step = "delete"
        faults = self.server.faults
        self.server.agents.add(self.headers.get("User-Agent", ""))
        if faults.take(f"silence at {step}"):
            self.server.closing.wait(60)
            self.close_connection = True
            return
        with self.server.lock:
            status = next((s for s in (202, 500, 503) if faults.take(f"{s} at {step}")), None)
            if status is not None:
                self._send(b"busy", status, kind="plain")
            elif faults.take(f"HTML at {step}"):
                self._send(HTML, kind="html")
            else:
                getattr(self, f"_{step}")(name, form)

    def _capabilities(self, _name: str, _form: dict[str, str]) -> None:
        limit = self.server.faults.told_limit
        told = f'<outputLimit><hard unit="row">{limit}</hard></outputLimit>' if limit else ""
        self._send(
            f"""<?xml version="1.0"?>
<vosi:capabilities xmlns:vosi="http://www.ivoa.net/xml/VOSICapabilities/v1.0"
 xmlns:tr="http://www.ivoa.net/xml/TAPRegExt/v1.0"
 xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
<capability standardID="ivo://ivoa.net/std/TAP" xsi:type="tr:TableAccess">
<language><name>ADQL</name><version ivo-id="x">2.0</version></language>
<outputFormat><mime>application/x-votable+xml;serialization=BINARY2</mime></outputFormat>
{told}</capability></vosi:capabilities>""".encode()
        )

    def _count(self, _name: str, form: dict[str, str]) -> None:
        query = form["QUERY"]
        assert "COUNT(*)" in query
        assert int(form["MAXREC"]) <= 2
        if self.server.faults.take("refusal"):
            self._send(_error_document("Unknown table gaiadr9.gaia_source"), 400)
            return
        first, last = bounds(query)
        ids = self.server.data["source_id"].data
        number = int(((ids >= first) & (ids <= last)).sum())
        number += self.server.faults.take("wrong count")
        self.server.counted.append(first)
        head = '<FIELD name="number_of_rows" datatype="long"/>'
        cell = f"<DATA><TABLEDATA><TR><TD>{number}</TD></TR></TABLEDATA></DATA>"
        self._send(_document(head + cell).encode())

    def _submit(self, _name: str, form: dict[str, str]) -> None:
        name = f"job{len(self.server.submitted)}"
        self.server.jobs[name] = Job(form["QUERY"], int(form["MAXREC"]))
        self.server.submitted.append(bounds(form["QUERY"])[0])
        if form.get("PHASE") == "RUN":
            self.server.run(self.server.jobs[name])
        self._send(b"", 303, f"{self.server.url}/async/{name}")

    def _known(self, name: str) -> bool:
        job = self.server.jobs.get(name)
        if job and job.phase != "PENDING" and self.server.faults.take("job lost"):
            del self.server.jobs[name]
        if name not in self.server.jobs:
            self._send(b"no such job", 404, kind="plain")
        return name in self.server.jobs

    def _start(self, name: str, form: dict[str, str]) -> None:
        if not self._known(name):
            return
        if form.get("PHASE") == "RUN":
            self.server.run(self.server.jobs[name])
            self._send(b"", 303, f"{self.server.url}/async/{name}")
        else:
            self._send(self.server.jobs[name].phase.encode(), kind="plain")

    def _poll(self, name: str, _form: dict[str, str]) -> None:
        if not self._known(name):
            return
        if self.path.endswith("/error"):
            self._send(_error_document("Query exceeded its time"))
            return
        job = self.server.look(name)
        error = '<uws:errorSummary type="fatal"><uws:message>Query exceeded its time'
        result = f'<uws:result id="result" xlink:href="{self.server.url}/async/{name}'
        self._send(
            f"""<?xml version="1.0"?><uws:job version="1.1"
 xmlns:uws="http://www.ivoa.net/xml/UWS/v1.0" xmlns:xlink="http://www.w3.org/1999/xlink">
<uws:jobId>{name}</uws:jobId><uws:phase>{job.phase}</uws:phase>
<uws:results>{result}/results/result"/></uws:results>
{f"{error}</uws:message></uws:errorSummary>" if job.phase == "ERROR" else ""}
</uws:job>""".encode()
        )

    def _delete(self, name: str, form: dict[str, str]) -> None:
        for job in (form.get("JOB_IDS") or name).split(","):
            self.server.jobs.pop(job, None)
        self._send(b"")

    def _result(self, name: str, _form: dict[str, str]) -> None:
        if not self._known(name):
            return
        job, faults = self.server.jobs[name], self.server.faults
        rows = self.server.rows(job.query)
        limit = min(job.maxrec, faults.row_limit or job.maxrec)
        cut = len(rows["source_id"]) > limit
        document = votable({n: v[:limit] for n, v in rows.items()}, faults, overflow=cut)
        half = len(document) // 2
        if faults.take("truncation"):
            document = document[:half]
        elif faults.take("gzip damage"):
            packed = bytearray(gzip.compress(document))
            packed[len(packed) // 2] ^= 0xFF
            document = bytes(packed)
        elif faults.take("broken body"):
            self.send_response(200)
            self.send_header("Content-Length", str(len(document)))
            self.end_headers()
            self.wfile.write(document[:half])
            self.close_connection = True
            return
        self._send(document)


def _document(table: str, status: str = "OK", after: str = "") -> str:
    return (
        '<?xml version="1.0"?><VOTABLE version="1.4" '
        'xmlns="http://www.ivoa.net/xml/VOTable/v1.3"><RESOURCE type="results">'
        f'<INFO name="QUERY_STATUS" value="{status}"/><TABLE>{table}</TABLE>{after}'
        "</RESOURCE></VOTABLE>"
    )


def _error_document(message: str) -> bytes:
    return (
        '<?xml version="1.0"?><VOTABLE version="1.4" '
        'xmlns="http://www.ivoa.net/xml/VOTable/v1.3"><RESOURCE type="results">'
        f'<INFO name="QUERY_STATUS" value="ERROR">{message}</INFO></RESOURCE></VOTABLE>'
    ).encode()


def votable(rows: Rows, faults: Faults, overflow: bool = False) -> bytes:
    """Rows as a VOTable, written without astropy, which is to read it."""
    served = {}
    for name, (datatype, code, unit) in FIELDS.items():
        column = faults.columns.get(name, (name, datatype, code, unit))
        if column is not None:
            served[name] = column
    head = "".join(
        f'<FIELD name="{name}" datatype="{datatype}" unit="{unit}"/>'
        for name, datatype, _, unit in served.values()
    )
    columns = [_printable(rows[name]) for name in served]
    if faults.binary:
        bits = np.packbits(np.stack([np.ma.getmaskarray(c) for c in columns], axis=1), axis=1)
        types = [("null", "u1", (bits.shape[1],)), *((n, c[2]) for n, c in served.items())]
        records = np.zeros(len(columns[0]), dtype=types)
        records["null"] = bits
        for name, values in zip(served, columns, strict=True):
            records[name] = values.filled(b"?" if values.dtype.kind == "S" else 0)
        stream = base64.encodebytes(records.tobytes()).decode()
        body = f'<BINARY2><STREAM encoding="base64">\n{stream}</STREAM></BINARY2>'
    else:
        lines = (
            "<TR>" + "".join(f"<TD>{_cell(v)}</TD>" for v in row) + "</TR>"
            for row in zip(*columns, strict=True)
        )
        body = f"<TABLEDATA>{''.join(lines)}</TABLEDATA>"
    after = '<INFO name="QUERY_STATUS" value="OVERFLOW"/>' if overflow else ""
    return _document(f"{head}<DATA>{body}</DATA>", after=after).encode()


def _printable(values: MaskedArray[Any, Any]) -> MaskedArray[Any, Any]:
    if values.dtype != bool:
        return values
    return np.ma.array(np.where(values.data, b"T", b"F"), mask=np.ma.getmaskarray(values))


def _cell(value: Any) -> str:
    if value is np.ma.masked:
        return ""
    return value.decode() if isinstance(value, bytes) else repr(value.item())
