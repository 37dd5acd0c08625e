"""The SQLite file of the embedded engine: catalog, ledger, records, coordination. WAL, synchronous=FULL, many processes at once."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from domain.errors import StoreError

FORMAT: Final = 1
"""Version of the format (PRAGMA user_version). Raise it with a migration in `_MIGRATIONS`."""
_APPLICATION: Final = 0x54684361
"""PRAGMA application_id ("ThCa"): this file is ours."""
_MIGRATIONS: Final[dict[int, str]] = {}
"""From version n to n + 1: a script."""
WAIT_SECONDS: Final = 30
"""How long a writer waits for another one."""

_SCHEMA: Final = """
CREATE TABLE head (seq INTEGER NOT NULL, generation INTEGER NOT NULL);
CREATE TABLE segments (
    id INTEGER PRIMARY KEY, file TEXT NOT NULL UNIQUE, partition TEXT NOT NULL, day INTEGER NOT NULL,
    first_seq INTEGER NOT NULL, last_seq INTEGER NOT NULL, rows INTEGER NOT NULL, bytes INTEGER NOT NULL,
    min_ts INTEGER NOT NULL, max_ts INTEGER NOT NULL, merged INTEGER NOT NULL, sha256 BLOB NOT NULL, groups TEXT NOT NULL,
    counts TEXT NOT NULL);
CREATE INDEX segments_seq ON segments (last_seq);
CREATE INDEX segments_time ON segments (max_ts);
CREATE TABLE garbage (file TEXT PRIMARY KEY, generation INTEGER NOT NULL);
CREATE TABLE coverage (
    day INTEGER, partition TEXT, dataset TEXT, field TEXT, n INTEGER NOT NULL,
    PRIMARY KEY (day, partition, dataset, field)) WITHOUT ROWID;
CREATE TABLE held (
    day INTEGER, partition TEXT, source TEXT, stored INTEGER NOT NULL, unparsed INTEGER NOT NULL,
    PRIMARY KEY (day, partition, source)) WITHOUT ROWID;
CREATE TABLE retired (source TEXT PRIMARY KEY, stored INTEGER NOT NULL, unparsed INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE holds (name TEXT PRIMARY KEY, start INTEGER, end INTEGER, partitions TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE checkpoints (
    source TEXT, stream TEXT, position INTEGER NOT NULL, state TEXT NOT NULL, PRIMARY KEY (source, stream)) WITHOUT ROWID;
CREATE TABLE ledger (
    source TEXT PRIMARY KEY, received INTEGER NOT NULL, stored INTEGER NOT NULL, unparsed INTEGER NOT NULL,
    duplicates INTEGER NOT NULL, last_event INTEGER, last_delivery INTEGER) WITHOUT ROWID;
CREATE TABLE rejected (source TEXT, reason TEXT, n INTEGER NOT NULL, PRIMARY KEY (source, reason)) WITHOUT ROWID;
CREATE TABLE dead (
    id INTEGER PRIMARY KEY AUTOINCREMENT, source TEXT NOT NULL, stream TEXT NOT NULL, position INTEGER NOT NULL,
    reason TEXT NOT NULL, raw BLOB NOT NULL, parser TEXT NOT NULL, at INTEGER NOT NULL, replayed INTEGER NOT NULL DEFAULT 0);
CREATE INDEX dead_waiting ON dead (id) WHERE replayed = 0;
CREATE TABLE records (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, stream TEXT NOT NULL, key TEXT NOT NULL, version INTEGER NOT NULL,
    type TEXT NOT NULL, actor TEXT NOT NULL, at INTEGER NOT NULL, body TEXT NOT NULL, UNIQUE (stream, key, version));
CREATE INDEX records_stream ON records (stream, seq);
CREATE TABLE leases (name TEXT PRIMARY KEY, holder TEXT NOT NULL, until INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE cursors (name TEXT PRIMARY KEY, position INTEGER NOT NULL, state TEXT NOT NULL, at INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO head VALUES (0, 0);
"""


class Database:
    """One connection, shared by the threads of this process; every error leaves as a StoreError that says what to do."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()
        with self._said():
            self._connection = sqlite3.connect(path, timeout=WAIT_SECONDS, isolation_level=None, check_same_thread=False)
            try:
                self._connection.execute("PRAGMA journal_mode = WAL")
                self._connection.execute("PRAGMA synchronous = FULL")
                self._connection.execute("PRAGMA cache_size = -16000")
                self._prepare()
            except BaseException:
                self._connection.close()
                raise

    def all(self, sql: str, args: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """The rows of one SELECT: a consistent view of its own."""
        with self._lock, self._said():
            return self._connection.execute(sql, args).fetchall()

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """Several SELECTs over one state of the file."""
        with self._transaction("BEGIN") as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """All or nothing; waits for other writers."""
        with self._transaction("BEGIN IMMEDIATE") as connection:
            yield connection

    def close(self) -> None:
        """Release the file."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[sqlite3.Connection]:
        with self._lock, self._said():
            self._connection.execute(begin)
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def _prepare(self) -> None:
        found = self._version()
        if found == FORMAT:
            return
        with self.write() as tx:
            found = self._version()
            empty = found == 0 and not tx.execute("SELECT 1 FROM sqlite_master").fetchone()
            script = _SCHEMA if empty else self._migration(found)
            for statement in script.split(";\n"):
                tx.execute(statement)
            tx.execute(f"PRAGMA application_id = {_APPLICATION}")
            tx.execute(f"PRAGMA user_version = {FORMAT}")

    def _version(self) -> int:
        version = int(self._connection.execute("PRAGMA user_version").fetchone()[0])
        ours = int(self._connection.execute("PRAGMA application_id").fetchone()[0])
        if version and ours != _APPLICATION:
            raise StoreError("this SQLite file belongs to another program", where=str(self.path), hint="choose another folder: --data DIR")
        return version

    def _migration(self, found: int) -> str:
        if found > FORMAT:
            what = f"the store has format {found}, this version of soc reads up to {FORMAT}; nothing was changed"
            raise StoreError(what, where=str(self.path), hint="use the version of soc that wrote it, or a newer one")
        steps = [_MIGRATIONS.get(n) for n in range(found, FORMAT)]
        if any(step is None for step in steps):
            what = f"the store has format {found}, which this version of soc (format {FORMAT}) cannot migrate; nothing was changed"
            raise StoreError(
                what, where=str(self.path), hint="read it with the version of soc that wrote it, or start a new store: --data DIR"
            )
        return ";\n".join(step for step in steps if step)

    @contextmanager
    def _said(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise _explained(error, self.path) from error


def _explained(error: sqlite3.Error, path: Path) -> StoreError:
    text = str(error)
    where = str(path)
    if "locked" in text or "busy" in text:
        return StoreError(
            f"another process has kept the store locked for {WAIT_SECONDS} s; nothing was stored", where=where, hint="try again; soc doctor"
        )
    if "full" in text:
        return StoreError(
            "the disk is full; nothing was stored", where=where, hint="free space, then run the command again; soc store retain"
        )
    if "readonly" in text or "unable to open" in text:
        return StoreError(f"the store cannot be written: {text}", where=where, hint="check owner and permissions of the folder")
    if "disk I/O" in text:
        return StoreError(
            "the disk refused a read or write; nothing was stored", where=where, hint="check free space and the disk; soc store verify"
        )
    if "not a database" in text or "malformed" in text:
        return StoreError(
            f"the catalog is damaged: {text}",
            where=where,
            hint="restore the folder from a backup (docs/operations.md), then: soc store verify",
        )
    return StoreError(f"the catalog failed: {text}", where=where, hint="soc store verify")
