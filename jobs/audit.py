"""The chained log of who did what: stream `audit`, one chain; each entry's hash covers the entry before it.

hash = SHA-256 of canonical JSON [number, at, actor, action, target, detail, hash before]. Who changes, removes or reorders an entry
breaks every later hash; the newest hash, noted elsewhere (`soc audit log` shows it, reports print it), proves that none is cut off.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

import orjson

from domain.errors import ConflictError, UsageError
from domain.window import TimeWindow, moment
from store.base import NewRecord, Record, RecordStore

STREAM: Final = "audit"
_KEY: Final = "chain"
_TRIES: Final = 50


@dataclass(frozen=True)
class Entry:
    """One line of the log."""

    number: int
    """1, 2, 3, ... without gaps."""
    at: datetime
    actor: str
    action: str
    """What was done: `alert.verdict`, `store.retain`, `rules.import`."""
    target: str
    """To what: an id, a file; empty when the action says it all."""
    detail: Mapping[str, object] = field(default_factory=dict)
    before: str = ""
    """Hash of the entry before; empty for the first."""
    hash: str = ""


@dataclass(frozen=True)
class Verified:
    """What verifying the chain found."""

    entries: int
    head: str
    """Hash of the newest entry."""
    problems: tuple[str, ...]


def note(records: RecordStore, entry: Entry) -> Entry:
    """Append to the chain (`number`, `before` and `hash` are filled in), also when others write at the same time."""
    for _ in range(_TRIES):
        last = _last(records)
        new = _linked(entry, last)
        body = {"action": new.action, "target": new.target, "detail": dict(new.detail), "before": new.before, "hash": new.hash}
        try:
            records.append([NewRecord(STREAM, _KEY, "entry", body, new.actor)], new.at, {(STREAM, _KEY): new.number - 1})
        except ConflictError:
            continue
        return new
    raise ConflictError("the audit log is written to by too many at once; nothing was noted", hint="try again")


def entries(records: RecordStore, window: TimeWindow | None = None) -> Iterator[Entry]:
    """The log, oldest first."""
    for record in records.find(STREAM):
        if window is None or record.at in window:
            yield _entry(record)


def latest(records: RecordStore, since: str, until: str, limit: int, now: datetime) -> list[Entry]:
    """The newest `limit` entries (0 = all) of a time, oldest first."""
    start = moment(since, now) if since else datetime(1970, 1, 1, tzinfo=UTC)
    end = moment(until, now) if until else datetime(2200, 1, 1, tzinfo=UTC)
    return list(deque(entries(records, TimeWindow(start, end)), maxlen=limit or None))


def verify(records: RecordStore, expected: str = "") -> Verified:
    """Recompute every hash. `expected` ("NUMBER:HASH", as noted earlier) must be part of the chain."""
    wanted = _noted(expected)
    problems: list[str] = []
    before, number = "", 0
    for entry in entries(records):
        number += 1
        if entry.number != number:
            problems.append(f"entry {number} is missing, {entry.number} follows")
            number = entry.number
        if entry.before != before:
            problems.append(f"entry {number} does not continue the chain")
        if entry.hash != _hash(entry):
            problems.append(f"entry {number} was changed")
        if wanted and wanted[0] == number and wanted[1] != entry.hash:
            problems.append(f"entry {number} is not the one that was noted")
        before = entry.hash
    if wanted and wanted[0] > number:
        problems.append(f"the log ends at entry {number}, entry {wanted[0]} was noted: entries were cut off")
    return Verified(number, before, tuple(problems))


def _noted(text: str) -> tuple[int, str] | None:
    if not text:
        return None
    number, _, digest = text.partition(":")
    if not number.isdigit() or len(digest) != hashlib.sha256().digest_size * 2:
        raise UsageError(f"--expect {text}: NUMBER:HASH as soc audit verify shows it")
    return int(number), digest.lower()


def _last(records: RecordStore) -> Entry | None:
    found = records.read(STREAM, _KEY)
    return _entry(found[-1]) if found else None


def _linked(entry: Entry, last: Entry | None) -> Entry:
    new = Entry(
        number=last.number + 1 if last else 1, at=entry.at.astimezone(UTC), actor=entry.actor, action=entry.action, target=entry.target,
        detail=orjson.loads(orjson.dumps(dict(entry.detail))), before=last.hash if last else "",
    )  # fmt: skip
    return Entry(new.number, new.at, new.actor, new.action, new.target, new.detail, new.before, _hash(new))


def _hash(entry: Entry) -> str:
    at = entry.at.astimezone(UTC).isoformat(timespec="microseconds")
    covered = [entry.number, at, entry.actor, entry.action, entry.target, dict(entry.detail), entry.before]
    return hashlib.sha256(orjson.dumps(covered, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _entry(record: Record) -> Entry:
    body = record.body
    detail = body.get("detail")
    return Entry(
        record.version, record.at, record.actor, str(body.get("action", "")), str(body.get("target", "")),
        detail if isinstance(detail, Mapping) else {}, str(body.get("before", "")), str(body.get("hash", "")),
    )  # fmt: skip
