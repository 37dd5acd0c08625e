"""What the catalog says about segments: consistent snapshots, and rows to and from SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from store.local.chunk import Segment, SegmentChunk, Source
from store.local.db import Database
from store.local.folder import Folder, Lock
from store.local.layout import Content, Group

_COLUMNS = "id, file, partition, day, first_seq, last_seq, rows, bytes, min_ts, max_ts, merged, sha256, groups"


@dataclass(frozen=True)
class Snapshot:
    """Segments that existed together; their files stay while it, or a chunk of it, is held."""

    head: int
    segments: Sequence[Segment]
    folder: Folder
    lock: Lock

    def chunks(self, segments: Sequence[Segment] | None = None) -> Iterator[SegmentChunk]:
        """Row groups, in the order of the segments."""
        for segment in self.segments if segments is None else segments:
            source = Source(self.folder.path / segment.file, self.lock)
            for number in range(len(segment.groups)):
                yield SegmentChunk(segment, number, source)


def snapshot(db: Database, folder: Folder, where: str = "1", args: Sequence[Any] = ()) -> Snapshot:
    """The segments that fulfil an SQL condition, in sequence order."""
    while True:
        generation = int(db.all("SELECT generation FROM head")[0][0])
        lock = folder.reading(generation)
        with db.read() as tx:
            head, now = tx.execute("SELECT seq, generation FROM head").fetchone()
            if now == generation:
                return Snapshot(int(head), select(tx, where, args), folder, lock)
        lock.release()  # compaction or retention came between: what we locked may be gone


def select(tx: sqlite3.Connection, where: str = "1", args: Sequence[Any] = ()) -> list[Segment]:
    """Segments that fulfil an SQL condition, in sequence order."""
    rows = tx.execute(f"SELECT {_COLUMNS} FROM segments WHERE {where} ORDER BY first_seq", args)  # noqa: S608  our own text
    return [_segment(row) for row in rows]


def _segment(row: Sequence[Any]) -> Segment:
    *plain, merged, sha256, groups = row
    number, file, partition, day, first, last, count, size, low, high = plain
    bounds = tuple(Group(*g) for g in orjson.loads(groups))
    return Segment(number, file, partition, day, first, last, count, size, low, high, bool(merged), sha256, bounds)


@dataclass(frozen=True)
class Written:
    """A segment file on the disk that the catalog does not know yet."""

    file: str
    sha256: bytes
    partition: str
    day: int
    content: Content

    @property
    def rows(self) -> int:
        """Number of events."""
        return sum(g.rows for g in self.content.groups)


def insert(tx: sqlite3.Connection, new: Written, first_seq: int, last_seq: int, *, merged: bool = False) -> None:
    """Make a written file part of the store."""
    groups = new.content.groups
    tx.execute(
        "INSERT INTO segments (file, partition, day, first_seq, last_seq, rows, bytes, min_ts, max_ts, merged, sha256, groups, counts)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (new.file, new.partition, new.day, first_seq, last_seq, new.rows, new.content.data.size, min(g.min_ts for g in groups),
         max(g.max_ts for g in groups), merged, new.sha256,
         orjson.dumps([[g.rows, g.min_ts, g.max_ts, g.min_seq, g.max_seq] for g in groups]).decode(),
         orjson.dumps([new.content.coverage, new.content.sources]).decode()),
    )  # fmt: skip


def tally(tx: sqlite3.Connection, file: str, sign: int = 1) -> None:
    """Add the counts of a segment to those of its day, or take them away (sign -1)."""
    day, partition, counts = tx.execute("SELECT day, partition, counts FROM segments WHERE file = ?", (file,)).fetchone()
    coverage, sources = orjson.loads(counts)
    tx.executemany(
        "INSERT INTO coverage VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET n = n + excluded.n",
        [(day, partition, dataset, name, sign * n) for dataset, names in coverage.items() for name, n in names.items()],
    )
    tx.executemany(
        "INSERT INTO held VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT DO UPDATE SET stored = stored + excluded.stored, unparsed = unparsed + excluded.unparsed",
        [(day, partition, source, sign * stored, sign * unparsed) for source, (stored, unparsed) in sources.items()],
    )
    if sign < 0:
        tx.execute("DELETE FROM coverage WHERE day = ? AND partition = ? AND n = 0", (day, partition))
        tx.execute("DELETE FROM held WHERE day = ? AND partition = ? AND stored = 0", (day, partition))
        tx.executemany(
            "INSERT INTO retired VALUES (?, ?, ?)"
            " ON CONFLICT DO UPDATE SET stored = stored + excluded.stored, unparsed = unparsed + excluded.unparsed",
            [(source, stored, unparsed) for source, (stored, unparsed) in sources.items()],
        )


def drop(tx: sqlite3.Connection, segments: Sequence[Segment]) -> bool:
    """Take segments out of the store; their files become garbage of this generation. False when one is no longer there."""
    generation = tx.execute("SELECT generation FROM head").fetchone()[0]
    for segment in segments:
        if not tx.execute("DELETE FROM segments WHERE id = ? AND file = ?", (segment.id, segment.file)).rowcount:
            return False
        tx.execute("INSERT INTO garbage VALUES (?, ?)", (segment.file, generation))
    tx.execute("UPDATE head SET generation = generation + 1")
    return True
