"""Findings and records for triage tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from detectors.alert_index import AlertIndex, fold_cases
from detectors.triage import Triaged, triage
from domain.alert import Entity, Finding, RuleRef
from domain.alert_fold import fold_all
from domain.silence import fold as fold_silences
from store.base import NewRecord, Record
from tests.detectors.chunks import at


def rule(name: str = "r1", level: str = "medium", kind: str = "sigma", tags: Sequence[str] = ()) -> RuleRef:
    """A rule reference."""
    return RuleRef(name, f"Rule {name}", level, "v1", tuple(tags), kind)


def entities(**pairs: str) -> tuple[Entity, ...]:
    """Sorted entities."""
    return tuple(sorted(Entity(k, v) for k, v in pairs.items()))


def finding(seconds: float, *events: str, of: RuleRef | None = None, about: Mapping[str, str] | None = None, **more: object) -> Finding:
    """A finding with its events at one instant, hourly offsets welcome."""
    moment = at(seconds)
    about = {"ip": "203.0.113.5"} if about is None else about
    values = {"first": moment, "last": moment, "count": len(events), "events": tuple(events), **more}
    return Finding(of or rule(), entities(**about), **values)  # type: ignore[arg-type]


class Book:
    """A record store in memory: just enough for triage."""

    def __init__(self) -> None:
        self.records: list[Record] = []

    def index(self) -> AlertIndex:
        """Everything so far."""
        by = {s: [r for r in self.records if r.stream == s] for s in ("alert", "silence", "incident")}
        return AlertIndex.of(fold_all(by["alert"]), list(fold_silences(by["silence"]).values()), fold_cases(by["incident"]))

    def add(self, new: NewRecord, moment: datetime) -> None:
        """Append."""
        version = 1 + sum(r.stream == new.stream and r.key == new.key for r in self.records)
        self.records.append(
            Record(new.stream, new.key, new.type, new.body, new.actor, at=moment, version=version, seq=len(self.records) + 1)
        )  # fmt: skip

    def take(self, found: Sequence[Finding], seconds: float = 0) -> Triaged:
        """Triage and store; the expectations must hold."""
        done = triage(found, self.index(), at(seconds))
        for (stream, key), version in done.expect.items():
            assert version == sum(r.stream == stream and r.key == key for r in self.records)
        for record in done.records:
            self.add(record, at(seconds))
        return done
