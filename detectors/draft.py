"""The alert index as it will be once the records of this triage are stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from detectors.alert_index import AlertIndex, Case, after, links
from domain import alert as alerts
from domain import alert_fold as folding
from domain import incident as incidents
from domain.alert import Alert, Entity, Finding
from store.base import NewRecord

CONSIDERED: Final = 500
"""How many alerts of one entity grouping looks at."""


@dataclass
class Draft:
    """The index as it will be once the records are stored: what changed lies over the index, which stays as it is."""

    index: AlertIndex
    now: datetime
    records: list[NewRecord] = field(default_factory=list)
    expect: dict[tuple[str, str], int] = field(default_factory=dict)
    alerts: dict[str, Alert] = field(default_factory=dict)
    cases: dict[str, Case] = field(default_factory=dict)
    keys: dict[tuple[str, tuple[Entity, ...]], list[str]] = field(default_factory=dict)
    entities: dict[Entity, list[str]] = field(default_factory=dict)
    seen: dict[str, set[str]] = field(default_factory=dict)

    def alert(self, key: str) -> Alert:
        """An alert as it is now."""
        return self.alerts.get(key) or self.index.alerts[key]

    def case(self, key: str) -> Case | None:
        """An incident as it is now; None when there is no such incident."""
        return self.cases.get(key) or self.index.cases.get(key)

    def of_key(self, finding: Finding) -> list[str]:
        """Alerts of the same rule and entities, oldest first."""
        key = (finding.rule.id, finding.entities)
        if key not in self.keys:
            self.keys[key] = list(self.index.by_key.get(key, ()))
        return self.keys[key]

    def of_entity(self, entity: Entity) -> list[str]:
        """The newest alerts that name the entity, oldest first."""
        return (self.entities.get(entity) or list(self.index.by_entity.get(entity, ())))[-CONSIDERED:]

    def known(self, key: str) -> set[str]:
        """Event ids that the alert holds."""
        if key not in self.seen:
            self.seen[key] = set(self.alert(key).events)
        return self.seen[key]

    def write(self, key: str, kind: str, body: Mapping[str, Any]) -> Alert:
        """Append a record to an alert."""
        old = None if kind == "opened" else self.alert(key)
        self.expect.setdefault((alerts.STREAM, key), old.version if old else 0)
        self.records.append(NewRecord(alerts.STREAM, key, kind, body))
        new = folding.after(old, folding.Step(kind, body, self.now))
        self.alerts[key] = new
        for entity in links(new):
            ids = self.entities.setdefault(entity, list(self.index.by_entity.get(entity, ())))
            if key not in ids:
                ids.append(key)
        return new

    def write_case(self, key: str, change: incidents.Change) -> Case:
        """Append a record to an incident."""
        kind, body = change
        old = self.case(key)
        self.expect.setdefault((incidents.STREAM, key), old.version if old else 0)
        self.records.append(NewRecord(incidents.STREAM, key, kind, body))
        fresh = Case(key, self.now, tuple(body["alerts"]), bool(body["exercise"]), version=1) if old is None else after(old, kind, body)
        self.cases[key] = fresh
        return fresh
