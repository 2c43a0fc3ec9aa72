"""Keep some fields of comma-separated text before it is parsed.

Tables of archives have a hundred columns and more, of which we want a few. Dropping the others
first, and checking on the way that every row is whole, takes a fraction of the time of parsing
them: 64 bytes of text are compared with a mark at once, and what comes of it is counted as bits.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

PADDING = 64
"""Bytes that must follow the text in its buffer: it is looked at in words of this length."""

STRAY_QUOTE = -1
"""What is wrong with a row that has a quote inside a field, in the answer of :func:`keep_fields`.

Readers differ in what such a row means: some take the quote as a letter, others as an opening.
"""

_COMMA, _NEWLINE, _QUOTE, _RETURN = (np.uint8(ord(mark)) for mark in ',\n"\r')
_TOP = np.uint64(PADDING - 1)
# A field that is no longer than this is copied as one piece, with whatever follows it.
_PIECE = 32
_I32 = ir.IntType(32)

Bytes = NDArray[np.uint8]


def _letters(context: Any, builder: Any, kind: Any, array: Any, start: Any, number: int) -> Any:
    """Pointer to so many letters of a text."""
    # numba gives its helpers no types.
    proxy: Any = cgutils.create_struct_proxy(kind)  # type: ignore[no-untyped-call]
    first = builder.gep(proxy(context, builder, array).data, [start])
    return builder.bitcast(first, ir.VectorType(ir.IntType(8), number).as_pointer())


@intrinsic
def _places(_context: Any, text: Any, _start: Any, _mark: Any) -> Any:
    """Bits that say where a mark is in a word of the text."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array, start, mark = arguments
        pointer = _letters(context, builder, signature.args[0], array, start, PADDING)
        letters = builder.load(pointer, align=1)
        single = builder.insert_element(ir.Constant(letters.type, ir.Undefined), mark, _I32(0))
        first = ir.Constant(ir.VectorType(_I32, PADDING), None)
        marks = builder.shuffle_vector(single, single, first)
        found = builder.icmp_unsigned("==", letters, marks)
        return builder.bitcast(found, ir.IntType(PADDING))

    return types.uint64(text, types.intp, types.uint8), code


@intrinsic
def _copy_piece(_context: Any, text: Any, _start: Any, out: Any, _end: Any) -> Any:
    """Copy the piece of the text that starts there to the end of the result."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        text, start, out, end = arguments
        source = _letters(context, builder, signature.args[0], text, start, _PIECE)
        target = _letters(context, builder, signature.args[2], out, end, _PIECE)
        builder.store(builder.load(source, align=1), target, align=1)
        return context.get_dummy_value()

    return types.void(text, types.intp, out, types.intp), code


@intrinsic
def _lowest(_context: Any, _bits: Any) -> Any:
    """Place of the lowest bit that is set."""

    def code(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.intp(types.uint64), code


@intrinsic
def _leading(_context: Any, _bits: Any) -> Any:
    """Number of bits above the highest that is set."""

    def code(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.ctlz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.intp(types.uint64), code


@intrinsic
def _count(_context: Any, _bits: Any) -> Any:
    """Number of bits that are set."""

    def code(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.intp(types.uint64), code


@njit(nogil=True, cache=True)
def _between_quotes(quotes: np.uint64) -> np.uint64:
    """Bits that have an odd number of quotes at or below them."""
    for shift in (1, 2, 4, 8, 16, 32):
        quotes ^= quotes << np.uint64(shift)
    return quotes


@njit(nogil=True, cache=True)
def _fields_to_pass(keep: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Fields from each one to the next that matters: a wanted one, or the last of the row."""
    out = np.zeros(keep.size, np.intp)
    for field in range(keep.size - 2, -1, -1):
        if not keep[field]:
            out[field] = out[field + 1] + 1
    return out


@njit(nogil=True, cache=True)
def _is_empty(text: Bytes, start: int, end: int) -> bool:
    """Whether nothing is in a line, but for a carriage return."""
    return end == start or (end == start + 1 and text[start] == _RETURN)


