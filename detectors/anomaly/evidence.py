"""The rows behind a count: where in the bucket the bulk lies, and the ids of those events, as far as a finding carries them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from detectors.anomaly.base import MAX_IDS, MINUTE, at
from domain.alert import Entity
from domain.query import Query, Test, all_of
from domain.window import TimeWindow, micros
from store.base import EventStore

BIN: Final = 5 * MINUTE
HALF: Final = 0.5
"""A bin belongs to the peak when it holds at least this share of the fullest one."""


@dataclass(frozen=True)
class Proof:
    """What a finding about a bucket shows."""

    start: int
    """Microseconds since the epoch."""
    end: int
    ids: tuple[str, ...]
    """Newest events of the peak, in time order; at most MAX_IDS."""


def peak(events: EventStore, tests: Sequence[Test], span: tuple[int, int], fresh: int) -> Proof:
    """The part of `span` (microseconds) in which most matching events lie, by five minutes, with the ids of its `fresh` newest events."""
    where = all_of(*tests)
    table = events.aggregate(Query(where, TimeWindow(at(span[0]), at(span[1]))), (), "5m")
    bins = [(micros(b), n) for b, n in zip(table["bucket"].to_pylist(), table["count"].to_pylist(), strict=True)]
    if not bins:
        return Proof(*span, ())
    most = max(n for _, n in bins)
    full = [b for b, n in bins if n >= most * HALF]
    start, end = max(span[0], min(full)), min(span[1], max(full) + BIN)
    return Proof(start, end, ids(events, tests, (start, end), min(fresh, MAX_IDS)))


def involved(events: EventStore, tests: Sequence[Test], span: tuple[int, int], fields: Mapping[str, str]) -> tuple[Entity, ...]:
    """Entities of most of these rows: `fields` maps an entity type to its field; who stands behind less than half of them is left out."""
    found = []
    for kind, name in fields.items():
        table = events.aggregate(Query(all_of(*tests), TimeWindow(at(span[0]), at(span[1]))), (name,))
        counts = table["count"].to_pylist()
        if counts and counts[0] >= sum(counts) * HALF and table[name][0].as_py():
            found.append(Entity(kind, str(table[name][0].as_py())))
    return tuple(found)


def ids(events: EventStore, tests: Sequence[Test], span: tuple[int, int], limit: int) -> tuple[str, ...]:
    """Ids of the newest matching events, oldest first."""
    wanted = Query(all_of(*tests), TimeWindow(at(span[0]), at(span[1])), limit=limit, fields=("event.id", "@timestamp"))
    found = [key.hex() for table in events.search(wanted) for key in table["event.id"].to_pylist()]
    return tuple(reversed(found[:limit]))
