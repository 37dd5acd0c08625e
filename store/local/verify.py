"""`soc store verify`: every segment file against the catalog, and the ledger against the events."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pyarrow.compute as pc

from domain.errors import StoreError
from store.local.catalog import Snapshot, snapshot
from store.local.chunk import Segment, SegmentChunk, Source
from store.local.db import Database
from store.local.folder import Folder


def problems(db: Database, folder: Folder) -> list[str]:
    """What is wrong, one sentence each; empty when all is well."""
    found = [f"catalog: {row[0]}" for row in db.all("PRAGMA quick_check") if row[0] != "ok"]
    shot = snapshot(db, folder)
    stored: Counter[str] = Counter()
    unparsed: Counter[str] = Counter()
    whole = True
    for segment in shot.segments:
        try:
            wrong = list(_segment(folder, segment, stored, unparsed))
        except StoreError as error:
            wrong = [f"{segment.file}: {error.what}"]
        found += wrong
        whole = whole and not wrong
    if whole:
        found += _ledger(db, stored, unparsed)
    else:
        found.append("ledger: not recounted, because segments are damaged")
    return found + _sequence(shot) + _strangers(db, folder)


def _segment(folder: Folder, segment: Segment, stored: Counter[str], unparsed: Counter[str]) -> Iterator[str]:
    path = folder.path / segment.file
    try:
        data = path.read_bytes()
    except OSError as error:
        yield f"{segment.file}: {error.strerror}"
        return
    if hashlib.sha256(data).digest() != segment.sha256:
        yield f"{segment.file}: its bytes are not those that were written (SHA-256)"
        return
    source = Source(path)
    if source.rows != segment.rows:
        yield f"{segment.file}: {source.rows} rows, the catalog says {segment.rows}"
    for number in range(len(segment.groups)):
        chunk = SegmentChunk(segment, number, source)
        low, high = chunk.bounds
        times = chunk.times()
        if int(times.min()) != low or int(times.max()) != high:
            yield f"{segment.file}: @timestamp outside the bounds in the catalog"
        _count(chunk, stored, unparsed)


def _count(chunk: SegmentChunk, stored: Counter[str], unparsed: Counter[str]) -> None:
    sources, kinds = chunk.column("thapcanh.source"), chunk.column("event.kind")
    if sources is None:
        stored[""] += chunk.rows
        return
    failed = np.zeros(chunk.rows, dtype=bool)
    if kinds is not None:
        code = pc.index(kinds.values, "pipeline_error").as_py()
        failed = (kinds.codes == code) if code >= 0 else failed
    names = [*sources.values.to_pylist(), ""]
    for counter, codes in ((stored, sources.codes), (unparsed, sources.codes[failed])):
        for code, n in zip(*np.unique(codes, return_counts=True), strict=True):
            counter[names[int(code)]] += int(n)


def _ledger(db: Database, stored: Counter[str], unparsed: Counter[str]) -> Iterator[str]:
    retired = {source: (n, u) for source, n, u in db.all("SELECT source, stored, unparsed FROM retired")}
    dead = {
        (source, reason): n
        for source, reason, n in db.all("SELECT source, reason, count(*) FROM dead WHERE replayed = 0 GROUP BY source, reason")
    }
    seen = set()
    for source, received, n, u, duplicates, rejected in db.all(
        "SELECT source, received, stored, unparsed, duplicates,"
        " coalesce((SELECT sum(n) FROM rejected r WHERE r.source = l.source), 0) FROM ledger l"
    ):
        seen.add(source)
        there = stored[source] + retired.get(source, (0, 0))[0]
        if there != n:
            yield f"ledger {source}: stored {n}, the segments hold {there}"
        there = unparsed[source] + retired.get(source, (0, 0))[1]
        if there != u:
            yield f"ledger {source}: unparsed {u}, the segments hold {there}"
        if received != n + rejected + duplicates:
            yield f"ledger {source}: received {received} is not stored {n} + rejected {rejected} + duplicates {duplicates}"
    for source, reason, n in db.all("SELECT source, reason, n FROM rejected"):
        if n != dead.get((source, reason), 0):
            yield f"ledger {source}: {n} rejected ({reason}), the dead letters hold {dead.get((source, reason), 0)}"
    for source in sorted(set(stored) - seen):
        yield f"ledger {source or '(no source)'}: {stored[source]} events stored, none counted"


def _sequence(shot: Snapshot) -> list[str]:
    """Numbers that two plain segments claim."""
    plain = sorted((s for s in shot.segments if not s.merged), key=lambda s: s.first_seq)
    return [f"{b.file}: its sequence overlaps {a.file}" for a, b in pairwise(plain) if b.first_seq <= a.last_seq]


def _strangers(db: Database, folder: Folder) -> list[str]:
    """Files that belong to nobody: not in the catalog, not garbage, not of a live writer."""
    found = {str(p.relative_to(folder.path)) for p in folder.path.glob("events/*/*.parquet")}
    known = {row[0] for row in db.all("SELECT file FROM segments UNION SELECT file FROM garbage")}
    return [f"{name}: not part of the store" for name in sorted(found - known) if not folder.of_living_writer(name)]
