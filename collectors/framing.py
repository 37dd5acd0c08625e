"""Bytes -> records. Everything is cut at the bytes of the line mark first and decoded later, so that no character is ever split.

What a record is, for files and streams alike:
- the bytes between two line marks, without the mark and without one CR before it; a blank line is no record;
- a run of NULs (16 or more) at the start of a line is the hole that a truncated writer leaves, not part of the record;
- a record longer than `LIMIT` is refused as a whole ("line_too_long", its bytes are kept); the next line is intact.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import pyarrow as pa

from domain.raw import Int64s

LIMIT: Final = 1 << 20
"""Longest record, bytes."""
PIECE: Final = 64 << 20
"""A longer line is refused in pieces of this size: memory stays bounded, no byte is dropped."""
ROWS: Final = 100_000
"""Most records of one cut."""
TOO_LONG: Final = "line_too_long"
HOLE: Final = 16
"""A shorter run of NULs at the start of a line belongs to the record."""

Dead: TypeAlias = tuple[tuple[int, str, bytes], ...]
"""(position, reason, bytes) of refused records."""
Starts: TypeAlias = Callable[[bytes], object]
"""Truth value: does this line (its first 512 bytes) begin a record?"""
_NONE: Final = np.empty(0, np.int64)


@dataclass(frozen=True)
class Style:
    """How a stream is written: found at its first bytes, kept in the checkpoint."""

    encoding: str = "utf-8"
    mark: bytes = b"\n"
    """The bytes of a line end: LF, CR, or LF in UTF-16."""
    bom: int = 0
    """Bytes of the byte order mark, which belongs to no record."""


@dataclass(frozen=True)
class Cut:
    """Complete records of a piece of a stream."""

    records: pa.Array
    """pa.large_binary()."""
    positions: Int64s
    """Stream position of each record's first byte."""
    used: int
    """Bytes consumed; what follows is an unfinished record."""
    dead: Dead = ()


def style(data: bytes, encoding: str = "utf-8") -> Style:
    """From the first bytes of a stream: byte order mark, else the configured encoding; CR when there are several and no LF."""
    for bom, name, mark in ((b"\xff\xfe", "utf-16-le", b"\n\0"), (b"\xfe\xff", "utf-16-be", b"\0\n"), (b"\xef\xbb\xbf", "utf-8", b"\n")):
        if data.startswith(bom):
            return Style(name, mark, len(bom))
    plain = encoding.lower().replace("_", "-")
    if plain in ("utf-16", "utf-16-le", "utf-16le"):
        return Style("utf-16-le", b"\n\0")
    if plain in ("utf-16-be", "utf-16be"):
        return Style("utf-16-be", b"\0\n")
    alone = b"\n" not in data and data.count(b"\r", 0, -1) > 1
    return Style(encoding, b"\r" if alone else b"\n")


def cut(data: bytes, base: int, mark: bytes = b"\n", *, last: bool = False, starts: Starts | None = None) -> Cut:
    """At most `ROWS` records of `data`, whose first byte stands at `base` and begins a record.

    `last`: what follows the final mark is a record too. `starts`: lines for which it is false continue the record before them
    (a stack trace, a slow query); the last such record stays unfinished until the next one begins, or `last`.
    """
    begin, end, after = _lines(data, mark, last=last)
    if starts is not None and len(begin):
        begin, end, after = _grouped(data, begin, end, after, starts, last=last)
    begin, end, after = begin[:ROWS], end[:ROWS], after[:ROWS]
    if not len(begin):
        return Cut(pa.array([], pa.large_binary()), _NONE, 0)
    used = int(after[-1])
    octets = np.frombuffer(data, np.uint8)
    returned = _before(octets, begin, end, mark)
    width = len(mark)
    stops = np.where(returned, end - width, end)
    begin = _past_holes(data, octets, begin, stops)
    size = stops - begin
    long = size > LIMIT
    dead = tuple((base + s, TOO_LONG, data[s:e]) for s, e in zip(begin[long].tolist(), stops[long].tolist(), strict=True))
    keep = (size > 0) & ~long
    plain = starts is None and not last and width == 1 and bool(keep.all())
    packed = _joined_fast(data[:used], mark, size, returned) if plain else b""
    if not packed:
        packed = _joined_masked(octets[:used], begin[keep], stops[keep])
    return Cut(_binary(packed, size[keep]), base + begin[keep], used, dead)


