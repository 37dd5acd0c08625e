"""Follow what a serious alert has named: an outside address, an account that was taken over, a script that was dropped.

Not a model: the next questions of every responder, asked at once. What else did the address do? What has the account done since, and
from where? Who called the script? What did the user who hid traces do on that computer before? A newly named address is looked up 24 hours
back, then followed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np
import pyarrow as pa

import match
from detectors.base import Scanned
from detectors.joined import joined
from domain import i18n
from domain.alert import Alert, Entity, Finding, Reason, RuleRef
from domain.attack import within
from domain.query import TRUE, Expr, Query, Test, all_of
from domain.registers import is_internal
from domain.severity import rank
from domain.window import TimeWindow, micros
from domain.wording import show
from store.base import Chunk, EventStore

BACK: Final = timedelta(hours=24)
"""So far before the alert a newly named address is looked up, and so long after it is followed."""
MOST: Final = 500
"""Addresses and scripts followed at once, the newest first."""
EVENTS: Final = 2_000
"""Events that one finding carries; the evidence query gives all."""
_SCRIPT: Final = re.compile(r"(?i)[^\\/]+\.(aspx?|ashx|asmx|php\d?|phtml|phar|jspx?|cfm)$")
_TAKEN: Final = ("attack.t1078", "attack.t1110", "attack.t1098", "attack.t1213", "attack.t1530", "attack.t1119")
"""Techniques of alerts whose user is taken for somebody else's prey: sub-techniques count."""
_HIDING: Final = ("attack.t1070", "attack.t1562")
"""Techniques of alerts whose user is followed on that computer."""
_NEAR: Final = {"account": timedelta(hours=1), "session": timedelta(hours=3)}
_FEW: Final = 3
"""An alert that names more users than this does not say who was taken."""
_FIELDS: Final = ("@timestamp", "event.id", "source.ip", "user.name", "thapcanh.exercise")
_VERSION: Final = "1"


@dataclass(frozen=True)
class Lead:
    """Something to follow."""

    kind: str
    """address, account, script or session (`value` is then the user, `place` the computer)."""
    value: str
    alert: str
    """Id of the alert that named it."""
    since: datetime
    """First event of that alert."""
    place: str = ""

    @property
    def key(self) -> str:
        """Name in the state."""
        return f"{self.kind} {self.value} {self.place}".rstrip()

    @property
    def test(self) -> Expr:
        """Finds its events."""
        if self.kind == "session":
            return all_of(Test("host.name", "eq", (self.place,)), Test("user.name", "eq", (self.value,)))
        if self.kind == "script":
            return Test("url.path", "endswith", (f"/{self.value}",))
        return Test("source.ip" if self.kind == "address" else "user.name", "eq", (self.value,))

    def covers(self, at: datetime) -> bool:
        """Whether an event of this time belongs to it."""
        return self.since - _NEAR.get(self.kind, BACK) <= at <= self.since + (_NEAR["session"] if self.kind == "session" else 2 * BACK)

    @property
    def entities(self) -> tuple[Entity, ...]:
        """What its findings are about; empty: the address of each event."""
        if self.kind == "session":
            return (Entity("host", self.place), Entity("user", self.value))
        return (Entity("user", self.value),) if self.kind == "account" else ()


def leads(alerts: Iterable[Alert], now: datetime) -> list[Lead]:
    """What open alerts of level high and above name, and the outside addresses from which a taken account was used; the newest first."""
    found: dict[str, Lead] = {}
    for alert in sorted(alerts, key=lambda a: a.last, reverse=True):
        used = alert.rule.id == "follow.account"
        if not alert.is_open or not (used or rank(alert.rule.level) >= rank("high")) or now - alert.last > 2 * BACK:
            continue
        for lead in _used(alert) if used else _of(alert):
            found.setdefault(lead.key, lead)
    return list(found.values())[:MOST]


def _of(alert: Alert) -> Iterable[Lead]:
    for entity in alert.entities:
        if entity.type == "ip" and not is_internal(entity.value):
            yield Lead("address", entity.value, alert.id, alert.first)
    for entity in (*alert.entities, *alert.related):
        if entity.type == "file" and (name := _SCRIPT.search(entity.value)):
            yield Lead("script", name[0], alert.id, alert.first)
    users = {e.value for e in (*alert.entities, *alert.related) if e.type == "user"}
    if len(users) <= _FEW and any(tag.startswith(_TAKEN) for tag in alert.rule.tags):
        yield from (Lead("account", user, alert.id, alert.first) for user in sorted(users))
    if any(within(tag, hiding) for tag in alert.rule.tags for hiding in _HIDING):
        hosts = [e.value for e in alert.entities if e.type == "host"]
        own = [e.value for e in alert.entities if e.type == "user"]
        yield from (Lead("session", user, alert.id, alert.first, host) for host in hosts for user in own)


