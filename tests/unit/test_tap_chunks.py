"""Chunks of a table: ranges of source_id that cover it once."""

from itertools import pairwise

import pytest

from mwatlas.archive.tap_chunks import Chunk, equal_chunks, pixel_chunks, uncovered, with_the_rest
from mwatlas.healpix import cell_of_source

CHUNKS = equal_chunks(4)


def test_keys_outside_the_sky_are_in_chunks_of_their_own() -> None:
    below, *sky, above = with_the_rest(CHUNKS)
    assert sky == CHUNKS
    assert (below.first, below.last) == (-(2**63) + 1, -1)
    assert (above.first, above.last) == (12 << 59, 2**63 - 1)


def test_chunks_cover_the_sky_once() -> None:
    chunks, pixels = equal_chunks(7), pixel_chunks(7)
    assert chunks[0].first == pixels[0].first == 0
    assert int(cell_of_source(chunks[-1].last, 12)) == pixels[-1].last == 12 * 4**12 - 1
    for parts in (chunks, pixels):
        assert all(b.first == a.last + 1 for a, b in pairwise(parts))
        assert sorted(chunk.name for chunk in parts) == [chunk.name for chunk in parts]
    assert [(c.first >> 35, c.last >> 35) for c in chunks] == [(p.first, p.last) for p in pixels]
    with pytest.raises(ValueError, match="cannot split the sky into 0 chunks"):
        equal_chunks(0)


def test_halves_meet_at_a_pixel_where_one_is_inside() -> None:
    first, second = CHUNKS[0].halves() or ()
    assert (first.first, second.last) == (CHUNKS[0].first, CHUNKS[0].last)
    assert second.first == first.last + 1
    assert second.first % 2**35 == 0
    assert Chunk(5, 6).halves() == (Chunk(5, 5), Chunk(6, 6))
    assert Chunk(2**35 - 3, 2**35).halves() == (Chunk(2**35 - 3, 2**35 - 1), Chunk(2**35, 2**35))
    assert Chunk(5, 5).halves() is None


def test_what_is_done_is_taken_out() -> None:
    assert uncovered([Chunk(0, 9), Chunk(10, 19)], [Chunk(3, 4), Chunk(8, 11)]) == [
        Chunk(0, 2),
        Chunk(5, 7),
        Chunk(12, 19),
    ]
    with pytest.raises(ValueError, match="overlap"):
        uncovered([Chunk(0, 9), Chunk(9, 12)], [])