def _lines(data: bytes, mark: bytes, *, last: bool) -> tuple[Int64s, Int64s, Int64s]:
    """First byte, byte after the last, and where the next line begins, of each line."""
    width = len(mark)
    if width == 1:
        end = np.flatnonzero(np.frombuffer(data, np.uint8) == mark[0])
    else:
        pairs = np.frombuffer(data, np.dtype("<u2"), len(data) // 2)
        end = np.flatnonzero(pairs == int.from_bytes(mark, "little")) * 2
    end = end.astype(np.int64)
    after = end + width
    tail = int(after[-1]) if len(after) else 0
    if last and tail < len(data):
        end, after = np.append(end, len(data)), np.append(after, len(data))
    begin = np.concatenate([np.zeros(1, np.int64), after[:-1]]) if len(end) else end
    return begin, end, after


def _grouped(data: bytes, begin: Int64s, end: Int64s, after: Int64s, starts: Starts, *, last: bool) -> tuple[Int64s, Int64s, Int64s]:
    first = [bool(starts(data[s : min(e, s + 512)])) for s, e in zip(begin.tolist(), end.tolist(), strict=True)]
    first[0] = True
    heads = np.flatnonzero(first)
    tails = np.append(heads[1:] - 1, len(begin) - 1)
    if not last:
        heads, tails = heads[:-1], tails[:-1]
    return begin[heads], end[tails], after[tails]


def _before(octets: np.ndarray[Any, Any], begin: Int64s, end: Int64s, mark: bytes) -> np.ndarray[Any, Any]:
    """Which lines end with a CR before the mark."""
    width = len(mark)
    if mark == b"\r":
        return np.zeros(len(end), bool)
    low = 1 if mark == b"\0\n" else 0
    found = octets[np.maximum(end - width + low, 0)] == 0x0D
    if width == 2:
        found &= octets[np.maximum(end - 1 - low, 0)] == 0
    return np.asarray(found & (end - begin >= width))


def _past_holes(data: bytes, octets: np.ndarray[Any, Any], begin: Int64s, stops: Int64s) -> Int64s:
    wide = stops - begin >= HOLE
    odd = np.flatnonzero(wide & (octets[np.minimum(begin, len(data) - 1)] == 0))
    if not len(odd):
        return begin
    begin = begin.copy()
    for row in odd.tolist():
        start, stop = int(begin[row]), int(stops[row])
        found = re.compile(rb"\0+").match(data, start, stop)
        if found is not None and found.end() - start >= HOLE:
            begin[row] = found.end()
    return begin


def _joined_fast(data: bytes, mark: bytes, size: Int64s, returned: np.ndarray[Any, Any]) -> bytes:
    """The records one after the other, where nothing but line marks is to be left out; empty where that is not so."""
    sign = b"\r" + mark if returned.all() else mark
    if len(data) != int(size.sum()) + len(size) * len(sign) or (returned.any() and len(sign) == 1):
        return b""
    return data.replace(sign, b"")


def _joined_masked(octets: np.ndarray[Any, Any], begin: Int64s, stops: Int64s) -> bytes:
    """The records one after the other, by a mask over the bytes."""
    edges = np.zeros(len(octets) + 1, np.int8)
    edges[begin] += 1
    edges[stops] -= 1
    kept: bytes = octets[np.cumsum(edges[:-1], dtype=np.int8).view(bool)].tobytes()
    return kept


def _binary(packed: bytes, sizes: Int64s) -> pa.Array:
    offsets = np.zeros(len(sizes) + 1, np.int64)
    np.cumsum(sizes, out=offsets[1:])
    return pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(sizes), [None, pa.py_buffer(offsets), pa.py_buffer(packed)])
