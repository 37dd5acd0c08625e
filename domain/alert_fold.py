"""Records of the stream `alert` <-> `Alert`: bodies as plain JSON, and the projection in one pass over any number of alerts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from domain.alert import MAX_EVENTS, Alert, Entity, Finding, Reason, RuleRef
from domain.clock import iso_local
from domain.memory import many_objects


class Happened(Protocol):
    """What a step of the projection reads of a record."""

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


class RecordLike(Happened, Protocol):
    """A stored record."""

    @property
    def key(self) -> str:
        """Alert id."""

    @property
    def version(self) -> int:
        """1, 2, 3, ... within the alert."""


@dataclass(frozen=True)
class Step:
    """A record that is about to be stored."""

    type: str
    body: Mapping[str, Any]
    at: datetime
    actor: str = "system"


def fold(records: Iterable[RecordLike]) -> Alert:
    """The alert that its records, in order, tell of. ValueError when the first is not `opened`."""
    found = fold_all(records)
    if len(found) != 1:
        raise ValueError("an alert starts with the record 'opened'")
    return next(iter(found.values()))


def fold_all(records: Iterable[RecordLike], known: Mapping[str, Alert] | None = None) -> dict[str, Alert]:
    """All alerts by id, in the order in which they were opened, in one pass; `known` = what earlier records gave."""
    old = known or {}
    with many_objects():
        states = _states(records, old)
        fresh = {key: Alert(**state) for key, state in states.items()}
    return {**old, **fresh} if old else fresh


def _states(records: Iterable[RecordLike], old: Mapping[str, Alert]) -> dict[str, dict[str, Any]]:
    states: dict[str, dict[str, Any]] = {}
    for record in records:
        state = states.get(record.key)
        if state is None:
            earlier = old.get(record.key)
            if earlier is None and record.type != "opened":
                continue
            state = states[record.key] = dict(earlier.__dict__) if earlier else {}
        if record.version > state.get("version", 0):
            _apply(state, record)
    return states


def after(alert: Alert | None, step: Step) -> Alert:
    """The alert once this record is stored too; None = the record opens it."""
    state = dict(alert.__dict__) if alert else {}
    _apply(state, step)
    return Alert(**state)


def opened_body(key: str, finding: Finding) -> dict[str, Any]:
    """The first record of an alert."""
    return {
        "id": key, "rule": rule_json(finding.rule), "entities": pairs(finding.entities), "first": utc(finding.first),
        "last": utc(finding.last), "count": finding.count, "events": list(finding.events[:MAX_EVENTS]), **explanation(finding),
        "retro": finding.retro, "exercise": finding.exercise, "related": pairs(finding.related),
    }  # fmt: skip


def explanation(finding: Finding) -> dict[str, Any]:
    """Reasons and evidence of a finding as plain JSON."""
    start, end = finding.evidence_from, finding.evidence_to
    return {
        "reasons": [reason_json(r) for r in finding.reasons], "evidence": finding.evidence,
        "evidence_from": utc(start) if start else None, "evidence_to": utc(end) if end else None,
    }  # fmt: skip


def rule_json(rule: RuleRef) -> dict[str, Any]:
    """A rule reference as plain JSON; without a log source the key is left out."""
    out = {"id": rule.id, "title": rule.title, "level": rule.level, "version": rule.version, "tags": list(rule.tags), "kind": rule.kind}
    return {**out, "source": rule.source} if rule.source else out


def rule_of(body: Mapping[str, Any]) -> RuleRef:
    """The inverse; what older records lack is left empty."""
    return RuleRef(
        body["id"], body["title"], body["level"], body["version"], tuple(body.get("tags", ())), body.get("kind", "sigma"),
        body.get("source", ""),
    )  # fmt: skip


def reason_json(reason: Reason) -> dict[str, Any]:
    """A reason as plain JSON; what is empty is left out."""
    full = {"field": reason.field, "value": reason.value, "expected": reason.expected, "text": reason.text, "values": dict(reason.values)}
    return {name: value for name, value in full.items() if value or name == "field"}


def pairs(entities: Iterable[Entity]) -> list[dict[str, str]]:
    """Entities as plain JSON."""
    return [{"type": e.type, "value": e.value} for e in entities]


def utc(at: datetime) -> str:
    """ISO 8601, UTC: how instants stand in records."""
    return at.astimezone(UTC).isoformat()


def to_json(alert: Alert) -> dict[str, Any]:
    """The stable form of `soc alerts list --json`; times with the local offset."""

    def local(at: datetime | None) -> str | None:
        return iso_local(at) if at else None

    return {
        "id": alert.id, "rule": rule_json(alert.rule), "first": local(alert.first), "last": local(alert.last), "count": alert.count,
        "entities": pairs(alert.entities), "events": list(alert.events), "status": alert.status, "incident": alert.incident or None,
        "retro": alert.retro, "exercise": alert.exercise, "related": pairs(alert.related), "opened_at": local(alert.opened_at),
        "reasons": [reason_json(r) for r in alert.reasons], "evidence": alert.evidence, "evidence_from": local(alert.evidence_from),
        "evidence_to": local(alert.evidence_to), "assignee": alert.assignee or None, "acked_at": local(alert.acked_at),
        "closed_at": local(alert.closed_at), "verdict": alert.verdict or None, "verdict_reason": alert.verdict_reason or None,
        "duplicate_of": alert.duplicate_of or None, "why": dict(alert.why), "silence": alert.silence or None,
        "merged": list(alert.merged),
    }  # fmt: skip


def _apply(state: dict[str, Any], record: Happened) -> None:
    step = _STEPS.get(record.type)
    if step is not None:
        step(state, record)
    state["updated_at"] = record.at
    state["version"] = state.get("version", 0) + 1


def _when(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _entities(items: Sequence[Mapping[str, str]]) -> tuple[Entity, ...]:
    return tuple(Entity(i["type"], i["value"]) for i in items)


def _reasons(items: Iterable[Mapping[str, Any]]) -> tuple[Reason, ...]:
    return tuple(Reason(i["field"], i.get("value", ""), i.get("expected", ""), i.get("text", ""), i.get("values") or {}) for i in items)


def _opened(state: dict[str, Any], record: Happened) -> None:
    body = record.body
    state.update(
        id=body["id"], rule=rule_of(body["rule"]),
        entities=_entities(body["entities"]), first=datetime.fromisoformat(body["first"]), last=datetime.fromisoformat(body["last"]),
        count=body["count"], events=tuple(body["events"]), opened_at=record.at, related=_entities(body.get("related", ())),
        retro=bool(body.get("retro")), exercise=bool(body.get("exercise")),
    )  # fmt: skip
    _explained(state, body)


def _explained(state: dict[str, Any], body: Mapping[str, Any]) -> None:
    state.update(
        reasons=_reasons(body["reasons"]), evidence=body.get("evidence", ""),
        evidence_from=_when(body.get("evidence_from")), evidence_to=_when(body.get("evidence_to")),
    )  # fmt: skip


def _hits(state: dict[str, Any], record: Happened) -> None:
    body = record.body
    state["count"] += body["count"]
    state["first"] = min(state["first"], datetime.fromisoformat(body["first"]))
    state["last"] = max(state["last"], datetime.fromisoformat(body["last"]))
    room = MAX_EVENTS - len(state["events"])
    if body["events"] and room > 0:
        state["events"] = (*state["events"], *body["events"][:room])
    if body.get("related"):
        state["related"] = tuple(dict.fromkeys((*state["related"], *_entities(body["related"]))))
    if body.get("reasons"):
        _explained(state, body)


def _withdrawn(state: dict[str, Any], record: Happened) -> None:
    """Events that do not belong to it after all; nothing left: it is closed."""
    body = record.body
    gone = set(body["events"])
    state["count"] -= body["count"]
    state["events"] = tuple(e for e in state["events"] if e not in gone)
    for name in ("first", "last"):
        if name in body:
            state[name] = datetime.fromisoformat(body[name])
    if state["count"] <= 0:
        state.update(status="closed", verdict="benign", verdict_reason=body["reason"], closed_at=record.at, closed_by=record.actor)


def _merged(state: dict[str, Any], record: Happened) -> None:
    """`into`: it is closed as a duplicate of that alert; `from`: it takes over that alert's events."""
    body = record.body
    if "into" in body:
        state.update(
            status="closed", verdict="duplicate", verdict_reason=body["reason"], duplicate_of=body["into"], closed_at=record.at,
            closed_by=record.actor,
        )  # fmt: skip
    else:
        _hits(state, record)
        state["merged"] = (*state.get("merged", ()), body["from"])


