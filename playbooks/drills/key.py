"""The answer key: which records belong to which step of which attack; and whether alerts found them.

Only this module and the drill job read it. Found = an alert holds one of the step's records, or names the step's entity within ten minutes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import orjson

from domain.alert import Alert, Entity
from domain.clock import iso_local
from domain.errors import ContentError
from playbooks.drills.attacks.base import Step
from store.base import EventStore

NEAR: Final = timedelta(minutes=10)
"""How far an anomaly's entity may lie from the step in time."""


@dataclass(frozen=True)
class KeyStep:
    """One line of the key."""

    step: str
    """Short name, unique in its attack: `spray`."""
    attack: str
    start: datetime
    end: datetime
    entities: tuple[Entity, ...]
    records: frozenset[str]
    """SHA-256 (hex) of the records' bytes; empty for silence."""

    @classmethod
    def of(cls, attack: str, step: Step) -> KeyStep:
        """From what the generator made."""
        times = [e[0] for e in step.events] or [step.start, step.end]
        digests = frozenset(hashlib.sha256(e[2]).hexdigest() for e in step.events)
        return cls(step.name, attack, _instant(min(times)), _instant(max(times)), tuple(sorted(step.entities)), digests)


@dataclass(frozen=True)
class Result:
    """How detection did against the key."""

    found: tuple[tuple[KeyStep, tuple[Alert, ...]], ...]
    """Steps with the alerts that found them, earliest first."""
    missed: tuple[KeyStep, ...]
    outside: tuple[Alert, ...]
    """Alerts that match no step."""


def write_key(path: Path, steps: Iterable[KeyStep]) -> None:
    """One JSON line per step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as out:
        for step in steps:
            out.write(orjson.dumps({
                "step": step.step, "attack": step.attack, "from": iso_local(step.start), "to": iso_local(step.end),
                "entities": [{"type": e.type, "value": e.value} for e in step.entities], "records": sorted(step.records),
            }) + b"\n")  # fmt: skip


def read_key(path: Path) -> list[KeyStep]:
    """The steps of a key file; ContentError names the line that is wrong."""
    steps = []
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise ContentError(f"cannot read the answer key: {error.strerror}", where=str(path), hint="soc drill generate DIR") from None
    for number, line in enumerate(lines, 1):
        try:
            steps.append(_step(orjson.loads(line)))
        except (ValueError, KeyError, TypeError) as error:
            raise ContentError(f"not a step of an answer key: {error}", where=f"{path}:{number}", hint="soc drill generate DIR") from None
    return steps


def _step(row: Mapping[str, Any]) -> KeyStep:
    entities = tuple(sorted(Entity(e["type"], e["value"]) for e in row["entities"]))
    start, end = (datetime.fromisoformat(row[k]).astimezone(UTC) for k in ("from", "to"))
    return KeyStep(row["step"], row["attack"], start, end, entities, frozenset(row["records"]))


def _instant(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)


def check(key: Sequence[KeyStep], alerts: Sequence[Alert], events: EventStore) -> Result:
    """Which steps the alerts found, which they missed, which alerts lie outside every step."""
    proofs = _proofs(alerts, events)
    hits: dict[int, list[Alert]] = {n: [] for n in range(len(key))}
    outside = []
    for alert in alerts:
        held = [proofs[i] for i in alert.events if i in proofs]
        matched = [n for n, step in enumerate(key) if any(p.digest in step.records for p in held) or _named(step, alert, held)]
        for n in matched:
            hits[n].append(alert)
        if not matched:
            outside.append(alert)
    found = tuple((key[n], tuple(sorted(seen, key=lambda a: (a.opened_at, a.id)))) for n, seen in hits.items() if seen)
    return Result(found, tuple(key[n] for n, seen in hits.items() if not seen), tuple(outside))


@dataclass(frozen=True)
class _Proof:
    digest: str
    at: datetime


def _named(step: KeyStep, alert: Alert, held: Sequence[_Proof]) -> bool:
    """Whether an anomaly names an entity of the step and lies near it in time."""
    if alert.rule.kind != "anomaly" or not set(step.entities) & set(alert.entities):
        return False
    spans = [(p.at, p.at) for p in held] or [(alert.first, alert.last)]
    return any(first <= step.end + NEAR and last >= step.start - NEAR for first, last in spans)


def _proofs(alerts: Sequence[Alert], events: EventStore) -> dict[str, _Proof]:
    """event.id -> SHA-256 of event.original and time, for the events that alerts hold."""
    wanted = sorted({i for a in alerts for i in a.events})
    out = {}
    for start in range(0, len(wanted), 10_000):
        table = events.fetch(wanted[start : start + 10_000])
        if not table.num_rows:
            continue
        columns = (table[name].to_pylist() for name in ("event.id", "event.original", "@timestamp"))
        for ident, raw, at in zip(*columns, strict=True):
            out[ident.hex()] = _Proof(hashlib.sha256(raw).hexdigest(), at)
    return out
