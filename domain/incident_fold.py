"""How each record changes an incident: one small function per record type. `domain.incident.fold` runs them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from domain.alert import Evidence
from domain.incident import Entry, Incident, Note, Notice, RecordLike, StepDone, unpairs


def begin(record: RecordLike) -> Incident:
    """The incident as opened."""
    body = record.body
    start = Incident(
        body["id"], body["title"], when(body["t0"]), body["detected_by"], record.at, record.actor,
        alerts=tuple(body["alerts"]), entities=unpairs(body["entities"]), assets=tuple(body["assets"]), units=tuple(body["units"]),
        split_from=body.get("split_from", ""), exercise=bool(body.get("exercise")),
    )  # fmt: skip
    start = _line(start, record, at=start.t0)
    return _classify(start, record)


def apply(incident: Incident, record: RecordLike) -> Incident:
    """The incident after one more record; a type of a later version is kept in the timeline only."""
    step = _STEPS.get(record.type)
    return step(incident, record) if step else _line(incident, record)


def when(text: str) -> datetime:
    """A stored instant, in UTC."""
    return datetime.fromisoformat(text).astimezone(UTC)


def _line(incident: Incident, record: RecordLike, at: datetime | None = None) -> Incident:
    entry = Entry(at or record.at, record.at, record.type, record.actor, dict(record.body))
    return replace(incident, timeline=(*incident.timeline, entry))


def _union(old: tuple[Any, ...], new: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(dict.fromkeys((*old, *new)))


def _alerts(incident: Incident, record: RecordLike) -> Incident:
    body = record.body
    grown = replace(
        incident,
        alerts=_union(incident.alerts, tuple(body["alerts"])),
        entities=_union(incident.entities, unpairs(body["entities"])),
        assets=_union(incident.assets, tuple(body.get("assets", ()))),
        units=_union(incident.units, tuple(body.get("units", ()))),
    )
    return _line(grown, record)


def _removed(incident: Incident, record: RecordLike) -> Incident:
    gone = set(record.body["alerts"])
    return _line(replace(incident, alerts=tuple(a for a in incident.alerts if a not in gone)), record)


def _note(incident: Incident, record: RecordLike) -> Incident:
    at = when(record.body["happened"]) if record.body.get("happened") else record.at
    return _line(replace(incident, notes=(*incident.notes, Note(at, record.actor, record.body["text"]))), record, at)


def _status(incident: Incident, record: RecordLike) -> Incident:
    value = record.body["status"]
    changes: dict[str, Any] = {"status": value}
    if value == "recovered":
        changes["recovered"] = incident.recovered or record.at
    elif value not in ("closed", "merged"):
        changes |= {"closed": None, "closed_by": "", "recovered": None}
    return _line(replace(incident, **changes), record)


def _classified(incident: Incident, record: RecordLike) -> Incident:
    return _line(_classify(incident, record), record)


def _classify(incident: Incident, record: RecordLike) -> Incident:
    body = record.body
    category, level = body.get("category") or incident.category, body.get("level") or incident.level
    start = body.get("personal_data_t0")
    return replace(
        incident,
        category=category,
        level=level,
        level_reason=body.get("reason") or incident.level_reason,
        flags=_flags(incident.flags, body.get("flags", {}), record.at),
        facts={**incident.facts, **body.get("facts", {})},
        classified=incident.classified or (record.at if category and level and record.actor != "system" else None),
        personal_data_t0=when(start) if start else incident.personal_data_t0,
    )


def _flags(old: Mapping[str, datetime], new: Mapping[str, bool], at: datetime) -> dict[str, datetime]:
    flags = {name: since for name, since in old.items() if new.get(name, True)}
    return {**{name: at for name, on in new.items() if on}, **flags}


def _evidence(incident: Incident, record: RecordLike) -> Incident:
    b = record.body
    item = Evidence(b["name"], b["sha256"], b["size"], when(b["taken_at"]), b["taken_by"], b.get("path", ""), b.get("note", ""))
    return _line(replace(incident, evidence=(*incident.evidence, item)), record, item.taken_at)


def _sent(incident: Incident, record: RecordLike) -> Incident:
    b = record.body
    notice = Notice(b["form"], b["to"], b["channel"], when(b["at"]), b.get("number", ""), b.get("proof", ""), record.actor)
    return _line(replace(incident, sent=(*incident.sent, notice)), record, notice.at)


def _step(incident: Incident, record: RecordLike) -> Incident:
    b = record.body
    done = StepDone(record.at, record.actor, b["run"], b["playbook"], b["step"], b["phase"], b["result"], b.get("note", ""))
    return _line(replace(incident, steps=(*incident.steps, done)), record)


def _merged(incident: Incident, record: RecordLike) -> Incident:
    body = record.body
    if body.get("into"):
        return _line(replace(incident, merged_into=body["into"], status="merged"), record)
    grown = _alerts(incident, record)
    return replace(grown, merged_from=(*incident.merged_from, body["from"]))


def _closed(incident: Incident, record: RecordLike) -> Incident:
    facts = {**incident.facts, **{k: v for k, v in record.body.get("facts", {}).items() if v != ""}}
    done = replace(
        incident, status="closed", closed=record.at, closed_by=record.actor, facts=facts, recovered=incident.recovered or record.at
    )
    return _line(done, record)


_STEPS: Final[Mapping[str, Callable[[Incident, RecordLike], Incident]]] = {
    "alerts_added": _alerts,
    "alerts_removed": _removed,
    "note": _note,
    "status": _status,
    "classified": _classified,
    "evidence": _evidence,
    "sent": _sent,
    "step": _step,
    "merged": _merged,
    "closed": _closed,
}