def _used(alert: Alert) -> Iterable[Lead]:
    return [Lead("address", e.value, alert.id, alert.first) for e in alert.related if e.type == "ip" and not is_internal(e.value)]


@dataclass
class _Trail:
    """Events of one lead: of an account or session all together, else from one address."""

    times: list[int] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    addresses: set[str] = field(default_factory=set)


class Follow:
    """The detector: `leads` is what to follow, `told` the events that alerts already hold."""

    name = "follow"

    def __init__(self, leads: Sequence[Lead], told: frozenset[str] = frozenset()) -> None:
        self._leads = leads
        self._told = told

    def scan(self, chunks: Iterable[Chunk], state: Mapping[str, Any], now: datetime, events: EventStore) -> Scanned:
        """Further events of known leads among the new ones; of new leads, also the day before."""
        known = set(state.get("leads", ()))
        trails: dict[tuple[str, str, bool], _Trail] = {}
        if self._leads:
            matcher = match.Matcher([match.Entry(number, TRUE, lead.test) for number, lead in enumerate(self._leads)])
            for chunk in joined(chunks):
                for key, rows in matcher.run(chunk):
                    lead = self._leads[int(str(key))]
                    self._add(trails, lead, chunk.table(rows.tolist(), _FIELDS))
        for lead in self._leads:
            if lead.key not in known:
                window = TimeWindow(lead.since - BACK, max(now, lead.since))
                for table in events.search(Query(lead.test, window, fields=_FIELDS)):
                    self._add(trails, lead, table)
        by_key = {lead.key: lead for lead in self._leads}
        findings = [self._finding(by_key[key], who, trail, exercise=exercise) for (key, who, exercise), trail in sorted(trails.items())]
        return Scanned(findings, {"leads": sorted(by_key)})

    def _add(self, trails: dict[tuple[str, str, bool], _Trail], lead: Lead, table: pa.Table) -> None:
        columns = [table[n].to_pylist() if n in table.column_names else [None] * table.num_rows for n in _FIELDS if n != "user.name"]
        rows = zip(columns[1], columns[0], columns[2], columns[3], strict=True)
        for event, at, address, mark in rows:
            if lead.covers(at) and event.hex() not in self._told and (address or lead.entities):
                trail = trails.setdefault((lead.key, lead.value if lead.entities else address, bool(mark)), _Trail())
                trail.times.append(micros(at))
                trail.ids.append(event.hex())
                trail.addresses.update({address} - {None})

    def _finding(self, lead: Lead, who: str, trail: _Trail, *, exercise: bool) -> Finding:
        order = np.argsort(np.array(trail.times, np.int64), kind="stable").tolist()
        ids = list(dict.fromkeys(trail.ids[i] for i in order))
        first, last = (datetime.fromtimestamp(trail.times[i] / 1_000_000, UTC) for i in (order[0], order[-1]))
        addresses = tuple(Entity("ip", a) for a in sorted(trail.addresses)[:20])
        related = {"address": (), "script": (Entity("file", lead.value),)}.get(lead.kind, addresses)
        values = {
            "who": who,
            "what": lead.value,
            "n": len(ids),
            "alert": lead.alert[:8],
            "from": ", ".join(e.value for e in addresses[:5]),
            "place": lead.place,
        }
        name = "user.name" if lead.entities else "source.ip"
        return Finding(
            _rule(lead.kind), lead.entities or (Entity("ip", who),), first, last, len(ids), tuple(ids[:EVENTS]),
            (Reason(name, who, lead.alert, f"follow.{lead.kind}", values),), show(lead.test), first, last + timedelta(seconds=1),
            exercise=exercise, related=related,
        )  # fmt: skip


def _rule(kind: str) -> RuleRef:
    level, tags = ("high", ("attack.persistence", "attack.t1505.003")) if kind == "script" else ("low", ())
    return RuleRef(f"follow.{kind}", i18n.t(f"follow.title_{kind}"), level, _VERSION, tags, "follow")
