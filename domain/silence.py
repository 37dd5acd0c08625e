"""Silences: findings that nobody needs to look at for a while. They are still found, counted and listed, never dropped.

Stream `silence`, key = silence id; record types: created, revoked.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any, Final, Protocol

from domain.alert import Entity

STREAM: Final = "silence"


class RecordLike(Protocol):
    """What the projection reads of a stored record."""

    @property
    def key(self) -> str:
        """Silence id."""

    @property
    def type(self) -> str:
        """What happened: created or revoked."""

    @property
    def body(self) -> Mapping[str, Any]:
        """Its plain JSON values."""

    @property
    def at(self) -> datetime:
        """When it was recorded."""


@dataclass(frozen=True)
class Silence:
    """What is kept quiet, until when, by whom and why."""

    id: str
    rule: str
    """Pattern of rule ids (`*` any run, `?` one character); `*` = every rule, and then `entities` says which."""
    entities: tuple[Entity, ...]
    """Patterns, all of which must match some entity of the finding; empty = every entity."""
    until: datetime
    """Event time from which it no longer holds."""
    owner: str
    reason: str
    created: datetime
    revoked: datetime | None = None

    def covers(self, rule: str, entities: Sequence[Entity], at: datetime) -> bool:
        """Whether a finding of `rule` about `entities` with its last event at `at` is kept quiet."""
        if at >= self.until or self.revoked is not None or not fnmatchcase(rule.lower(), self.rule.lower()):
            return False
        return all(any(_matches(pattern, e) for e in entities) for pattern in self.entities)


def _matches(pattern: Entity, entity: Entity) -> bool:
    return fnmatchcase(entity.type, pattern.type) and fnmatchcase(entity.value.lower(), pattern.value.lower())


def created_body(silence: Silence) -> dict[str, Any]:
    """The first record of a silence."""
    entities = [{"type": e.type, "value": e.value} for e in silence.entities]
    return {
        "rule": silence.rule,
        "entities": entities,
        "until": silence.until.isoformat(),
        "owner": silence.owner,
        "reason": silence.reason,
    }


def silence_id(rule: str, entities: Sequence[Entity], created: datetime) -> str:
    """Ten hex digits: the same silence made twice at the same instant is one."""
    parts = [rule, *(f"{e.type}={e.value}" for e in entities), created.isoformat()]
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=5).hexdigest()


def fold(records: Iterable[RecordLike]) -> dict[str, Silence]:
    """All silences by id, revoked and expired ones too."""
    found: dict[str, Silence] = {}
    for record in records:
        body = record.body
        if record.type == "created":
            entities = tuple(Entity(e["type"], e["value"]) for e in body["entities"])
            until = datetime.fromisoformat(body["until"])
            found[record.key] = Silence(record.key, body["rule"], entities, until, body["owner"], body["reason"], record.at)
        elif record.type == "revoked" and record.key in found:
            found[record.key] = replace(found[record.key], revoked=record.at)
    return found
