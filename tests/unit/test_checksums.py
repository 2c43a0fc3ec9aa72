"""Checksums and their lists."""

from pathlib import Path

import pytest

from mwatlas.archive.checksums import parse_checksums
from mwatlas.archive.download import download
from mwatlas.archive.transport import Transport
from mwatlas.errors import ArchiveError

from .downloads import MD5, SHA256


@pytest.mark.parametrize(
    "checksum", ["md5:12", "crc32:aaaaaaaa", "d41d8cd98f00b204e9800998ecf8427e"]
)
def test_a_checksum_of_no_known_kind_is_refused(
    path: Path, transport: Transport, checksum: str
) -> None:
    with pytest.raises(ArchiveError, match="not well formed") as caught:
        download(transport, "http://archive.org/x", path, checksum=checksum)
    assert caught.value.found == checksum


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
