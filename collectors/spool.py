"""Synced spool segments: what receivers write before they acknowledge. The reader is `collectors.spooled`.

A segment is a file `<spool>-<number>.spool`: a header, then frames, little endian:

    magic 4 | size 4 | crc32 4 | number 8 | arrival 8 | kind 1 | peer length 1 | peer | bytes

`size` = peer + bytes; the checksum covers everything after it; `number` counts the records of this spool from 1 on, so that a gap tells
how many were lost; `arrival` in microseconds. A segment is only appended to, by the process that made it; a restart begins a new one,
so that a torn last frame never stands in the way. The reader removes a segment once the store holds all of it, but never the newest.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import shutil
import struct
import threading
import uuid
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

from collectors import faults
from domain.errors import SourceError

SEGMENT: Final = 64 << 20
"""Bytes after which a new segment is begun."""
QUOTA: Final = 10 << 30
"""Most bytes of one spool, unless 20 % of the disk is less or the configuration says otherwise."""
WINDOW: Final = 8 << 20
"""Bytes that may be written and not yet synced before connections have to wait."""
PAUSE: Final = 0.02
"""Seconds between two syncs: what arrives meanwhile is synced together."""
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
_HEADER: Final = struct.Struct("<8sQ")
_BEGIN: Final = b"TCSPOOL1"
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
    offset = max(offset, _HEADER.size)
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


def quota(place: Path, configured: int = 0) -> int:
    """Bytes that a spool may take."""
    return configured or min(QUOTA, shutil.disk_usage(place).total // 5)


class Writer:
    """Appends to the spool of one source; SourceError from the constructor while another process does."""

    def __init__(self, place: Path, limit: int = 0, floor: int = 0, synced: Callable[[], None] | None = None) -> None:
        """`limit`: quota, bytes; `floor`: last record number in the store; `synced`: called by another thread after each sync."""
        place.mkdir(parents=True, exist_ok=True)
        self.place = place
        self._lock_fd = os.open(place / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            fcntl.flock(self._lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock_fd)
            raise SourceError("another process receives for this source", where=place.name, hint="it goes on; this one waits") from None
        self.quota = quota(place, limit)
        self.dropped_by_kernel, self.dropped_by_quota = 0, 0
        self._recover(floor)
        self._buffer = bytearray()
        self.synced = self.written = self.number
        """Record numbers: safe on disk; handed to the system."""
        self.error = ""
        """Why the last write failed; its records wait in memory."""
        self.used = self.usage()
        self._bytes = [0, 0]
        """Written by the loop, synced by the thread."""
        self._turning = threading.Lock()
        self._dirty, self._stop, self._told = threading.Event(), False, synced
        self._fd, self._size = -1, 0
        self._begin()
        self._thread = threading.Thread(target=self._sync_loop, name="spool-sync", daemon=True)
        self._thread.start()

    def add(self, arrival: int, peer: bytes, data: bytes, kind: int = RECORD) -> int:
        """Take a record; it is on disk when `synced` has reached the number returned."""
        self.number += 1
        self._buffer += pack(self.number, arrival, kind, peer, data)
        return self.number

    def note_drops(self, arrival: int, kernel: int, full: int) -> None:
        """Count datagrams that were dropped."""
        self.dropped_by_kernel += kernel
        self.dropped_by_quota += full
        self._buffer += pack(self.number, arrival, DROPS, b"", TOTALS.pack(self.dropped_by_kernel, self.dropped_by_quota))

    def flush(self) -> bool:
        """Hand what was taken to the system; False when it does not fit on the disk: nothing is lost, call again."""
        if not self._buffer:
            return True
        try:
            if self._size >= SEGMENT:
                self._begin()
            self._write(self._fd, self._buffer, self._size)
        except OSError as error:
            self.error = error.strerror or str(error)
            return False
        faults.point("spool-write")
        self.error = ""
        self._size += len(self._buffer)
        self.used += len(self._buffer)
        self._bytes[0] += len(self._buffer)
        self._buffer.clear()
        self.written = self.number
        self._dirty.set()
        return True

    def usage(self) -> int:
        """Bytes of all segments: the reader removes some."""
        return sum(s.path.stat().st_size for s in segments(self.place) if s.path.exists())

    @property
    def unsynced(self) -> int:
        """Bytes that a power failure would take."""
        return self._bytes[0] - self._bytes[1]

    @property
    def full(self) -> bool:
        """At the quota."""
        return self.used + len(self._buffer) >= self.quota

    def close(self) -> None:
        """Sync and give the spool free."""
        self.flush()
        self._stop = True
        self._dirty.set()
        self._thread.join()
        os.fdatasync(self._fd)
        self.synced = self.written
        os.close(self._fd)
        os.close(self._lock_fd)

    def _recover(self, floor: int) -> None:
        """Go on after the newest segment: its last sound number, the totals of drops."""
        there = segments(self.place)
        self.spool = there[-1].spool if there else uuid.uuid4().hex[:12]
        self._segment = there[-1].number if there else 0
        self.number = floor if there else 0
        if there:
            data = there[-1].path.read_bytes()
            if len(data) >= _HEADER.size:
                self.number = max(self.number, _HEADER.unpack_from(data)[1])
            for frame in frames(data, 0):
                if isinstance(frame, Frame):
                    self.number = max(self.number, frame.number)
                    if frame.kind == DROPS:
                        self.dropped_by_kernel, self.dropped_by_quota = TOTALS.unpack(frame.data)

    def _begin(self) -> None:
        """A new segment, which begins with the totals of drops."""
        totals = TOTALS.pack(self.dropped_by_kernel, self.dropped_by_quota)
        first = _HEADER.pack(_BEGIN, self.written) + pack(self.written, 0, DROPS, b"", totals)
        path = self.place / f"{self.spool}-{self._segment + 1:08d}.spool"
        new = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_TRUNC | os.O_CLOEXEC, 0o640)
        try:
            self._write(new, first, 0)
            os.fdatasync(new)
            _sync_folder(self.place)
        except OSError:
            os.close(new)
            path.unlink(missing_ok=True)
            raise
        self._segment += 1
        with self._turning:
            old, self._fd, self._size = self._fd, new, len(first)
            if old >= 0:
                os.fdatasync(old)
                os.close(old)

    @staticmethod
    def _write(descriptor: int, data: bytes | bytearray, size: int) -> None:
        """All of it, or nothing: the file keeps its `size`."""
        if os.write(descriptor, data) < len(data):
            os.ftruncate(descriptor, size)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _sync_loop(self) -> None:
        while not self._stop:
            self._dirty.wait()
            self._dirty.clear()
            if self._stop:
                return
            with self._turning:
                upto, size, copy = self.written, self._bytes[0], os.dup(self._fd)
            try:
                os.fdatasync(copy)
            except OSError as error:
                self.error = error.strerror or str(error)
                continue
            finally:
                os.close(copy)
            faults.point("spool-sync")
            self._bytes[1] = size
            self.synced = upto
            if self._told is not None:
                self._told()
            threading.Event().wait(PAUSE)


def _sync_folder(place: Path) -> None:
    descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