@njit(nogil=True, cache=True)
def keep_fields(
    text: Bytes, length: int, keep: NDArray[np.bool_], out: Bytes
) -> tuple[int, int, int]:
    """Copy the wanted fields of complete rows.

    Parameters
    ----------
    text
        Buffer that starts with a row; :data:`PADDING` bytes longer than ``length``, which is how
        much of it is text. Fields may be quoted, and hold commas and newlines then.
    keep
        Which fields of a row are wanted, at least one; shape (fields,).
    out
        Room for the result, as long as the buffer of the text.

    Returns
    -------
    tuple of int
        Rows copied, bytes of ``text`` they took, and bytes of ``out`` they became. If a row is
        broken: minus one minus the rows before it, its start, and what is wrong. That is the
        number of fields counted in it before the row or the count ended, if these are more or
        fewer than ``keep``; 0 for an empty line; :data:`STRAY_QUOTE` for a quote that neither
        opens nor closes a field, nor stands for a quote beside another.
    """
    last = keep.size - 1
    to_pass = _fields_to_pass(keep)
    one, all_bits = np.uint64(1), ~np.uint64(0)
    field = rows = written = start = 0
    used = used_out = 0
    open_quote = closed = none = np.uint64(0)
    # Whether a quote may open at the first letter of a word: each text starts with a row.
    may_open = one
    for base in range(0, length, PADDING):
        # Compiled, an intrinsic is called without the context its definition takes.
        newlines: Any = _places(text, base, _NEWLINE)  # type: ignore[call-arg]
        commas: Any = _places(text, base, _COMMA)
        quotes: Any = _places(text, base, _QUOTE)
        counted = inside = all_bits
        if base + PADDING > length:
            counted = inside = (one << np.uint64(length - base)) - one
        closing = stray = none
        if quotes or open_quote or closed:
            quotes &= inside
            quoted = _between_quotes(quotes) ^ open_quote
            open_quote = all_bits if quoted >> _TOP else none
            counted &= ~quoted
            closing = quotes & ~quoted
            # A quote opens after a mark, or after one that closes, with which it stands for one.
            ends = (newlines | commas) & counted
            stray = quotes & quoted & ~(((ends | closing) << one) | may_open)
            returns: Any = _places(text, base, _RETURN)
            stray |= ((closing << one) | closed) & inside & ~(ends | quotes | returns)
            if stray:
                # What comes before is looked at first: a row there may be broken, too.
                counted &= (stray & (~stray + one)) - one
        newlines &= counted
        marks = newlines | (commas & counted)
        closed = closing >> _TOP
        may_open = (marks >> _TOP) | closed
        while marks:
            passed = min(to_pass[field], _count(marks))
            if passed:
                rest = marks
                for _ in range(passed):
                    rest &= rest - one
                ends, marks = marks ^ rest, rest
                if ends & newlines:
                    before_end = (ends & newlines) ^ ((ends & newlines) - one)
                    return -1 - rows, used, field + _count(ends & before_end)
                field += passed
                start = base + PADDING - _leading(ends)
                continue
            bit = _lowest(marks)
            place = base + bit
            marks &= marks - one
            ends_row = (newlines >> np.uint64(bit)) & one
            if ends_row != (field == last):
                return -1 - rows, used, field + 2 - ends_row
            if last == 0 and _is_empty(text, start, place):
                return -1 - rows, used, 0
            if keep[field]:
                if place - start < _PIECE:
                    _copy_piece(text, start, out, written)
                else:
                    out[written : written + place - start] = text[start:place]
                written += place - start + 1
                out[written - 1] = _COMMA
            start = place + 1
            field += 1
            if ends_row:
                out[written - 1] = _NEWLINE
                field = 0
                rows += 1
                used, used_out = start, written
        if stray:
            return -1 - rows, used, STRAY_QUOTE
    return rows, used, used_out
