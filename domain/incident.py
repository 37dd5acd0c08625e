"""Incidents: an append-only list of records (stream `incident`, key = incident id); `Incident` is its projection.

Functions that change an incident return a `Change`, the pair (record type, body); jobs wrap it into a record of the store.
T0, the time of detection, is given once, when the incident is opened, and no later record can move it: every legal clock runs from it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Any, Final, Protocol, TypeAlias

from domain.alert import Entity, Evidence
from domain.clock import LOCAL, iso_local

STREAM: Final = "incident"
CATEGORIES: Final = (
    "denial_of_service", "phishing", "malware", "unauthorised_access", "defacement",
    "encryption", "destruction", "theft", "combined", "other",
)  # fmt: skip
"""The ten rows of Mẫu 05 (TT 20/2017), in the order of the form; names in the catalogue `incident.category_<key>`."""
LEVELS: Final = ("M1", "M2", "M3", "M4")
"""Severity, gravest first: M1 and M2 are "serious" to the legal clocks."""
SERIOUS: Final = ("M1", "M2")
STATUSES: Final = ("open", "investigating", "contained", "recovered", "closed", "merged")
"""The stages of the work; "recovered" ends the response (it starts the clock of the closing report)."""
FLAGS: Final = (
    "beyond_capacity", "national_security", "service_disruption", "personal_data", "biometric", "location", "state_secret",
    "public_opinion", "external_notice",
)  # fmt: skip
"""Yes/no facts that start or change duties; names in the catalogue `incident.flag_<key>`."""
FACTS: Final = (
    "downtime_minutes", "records", "subjects", "data_types", "damage_vnd",
    "cause", "consequences", "measures", "lessons", "recommendations", "scope",
    "attacker", "forecast", "support", "support_foreign", "support_requested",
)  # fmt: skip
"""What the documents ask beyond the course of events; names in the catalogue `incident.fact_<key>`."""
INCIDENT_REGIME: Final = date(2026, 7, 1)
"""Local day from which Luật An ninh mạng 116/2025/QH15 governs incidents."""
PERSONAL_DATA_REGIME: Final = date(2026, 1, 1)
"""Local day from which Luật 91/2025 and NĐ 356/2025 govern personal data."""

Change: TypeAlias = tuple[str, dict[str, Any]]
"""Record type and body (plain JSON values)."""


class RecordLike(Protocol):
    """What `fold` reads of a stored record."""

    @property
    def type(self) -> str:
        """What happened."""

    @property
    def body(self) -> Mapping[str, Any]:
        """Its plain JSON values."""

    @property
    def at(self) -> datetime:
        """When it was recorded."""

    @property
    def actor(self) -> str:
        """Who did it."""


@dataclass(frozen=True)
class Opening:
    """What an incident starts with."""

    id: str
    """From `incident_id`."""
    t0: datetime
    """Time of detection: aware; kept for ever."""
    title: str
    detected_by: str
    """sigma, correlation, anomaly, ids, antivirus, notice, user, drill."""
    alerts: tuple[str, ...] = ()
    entities: tuple[Entity, ...] = ()
    assets: tuple[str, ...] = ()
    """Asset ids of the register."""
    units: tuple[str, ...] = ()
    """Unit codes of the register."""
    category: str = ""
    """Key of CATEGORIES; empty = not yet classified."""
    level: str = ""
    """M1 to M4; empty = not yet classified."""
    level_reason: str = ""
    flags: tuple[str, ...] = ()
    exercise: bool = False
    split_from: str = ""


@dataclass(frozen=True)
class Note:
    """What somebody wrote down."""

    at: datetime
    """When it happened; the time of writing unless another was given."""
    actor: str
    text: str


@dataclass(frozen=True)
class Notice:
    """A notice or report that went out."""

    form: str
    """Duty id it answers (notice_5d, report_72h, ...) or another key of the sender's."""
    to: str
    channel: str
    """official_letter, email, phone, fax, system, hand."""
    at: datetime
    number: str = ""
    """Document number (số, ký hiệu)."""
    proof: str = ""
    """Name or digest of the proof of sending."""
    actor: str = ""


