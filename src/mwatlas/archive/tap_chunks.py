"""Chunks of a table: ranges of its key, mostly source_id, that together cover it once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from mwatlas.healpix import SOURCE_ID_ORDER, SOURCE_ID_SHIFT, number_of_cells

# Also of negative keys: servers read sign and number one after the other, and the number has to fit
# their integers.
_LARGEST = 2**63 - 1


@dataclass(frozen=True, order=True)
class Chunk:
    """A closed range of a key, which is source_id or any other whole number.

    Parameters
    ----------
    first, last
        Its bounds, both within.
    """

    first: int
    last: int

    @property
    def name(self) -> str:
        """Name of its file; names sort as the ranges do."""
        return f"{self.first:019d}-{self.last:019d}.parquet"

    def __str__(self) -> str:
        return f"range {self.first} to {self.last}"

    def halves(self) -> tuple[Chunk, Chunk] | None:
        """Two chunks that make up this one, or None if it is a single identifier.

        They meet at the edge of a level-12 pixel where one is inside.
        """
        if self.first == self.last:
            return None
        middle = (self.first + self.last + 1) // 2
        edge = middle >> SOURCE_ID_SHIFT << SOURCE_ID_SHIFT
        if edge <= self.first:
            edge += 1 << SOURCE_ID_SHIFT
        start = edge if self.first < edge <= self.last else middle
        return Chunk(self.first, start - 1), Chunk(start, self.last)


def equal_chunks(number: int) -> list[Chunk]:
    """The whole sky in ``number`` chunks of nearly the same area, along level-12 pixels."""
    return [
        Chunk(pixels.first << SOURCE_ID_SHIFT, ((pixels.last + 1) << SOURCE_ID_SHIFT) - 1)
        for pixels in pixel_chunks(number)
    ]


def pixel_chunks(number: int) -> list[Chunk]:
    """The same chunks as ranges of the level-12 pixel, for tables without a source_id."""
    pixels = number_of_cells(SOURCE_ID_ORDER)
    if not 1 <= number <= pixels:
        raise ValueError(f"cannot split the sky into {number} chunks")
    edges = (i * pixels // number for i in range(number + 1))
    return [Chunk(a, b - 1) for a, b in pairwise(edges)]


def with_the_rest(chunks: Sequence[Chunk]) -> list[Chunk]:
    """The chunks, which follow one another, and two for all smaller and larger keys.

    There should be no row in those, which costs two counts to know.
    """
    below = Chunk(-_LARGEST, chunks[0].first - 1)
    return [below, *chunks, Chunk(chunks[-1].last + 1, _LARGEST)]


def uncovered(chunks: Iterable[Chunk], done: Iterable[Chunk]) -> list[Chunk]:
    """What is left of ``chunks`` when the ranges ``done`` are taken out, in order."""
    left = sorted(chunks)
    for a, b in pairwise(left):
        if b.first <= a.last:
            raise ValueError(f"chunks overlap: {a}; {b}")
    gone = sorted(done)
    rest = []
    for chunk in left:
        start = chunk.first
        for other in gone:
            if other.last < start or other.first > chunk.last:
                continue
            if other.first > start:
                rest.append(Chunk(start, other.first - 1))
            start = max(start, other.last + 1)
        if start <= chunk.last:
            rest.append(Chunk(start, chunk.last))
    return rest
