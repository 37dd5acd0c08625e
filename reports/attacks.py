"""Who attacked what: from alerts and a sample of their events. The side that is ours is told by the registers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from domain.event import row
from domain.registers import Registers, is_internal, parse_address
from reports.facts import AlertFact, Seen
from store.base import EventStore

Event = Mapping[str, object]
FIELDS: Final = (
    "event.id", "@timestamp", "source.ip", "destination.ip", "host.name", "host.ip", "url.domain", "observer.name", "thapcanh.source",
    "event.original",
)  # fmt: skip
"""What is read of an event."""

SAMPLE: Final = 10
"""Events looked at per alert, to tell the sides and to show evidence."""
_AT_ONCE: Final = 2_000
_MOST: Final = 20_000
"""Events looked at per report."""


@dataclass
class Attacks:
    """Both sides, by address or name."""

    victims: dict[str, Seen] = field(default_factory=dict)
    attackers: dict[str, Seen] = field(default_factory=dict)


def attacks_of(facts: Sequence[AlertFact], events: Mapping[str, Event], registers: Registers) -> Attacks:
    """Both sides of every alert. The count of an alert is shared out over its sides as in the sample of its events."""
    out = Attacks()
    for fact in facts:
        sides = [_sides(events[i], registers) for i in fact.alert.events if i in events] or list(_from_entities(fact, registers))
        sides = [s for s in sides if s != ("", "")]
        for place, index in ((out.attackers, 0), (out.victims, 1)):
            _count(place, fact, sides, index)
    return out


def sample(events: EventStore, facts: Iterable[AlertFact]) -> dict[str, dict[str, object]]:
    """Some events of each alert, gravest first, by id."""
    wanted = list(dict.fromkeys(i for f in facts for i in f.alert.events[:SAMPLE]))[:_MOST]
    out: dict[str, dict[str, object]] = {}
    for start in range(0, len(wanted), _AT_ONCE):
        table = events.fetch(wanted[start : start + _AT_ONCE])
        table = table.select([n for n in FIELDS if n in table.column_names])
        for index in range(table.num_rows):
            event = row(table, index)
            raw = table["event.original"][index].as_py() if "event.original" in table.column_names else None
            out[str(event["event.id"])] = {**event, "sha256": hashlib.sha256(raw).hexdigest() if raw else ""}
    return out


def _count(place: dict[str, Seen], fact: AlertFact, sides: list[tuple[str, str]], index: int) -> None:
    shares: dict[str, int] = {}
    for side in sides:
        if side[index]:
            shares[side[index]] = shares.get(side[index], 0) + 1
    for key, part in shares.items():
        seen = place.setdefault(key, Seen(key))
        seen.add(fact, max(1, round(fact.count * part / len(sides))))
        seen.others.update(dict.fromkeys(s[1 - index] for s in sides if s[index] == key and s[1 - index]))


def _sides(event: Event, registers: Registers) -> tuple[str, str]:
    """(attacker, victim) of one event; empty when there is none."""
    source, target = _address(event, "source.ip"), _address(event, "destination.ip")
    machine = next((str(event[n]) for n in ("host.name", "url.domain", "observer.name") if event.get(n)), "")
    if not source:
        return "", target if target and registers.is_own(target) else machine
    if not registers.is_own(source):
        return source, target if target and registers.is_own(target) else machine or target
    if target and not registers.is_own(target):
        return target, source
    if target:
        return source, target
    own = source in _texts(event.get("host.ip"))
    return ("", machine) if own or not machine else (source, machine)


def _from_entities(fact: AlertFact, registers: Registers) -> Iterable[tuple[str, str]]:
    """Without events: foreign addresses attack, our addresses and hosts are attacked."""
    entities = (*fact.alert.entities, *fact.alert.related)
    addresses = [e.value for e in entities if e.type == "ip" and parse_address(e.value)]
    foreign = [a for a in addresses if not registers.is_own(a)]
    own = [a for a in addresses if registers.is_own(a)] or [e.value for e in entities if e.type == "host"]
    for one in foreign or [""]:
        for other in own or [""]:
            yield one, other


def _address(event: Event, name: str) -> str:
    ip = parse_address(str(event.get(name) or ""))
    return str(ip) if ip else ""


def _texts(value: object) -> tuple[str, ...]:
    return tuple(str(v) for v in value) if isinstance(value, (list, tuple)) else (str(value),) if value else ()


def where(address: str) -> str:
    """internal, external, or name (no address)."""
    if parse_address(address) is None:
        return "name"
    return "internal" if is_internal(address) else "external"