def _took(state: dict[str, Any], record: Happened) -> None:
    if state.get("acked_at") is None:
        state["acked_at"], state["acked_by"] = record.at, record.actor


def _ack(state: dict[str, Any], record: Happened) -> None:
    _took(state, record)
    state["status"] = "ack"
    state["assignee"] = state.get("assignee") or record.actor


def _assigned(state: dict[str, Any], record: Happened) -> None:
    body = record.body
    state["assignee"] = body["to"]
    state["status"] = "assigned"


def _verdict(state: dict[str, Any], record: Happened) -> None:
    body = record.body
    _took(state, record)
    state.update(
        status="closed", verdict=body["verdict"], verdict_reason=body["reason"], duplicate_of=body.get("duplicate_of", ""),
        closed_at=record.at, closed_by=record.actor,
    )  # fmt: skip


def _silenced(state: dict[str, Any], record: Happened) -> None:
    body = record.body
    state["status"], state["silence"] = "silenced", body["silence"]


def _incident(state: dict[str, Any], record: Happened) -> None:
    body = record.body
    state["incident"], state["why"] = body["incident"], body.get("why", {})


def _reopened(state: dict[str, Any], _: Happened) -> None:
    state.update(status="new", verdict="", verdict_reason="", duplicate_of="", closed_at=None, closed_by="", silence="", assignee="")


_STEPS: Final[Mapping[str, Callable[[dict[str, Any], Happened], None]]] = {
    "opened": _opened, "hits": _hits, "withdrawn": _withdrawn, "merged": _merged, "ack": _ack, "assigned": _assigned, "verdict": _verdict,
    "silenced": _silenced, "incident": _incident, "reopened": _reopened,
}  # fmt: skip
