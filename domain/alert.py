"""Alerts: what detectors find, folded so that the same thing again is one alert with a count.

An alert is an append-only list of records (stream `alert`, key = alert id); `Alert` is its projection (`domain.alert_fold`).
Record types: opened, hits, withdrawn, merged, ack, assigned, verdict, silenced, incident, reopened.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

STREAM: Final = "alert"
STATUSES: Final = ("new", "assigned", "ack", "closed", "silenced")
"""`silenced`: found and counted, but nobody is asked to look."""
VERDICTS: Final = ("true_positive", "false_positive", "benign", "duplicate")
MAX_EVENTS: Final = 10_000
"""Event ids that one alert keeps; further events are only counted."""


@dataclass(frozen=True, order=True)
class Entity:
    """Something an alert is about."""

    type: str
    """ip, host, user, url, file, process, source, hash, client."""
    value: str


@dataclass(frozen=True)
class RuleRef:
    """Which rule or model, in which version."""

    id: str
    """Sigma id, or `anomaly.<model>`."""
    title: str
    level: str
    version: str
    """Content hash of the rule as evaluated."""
    tags: tuple[str, ...] = ()
    kind: str = "sigma"
    """sigma, correlation, anomaly."""
    source: str = ""
    """Kind of log it looks at, as the rule names it: `process_creation`, else the service or the product; "" = it does not say."""


@dataclass(frozen=True)
class Reason:
    """Why: one line of explanation with what stands behind it."""

    field: str
    value: str
    expected: str = ""
    """What is normal (anomaly), or the matched term (Sigma)."""
    text: str = ""
    """Key of the sentence in the catalogue, e.g. `anomaly.volume`; empty = field: value."""
    values: Mapping[str, object] = dataclasses.field(default_factory=dict)
    """Numbers for the sentence."""


@dataclass(frozen=True)
class Finding:
    """What a detector yields: one rule, one set of entities, the events behind it."""

    rule: RuleRef
    entities: tuple[Entity, ...]
    """Sorted; what the alert is about. With the rule, the key under which findings fold."""
    first: datetime
    last: datetime
    count: int
    events: tuple[str, ...]
    """`event.id` (hex) of the events, in event-time order; empty for silence."""
    reasons: tuple[Reason, ...] = ()
    evidence: str = ""
    """A `soc search` query that returns the rows; empty when `events` says it all."""
    evidence_from: datetime | None = None
    evidence_to: datetime | None = None
    retro: bool = False
    """From a retro-hunt: does not count in time-to-detect."""
    exercise: bool = False
    related: tuple[Entity, ...] = ()
    """Other entities seen on the events: they join incidents but do not split alerts."""
    withdrawn: datetime | None = None
    """Not None: late events have shown that `events` do not belong to it. `first` and `last` are then the bounds of what is left of all
    that happened from this time on."""


@dataclass(frozen=True)
class Evidence:
    """Something kept as proof, with its digest."""

    name: str
    sha256: str
    size: int
    taken_at: datetime
    taken_by: str
    path: str = ""
    note: str = ""


def alert_id(rule_id: str, entities: Sequence[Entity], day: str, ordinal: int) -> str:
    """Stable over batches, engines and machines: rule, entities, local day of the first event, and the how-manieth that day."""
    parts = [rule_id, *(f"{e.type}={e.value}" for e in sorted(entities)), day, str(ordinal)]
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=10).hexdigest()


@dataclass(frozen=True)
class Alert:
    """The projection of the records of one alert."""

    id: str
    rule: RuleRef
    entities: tuple[Entity, ...]
    first: datetime
    """First event, UTC."""
    last: datetime
    """Last event, UTC."""
    count: int
    """Events (or episodes) so far."""
    events: tuple[str, ...]
    """`event.id` (hex), oldest first; at most MAX_EVENTS."""
    opened_at: datetime
    """When it was detected (recorded)."""
    reasons: tuple[Reason, ...] = ()
    evidence: str = ""
    evidence_from: datetime | None = None
    evidence_to: datetime | None = None
    related: tuple[Entity, ...] = ()
    retro: bool = False
    exercise: bool = False
    status: str = "new"
    """One of STATUSES."""
    updated_at: datetime | None = None
    """When the last record was written."""
    assignee: str = ""
    acked_at: datetime | None = None
    """When somebody first took it: ack, or verdict without one."""
    acked_by: str = ""
    closed_at: datetime | None = None
    closed_by: str = ""
    verdict: str = ""
    """One of VERDICTS; empty while open."""
    verdict_reason: str = ""
    duplicate_of: str = ""
    incident: str = ""
    """Incident it belongs to; empty = none."""
    why: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Why it joined that incident: `level`, or `type`, `value` (the shared entity) and `alert` (the other one)."""
    silence: str = ""
    """Silence that keeps it quiet; empty = none."""
    merged: tuple[str, ...] = ()
    """Alerts that turned out to be this one; each is closed as its duplicate."""
    version: int = 0
    """Number of records: what a writer must expect."""

    @property
    def is_open(self) -> bool:
        """Somebody still has to decide."""
        return self.status in ("new", "assigned", "ack")

    @property
    def key(self) -> tuple[str, tuple[Entity, ...]]:
        """What findings fold under."""
        return self.rule.id, self.entities
