"""The Detector protocol."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from domain.alert import Finding
from store.base import Chunk, EventStore


@dataclass(frozen=True)
class Scanned:
    """What a detector made of the chunks of one scan."""

    findings: Sequence[Finding]
    state: Mapping[str, object] = field(default_factory=dict)
    """To be handed in at the next scan: plain JSON values, bounded."""
    notes: Sequence[str] = ()
    """What people should know: learning until ..., state shed."""


class Detector(Protocol):
    """Looks at what arrived since its last scan. Pure but for reading the store: the same input gives the same findings."""

    name: str
    """Its cursor's name."""

    def scan(self, chunks: Iterable[Chunk], state: Mapping[str, object], now: datetime, events: EventStore) -> Scanned:
        """Findings on the new events. `state` is what the last scan returned; `events` gives history where a model needs it."""
