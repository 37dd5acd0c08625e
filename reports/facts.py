"""What documents tell, as plain values. Pure functions from counts, alerts and events; a figure that is not known is None."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any, Final, Protocol

from domain import severity
from domain.alert import Alert
from domain.clock import LOCAL
from domain.periods import Period
from domain.window import TimeWindow

HOUR: Final = timedelta(hours=1)
_USUAL: Final = 0.95
"""A source's usual pause: this share of its pauses is not longer."""
_PATIENCE: Final = 3
"""A pause this many times the usual one is silence."""
_ENOUGH: Final = 12
"""Pauses that must be known before silence can be told from a source that seldom speaks."""


@dataclass(frozen=True)
class Bucket:
    """Events of one source in one hour."""

    source: str
    start: datetime
    count: int
    first: datetime
    last: datetime


@dataclass(frozen=True)
class SourceFact:
    """One log source in the period."""

    id: str
    events: int | None
    """None = nothing arrived: not known, which is not zero."""
    first: datetime | None
    last: datetime | None
    gaps: tuple[TimeWindow, ...]
    """When it was silent for longer than it should be."""
    hours: tuple[int | None, ...]
    """For each day: hours with events; None = silent all day."""
    by_day: tuple[int | None, ...]
    """For each day: events; None = silent all day."""
    fresh: bool = False
    """Not seen in the period before."""

    @property
    def lost(self) -> timedelta:
        """How long it was silent."""
        return sum((g.end - g.start for g in self.gaps), timedelta())


@dataclass(frozen=True)
class AlertFact:
    """An alert with what happened of it within the period."""

    alert: Alert
    count: int
    """Events of it whose records fall into the period."""
    day: int | None
    """Number of the day of the period on which it was first seen; None = before the period."""


class RecordLike(Protocol):
    """What is read of a stored record."""

    @property
    def key(self) -> str:
        """Alert id."""

    @property
    def type(self) -> str:
        """What happened."""

    @property
    def body(self) -> Mapping[str, Any]:
        """Its plain JSON values."""


@dataclass(frozen=True)
class Figure:
    """How a figure came about: enough to get it again."""

    name: str
    """Key of the catalogue: `figure_<name>`."""
    query: str
    window: TimeWindow
    by: tuple[str, ...] = ()
    every: str = ""
    result: int | None = None

    def plain(self) -> dict[str, object]:
        """As it is stored with the document."""
        start, end = self.window.start.isoformat(), self.window.end.isoformat()
        how = {"figure": self.name, "query": self.query, "by": list(self.by), "every": self.every}
        return {**how, "from": start, "to": end, "result": self.result}


def sources_of(
    hourly: Iterable[Bucket], period: Period, now: datetime, expected: Mapping[str, timedelta | None], before: Iterable[Bucket] = ()
) -> tuple[SourceFact, ...]:
    """Every source that sent something, was configured (`expected`: id -> longest pause, None = learn it) or sent something before."""
    current, earlier = _by_source(hourly), _by_source(before)
    out = []
    for name in sorted({*current, *expected, *earlier}):
        limit = expected.get(name) or usual_limit(pauses(earlier.get(name, [])) + pauses(current.get(name, [])))
        out.append(_source(name, current.get(name, []), period, now, limit, name in earlier))
    return tuple(out)


def _by_source(hourly: Iterable[Bucket]) -> dict[str, list[Bucket]]:
    out: dict[str, list[Bucket]] = {}
    for bucket in sorted(hourly, key=lambda b: b.start):
        out.setdefault(bucket.source, []).append(bucket)
    return out


