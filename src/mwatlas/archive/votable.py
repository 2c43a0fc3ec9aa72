"""Reading a VOTable that a server answered: fields, values, missing values, and its status.

Astropy reads any VOTable, row by row. A whole chunk in the BINARY2 serialisation with fields of
fixed length is an array of records, which numpy decodes at once.
"""

from __future__ import annotations

import binascii
import gzip
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import votable
from numpy.ma import MaskedArray

from mwatlas.archive.drift import Served

_DTYPES = {
    "boolean": "bool",
    "unsignedByte": "uint8",
    "short": "int16",
    "int": "int32",
    "long": "int64",
    "float": "float32",
    "double": "float64",
    "char": "string",
    "unicodeChar": "string",
}


class BrokenVOTable(Exception):  # noqa: N818 - says what it is
    """The bytes are no complete VOTable with one table of results."""


@dataclass(frozen=True)
class Answer:
    """A table of results.

    Parameters
    ----------
    fields
        Its columns.
    data
        Masked arrays by column name, all of one length; masked where the archive has no value.
    overflow
        Whether the server says that it cut the result off.
    """

    fields: tuple[Served, ...]
    data: dict[str, MaskedArray[Any, Any]]
    overflow: bool

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(next(iter(self.data.values())))


def read_votable(path: Path) -> Answer:
    """Read the answer in a file, gzipped or not.

    Raises
    ------
    BrokenVOTable
        If the file is cut off or no VOTable, or if it reports an error.
    """
    raw = path.read_bytes()
    try:
        if raw[:2] == b"\x1f\x8b":
            raw = gzip.decompress(raw)
        head, stream = _split(raw)
        document = votable.parse(io.BytesIO(head), verify="ignore")
        resource = next(r for r in document.resources if r.type == "results")
        table = resource.tables[0]
    except Exception as error:  # the parser has no common base of its many errors
        raise BrokenVOTable(
            f"{len(raw)} bytes starting with {raw[:60]!r} ({type(error).__name__}: {error})"
        ) from error
    # The last status holds: one after the table tells of what happened while it was sent.
    infos = [*resource.infos, *table.infos]
    states = [(i.value.upper(), i.content or "") for i in infos if i.name == "QUERY_STATUS"]
    message = next((text for state, text in states if state == "ERROR"), None)
    if message is not None:
        raise BrokenVOTable(f"the server's message: {message}")
    fields = tuple(Served(f.name, _dtype(f), str(f.unit or "")) for f in table.fields)
    if stream is None:
        data = {f.name: np.ma.asarray(table.array[f.ID]) for f in table.fields}
    else:
        data = _records(table.fields, stream)
    return Answer(fields, data, any(state == "OVERFLOW" for state, _ in states))


def _dtype(field: Any) -> str:
    plain = _DTYPES.get(field.datatype, field.datatype)
    scalar = field.arraysize in (None, "", "1") or plain == "string"
    return plain if scalar else f"{plain}[{field.arraysize}]"


def _split(raw: bytes) -> tuple[bytes, bytes | None]:
    """The document without its stream of records, and the stream where numpy can read it."""
    start, stop = raw.find(b"<BINARY2>"), raw.rfind(b"</BINARY2>")
    if start < 0 or stop < 0:
        return raw, None
    head = raw[:start] + b"<TABLEDATA></TABLEDATA>" + raw[stop + len(b"</BINARY2>") :]
    fields = votable.parse(io.BytesIO(head), verify="ignore").get_first_table().fields
    opening = raw.find(b"<STREAM", start)
    tag = raw[opening : raw.find(b">", opening) + 1]
    if b"base64" not in tag or any(_record_type(field) is None for field in fields):
        return raw, None
    return head, raw[opening + len(tag) : raw.rfind(b"</STREAM>", start, stop)]


def _record_type(field: Any) -> str | None:
    """Numpy type of a field in a record, or None if it has no fixed length."""
    size = field.arraysize or "1"
    if field.datatype == "char" and size.isdigit():
        return f"S{size}"
    codes = {"short": ">i2", "int": ">i4", "long": ">i8", "float": ">f4", "double": ">f8"}
    codes |= {"boolean": "S1", "unsignedByte": "u1"}
    return codes.get(field.datatype) if size == "1" else None


def _records(fields: Any, stream: bytes) -> dict[str, MaskedArray[Any, Any]]:
    """Values of the records: each starts with a bit for each field, set if its value is null."""
    flags = (len(fields) + 7) // 8
    types = [(f"f{i}", _record_type(field)) for i, field in enumerate(fields)]
    record = np.dtype([("null", "u1", (flags,)), *types])
    try:
        decoded = binascii.a2b_base64(stream)
        rows = np.frombuffer(decoded, dtype=record)
    except ValueError as error:
        raise BrokenVOTable(f"{len(stream)} bytes of records ({error})") from error
    null = np.unpackbits(rows["null"], axis=1)
    out: dict[str, MaskedArray[Any, Any]] = {}
    for i, field in enumerate(fields):
        values, missing = rows[f"f{i}"], null[:, i].astype(bool)
        if field.datatype == "boolean":
            missing = missing | ~np.isin(values, [b"T", b"t", b"1", b"F", b"f", b"0"])
            values = np.isin(values, [b"T", b"t", b"1"])
        elif field.datatype == "char":
            values = np.char.decode(values, "utf-8").astype(object)
        else:
            values = values.astype(values.dtype.newbyteorder("="))
        out[field.name] = np.ma.array(values, mask=missing)
    return out
