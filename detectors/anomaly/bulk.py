"""Model `bulk`: an application, a user or a machine reads or sends far more in an hour than ever before.

Applications (`api.client.id`) and users (per data set, over web, API, database and file events): requests, records, bytes received.
Machines with private addresses: bytes sent to public ones. The hour is judged while it runs. Who is known for less than three days is
measured against the most that any other of its kind did, so a new account cannot hide behind having no history.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import ip_address, ip_network
from typing import Any, Final

import numpy as np

from detectors.anomaly.base import (
    DAY,
    HOUR,
    Ints,
    Mask,
    Model,
    at,
    dated,
    exercise_rows,
    is_value,
    living,
    query_text,
    reason,
    rule,
    times,
    where,
)
from detectors.anomaly.evidence import involved, peak
from detectors.anomaly.tally import Key, Numbers, Tally, add, column, numbers
from detectors.base import Scanned
from domain import i18n
from domain.alert import Entity, Finding
from domain.clock import LOCAL, show_local
from store.base import Chunk, EventStore

MODEL: Final = Model(
    "bulk", 1, ("api.client.id", "api.records", "user.name", "event.category", "http.response.bytes", "source.ip", "source.bytes"),
    ("anomaly.bulk.client", "anomaly.bulk.user", "anomaly.bulk.address"), 3,
)  # fmt: skip
LEARN_DAYS: Final = 3
PRIVATE: Final = tuple(map(ip_network, (
    "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16", "127.0.0.0/8", "fc00::/7", "fe80::/10", "::1/128",
)))  # fmt: skip
"""Addresses of the inside (RFC 1918, 6598, 3927, 4193, 4291); everything else is outside."""
PEERS: Final = 5
"""Others of its kind needed to judge a newcomer."""
KEEP: Final = 5_000
"""Objects of a kind that are remembered; those seen longest ago are forgotten first."""
ACCEPTED: Final = 3
"""A new level that came back on so many days is normal."""


@dataclass(frozen=True)
class Measure:
    """What is counted, and from what on it can matter."""

    text: str
    floor: float
    """Less than this in an hour is never bulk."""
    times: float
    """So many times the record."""


MEASURES: Final[Mapping[str, tuple[Measure, ...]]] = {
    "client": (Measure("bulk_count", 100, 2), Measure("bulk_records", 200, 3), Measure("bulk_bytes", 20e6, 3)),
    "user": (Measure("bulk_count", 100, 2), Measure("bulk_records", 200, 3), Measure("bulk_bytes", 20e6, 3)),
    "address": (Measure("", math.inf, 1), Measure("bulk_sent", 100e6, 3)),
}
"""By kind of object, in the order in which they are tallied."""
FIELDS: Final = {"client": ("api.client.id",), "user": ("event.dataset", "user.name"), "address": ("source.ip",)}
RELATED: Final[Mapping[str, Mapping[str, str]]] = {
    "client": {"user": "user.name", "ip": "source.ip"}, "user": {"client": "api.client.id", "ip": "source.ip"}, "address": {},
}  # fmt: skip
"""Who else is named when most of the rows are his."""
_ENTITY: Final = {"client": "client", "user": "user", "address": "ip"}
_TAGS: Final = {
    "client": ("attack.collection", "attack.t1213"), "user": ("attack.collection", "attack.t1213"),
    "address": ("attack.exfiltration", "attack.t1048"),
}  # fmt: skip
_READING: Final = frozenset({"web", "database", "file", "api"})


@dataclass
class Record:
    """What one object did at most in an hour."""

    since: int
    """First hour seen."""
    last: int = 0
    """Newest hour seen."""
    sums: list[float] = field(default_factory=list)
    """Of the newest hour."""
    most: list[float] = field(default_factory=list)
    """Largest of any finished hour, by measure."""
    when: list[int] = field(default_factory=list)
    """Hours of those records."""
    told: list[float] = field(default_factory=list)
    """What was told of the newest hour, by measure."""
    days: list[int] = field(default_factory=list)
    """Days with an outlier."""

    def finish(self) -> None:
        """Learn the newest hour: what was no outlier, or came back on several days."""
        day = self.last * HOUR // DAY
        if any(self.told) and day not in self.days:
            self.days = [*self.days[-(ACCEPTED - 1) :], day]
        for i, value in enumerate(self.sums):
            if value > self.most[i] and (not self.told[i] or len(self.days) >= ACCEPTED):
                self.most[i], self.when[i] = value, self.last

    def begin(self, hour: int, measures: int) -> None:
        """Another hour starts."""
        self.most = self.most or [0.0] * measures
        self.when = self.when or [0] * measures
        self.last, self.sums, self.told = hour, [0.0] * measures, [0.0] * measures


@dataclass(frozen=True)
class Excess:
    """A measure of an hour that stands out."""

    measure: int
    hour: int
    value: float
    record: float
    when: int
    fresh: int
    """Events of the hour that were not told before."""
    peers: int = 0
    """Others it was measured against; 0 = its own past."""


class Bulk:
    """The detector."""

    name = "anomaly.bulk"

    def scan(self, chunks: Iterable[Chunk], state: Mapping[str, Any], now: datetime, events: EventStore) -> Scanned:  # noqa: ARG002
        """Hours in which somebody takes far more than ever."""
        tallies: dict[str, dict[Key, Tally]] = {kind: {} for kind in MEASURES}
        for chunk in chunks:
            _count(chunk, tallies)
        kept: dict[str, Any] = {"since": state.get("since") or _first(tallies)}
        notes: list[str] = []
        findings: list[Finding] = []
        for kind, found in tallies.items():
            known = {tuple(k.split("\x1f")): Record(**v) for k, v in state.get(kind, {}).items()}
            for hour, key, tally in sorted((h, k, t) for k, t in found.items() for h in t.buckets):
                excess = take(known, key, (hour, tally.buckets[hour]), kind, int(kept["since"]))
                if excess is not None:
                    findings.append(_finding(kind, key, excess, known[key], events, exercise=tally.exercise))
            kept[kind] = _newest(known, notes)
        return Scanned(findings, kept, notes)


def _first(tallies: Mapping[str, Mapping[Key, Tally]]) -> int:
    return min((h for part in tallies.values() for t in part.values() for h in t.buckets), default=0)


def _count(chunk: Chunk, tallies: dict[str, dict[Key, Tally]]) -> None:
    live, exercise = living(chunk) & dated(chunk), exercise_rows(chunk)
    hours = times(chunk) // HOUR
    client, user = column(chunk, "api.client.id"), column(chunk, "user.name")
    sums = [numbers(chunk.column("api.records"), chunk.rows), _received(chunk)]
    if len(client[1]) > 1:
        add(tallies["client"], [_only(client, live)], hours, sums, exercise)
    if len(user[1]) > 1:
        reading = live & (where(chunk.column("event.category"), chunk.rows, _READING.__contains__) | (client[0] < len(client[1]) - 1))
        lower = [u.lower() for u in user[1]]
        add(tallies["user"], [column(chunk, "event.dataset"), _only((user[0], lower), reading)], hours, sums, exercise)
    sent = numbers(chunk.column("source.bytes"), chunk.rows)
    if sent.any():
        address = column(chunk, "source.ip")
        outward = live & _scope(address, private=True) & _scope(column(chunk, "destination.ip"), private=False)
        add(tallies["address"], [_only(address, outward)], hours, [sent], exercise)


def _received(chunk: Chunk) -> Numbers:
    body = next((c for f in ("http.response.bytes", "http.response.body.bytes") if (c := chunk.column(f)) is not None), None)
    return numbers(body, chunk.rows)


def _only(field_: tuple[Ints, list[str]], rows: Mask) -> tuple[Ints, list[str]]:
    """The field, missing outside `rows`."""
    return np.where(rows, field_[0], len(field_[1]) - 1), field_[1]


def _scope(field_: tuple[Ints, list[str]], *, private: bool) -> Mask:
    found: Mask = np.array([_is_private(v) is private for v in field_[1]], np.bool_)[field_[0]]
    return found


def _is_private(address: str) -> bool | None:
    try:
        found = ip_address(address)
    except ValueError:
        return None
    return any(found in n for n in PRIVATE if n.version == found.version)


def take(known: dict[Key, Record], key: Key, hour: tuple[int, list[float]], kind: str, since: int) -> Excess | None:
    """Take an hour of an object; the measure that stands out most. Hours that are over already are left out."""
    number, sums = hour
    one = known.get(key)
    if one is None:
        one = known[key] = Record(number)
        one.begin(number, len(sums))
    elif number < one.last:
        return None
    elif number > one.last:
        one.finish()
        one.begin(number, len(sums))
    before = one.sums[0]
    one.sums = [a + b for a, b in zip(one.sums, sums, strict=True)]
    found = [e for i, m in enumerate(MEASURES[kind]) if (e := _excess(known, key, (i, m), since)) is not None]
    if not found:
        return None
    worst = max(found, key=lambda e: (e.value / max(e.record, 1), e.measure))
    fresh = one.sums[0] - (before if any(one.told) else 0)
    for e in found:
        one.told[e.measure] = e.value
    return Excess(worst.measure, number, worst.value, worst.record, worst.when, max(1, int(fresh)), worst.peers)


def _excess(known: Mapping[Key, Record], key: Key, which: tuple[int, Measure], since: int) -> Excess | None:
    i, measure = which
    one = known[key]
    value = one.sums[i]
    if value < measure.floor or value <= one.told[i]:
        return None
    record, when, peers = one.most[i], one.when[i], 0
    if (one.last - one.since) * HOUR < LEARN_DAYS * DAY:
        others = [o.most[i] for k, o in known.items() if k != key and k[:-1] == key[:-1] and o.most]
        if (one.last - since) * HOUR < LEARN_DAYS * DAY or len(others) < PEERS:
            return None
        record, when, peers = max(*others, record), 0, len(others)
    limit = max(measure.times * record, record + 4 * math.sqrt(record + 1) + 5)
    return Excess(i, one.last, value, record, when, 0, peers) if value > limit else None


def _newest(known: Mapping[Key, Record], notes: list[str]) -> dict[str, Any]:
    ranked = sorted(known.items(), key=lambda item: (-item[1].last, item[0]))
    if len(ranked) > KEEP:
        notes.append(i18n.t("anomaly.shed", model=MODEL.name, n=len(ranked) - KEEP))
    return {"\x1f".join(key): dict(one.__dict__) for key, one in sorted(ranked[:KEEP])}


def _finding(kind: str, key: Key, excess: Excess, one: Record, events: EventStore, *, exercise: bool) -> Finding:
    tests = [is_value(name, value) for name, value in zip(FIELDS[kind], key, strict=True)]
    proof = peak(events, tests, (excess.hour * HOUR, (excess.hour + 1) * HOUR), excess.fresh)
    measure = MEASURES[kind][excess.measure]
    values = {
        "name": key[-1], "n": _plain(excess.value), "record": _plain(excess.record), "start": show_local(at(excess.hour * HOUR)),
        "when": _when(excess.when), "times": f"{excess.value / max(excess.record, 1):.1f}", "peers": excess.peers,
        "since": _when(one.since),
    }  # fmt: skip
    why = [reason(measure.text, _plain(excess.value), _plain(excess.record), measure.text, **values)]
    if excess.peers:
        why = [reason(measure.text, _plain(excess.value), _plain(excess.record), "bulk_newcomer", **values)]
    return Finding(
        rule(MODEL.name_of(f".{kind}"), "medium", _TAGS[kind], MODEL.version, (measure, LEARN_DAYS)), (Entity(_ENTITY[kind], key[-1]),),
        at(proof.start), at(proof.end), excess.fresh, proof.ids, tuple(why), query_text(*tests), at(proof.start), at(proof.end),
        exercise=exercise, related=involved(events, tests, (proof.start, proof.end), RELATED[kind]),
    )  # fmt: skip


def _plain(value: float) -> str:
    """Digits in groups of three, as people read them here: 1.234.567."""
    return f"{int(value):,}".replace(",", ".")


def _when(hour: int) -> str:
    return at(hour * HOUR).astimezone(LOCAL).strftime("%d/%m/%Y %H:%M") if hour else "–"
