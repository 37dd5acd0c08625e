"""Text cut into lines, a block at a time, in one buffer that is filled again and again: fresh memory would cost more than reading."""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import IO, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

BLOCK: Final = 32 << 20
"""Bytes of text per batch."""
MAX_LINE: Final = 16 << 20
"""A longer line is rejected as a whole and told."""
_FIRST: Final = 256 << 10
"""Bytes of the buffer at first: most files are small, and a large buffer for each of a folder full costs more than reading them."""
Lines = tuple[int, pa.Array]
"""Number of the first line (0-based), and the lines without their ends (large_binary); one that is too long is empty."""


class Cutter:
    """Lines of one binary stream, or of its next `limit` bytes. `tell(line, bytes)` hears of each line beyond the limit.

    `begun`: what was read already (part of the limit is not); `first`: number of the first line.
    """

    def __init__(self, raw: IO[bytes], tell: Callable[[int, int], None], begun: bytes = b"", limit: int = -1, first: int = 0) -> None:
        self._raw, self._tell, self._left = raw, tell, limit
        self._full = BLOCK + MAX_LINE if limit < 0 else min(BLOCK + MAX_LINE, len(begun) + limit)
        self._buffer: bytearray | mmap.mmap = bytearray(min(self._full, max(_FIRST, len(begun))))
        self._buffer[: len(begun)] = begun
        self._held = len(begun)
        self.lines = first
        """Number of the next line."""

    def __iter__(self) -> Iterator[Lines]:
        while got := self._fill(self._held):
            end = self._held + got
            cut = self._buffer.rfind(b"\n", 0, end)
            if cut < 0 and end <= MAX_LINE:
                self._held = end
                continue
            if cut < 0:
                yield self._skip(end)
                continue
            yield self._cut(cut)
            self._held = end - cut - 1
            self._buffer[: self._held] = bytes(memoryview(self._buffer)[cut + 1 : end])
        if self._held:
            held, self._held = self._held, 0
            yield self._cut(held - 1 if self._buffer[held - 1] == ord("\n") else held)

    def _fill(self, at: int) -> int:
        """Read up to a block behind what is held; 0 at the end."""
        size = self._left if 0 <= self._left <= self._full - at else BLOCK
        if at + size <= len(self._buffer):
            return self._read(at, size)
        got = self._read(at, len(self._buffer) - at)
        if at + got < len(self._buffer):
            return got
        grown = _memory(self._full)
        grown[: len(self._buffer)] = bytes(self._buffer)
        self._buffer = grown
        return got + self._read(at + got, size - got)

    def _read(self, at: int, size: int) -> int:
        got = int(self._raw.readinto(memoryview(self._buffer)[at : at + size])) if self._left else 0  # type: ignore[attr-defined]
        self._left -= got if self._left > 0 else 0
        return got

    def _cut(self, end: int) -> Lines:
        """The lines before `end`."""
        block = memoryview(self._buffer)[:end]
        whole = pa.Array.from_buffers(pa.large_binary(), 1, [None, pa.py_buffer(np.array([0, end], np.int64)), pa.py_buffer(block)])
        lines = pc.split_pattern(whole, b"\n").flatten()
        first, self.lines = self.lines, self.lines + len(lines)
        return first, _without_returns(self._bounded(first, lines))

    def _bounded(self, first: int, lines: pa.Array) -> pa.Array:
        sizes = pc.binary_length(lines)
        long = pc.greater(sizes, MAX_LINE)
        if not pc.any(long).as_py():
            return lines
        for row in np.flatnonzero(long.to_numpy(zero_copy_only=False)).tolist():
            self._tell(first + row, sizes[row].as_py())
        return pc.if_else(long, pa.scalar(b"", pa.large_binary()), lines)

    def _skip(self, size: int) -> Lines:
        """Read over a line beyond the limit; it keeps its number as an empty one."""
        self._held = 0
        while got := self._fill(0):
            cut = self._buffer.find(b"\n", 0, got)
            size += got if cut < 0 else cut
            if cut >= 0:
                self._held = got - cut - 1
                self._buffer[: self._held] = bytes(memoryview(self._buffer)[cut + 1 : got])
                break
        self._tell(self.lines, size)
        self.lines += 1
        return self.lines - 1, pa.array([b""], pa.large_binary())


def _memory(size: int) -> mmap.mmap:
    """Fresh memory that is touched where it is used only, in large pages where the system has them: the first touch is what costs."""
    made = mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        with suppress(OSError):  # a kernel without them
            made.madvise(mmap.MADV_HUGEPAGE)
    return made


def _without_returns(lines: pa.Array) -> pa.Array:
    """Lines of Windows end in CR LF."""
    ends = pc.ends_with(lines, b"\r")
    if not pc.any(ends).as_py():
        return lines
    return pc.if_else(ends, pc.binary_slice(lines, 0, -1), lines)
