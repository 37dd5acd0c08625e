"""The figures of the weekly report, from the store; each query is noted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from domain.alert import STREAM as ALERTS
from domain.alert_fold import fold_all
from domain.incident import STREAM as INCIDENTS
from domain.incident import Incident, fold
from domain.periods import Period
from domain.query import Not, Query, Test, all_of
from domain.registers import parse_address
from reports.attacks import Attacks, attacks_of, sample
from reports.base import Order
from reports.facts import AlertFact, Bucket, Figure, SourceFact, alerts_of, counts_of, sources_of
from store.base import EventStore, RecordStore, Store

WORTH: Final = ("medium", "high", "critical")
"""Levels that the lists of the attacked and the attackers tell of."""
CHANGES: Final = ("configuration", "iam")
"""`event.category` of changes in the monitored systems."""
REAL: Final = Not(Test("thapcanh.exercise", "eq", (True,)))
"""Exercises are not counted."""
_CHANGED: Final = ("host.name", "observer.name", "event.action")
BLOCKED: Final = ("block", "blocked", "deny", "denied", "drop", "dropped", "reject", "rejected", "reset", "refused", "quarantined")
"""`event.action` of devices that stopped something."""


@dataclass(frozen=True)
class Change:
    """Changes of one kind on one machine."""

    where: str
    action: str
    count: int
    first: datetime
    last: datetime


@dataclass(frozen=True)
class Weekly:
    """All that the report tells."""

    period: Period
    now: datetime
    sources: tuple[SourceFact, ...]
    alerts: tuple[AlertFact, ...]
    """Without exercises."""
    exercises: int
    """Alerts of exercises: not counted anywhere else."""
    attacks: Attacks
    events: Mapping[str, Mapping[str, object]]
    """The sample, by event id."""
    blocked: Mapping[str, tuple[int, int]]
    """Address -> (events with a blocking action, all events)."""
    changes: tuple[Change, ...]
    incidents: tuple[Incident, ...]
    figures: tuple[Figure, ...] = field(default=())

    @property
    def total(self) -> int | None:
        """Events of all sources; None when there was none at all: then nothing is known of the period."""
        known = [s.events for s in self.sources if s.events is not None]
        return sum(known) if known else None


def gather(store: Store, order: Order) -> Weekly:
    """Ask the store."""
    period, before = order.period, order.before
    if period is None or before is None:
        raise ValueError("a weekly report needs a period")
    hourly, earlier = (_hourly(store.events, p) for p in (period, before))
    sources = sources_of(hourly, period, order.now, order.expected, earlier)
    facts, exercises = _alerts(store.records, period)
    worth = [f for f in facts if f.alert.rule.level in WORTH and f.alert.verdict not in ("false_positive", "benign", "duplicate")]
    events = sample(store.events, worth)
    attacks = attacks_of([f for f in worth if f.alert.status != "silenced"], events, order.registers)
    changes = _changes(store.events, period)
    blocked = _blocked(store.events, period, attacks.attackers)
    incidents = _incidents(store.records, period)
    made = Weekly(period, order.now, sources, facts, exercises, attacks, events, blocked, changes, incidents)
    return replace(made, figures=_figures(made))


def _figures(made: Weekly) -> tuple[Figure, ...]:
    """How each figure came about, in the grammar of `soc search` where it is a query."""
    real, window = "not thapcanh.exercise:true", made.period.window
    changed = " or ".join(f"event.category:{name}" for name in CHANGES)
    found = [
        Figure("events", real, window, ("thapcanh.source",), "1h", made.total),
        Figure("alerts", f"records {ALERTS}: opened, hits (last)", window, ("alert.id",), "", len(made.alerts)),
        Figure("changes", f"{real} and ({changed})", window, _CHANGED, "", sum(c.count for c in made.changes)),
        Figure("incidents", f"records {INCIDENTS}: opened (t0)", window, ("incident.id",), "", len(made.incidents)),
    ]
    addresses = " or ".join(f'source.ip:"{a}"' for a in sorted(made.attacks.attackers) if parse_address(a))
    if addresses:
        seen = sum(total for _, total in made.blocked.values())
        found.append(Figure("blocked", f"{real} and ({addresses})", window, ("source.ip", "event.action"), "", seen))
    return tuple(found)


def _hourly(events: EventStore, period: Period) -> list[Bucket]:
    by = ("thapcanh.source",)
    rows = _rows(events, Query(REAL, period.window), by, "1h")
    return [Bucket(r[by[0]] or "", r["bucket"], r["count"], r["first"], r["last"]) for r in rows]


def _rows(events: EventStore, query: Query, by: Sequence[str], every: str = "") -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = events.aggregate(query, by, every).to_pylist()
    return rows


def _alerts(records: RecordStore, period: Period) -> tuple[tuple[AlertFact, ...], int]:
    counts = counts_of(records.find(ALERTS), period.window)
    facts = alerts_of(counts, fold_all(records.find(ALERTS, keys=tuple(counts))) if counts else {}, period)
    real = tuple(f for f in facts if not f.alert.exercise)
    return real, len(facts) - len(real)


def _changes(events: EventStore, period: Period) -> tuple[Change, ...]:
    query = Query(all_of(REAL, Test("event.category", "eq", CHANGES)), period.window)
    rows = _rows(events, query, _CHANGED)
    where = [r["host.name"] or r["observer.name"] or "" for r in rows]
    return tuple(Change(w, r["event.action"] or "", r["count"], r["first"], r["last"]) for w, r in zip(where, rows, strict=True))


def _blocked(events: EventStore, period: Period, attackers: Iterable[str]) -> dict[str, tuple[int, int]]:
    addresses = tuple(sorted(a for a in attackers if parse_address(a)))
    out: dict[str, tuple[int, int]] = {}
    if addresses:
        for r in _rows(events, Query(all_of(REAL, Test("source.ip", "eq", addresses)), period.window), ("source.ip", "event.action")):
            stopped, total = out.get(r["source.ip"], (0, 0))
            stops = str(r["event.action"] or "").lower() in BLOCKED
            out[r["source.ip"]] = (stopped + (r["count"] if stops else 0), total + r["count"])
    return out


def _incidents(records: RecordStore, period: Period) -> tuple[Incident, ...]:
    by_key: dict[str, list[Any]] = {}
    for record in records.find(INCIDENTS):
        by_key.setdefault(record.key, []).append(record)
    found = [fold(items) for items in by_key.values() if items[0].type == "opened"]
    told = [i for i in found if i.t0 in period.window and not i.exercise and i.status != "merged"]
    return tuple(sorted(told, key=lambda i: (i.t0, i.id)))
