"""A small attack on a web server in a store, and somebody who works on it: shared by the tests of playbooks."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from domain import incident as inc
from domain.alert import Entity
from domain.event import table_of
from playbooks import load, runner
from playbooks.journal import Desk
from store.base import Counts, Delivery, NewRecord, Store

T0 = datetime(2026, 11, 17, 3, 0, tzinfo=UTC)
NOW = T0 + timedelta(hours=1)
ATTACKER, ATTACKER6, SERVER = "203.0.113.84", "2001:db8:4ae::d6e6", "10.20.30.8"
SHELL = "/Portals/0/GopY/header2.ashx"
CASE = "SC-20261117-abcdef"


def event(at: datetime, **values: object) -> dict[str, object]:
    """A flat event; `__` in names stands for a dot."""
    flat = {name.replace("__", "."): value for name, value in values.items()}
    raw = repr((at.isoformat(), sorted(flat.items()))).encode()
    key = hashlib.blake2b(raw, digest_size=16).digest()
    return {"@timestamp": at, "event.id": key, "event.ingested": at, "event.original": raw, "thapcanh.source": "web-cong", **flat}


def attack() -> list[dict[str, object]]:
    """Scan, upload, webshell over IPv6, a process, one visitor."""
    web = {"event__dataset": "nginx.access", "event__module": "nginx"}
    found = [
        event(T0 - timedelta(minutes=30 - n), source__ip=ATTACKER, url__path=f"/admin{n}", url__original=f"/admin{n}", http__request__method="GET",
              http__response__status_code=404, **web) for n in range(20)
    ]  # fmt: skip
    found += [
        event(T0 + timedelta(minutes=n), source__ip=ATTACKER6, url__path=SHELL, url__original=f"{SHELL}?cmd=whoami", http__request__method="GET",
              http__response__status_code=200, **web) for n in range(5)
    ]  # fmt: skip
    found.append(event(T0 + timedelta(minutes=2), host__name="WEB01", user__name="site", process__parent__name="w3wp.exe",
                       process__executable="C:\\Windows\\System32\\cmd.exe", process__command_line="cmd.exe /c whoami"))  # fmt: skip
    found.append(event(T0, source__ip="198.51.100.9", url__path="/", url__original="/", http__request__method="GET",
                       http__response__status_code=200, **web))  # fmt: skip
    return found


def store_events(store: Store, events: Sequence[Mapping[str, object]]) -> None:
    """Append events."""
    counts = [Counts("web-cong", received=len(events), stored=len(events))]
    store.events.append(Delivery({"test": [table_of(events)]}, counts=counts))


def entities() -> tuple[Entity, ...]:
    """What the incident is about."""
    pairs = [("ip", ATTACKER), ("ip", ATTACKER6), ("ip", SERVER), ("host", "WEB01"), ("source", "web-cong"), ("url", SHELL)]
    return tuple(Entity(kind, value) for kind, value in pairs)


def open_case(store: Store, **more: Any) -> str:
    """An incident with its entities; returns the id."""
    opening = replace(inc.Opening(CASE, T0, "Cổng bị tấn công", "sigma", entities=entities()), **more)
    store.records.append([NewRecord(inc.STREAM, CASE, *inc.opened(opening), actor="system")], T0)
    return CASE


def desk(store: Store, folder: Path, actor: str = "lan", now: datetime = NOW) -> Desk:
    """Somebody at work."""
    return Desk(store, folder, actor, now)


def begin(work: Desk, name: str = "PB04") -> str:
    """Start a shipped playbook on the case; returns the run id."""
    book = load.load_all()[0][name]
    view, _ = runner.start(work, CASE, runner.Beginning(book, Path(book.origin).read_bytes()))
    return view.run.id


def steps_of(name: str) -> Iterator[str]:
    """Step ids of a shipped playbook, in order."""
    return (step.id for step in load.load_all()[0][name].steps)
