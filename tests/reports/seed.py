"""A store with a week of a fictitious province, in seconds: events, alerts, an incident."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from domain.alert import Entity, Finding, RuleRef, alert_id
from domain.alert_fold import opened_body
from domain.event import table_of
from domain.incident import Opening, incident_id, opened
from store.base import Counts, Delivery, NewRecord, Store

MONDAY = datetime(2026, 11, 15, 17, tzinfo=UTC)
"""Local midnight of Monday, 16/11/2026: the first instant of 2026-W47."""
NOW = datetime(2026, 11, 24, 1, tzinfo=UTC)
WEEK = 7 * 24
HOSTILE = "=cmd|'/C calc'!A0 <script>alert(1)</script> \u202egnp.exe \x1b[31m {{7*7}} #strong[x] 😀 " + "A" * 3000


def event(source: str, at: datetime, **values: object) -> dict[str, object]:
    """A flat event; `__` in names stands for a dot."""
    flat = {name.replace("__", "."): value for name, value in values.items()}
    raw = repr((source, at.isoformat(), sorted(flat.items()))).encode()
    flat.setdefault("event.original", raw)
    flat["event.original"] = flat["event.original"].encode() if isinstance(flat["event.original"], str) else flat["event.original"]
    key = hashlib.blake2b(raw, digest_size=16).digest()
    return {"@timestamp": at, "event.id": key, "event.ingested": at, "thapcanh.source": source, "event.dataset": "test", **flat}


def store_events(store: Store, events: Sequence[Mapping[str, object]]) -> list[str]:
    """Append; the ids (hex) in order."""
    counts = [Counts(s, received=n, stored=n) for s, n in _per_source(events).items()]
    store.events.append(Delivery({"test": [table_of(events)]} if events else {}, counts=counts))
    return [e["event.id"].hex() for e in events if isinstance(e["event.id"], bytes)]


def _per_source(events: Sequence[Mapping[str, object]]) -> dict[str, int]:
    out: dict[str, int] = {}
    for item in events:
        out[str(item["thapcanh.source"])] = out.get(str(item["thapcanh.source"]), 0) + 1
    return out


def steady(source: str, hours: Sequence[int], per_hour: int = 3) -> list[dict[str, object]]:
    """Events at the same minutes of these hours of the week (0 = Monday 00:00 local)."""
    return [event(source, MONDAY + timedelta(hours=h, minutes=20 * i), host__name=source) for h in hours for i in range(per_hour)]


def alert(store: Store, title: str, ids: Sequence[str], entities: Sequence[Entity], **more: Any) -> str:
    """An alert over these events."""
    at = more.pop("at", MONDAY + timedelta(hours=30))
    level, tags = more.pop("level", "high"), more.pop("tags", ("attack.credential-access", "attack.t1110.001"))
    rule = RuleRef(more.pop("rule", f"rule-{title[:20]}"), title, level, "v1", tags)
    finding = Finding(rule, tuple(sorted(entities)), at, at + timedelta(minutes=9), max(1, len(ids)), tuple(ids), **more)
    key = alert_id(rule.id, finding.entities, at.date().isoformat(), 0)
    store.records.append([NewRecord("alert", key, "opened", opened_body(key, finding))], at + timedelta(minutes=10))
    return key


def incident(store: Store, t0: datetime, **more: Any) -> str:
    """An incident of the asset `dvc`."""
    key = incident_id(more.get("title", "x"), t0)
    values = {
        "title": "Dò mật khẩu Cổng dịch vụ công",
        "detected_by": "sigma",
        "assets": ("dvc",),
        "category": "unauthorised_access",
        "level": "M2",
    }
    kind, body = opened(Opening(key, t0, **{**values, **more}))
    store.records.append([NewRecord("incident", key, kind, body, "mai")], t0 + timedelta(minutes=5))
    return key


def week(store: Store) -> None:
    """An ordinary week: one source with a gap of three hours, one silent all the time, attacks on the portal."""
    full = list(range(WEEK))
    events = steady("fw-01", full) + steady("dvc-web01", [h for h in full if not 60 <= h < 63])
    store_events(store, events)
    store_events(store, [event("dc01", MONDAY - timedelta(days=3, hours=h), host__name="dc01") for h in range(20)])
    start = MONDAY + timedelta(hours=30)
    attack = [
        event(
            "dvc-web01", start + timedelta(seconds=20 * i), source__ip="203.0.113.66", destination__ip="10.20.10.10", host__name="dvc-web01",
            event__action="denied" if i % 2 else "allowed", event__original=f'203.0.113.66 - - [17/Nov/2026] "POST /login {i}" 401',
        )
        for i in range(20)
    ]  # fmt: skip
    ids = store_events(store, attack)
    alert(store, "Nhiều lần đăng nhập sai trên Cổng dịch vụ công", ids, [Entity("ip", "203.0.113.66"), Entity("host", "dvc-web01")])
    sides = {"source__ip": "2001:db8:bad::66", "destination__ip": "2001:db8:20:10::20"}
    v6 = [event("fw-01", start + timedelta(hours=5, seconds=i), **sides) for i in range(5)]
    scan = {"level": "medium", "tags": ("attack.discovery", "attack.t1046"), "at": start + timedelta(hours=5)}
    alert(store, "Quét cổng IPv6", store_events(store, v6), [Entity("ip", "2001:db8:bad::66")], **scan)
    what = {"host__name": "dc01", "event__category": ["iam"], "event__action": "user-added"}
    store_events(store, [event("dc01-audit", start + timedelta(days=1, seconds=i), **what) for i in range(4)])
    incident(store, start + timedelta(minutes=12))


def hostile(store: Store, rows: int = 300) -> None:
    """Many attackers with log text that wants to break out."""
    start = MONDAY + timedelta(hours=40)
    for i in range(rows):
        at, address = start + timedelta(minutes=i), f"203.0.{i // 200}.{i % 200}"
        item = event("fw-01", at, source__ip=address, host__name=f"h{i} {HOSTILE[:200]}", event__original=HOSTILE)
        entities = [Entity("ip", address), Entity("host", HOSTILE[:300])]
        alert(store, f"{HOSTILE[:150]} {i}", store_events(store, [item]), entities, rule=f"r{i % 60}", at=at)
