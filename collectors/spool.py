"""The format of synced spool segments, which receivers write (`collectors.spool_writer`) and collecting reads (`collectors.spooled`).

A segment is a file `<spool>-<number>.spool`: a header, then frames, little endian:

    magic 4 | size 4 | crc32 4 | number 8 | arrival 8 | kind 1 | peer length 1 | peer | bytes

`size` = peer + bytes; the checksum covers everything after it; `number` counts the records of this spool from 1 on, so that a gap tells
how many were lost; `arrival` in microseconds. A segment is only appended to, by the process that made it; a restart begins a new one,
so that a torn last frame never stands in the way. The reader removes a segment once the store holds all of it, but never the newest.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

RECORD: Final = 0
REFUSED: Final = 1
"""A record beyond the limit, or a piece of one: kept as a dead letter."""
DROPS: Final = 2
"""No record: how many datagrams kernel and quota have dropped since the spool began."""

MAGIC: Final = b"\xf5Tc\x01"
"""Begins a frame; its first byte occurs in no UTF-8 text."""
FRONT: Final = struct.Struct("<4sII")
BODY: Final = struct.Struct("<QqBB")
FRAME: Final = FRONT.size + BODY.size
HEADER: Final = struct.Struct("<8sQ")
BEGIN: Final = b"TCSPOOL1"
TOTALS: Final = struct.Struct("<QQ")
_NAME: Final = re.compile(r"([0-9a-f]{12})-(\d{8})\.spool")


@dataclass(frozen=True)
class Frame:
    """One frame of a segment."""

    offset: int
    end: int
    number: int
    arrival: int
    kind: int
    peer: bytes
    data: bytes


@dataclass(frozen=True)
class Segment:
    """A segment file."""

    path: Path
    spool: str
    """Name of the spool: all segments with one run of record numbers."""
    number: int

    @property
    def base(self) -> int:
        """Stream position of its first byte."""
        return self.number << 32


def folder(root: Path, source: str) -> Path:
    """Where the spool of a source lies."""
    return root / quote(source, safe="")


def segments(place: Path) -> list[Segment]:
    """Oldest first."""
    try:
        names = [path.name for path in place.iterdir()]
    except FileNotFoundError:
        return []
    found = [(place / name, match) for name in names if (match := _NAME.fullmatch(name))]
    return sorted((Segment(path, m[1], int(m[2])) for path, m in found), key=lambda s: s.number)


def pack(number: int, arrival: int, kind: int, peer: bytes, data: bytes) -> bytes:
    """A frame."""
    body = BODY.pack(number, arrival, kind, len(peer)) + peer + data
    return FRONT.pack(MAGIC, len(peer) + len(data), zlib.crc32(body)) + body


def frame_at(data: bytes, offset: int) -> Frame | None:
    """The frame that begins there; None when there is no whole and sound one."""
    if offset + FRAME > len(data):
        return None
    magic, size, crc = FRONT.unpack_from(data, offset)
    end = offset + FRAME + size
    if magic != MAGIC or end > len(data) or zlib.crc32(memoryview(data)[offset + FRONT.size : end]) != crc:
        return None
    number, arrival, kind, width = BODY.unpack_from(data, offset + FRONT.size)
    start = offset + FRAME
    return Frame(offset, end, number, arrival, kind, data[start : start + width], data[start + width : end])


def frames(data: bytes, offset: int) -> Iterator[Frame | tuple[int, int]]:
    """Sound frames from `offset` (0: the header is skipped) on; (from, to) for a stretch that is none.

    A stretch that reaches the end may be a frame that is still being written.
    """
    offset = max(offset, HEADER.size)
    while offset < len(data):
        frame = frame_at(data, offset)
        if frame is not None:
            yield frame
            offset = frame.end
            continue
        after = data.find(MAGIC, offset + 1)
        while after >= 0 and frame_at(data, after) is None:
            after = data.find(MAGIC, after + 1)
        stop = after if after >= 0 else len(data)
        yield offset, stop
        offset = stop
