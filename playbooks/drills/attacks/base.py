"""What an attack is to the generator: steps with their events, sources that fall silent, side effects that belong to nobody."""

from __future__ import annotations

from dataclasses import dataclass, field

from domain.alert import Entity
from playbooks.drills.base import Event


@dataclass(frozen=True)
class Step:
    """One step of the answer key."""

    name: str
    """Unique within the attack."""
    events: tuple[Event, ...]
    entities: tuple[Entity, ...]
    """What an anomaly may name instead of holding a record."""
    start: float = 0.0
    """Only for steps without events (silence), seconds since the epoch."""
    end: float = 0.0


@dataclass(frozen=True)
class Attack:
    """A scenario with this seed's choices."""

    name: str
    steps: tuple[Step, ...]
    silences: tuple[tuple[str, float, float], ...] = ()
    """(source, from, to): its records of that time are not written."""
    noise: tuple[Event, ...] = field(default=())
    """Events that the attack causes but that are not part of the key (other people's reactions)."""


def entities(*pairs: tuple[str, str]) -> tuple[Entity, ...]:
    """Entities from (type, value) pairs."""
    return tuple(Entity(kind, value) for kind, value in pairs if value)
