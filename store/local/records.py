"""Append-only streams of records, and coordination: leases, cursors, the atomic end of a scan."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

import orjson

from domain.window import micros
from store import conflicts, faults
from store.base import NewRecord, Record
from store.local.db import Database
from store.local.times import instant

_COLUMNS = "stream, key, type, body, actor, at, version, seq"
_PAGE = 1000
_KEYS = 500


class LocalRecords:
    """The RecordStore of the embedded engine."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def append(self, records: Sequence[NewRecord], at: datetime, expect: Mapping[tuple[str, str], int] | None = None) -> Sequence[Record]:
        """Append atomically; ConflictError when `expect` does not hold."""
        with self._db.write() as tx:
            return insert(tx, records, at, expect)

    def read(self, stream: str, key: str) -> Sequence[Record]:
        """All records of one key, in order."""
        rows = self._db.all(f"SELECT {_COLUMNS} FROM records WHERE stream = ? AND key = ? ORDER BY version", (stream, key))  # noqa: S608
        return [_record(row) for row in rows]

    def find(self, stream: str, after: int = 0, keys: Sequence[str] = ()) -> Iterator[Record]:
        """Records of a stream with seq > after, in order, as they stood when the call began; only `keys` when given."""
        every: tuple[str, tuple[str, ...]] = ("stream = ?", (stream,)) if stream else ("1", ())
        upto = int(self._db.all("SELECT coalesce(max(seq), 0) FROM records")[0][0])
        if not keys:
            return self._pages(*every, after, upto)
        distinct = sorted(set(keys))
        if len(distinct) <= _KEYS:
            marks = ", ".join("?" * len(distinct))
            return self._pages(f"{every[0]} AND key IN ({marks})", (*every[1], *distinct), after, upto)
        wanted = set(distinct)
        return (r for r in self._pages(*every, after, upto) if r.key in wanted)

    def _pages(self, where: str, args: Sequence[str], after: int, upto: int) -> Iterator[Record]:
        while True:
            sql = f"SELECT {_COLUMNS} FROM records WHERE {where} AND seq > ? AND seq <= ? ORDER BY seq LIMIT ?"  # noqa: S608
            rows = self._db.all(sql, (*args, after, upto, _PAGE))
            for row in rows:
                yield _record(row)
            if len(rows) < _PAGE:
                return
            after = rows[-1][-1]


AHEAD: Final = timedelta(hours=1)
"""Clocks of machines that share a store differ by less."""


class LocalCoordination:
    """The Coordination of the embedded engine."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def lease(self, name: str, holder: str, seconds: float, now: datetime) -> bool:
        """Take or renew; False while somebody else holds it. One of a clock that ran ahead is void."""
        until = micros(now + timedelta(seconds=seconds))
        absurd = micros(now + max(timedelta(seconds=2 * seconds), AHEAD))
        with self._db.write() as tx:
            return bool(
                tx.execute(
                    "INSERT INTO leases VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until"
                    " WHERE leases.holder = excluded.holder OR leases.until <= ? OR leases.until > ?",
                    (name, holder, until, micros(now), absurd),
                ).rowcount
            )

    def release(self, name: str, holder: str) -> None:
        """Give back what `holder` holds."""
        with self._db.write() as tx:
            tx.execute("DELETE FROM leases WHERE name = ? AND holder = ?", (name, holder))

    def cursor(self, name: str) -> int:
        """Ingest sequence up to which `name` has worked; 0 at first."""
        rows = self._db.all("SELECT position FROM cursors WHERE name = ?", (name,))
        return int(rows[0][0]) if rows else 0

    def cursors(self) -> Mapping[str, int]:
        """Every cursor, by name."""
        return {name: int(position) for name, position in self._db.all("SELECT name, position FROM cursors ORDER BY name")}

    def state(self, name: str) -> Mapping[str, object]:
        """State stored with the cursor; empty at first."""
        rows = self._db.all("SELECT state FROM cursors WHERE name = ?", (name,))
        return dict(orjson.loads(rows[0][0])) if rows else {}

    def commit_scan(  # noqa: PLR0913, PLR0917  one transaction
        self, name: str, start: int, end: int, records: Sequence[NewRecord], at: datetime, state: Mapping[str, object] | None = None,
        expect: Mapping[tuple[str, str], int] | None = None,
    ) -> bool:  # fmt: skip
        """Cursor, records and state in one transaction; False when the cursor is not at `start`. `state` None: it stays as it is."""
        with self._db.write() as tx:
            row = tx.execute("SELECT position FROM cursors WHERE name = ?", (name,)).fetchone()
            if (row[0] if row else 0) != start:
                return False
            insert(tx, records, at, expect)
            tx.execute(
                "INSERT INTO cursors VALUES (?, ?, coalesce(?, '{}'), ?)"
                " ON CONFLICT (name) DO UPDATE SET position = excluded.position, state = coalesce(?, state), at = excluded.at",
                (name, end, text := None if state is None else _json(state), micros(at), text),
            )
            faults.point("before-scan-commit")
        faults.point("after-scan-commit")
        return True


def insert(
    tx: sqlite3.Connection, records: Sequence[NewRecord], at: datetime, expect: Mapping[tuple[str, str], int] | None = None
) -> list[Record]:
    """Append inside a transaction."""
    newest: dict[tuple[str, str], int] = {}
    for name in {*(expect or {}), *((r.stream, r.key) for r in records)}:
        newest[name] = tx.execute("SELECT coalesce(max(version), 0) FROM records WHERE stream = ? AND key = ?", name).fetchone()[0]
    for (stream, key), version in (expect or {}).items():
        if newest[stream, key] != version:
            raise conflicts.version(stream, key, newest[stream, key], version)
    out = []
    for new in records:
        version = newest[new.stream, new.key] = newest[new.stream, new.key] + 1
        row = (new.stream, new.key, new.type, _json(new.body), new.actor, micros(new.at or at), version)
        seq = tx.execute("INSERT INTO records (stream, key, type, body, actor, at, version) VALUES (?, ?, ?, ?, ?, ?, ?)", row).lastrowid
        out.append(_record((*row, seq)))
    return out


def _json(value: Mapping[str, object]) -> str:
    return orjson.dumps(dict(value)).decode()


def _record(row: Sequence[object]) -> Record:
    stream, key, kind, body, actor, at, version, seq = row
    return Record(
        stream=str(stream), key=str(key), type=str(kind), body=orjson.loads(str(body)), actor=str(actor),
        at=instant(int(at)), version=int(version), seq=int(seq),  # type: ignore[call-overload]
    )  # fmt: skip
