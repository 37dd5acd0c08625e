"""Search over segments: rows are chosen by `match/` (the evaluator rules use), in `@timestamp` order, wide columns read last."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

import match
from domain import fields
from domain.event import Rows
from domain.query import TRUE, Query
from domain.raw import Int64s
from domain.window import TimeWindow
from store.local.catalog import Snapshot
from store.local.chunk import SegmentChunk

if TYPE_CHECKING:
    from store.local.events import LocalEvents

_PAGE: Final = 5_000
"""Rows of a result table, about."""


@dataclass(frozen=True)
class Hits:
    """Matching rows of several chunks."""

    times: Int64s
    seqs: Int64s
    chunk: Int64s
    """Number of the chunk, in the order in which chunks were visited."""
    row: Int64s

    def take(self, chosen: Int64s) -> Hits:
        """Some of them."""
        return Hits(self.times[chosen], self.seqs[chosen], self.chunk[chosen], self.row[chosen])

    def __add__(self, other: Hits) -> Hits:
        both = zip((self.times, self.seqs, self.chunk, self.row), (other.times, other.seqs, other.chunk, other.row), strict=True)
        return Hits(*(np.concatenate(pair) for pair in both))


_NOTHING: Final = Hits(*(np.empty(0, dtype=np.int64) for _ in range(4)))


def search(events: LocalEvents, query: Query) -> Iterator[pa.Table]:
    """Chunks are visited by their bounds, newest (or oldest) first; a row is given out when no chunk to come can hold one before it."""
    sign = -1 if query.newest_first else 1
    chunks = visits(events.snapshot(query.window), query)
    left = query.limit or 1 << 62
    wanted = set(query.ids)
    picker = Picker(query)
    pending = _NOTHING
    visited: dict[int, SegmentChunk] = {}
    for number, chunk in enumerate(chunks):
        rows = picker.rows(chunk)
        if len(rows):
            visited[number] = chunk
            pending += Hits(chunk.times()[rows], chunk.sequences()[rows], np.full(len(rows), number), rows.astype(np.int64))
        chunk.forget()
        more = number + 1 < len(chunks)
        border = _border(chunks[number + 1], sign) if more else 0
        ready = pending.times * sign < border if more else np.ones(len(pending.times), dtype=bool)
        enough = min(left, _PAGE) if not wanted else len(wanted)
        if more and np.count_nonzero(ready) < enough:
            continue
        order = np.lexsort((pending.seqs * sign, pending.times * sign))
        order = order[ready[order]][:left]
        for start in range(0, len(order), _PAGE):
            yield _table(visited, pending.take(order[start : start + _PAGE]), query.fields)
        left -= len(order)
        if left <= 0 or (wanted and len(order) >= len(wanted)):
            return
        pending = pending.take(np.flatnonzero(~ready))
        visited = {n: visited[n] for n in np.unique(pending.chunk).tolist()}


def count(events: LocalEvents, query: Query) -> int:
    """How many match; what lies wholly in the window is not even read."""
    total, picker = 0, Picker(query)
    for chunk in visits(events.snapshot(query.window), query):
        total += picker.count(chunk)
        chunk.forget()
    return min(total, query.limit) if query.limit else total


def fetch(events: LocalEvents, ids: Sequence[str]) -> pa.Table:
    """The events with these ids, oldest first; the newest chunks are looked through first, until all are found."""
    distinct = tuple(dict.fromkeys(ids))
    found: list[pa.Table] = []
    for table in search(events, Query(ids=distinct)) if distinct else ():
        found.append(table)
        if sum(t.num_rows for t in found) >= len(distinct):
            break
    whole = pa.concat_tables(found, promote_options="default") if found else pa.table({"event.id": pa.array([], pa.binary(16))})
    return whole.take(pa.array(np.arange(whole.num_rows)[::-1].copy()))


def starting(events: LocalEvents, prefix: str, limit: int) -> list[str]:
    """Ids (hex) that begin so, sorted: whole bytes are compared for all rows of a chunk at once."""
    whole = bytes.fromhex(prefix[: len(prefix) // 2 * 2])
    found: set[str] = set()
    for chunk in events.chunks():
        ids = chunk.ids()
        raw = np.frombuffer(ids.buffers()[1], dtype=np.uint8)[16 * ids.offset : 16 * (ids.offset + len(ids))].reshape(-1, 16)
        near = np.flatnonzero((raw[:, : len(whole)] == np.frombuffer(whole, dtype=np.uint8)).all(axis=1))
        found |= {text for text in (raw[row].tobytes().hex() for row in near.tolist()) if text.startswith(prefix)}
        if len(found) >= limit:
            break
    return sorted(found)[:limit]


class Picker:
    """Chooses rows of chunks for one query; what can be prepared is prepared once."""

    def __init__(self, query: Query) -> None:
        self._query = query
        self._matcher = None if query.where == TRUE else match.Matcher([match.Entry(0, TRUE, query.where)])
        self._ids = {bytes.fromhex(i) for i in query.ids if re.fullmatch(r"[0-9a-fA-F]{32}", i)}
        self._halves = np.array([np.frombuffer(i[:8], dtype=np.uint64)[0] for i in self._ids], dtype=np.uint64)

    def rows(self, chunk: SegmentChunk) -> Rows:
        """Row numbers, sorted."""
        chosen = self._with_ids(chunk) if self._query.ids else np.arange(chunk.rows, dtype=np.int32)
        window = self._query.window
        if len(chosen) and window is not None and not _inside(chunk, window):
            start, end = window.micros
            times = chunk.times()[chosen]
            chosen = chosen[(times >= start) & (times < end)]
        if len(chosen) and self._matcher is not None:
            found = next((rows for _, rows in self._matcher.run(chunk)), np.empty(0, dtype=np.int32))
            chosen = found if len(chosen) == chunk.rows else np.intersect1d(chosen, found, assume_unique=True)
        return np.asarray(chosen, dtype=np.int32)

    def count(self, chunk: SegmentChunk) -> int:
        """How many rows; a chunk that matches as a whole is not read."""
        window = self._query.window
        whole = self._matcher is None and not self._query.ids and (window is None or _inside(chunk, window))
        return chunk.rows if whole else len(self.rows(chunk))

    def _with_ids(self, chunk: SegmentChunk) -> Rows:
        """Half of each id is compared for all rows at once, the whole of it for those that are left."""
        column = chunk.ids()
        halves = np.frombuffer(column.buffers()[1], dtype=np.uint64)[2 * column.offset : 2 * (column.offset + len(column)) : 2]
        near = np.flatnonzero(np.isin(halves, self._halves))
        return np.array([r for r in near.tolist() if column[r].as_py() in self._ids], dtype=np.int32)


def visits(shot: Snapshot, query: Query) -> list[SegmentChunk]:
    """Chunks that may hold a match, in the order in which they are visited."""
    chunks = [c for c in shot.chunks() if query.window is None or _touches(c, query.window)]
    return sorted(chunks, key=lambda c: -c.bounds[1] if query.newest_first else c.bounds[0])


def _border(chunk: SegmentChunk, sign: int) -> int:
    low, high = chunk.bounds
    return -high if sign < 0 else low


def _touches(chunk: SegmentChunk, window: TimeWindow) -> bool:
    start, end = window.micros
    low, high = chunk.bounds
    return high >= start and low < end


def _inside(chunk: SegmentChunk, window: TimeWindow) -> bool:
    start, end = window.micros
    low, high = chunk.bounds
    return low >= start and high < end


def _table(chunks: dict[int, SegmentChunk], hits: Hits, names: Sequence[str]) -> pa.Table:
    """The events behind these hits, in their order."""
    parts = []
    places = np.empty(len(hits.row), dtype=np.int64)
    done = 0
    for number in np.unique(hits.chunk).tolist():
        here = np.flatnonzero(hits.chunk == number)
        parts.append(_shaped(chunks[number].table(hits.row[here].astype(np.int32), names or None), names, len(here)))
        places[here] = np.arange(done, done + len(here))
        done += len(here)
    whole = parts[0] if len(parts) == 1 else pa.concat_tables(parts, promote_options="default")
    return whole.take(pa.array(places))


def _shaped(table: pa.Table, names: Sequence[str], rows: int) -> pa.Table:
    """Exactly the columns asked for, in that order, empty where the segment lacks them."""
    if not names:
        return table
    return pa.table({n: table[n] if n in table.column_names else pa.nulls(rows, fields.arrow_type(n)) for n in names})
