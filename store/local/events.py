"""The EventStore of the embedded engine: append, scan, look up. Search and upkeep stand in their own modules."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime

import pyarrow as pa

from domain.query import Query
from domain.raw import Checkpoint
from domain.window import TimeWindow
from store import faults
from store.base import Capabilities, Chunk, DeadLetter, Delivery, Hold, Retained, SourceStatus
from store.local import aggregate, ledger, search, upkeep, verify
from store.local.catalog import Snapshot, Written, insert, snapshot, tally
from store.local.chunk import SegmentChunk
from store.local.db import Database
from store.local.folder import Folder
from store.local.layout import content
from store.rows import DAY, by_day, prepare


class LocalEvents:
    """Segments in a folder, described by a catalog."""

    capabilities = Capabilities(atomic_scan=True, compaction=True, snapshots=False, aggregates=True)

    def __init__(self, db: Database, folder: Folder) -> None:
        self._db = db
        self._folder = folder

    def append(self, delivery: Delivery) -> int:
        """Write and sync the segments, then make them part of the store in one transaction."""
        written: list[Written] = []
        try:
            for partition, tables in delivery.tables.items():
                for new in self._write(partition, tables):
                    written.append(new)  # noqa: PERF402  what was written before a failure must be known
            faults.point("before-commit")
            with self._db.write() as tx:
                head = _accept(tx, written)
                ledger.record(tx, delivery)
        except BaseException:
            self._folder.remove(w.file for w in written)
            raise
        faults.point("after-commit")
        return head

    def head(self) -> int:
        """The highest ingest sequence; 0 when empty."""
        return int(self._db.all("SELECT seq FROM head")[0][0])

    def scan(self, after: int, upto: int | None = None, partitions: Sequence[str] = ()) -> Iterator[Chunk]:
        """Events with after < sequence <= upto. Rows of merged segments are chosen by their sequence column, so nothing is seen twice."""
        limit = self.head() if upto is None else upto
        if limit <= after:
            return
        where, args = _partitions(partitions)
        shot = snapshot(self._db, self._folder, f"last_seq > ? AND first_seq <= ?{where}", (after, limit, *args))
        chunks = sorted(shot.chunks(), key=lambda c: c.first_seq)
        chunks.reverse()
        while chunks:
            part = chunks.pop().between(after, limit)
            if part is not None:
                yield part

    def chunks(self, window: TimeWindow | None = None, partitions: Sequence[str] = ()) -> Iterator[Chunk]:
        """Row groups whose bounds touch the window."""
        yield from touching(self.snapshot(window, partitions), window)

    def snapshot(self, window: TimeWindow | None = None, partitions: Sequence[str] = ()) -> Snapshot:
        """Segments whose bounds touch the window."""
        where, args = _partitions(partitions)
        if window is None:
            return snapshot(self._db, self._folder, f"1{where}", args)
        start, end = window.micros
        return snapshot(self._db, self._folder, f"max_ts >= ? AND min_ts < ?{where}", (start, end, *args))

    def search(self, query: Query) -> Iterator[pa.Table]:
        """Matching events in `@timestamp` order, as tables."""
        return search.search(self, query)

    def count(self, query: Query) -> int:
        """How many match."""
        return search.count(self, query)

    def aggregate(self, query: Query, by: Sequence[str], every: str = "") -> pa.Table:
        """Counts by fields and time bucket."""
        return aggregate.aggregate(self, query, by, every)

    def starting(self, prefix: str, limit: int = 2) -> Sequence[str]:
        """Ids that begin so."""
        return search.starting(self, prefix, limit)

    def fetch(self, ids: Sequence[str]) -> pa.Table:
        """Events by id, in `@timestamp` order."""
        return search.fetch(self, ids)

    def coverage(self, window: TimeWindow | None = None) -> Mapping[str, Mapping[str, int]]:
        """By data set and field; a window is widened to whole UTC days."""
        where, args = ("1", []) if window is None else ("day >= ? AND day <= ?", [window.micros[0] // DAY, (window.micros[1] - 1) // DAY])
        rows = self._db.all(f"SELECT dataset, field, sum(n) FROM coverage WHERE {where} GROUP BY dataset, field", args)  # noqa: S608
        out: dict[str, dict[str, int]] = {}
        for dataset, name, n in rows:
            out.setdefault(dataset, {})[name] = n
        return out

    def checkpoint(self, source: str, stream: str) -> Checkpoint | None:
        """Where to go on."""
        return next(iter(ledger.checkpoints(self._db, source, stream)), None)

    def checkpoints(self, source: str) -> Sequence[Checkpoint]:
        """All streams of a source."""
        return ledger.checkpoints(self._db, source)

    def ledger(self) -> Sequence[SourceStatus]:
        """Per source."""
        return ledger.statuses(self._db)

    def dead_letters(self, source: str = "") -> Iterator[tuple[int, DeadLetter]]:
        """Numbered dead letters that were not replayed."""
        return ledger.dead_letters(self._db, source)

    def verify(self) -> Sequence[str]:
        """Every segment and the ledger, recounted."""
        return verify.problems(self._db, self._folder)

    def compact(self, now: datetime) -> int:
        """Merge small segments; how many went away."""
        return upkeep.compact(self._db, self._folder, now)

    def retain(self, before: date) -> Retained:
        """Remove whole days before `before`, but for what is held."""
        return upkeep.retain(self._db, self._folder, before)

    def hold(self, hold: Hold) -> None:
        """Put events under legal hold."""
        upkeep.hold(self._db, hold)

    def release(self, name: str) -> bool:
        """End a legal hold; False when there is none of that name."""
        return upkeep.release(self._db, name)

    def holds(self) -> Sequence[Hold]:
        """Legal holds, by name."""
        return upkeep.holds(self._db)

    def _write(self, partition: str, tables: Sequence[pa.Table]) -> Iterator[Written]:
        whole = prepare(tables)
        for day, rows in by_day(whole) if whole.num_rows else ():
            made = content(rows)
            name, digest = self._folder.add(partition, day, made.data)
            yield Written(name, digest, partition, day, made)


def touching(shot: Snapshot, window: TimeWindow | None) -> Iterator[SegmentChunk]:
    """Row groups of a snapshot that may hold events of the window."""
    start, end = (0, 0) if window is None else window.micros
    for chunk in shot.chunks():
        low, high = chunk.bounds
        if window is None or (high >= start and low < end):
            yield chunk


def _partitions(names: Sequence[str]) -> tuple[str, Sequence[str]]:
    return (f" AND partition IN ({', '.join('?' * len(names))})", list(names)) if names else ("", [])


def _accept(tx: sqlite3.Connection, written: Sequence[Written]) -> int:
    """Number the rows and add what the catalog counts; returns the new head."""
    head = int(tx.execute("SELECT seq FROM head").fetchone()[0])
    for new in written:
        insert(tx, new, head + 1, head + new.rows)
        head += new.rows
        tally(tx, new.file)
    tx.execute("UPDATE head SET seq = ?", (head,))
    return head