def _source(name: str, buckets: list[Bucket], period: Period, now: datetime, limit: timedelta | None, known: bool) -> SourceFact:
    window = period.window
    end = min(window.end, max(now, window.start))
    if not buckets:
        silent: tuple[TimeWindow, ...] = (TimeWindow(window.start, end),) if end > window.start else ()
        return SourceFact(name, None, None, None, silent, tuple(None for _ in period.days), tuple(None for _ in period.days))
    gaps = silences(buckets, TimeWindow(window.start if known else buckets[0].first, end), limit)
    per_day: dict[date, list[Bucket]] = {}
    for bucket in buckets:
        per_day.setdefault(bucket.start.astimezone(LOCAL).date(), []).append(bucket)
    hours = tuple(len(per_day[day]) if day in per_day else None for day in period.days)
    events = tuple(sum(b.count for b in per_day[day]) if day in per_day else None for day in period.days)
    first, last = min(b.first for b in buckets), max(b.last for b in buckets)
    return SourceFact(name, sum(b.count for b in buckets), first, last, gaps, hours, events, fresh=not known)


def pauses(buckets: Sequence[Bucket]) -> list[timedelta]:
    """Times without an event between hourly buckets in order."""
    return [b.first - a.last for a, b in pairwise(buckets)]


def usual_limit(found: Sequence[timedelta]) -> timedelta | None:
    """Three times the usual pause, at least an hour; None when too little is known of the source to say."""
    if len(found) < _ENOUGH:
        return None
    return max(HOUR, _PATIENCE * sorted(found)[int(_USUAL * (len(found) - 1))])


def silences(buckets: Sequence[Bucket], window: TimeWindow, limit: timedelta | None) -> tuple[TimeWindow, ...]:
    """Times without an event that are longer than `limit`, the ends of the window included; none without a limit."""
    inner = ((a.last, b.first) for a, b in pairwise(buckets))
    edges = [(window.start, buckets[0].first), *inner, (buckets[-1].last, window.end)]
    return tuple(TimeWindow(start, end) for start, end in edges if limit and end - start > limit)


def day_totals(sources: Sequence[SourceFact], days: int) -> tuple[int | None, ...]:
    """Events of all sources for each day; None when none of them sent anything."""
    out: list[int | None] = []
    for index in range(days):
        known = [s.by_day[index] for s in sources if s.by_day[index] is not None]
        out.append(sum(v for v in known if v is not None) if known else None)
    return tuple(out)


def counts_of(records: Iterable[RecordLike], window: TimeWindow) -> dict[str, int]:
    """Events per alert within the window; a record counts where its last event lies."""
    counts: dict[str, int] = {}
    for record in records:
        if record.type in ("opened", "hits") and datetime.fromisoformat(record.body["last"]) in window:
            counts[record.key] = counts.get(record.key, 0) + int(record.body["count"])
    return counts


def alerts_of(counts: Mapping[str, int], alerts: Mapping[str, Alert], period: Period) -> tuple[AlertFact, ...]:
    """Alerts of which something happened in the period, gravest and busiest first."""
    facts = [AlertFact(alerts[key], count, _day(alerts[key], period)) for key, count in counts.items() if key in alerts]
    return tuple(sorted(facts, key=lambda f: (-severity.rank(f.alert.rule.level), -f.count, f.alert.first, f.alert.id)))


def _day(alert: Alert, period: Period) -> int | None:
    day = (alert.first.astimezone(LOCAL).date() - period.first).days
    return day if 0 <= day < len(period.days) else None


@dataclass
class Seen:
    """Something attacked, or attacking, in the period."""

    key: str
    count: int = 0
    first: datetime | None = None
    last: datetime | None = None
    level: str = "informational"
    others: dict[str, None] = field(default_factory=dict)
    """The other side, in order of appearance."""
    hosts: dict[str, None] = field(default_factory=dict)
    """Host names seen with it."""
    alerts: dict[str, None] = field(default_factory=dict)

    def add(self, fact: AlertFact, count: int) -> None:
        """One more alert, with `count` of its events."""
        alert = fact.alert
        self.count += count
        self.first = min(self.first or alert.first, alert.first)
        self.last = max(self.last or alert.last, alert.last)
        self.level = max(self.level, alert.rule.level, key=severity.rank)
        self.alerts[alert.id] = None


def ranked(seen: Mapping[str, Seen]) -> list[Seen]:
    """Gravest, then busiest, then first."""
    return sorted(seen.values(), key=lambda s: (-severity.rank(s.level), -s.count, s.key))
