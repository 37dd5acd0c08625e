"""The folder of an embedded store: segment files, and the locks that say who still writes or reads them.

    DIR/catalog.sqlite               the catalog (db.py)
    DIR/events/<day>/<partition>-<writer>-<n>.parquet
    DIR/locks/w-<writer>             locked while that process may hold files that are not committed yet
    DIR/locks/r-<generation>         locked (shared) by whoever reads a snapshot of that generation of the catalog

The kernel drops the locks of a process that dies, so nothing has to time out and process ids play no part.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import secrets
from collections.abc import Callable, Iterable, Iterator
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Final

import pyarrow as pa

from domain.errors import StoreError

_EPOCH: Final = date(1970, 1, 1)


class Lock:
    """An advisory lock on a file, held until released, garbage-collected, or the process dies."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def release(self) -> None:
        """Give it back."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def __del__(self) -> None:
        self.release()


class Folder:
    """Writes and removes segment files of one store."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._writer = ""
        self._writer_lock: Lock | None = None
        self._written = 0
        try:
            for name in ("events", "locks"):
                (path / name).mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise StoreError("the store must be a folder, this is a file", where=str(path), hint="--data DIR") from error
        except OSError as error:
            raise StoreError(
                f"the store's folder cannot be made: {error.strerror}", where=str(path), hint="check the path and its permissions"
            ) from error

    def add(self, partition: str, day: int, data: pa.Buffer) -> tuple[str, bytes]:
        """Write and sync one segment; (path relative to the folder, SHA-256). StoreError leaves nothing behind."""
        self._announce()
        self._written += 1
        safe = re.sub(r"[^A-Za-z0-9._]", "_", partition)[:60] or "_"
        name = f"events/{day_name(day)}/{safe}-{self._writer}-{self._written}.parquet"
        target = self.path / name
        try:
            self._write(target, data)
        except OSError as error:
            self.remove([name])
            raise StoreError(
                f"a segment cannot be written: {error.strerror}; nothing was stored", where=str(target),
                hint="free space or fix permissions, then run the command again; soc store retain",
            ) from error  # fmt: skip
        return name, hashlib.sha256(data).digest()

    def remove(self, names: Iterable[str]) -> None:
        """Delete files; one that is not there is no error, one that cannot be deleted is reported by `soc store verify`."""
        for name in names:
            with contextlib.suppress(OSError):
                (self.path / name).unlink(missing_ok=True)
                (self.path / name).parent.rmdir()

    def holds_segments(self) -> bool:
        """Whether there is any segment file."""
        return next(self.path.glob("events/*/*.parquet"), None) is not None

    def orphans(self) -> Iterator[tuple[Callable[[], None], list[str]]]:
        """For each writer that died: (what to call when its files are dealt with, all files it made)."""
        for name in self._marks("w-"):
            lock = self._claim(name)
            if lock is not None:
                files = [str(p.relative_to(self.path)) for p in self.path.glob(f"events/*/*-{name.removeprefix('w-')}-*.parquet")]
                yield partial(self._forget, name, lock), files

    def of_living_writer(self, name: str) -> bool:
        """Whether the process that wrote this file may still commit it."""
        mark = f"w-{name.rsplit('-', 2)[1]}" if name.count("-") >= 2 else ""
        lock = self._claim(mark) if mark else None
        return bool(mark) and lock is None and (self.path / "locks" / mark).exists()

    def reading(self, generation: int) -> Lock:
        """A shared lock on a generation of the catalog: its files stay until it is released."""
        return self._lock(f"r-{generation}", fcntl.LOCK_SH)

    def oldest_read(self) -> int | None:
        """The lowest generation that somebody reads now; None when nobody reads."""
        busy = []
        for name in self._marks("r-"):
            lock = self._claim(name)
            if lock is None:
                busy.append(int(name.removeprefix("r-")))
            else:
                self._forget(name, lock)
        return min(busy, default=None)

    def close(self) -> None:
        """A clean end: nothing uncommitted is left."""
        if self._writer_lock is not None:
            self._forget(f"w-{self._writer}", self._writer_lock)
            self._writer_lock = None

    def _announce(self) -> None:
        if self._writer_lock is None:
            self._writer = secrets.token_hex(6)
            self._writer_lock = self._lock(f"w-{self._writer}", fcntl.LOCK_EX)

    def _write(self, target: Path, data: pa.Buffer) -> None:
        fresh = not target.parent.exists()
        target.parent.mkdir(exist_ok=True)
        try:
            out = target.open("xb", buffering=0)
        except FileNotFoundError:  # another process removed the empty folder of the day just now
            return self._write(target, data)
        with out:
            view = memoryview(data)
            while view:
                view = view[out.write(view) :]
            os.fsync(out.fileno())
        _sync(target.parent)
        if fresh:
            _sync(target.parent.parent)
        return None

    def _marks(self, kind: str) -> list[str]:
        return [entry.name for entry in os.scandir(self.path / "locks") if entry.name.startswith(kind)]

    def _lock(self, name: str, kind: int) -> Lock:
        path = self.path / "locks" / name
        try:
            while True:
                descriptor = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o664)
                fcntl.flock(descriptor, kind)
                if os.fstat(descriptor).st_nlink:
                    return Lock(descriptor)
                os.close(descriptor)  # somebody tidied the mark away between opening and locking
        except OSError as error:
            raise StoreError(
                f"a lock cannot be taken: {error.strerror}", where=str(path), hint="check owner and permissions of the folder"
            ) from error

    def _claim(self, name: str) -> Lock | None:
        """An exclusive lock on a mark nobody holds, else None."""
        try:
            descriptor = os.open(self.path / "locks" / name, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            return None
        return Lock(descriptor)

    def _forget(self, name: str, lock: Lock) -> None:
        with contextlib.suppress(OSError):
            (self.path / "locks" / name).unlink(missing_ok=True)
        lock.release()


def day_name(day: int) -> str:
    """`2026-11-24` of a day number."""
    return (_EPOCH + timedelta(days=day)).isoformat()


def day_number(day: date) -> int:
    """The inverse of `day_name`."""
    return (day - _EPOCH).days


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
