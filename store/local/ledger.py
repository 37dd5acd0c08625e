"""What was received and what became of it, checkpoints, dead letters. Written in the transaction that stores the events."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence

import orjson

from domain.raw import Checkpoint
from store import conflicts
from store.base import Counts, DeadLetter, Delivery, SourceStatus
from store.local.db import Database
from store.local.times import instant, instant_or_none, to_micros

_PAGE = 500


def record(tx: sqlite3.Connection, delivery: Delivery) -> None:
    """Checkpoints, counts and dead letters of a delivery. ConflictError when another collector has gone further."""
    for checkpoint in delivery.began:
        _expect(tx, checkpoint)
    for checkpoint in delivery.checkpoints:
        _advance(tx, checkpoint)
    for counts in delivery.counts:
        _count(tx, counts)
    tx.executemany(
        "INSERT INTO dead (source, stream, position, reason, raw, parser, at) VALUES (?, ?, ?, ?, ?, ?, ?)",
        [(d.source, d.stream, d.position, d.reason, d.raw, d.parser, to_micros(d.at)) for d in delivery.dead],
    )
    for number in delivery.replayed:
        _replay(tx, number)
    tx.executemany(
        "INSERT INTO retired VALUES (?, ?, ?)"
        " ON CONFLICT DO UPDATE SET stored = stored + excluded.stored, unparsed = unparsed + excluded.unparsed",
        [(source, stored, unparsed) for source, (stored, unparsed) in delivery.retired.items()],
    )


def checkpoints(db: Database, source: str, stream: str | None = None) -> list[Checkpoint]:
    """Of a source, or of one of its streams."""
    condition, args = ("", [source]) if stream is None else (" AND stream = ?", [source, stream])
    rows = db.all(f"SELECT source, stream, position, state FROM checkpoints WHERE source = ?{condition} ORDER BY stream", args)  # noqa: S608
    return [Checkpoint(source, stream, position, orjson.loads(state)) for source, stream, position, state in rows]


def statuses(db: Database) -> list[SourceStatus]:
    """One for each source, by name."""
    with db.read() as tx:
        rows = tx.execute(
            "SELECT source, received, stored, unparsed, duplicates, last_event, last_delivery FROM ledger ORDER BY source"
        ).fetchall()
        reasons: dict[str, dict[str, int]] = {}
        for source, reason, n in tx.execute("SELECT source, reason, n FROM rejected WHERE n > 0"):
            reasons.setdefault(source, {})[reason] = n
        places: dict[str, list[Checkpoint]] = {}
        for source, stream, position, state in tx.execute(
            "SELECT source, stream, position, state FROM checkpoints ORDER BY source, stream"
        ):
            places.setdefault(source, []).append(Checkpoint(source, stream, position, orjson.loads(state)))
    known = {row[0] for row in rows}
    rows += [(source, 0, 0, 0, 0, None, None) for source in places if source not in known]
    return [_status(row, reasons, places) for row in sorted(rows)]


def dead_letters(db: Database, source: str) -> Iterator[tuple[int, DeadLetter]]:
    """Those that wait, in order."""
    last = 0
    while True:
        rows = db.all(
            "SELECT id, source, stream, position, reason, raw, parser, at FROM dead"
            " WHERE replayed = 0 AND id > ? AND (? = '' OR source = ?) ORDER BY id LIMIT ?",
            (last, source, source, _PAGE),
        )
        for number, name, stream, position, reason, raw, parser, at in rows:
            last = number
            yield number, DeadLetter(name, stream, position, reason, raw, parser, instant(at))
        if len(rows) < _PAGE:
            return


def _status(row: Sequence[object], reasons: Mapping[str, Mapping[str, int]], places: Mapping[str, Sequence[Checkpoint]]) -> SourceStatus:
    source, received, stored, unparsed, duplicates, last_event, last_delivery = row
    return SourceStatus(
        source=str(source), received=int(received), stored=int(stored), unparsed=int(unparsed), rejected=reasons.get(str(source), {}),  # type: ignore[call-overload]
        duplicates=int(duplicates), last_event=instant_or_none(last_event), last_delivery=instant_or_none(last_delivery),  # type: ignore[call-overload,arg-type]
        streams=places.get(str(source), []),
    )  # fmt: skip


def _expect(tx: sqlite3.Connection, began: Checkpoint) -> None:
    old = tx.execute("SELECT position FROM checkpoints WHERE source = ? AND stream = ?", (began.source, began.stream)).fetchone()
    position = old[0] if old else 0
    if position != began.position:
        raise conflicts.began(position, began)


def _advance(tx: sqlite3.Connection, new: Checkpoint) -> None:
    if new.position < 0:
        tx.execute("DELETE FROM checkpoints WHERE source = ? AND stream = ?", (new.source, new.stream))
        return
    old = tx.execute("SELECT position FROM checkpoints WHERE source = ? AND stream = ?", (new.source, new.stream)).fetchone()
    if old and old[0] > new.position:
        raise conflicts.ended(old[0], new)
    tx.execute(
        "INSERT OR REPLACE INTO checkpoints VALUES (?, ?, ?, ?)",
        (new.source, new.stream, new.position, orjson.dumps(dict(new.state)).decode()),
    )


def _count(tx: sqlite3.Connection, new: Counts) -> None:
    tx.execute(
        "INSERT INTO ledger VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (source) DO UPDATE SET received = received + excluded.received,"
        " stored = stored + excluded.stored, unparsed = unparsed + excluded.unparsed, duplicates = duplicates + excluded.duplicates,"
        " last_event = nullif(max(coalesce(last_event, -1 << 62), coalesce(excluded.last_event, -1 << 62)), -1 << 62),"
        " last_delivery = nullif(max(coalesce(last_delivery, 0), coalesce(excluded.last_delivery, 0)), 0)",
        (new.source, new.received, new.stored, new.unparsed, new.duplicates, to_micros(new.last_event), to_micros(new.at)),
    )
    for reason, n in new.rejected.items():
        tx.execute(
            "INSERT INTO rejected VALUES (?, ?, ?) ON CONFLICT (source, reason) DO UPDATE SET n = n + excluded.n", (new.source, reason, n)
        )


def _replay(tx: sqlite3.Connection, number: int) -> None:
    """A dead letter was stored after all: it is no longer rejected; the delivery counts it as stored, not as received."""
    row = tx.execute("UPDATE dead SET replayed = 1, raw = x'' WHERE id = ? AND replayed = 0 RETURNING source, reason", (number,)).fetchone()
    if row is None:
        raise conflicts.replayed(number)
    tx.execute("UPDATE rejected SET n = n - 1 WHERE source = ? AND reason = ?", row)
