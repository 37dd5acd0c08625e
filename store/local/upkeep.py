"""Upkeep of the segments: removing leftovers, merging small segments, retention, legal hold."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from itertools import groupby
from typing import Final

import orjson
import pyarrow as pa

from domain.window import TimeWindow, micros
from store import faults
from store.base import Hold, Retained
from store.local.catalog import Written, drop, insert, select, snapshot, tally
from store.local.chunk import Segment, SegmentChunk, Source
from store.local.db import Database
from store.local.folder import Folder, day_number
from store.local.layout import content
from store.local.times import instant
from store.rows import DAY, SEQ, prepare

TARGET_ROWS: Final = 400_000
"""Segments are merged up to this size."""
_TOGETHER: Final = 8
"""So many segments of one size are merged on a day that is still growing."""
_LEVEL: Final = 9
"""zstd level of merged segments: written once, kept for long."""
_STALE: Final = timedelta(days=1)
"""A cursor that has not moved for so long does not keep segments from being merged: scans stay exact, only their order is coarser."""


def sweep(db: Database, folder: Folder) -> None:
    """Remove files of writers that died before their commit, and files that nobody can read any more."""
    for done, files in folder.orphans():
        with db.read() as tx:
            known = {row[0] for row in tx.execute("SELECT file FROM segments UNION SELECT file FROM garbage")}
        folder.remove(f for f in files if f not in known)
        done()
    if db.all("SELECT 1 FROM garbage LIMIT 1"):
        _collect(db, folder)


def compact(db: Database, folder: Folder, now: datetime) -> int:
    """Merge small segments of the same partition and day that every live cursor has passed; how many went away."""
    away = 0
    for batch in _batches(db, now):
        away += _merge(db, folder, batch)
    _collect(db, folder)
    return away


def retain(db: Database, folder: Folder, before: date) -> Retained:
    """Remove whole days before `before`. A segment that touches a hold stays as a whole."""
    rows = size = 0
    kept: dict[str, int] = {}
    with db.write() as tx:
        gone: list[Segment] = []
        standing = list(_holds(tx))
        for segment in select(tx, "day < ?", (day_number(before),)):
            names = [h.name for h in standing if _holds_segment(h, segment)]
            for name in names:
                kept[name] = kept.get(name, 0) + segment.rows
            if not names:
                gone.append(segment)
                rows, size = rows + segment.rows, size + segment.size
        for segment in gone:
            tally(tx, segment.file, -1)
        drop(tx, gone)
    _collect(db, folder)
    return Retained(rows, size, kept)


def hold(db: Database, new: Hold) -> None:
    """Put events under hold."""
    start, end = (None, None) if new.window is None else new.window.micros
    with db.write() as tx:
        tx.execute("INSERT OR REPLACE INTO holds VALUES (?, ?, ?, ?)", (new.name, start, end, orjson.dumps(new.partitions).decode()))


def release(db: Database, name: str) -> bool:
    """End a hold."""
    with db.write() as tx:
        return bool(tx.execute("DELETE FROM holds WHERE name = ?", (name,)).rowcount)


def holds(db: Database) -> list[Hold]:
    """By name."""
    with db.read() as tx:
        return list(_holds(tx))


def _holds(tx: sqlite3.Connection) -> Iterator[Hold]:
    for name, start, end, partitions in tx.execute("SELECT name, start, end, partitions FROM holds ORDER BY name"):
        window = None if start is None else TimeWindow(instant(start), instant(end))
        yield Hold(name, window, tuple(orjson.loads(partitions)))


def _holds_segment(held: Hold, segment: Segment) -> bool:
    if held.partitions and segment.partition not in held.partitions:
        return False
    if held.window is None:
        return True
    start, end = held.window.micros
    return segment.max_ts >= start and segment.min_ts < end


def _batches(db: Database, now: datetime) -> Iterator[list[Segment]]:
    """Segments to merge with each other, in sequence order, at most `TARGET_ROWS` together."""
    with db.read() as tx:
        passed = tx.execute("SELECT min(position) FROM cursors WHERE at > ?", (micros(now - _STALE),)).fetchone()[0]
        small = select(tx, "rows < ? AND last_seq <= ?", (TARGET_ROWS // 2, (1 << 62) if passed is None else passed))
    today = micros(now) // DAY
    small.sort(key=lambda s: (s.partition, s.day, s.first_seq))
    for (_, day), group in groupby(small, key=lambda s: (s.partition, s.day)):
        alike = list(group)
        if day >= today - 1:  # still growing: only segments of one size, so that nothing is rewritten again and again
            alike.sort(key=lambda s: (_size(s), s.first_seq))
            for _, level in groupby(alike, key=_size):
                yield from (b for b in _filled(list(level)) if len(b) >= _TOGETHER)
        else:
            yield from (b for b in _filled(alike) if len(b) > 1)


def _size(segment: Segment) -> int:
    """Segments whose rows differ less than eightfold, about, are of one size."""
    return segment.rows.bit_length() // 3


def _filled(segments: Sequence[Segment]) -> Iterator[list[Segment]]:
    batch: list[Segment] = []
    for segment in segments:
        if batch and sum(s.rows for s in batch) + segment.rows > TARGET_ROWS:
            yield batch
            batch = []
        batch.append(segment)
    if batch:
        yield batch


def _merge(db: Database, folder: Folder, batch: Sequence[Segment]) -> int:
    """One segment in the place of several; 0 when another process changed them meanwhile."""
    ids = [s.id for s in batch]
    shot = snapshot(db, folder, f"id IN ({', '.join('?' * len(ids))})", ids)
    if [s.file for s in sorted(shot.segments, key=lambda s: s.id)] != [s.file for s in sorted(batch, key=lambda s: s.id)]:
        return 0
    made = content(prepare([_rows(folder, s) for s in batch]), level=_LEVEL)
    name, digest = folder.add(batch[0].partition, batch[0].day, made.data)
    new = Written(name, digest, batch[0].partition, batch[0].day, made)
    faults.point("before-swap")
    swapped = False
    try:
        with db.write() as tx:
            swapped = drop(tx, batch)
            if not swapped:
                raise _ChangedError
            insert(tx, new, min(s.first_seq for s in batch), max(s.last_seq for s in batch), merged=True)
    except _ChangedError:
        return 0
    finally:
        if not swapped:
            folder.remove([name])
    return len(batch) - 1


class _ChangedError(Exception):
    """Another process has merged or removed these segments."""


def _rows(folder: Folder, segment: Segment) -> pa.Table:
    """All rows of a segment with their sequences."""
    source = Source(folder.path / segment.file)
    parts = []
    for number in range(len(segment.groups)):
        chunk = SegmentChunk(segment, number, source)
        part = source.read(number, list(chunk.fields()))
        parts.append(part.append_column(SEQ, pa.array(chunk.sequences())))
    return parts[0] if len(parts) == 1 else pa.concat_tables(parts)


def _collect(db: Database, folder: Folder) -> None:
    """Delete what no segment list names any more, once nobody can be reading it."""
    oldest = folder.oldest_read()
    with db.write() as tx:
        rows = tx.execute("SELECT file FROM garbage WHERE ? IS NULL OR generation < ?", (oldest, oldest)).fetchall()
        folder.remove(row[0] for row in rows)
        tx.executemany("DELETE FROM garbage WHERE file = ?", rows)
