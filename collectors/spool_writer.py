"""Writing a spool: append, sync, acknowledge. One thread appends, another one syncs, so that receiving never waits for the disk."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import threading
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Final

from collectors import faults
from collectors.spool import BEGIN, DROPS, HEADER, RECORD, TOTALS, Frame, frames, pack, segments
from domain.errors import SourceError

SEGMENT: Final = 64 << 20
"""Bytes after which a new segment is begun."""
QUOTA: Final = 10 << 30
"""Most bytes of one spool, unless 20 % of the disk is less or the configuration says otherwise."""
WINDOW: Final = 8 << 20
"""Bytes that may be written and not yet synced before connections have to wait."""
PAUSE: Final = 0.02
"""Seconds between two syncs: what arrives meanwhile is synced together."""


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
        self._faults = {"write": "", "sync": ""}
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
            self._faults["write"] = error.strerror or str(error)
            return False
        faults.point("spool-write")
        self._faults["write"] = ""
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
    def error(self) -> str:
        """Why the last write or sync failed; the records wait in memory."""
        return self._faults["write"] or self._faults["sync"]

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
            if len(data) >= HEADER.size:
                self.number = max(self.number, HEADER.unpack_from(data)[1])
            for frame in frames(data, 0):
                if isinstance(frame, Frame):
                    self.number = max(self.number, frame.number)
                    if frame.kind == DROPS:
                        self.dropped_by_kernel, self.dropped_by_quota = TOTALS.unpack(frame.data)

    def _begin(self) -> None:
        """A new segment, which begins with the totals of drops."""
        totals = TOTALS.pack(self.dropped_by_kernel, self.dropped_by_quota)
        first = HEADER.pack(BEGIN, self.written) + pack(self.written, 0, DROPS, b"", totals)
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
                self._faults["sync"] = error.strerror or str(error)
                threading.Event().wait(1.0)
                self._dirty.set()
                continue
            finally:
                os.close(copy)
            faults.point("spool-sync")
            self._bytes[1], self._faults["sync"] = size, ""
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