@dataclass(frozen=True)
class StepDone:
    """A playbook step as the incident sees it."""

    at: datetime
    actor: str
    run: str
    playbook: str
    step: str
    phase: str
    result: str
    """done, skipped, approved."""
    note: str = ""


@dataclass(frozen=True)
class Entry:
    """One line of the timeline; the sentence is `incident.timeline_<kind>` filled with `values`."""

    at: datetime
    """When it happened."""
    recorded: datetime
    """When it was written down."""
    kind: str
    """Type of the record behind it."""
    actor: str
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Incident:
    """The projection of the records of one incident."""

    id: str
    title: str
    t0: datetime
    """Time of detection, UTC."""
    detected_by: str
    opened: datetime
    """When the incident was opened (recorded)."""
    opened_by: str
    category: str = ""
    level: str = ""
    level_reason: str = ""
    status: str = "open"
    alerts: tuple[str, ...] = ()
    entities: tuple[Entity, ...] = ()
    assets: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    flags: Mapping[str, datetime] = field(default_factory=dict)
    """Flag -> when it was set; a flag that is not set is absent."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Keys of FACTS that are known."""
    notes: tuple[Note, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    sent: tuple[Notice, ...] = ()
    steps: tuple[StepDone, ...] = ()
    timeline: tuple[Entry, ...] = ()
    """In order of `at`."""
    classified: datetime | None = None
    """When category and level were both known to a person (what the machine proposes at opening does not count)."""
    recovered: datetime | None = None
    """When the response ended."""
    closed: datetime | None = None
    closed_by: str = ""
    merged_into: str = ""
    merged_from: tuple[str, ...] = ()
    split_from: str = ""
    personal_data_t0: datetime | None = None
    """Start of the personal-data clock; None = T0."""
    exercise: bool = False

    @property
    def profile(self) -> str:
        """The incident regime at T0: vn-2017, or vn-2026 from 01/07/2026 local time."""
        return "vn-2026" if self.t0.astimezone(LOCAL).date() >= INCIDENT_REGIME else "vn-2017"

    @property
    def personal_data_profile(self) -> str:
        """The personal-data regime at T0: vn-2017 (NĐ 13/2023), or vn-2026 (NĐ 356/2025) from 01/01/2026 local time."""
        return "vn-2026" if self.t0.astimezone(LOCAL).date() >= PERSONAL_DATA_REGIME else "vn-2017"

    @property
    def serious(self) -> bool:
        """Level M1 or M2."""
        return self.level in SERIOUS

    @property
    def is_open(self) -> bool:
        """Somebody still has to work on it."""
        return self.status not in ("closed", "merged")


def incident_id(first_alert_id: str, t0: datetime) -> str:
    """`SC-<yyyymmdd, local day of T0>-<6 hex>`: the same alert and T0 give the same incident on every machine."""
    digest = hashlib.blake2b(f"{first_alert_id}\0{t0.astimezone(UTC).isoformat()}".encode(), digest_size=3).hexdigest()
    return f"SC-{t0.astimezone(LOCAL):%Y%m%d}-{digest}"


def opened(start: Opening) -> Change:
    """The first record. ValueError for a naive T0, an unknown category, level or flag."""
    if start.t0.tzinfo is None:
        raise ValueError("t0 needs an offset")
    check(category=start.category, level=start.level, flags=start.flags)
    body = {
        "id": start.id, "t0": iso_local(start.t0), "title": start.title, "detected_by": start.detected_by,
        "alerts": list(start.alerts), "entities": pairs(start.entities), "assets": list(start.assets), "units": list(start.units),
        "category": start.category, "level": start.level, "reason": start.level_reason, "flags": dict.fromkeys(start.flags, True),
        "exercise": start.exercise, "split_from": start.split_from,
    }  # fmt: skip
    return "opened", body


def check(*, category: str = "", level: str = "", status: str = "", flags: Iterable[str] = (), facts: Iterable[str] = ()) -> None:
    """ValueError naming what is allowed when a key is unknown; empty = not given."""
    given: tuple[tuple[str, Iterable[str], tuple[str, ...]], ...] = (
        ("category", [category] if category else [], CATEGORIES), ("level", [level] if level else [], LEVELS),
        ("status", [status] if status else [], STATUSES), ("flag", flags, FLAGS), ("fact", facts, FACTS),
    )  # fmt: skip
    for name, values, allowed in given:
        for value in values:
            if value not in allowed:
                raise ValueError(f"{name} {value}: {' | '.join(allowed)}")


def alerts_added(alerts: Sequence[str], entities: Sequence[Entity] = (), assets: Sequence[str] = (), units: Sequence[str] = ()) -> Change:
    """More alerts belong to it."""
    return "alerts_added", {"alerts": list(alerts), "entities": pairs(entities), "assets": list(assets), "units": list(units)}


def alerts_removed(alerts: Sequence[str], into: str) -> Change:
    """Alerts that moved to another incident (split)."""
    return "alerts_removed", {"alerts": list(alerts), "into": into}


def note(text: str, happened: datetime | None = None) -> Change:
    """Something worth writing down, now or about an earlier moment."""
    return "note", {"text": text, "happened": iso_local(happened) if happened else ""}


def status(value: str, reason: str = "") -> Change:
    """The work reached another stage."""
    check(status=value)
    return "status", {"status": value, "reason": reason}


def classified(
    *, category: str = "", level: str = "", reason: str = "", flags: Mapping[str, bool] | None = None,
    facts: Mapping[str, Any] | None = None, personal_data_t0: datetime | None = None,
) -> Change:  # fmt: skip
    """Category, level, flags and facts as known now; what is not given stays as it is."""
    check(category=category, level=level, flags=flags or (), facts=facts or ())
    start = iso_local(personal_data_t0) if personal_data_t0 else ""
    body = {"category": category, "level": level, "reason": reason, "flags": dict(flags or {}), "facts": dict(facts or {})}
    return "classified", {**body, "personal_data_t0": start}


def evidence_added(item: Evidence) -> Change:
    """A file kept as proof."""
    body = {"name": item.name, "sha256": item.sha256, "size": item.size, "taken_at": iso_local(item.taken_at), "taken_by": item.taken_by}
    return "evidence", {**body, "path": item.path, "note": item.note}


def sent(notice: Notice) -> Change:
    """A notice or report went out: it stops the clock of its duty."""
    body = {"form": notice.form, "to": notice.to, "channel": notice.channel, "at": iso_local(notice.at)}
    return "sent", {**body, "number": notice.number, "proof": notice.proof}


def step(run: str, playbook: str, done: tuple[str, str, str], note: str = "") -> Change:
    """A playbook step; `done` = (step id, phase, done | skipped | approved)."""
    return "step", {"run": run, "playbook": playbook, "step": done[0], "phase": done[1], "result": done[2], "note": note}


def merged(*, into: str = "", source: str = "", alerts: Sequence[str] = (), entities: Sequence[Entity] = ()) -> Change:
    """On the one that ends: `into`; on the one that goes on: `source` with its alerts and entities."""
    return "merged", {"into": into, "from": source, "alerts": list(alerts), "entities": pairs(entities)}


def closed(cause: str, facts: Mapping[str, Any] | None = None, reason: str = "") -> Change:
    """The work is done. `cause` and `facts` are what the closing report says; `reason` when it closes with open conditions."""
    check(facts=facts or ())
    return "closed", {"facts": {**(facts or {}), "cause": cause}, "reason": reason}


def pairs(entities: Iterable[Entity]) -> list[dict[str, str]]:
    """Entities as plain JSON."""
    return [{"type": e.type, "value": e.value} for e in entities]


def unpairs(items: Iterable[Mapping[str, str]]) -> tuple[Entity, ...]:
    """The inverse of `pairs`."""
    return tuple(Entity(i["type"], i["value"]) for i in items)


def fold(records: Iterable[RecordLike]) -> Incident:
    """The incident that its records, in order, tell of. ValueError when the first is not `opened`."""
    from domain.incident_fold import apply, begin

    items = iter(records)
    first = next(items, None)
    if first is None or first.type != "opened":
        raise ValueError("an incident starts with the record 'opened'")
    incident = begin(first)
    for record in items:
        incident = apply(incident, record)
    return replace(incident, timeline=tuple(sorted(incident.timeline, key=lambda e: (e.at, e.recorded))))
