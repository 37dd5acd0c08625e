"""Alerts that share an address, a user, a host become one incident, and each says why.

An incident opens for an alert of level high or above, for two related alerts of level medium or above, or when an anomaly and a rule
speak of the same entity. Single low alerts stay alerts. What every alert shares (a busy portal host, a common account) relates nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from detectors.alert_index import Case, links
from detectors.draft import Draft
from domain import incident as incidents
from domain import titles
from domain.alert import Alert, Entity
from domain.severity import rank

NEAR: Final = timedelta(hours=24)
"""Alerts further apart than this are not related."""
COMMON: Final = 8
"""An entity seen in more incidents than this relates nothing any more."""
CROWD: Final = 25
"""An entity named by more alerts than this within NEAR, each about other parties, relates nothing."""
MEDIUM: Final = rank("medium")
HIGH: Final = rank("high")


@dataclass(frozen=True)
class Edge:
    """Why two alerts belong together."""

    other: Alert
    entity: Entity


def group(draft: Draft, alert: Alert) -> None:
    """Put the alert into the incident it belongs to, opening or merging incidents as needed."""
    if not alert.is_open or rank(alert.rule.level) == 0:
        return
    edges = related(draft, alert)
    cases = sorted({c.id: c for c in (_open_case(draft, e.other) for e in edges) if c is not None}.values(), key=lambda c: (c.opened, c.id))
    own = _open_case(draft, alert)
    if alert.incident and own is None:
        return
    if own is not None:
        cases = [own, *(c for c in cases if c.id != own.id)]
    if cases:
        _join(draft, alert, cases, edges)
    else:
        _begin(draft, alert, edges)


def related(draft: Draft, alert: Alert) -> list[Edge]:
    """Alerts within NEAR that share a telling entity; one edge for each, by the most telling entity."""
    found: dict[str, Edge] = {}
    for entity in sorted(links(alert), key=_telling):
        others = [o for o in map(draft.alert, draft.of_entity(entity)) if o.id != alert.id and _near(alert, o)]
        if not others or _common(draft, entity, others):
            continue
        for other in others:
            if _joins(alert, other, entity):
                found.setdefault(other.id, Edge(other, entity))
    return sorted(found.values(), key=lambda e: (e.other.first, e.other.id))


def _telling(entity: Entity) -> tuple[int, Entity]:
    return ("hash", "script", "ip", "client", "user", "host").index(entity.type), entity


def _near(a: Alert, b: Alert) -> bool:
    return a.first <= b.last + NEAR and b.first <= a.last + NEAR


def _common(draft: Draft, entity: Entity, others: Iterable[Alert]) -> bool:
    everywhere = {o.incident for o in map(draft.alert, draft.of_entity(entity)) if o.incident}
    return len(everywhere) > COMMON or len({_parties(o) for o in others}) > CROWD


def _parties(alert: Alert) -> tuple[Entity, ...]:
    return tuple(e for e in alert.entities if e.type in ("ip", "user", "client"))


def _joins(alert: Alert, other: Alert, entity: Entity) -> bool:
    """Both are live and of one kind (exercise or real); a shared host alone does not join low alerts, nor different attackers."""
    if other.exercise != alert.exercise or other.status == "silenced" or rank(other.rule.level) == 0:
        return False
    if other.verdict in ("false_positive", "benign"):
        return False
    if entity.type != "host":
        return True
    if min(rank(alert.rule.level), rank(other.rule.level)) < MEDIUM:
        return False
    ours, theirs = ({e.value for e in links(a) if e.type == "ip"} for a in (alert, other))
    return not ours or not theirs or bool(ours & theirs)


def _open_case(draft: Draft, alert: Alert) -> Case | None:
    case = draft.case(alert.incident) if alert.incident else None
    return case if case is not None and case.open else None


def _join(draft: Draft, alert: Alert, cases: list[Case], edges: list[Edge]) -> None:
    """Into the oldest incident; younger ones that nobody has touched are merged into it, loose related alerts come along."""
    target = min(cases, key=lambda c: (not c.touched, c.opened, c.id))
    if not alert.incident:
        edge = next(e for e in edges if e.other.incident == target.id)
        _add(draft, target.id, [(alert, _why(edge))])
    for case in cases:
        if case.id != target.id and not case.touched and case.exercise == target.exercise:
            _merge(draft, case, target.id)
    loose = [(draft.alert(e.other.id), _back(e, alert)) for e in edges if not draft.alert(e.other.id).incident and e.other.is_open]
    if loose:
        _add(draft, target.id, loose)


def follow(draft: Draft, alert: Alert, gone: Alert) -> Alert:
    """The alert into which another one was merged takes its place: in its incident, or the incidents become one."""
    case, own = _open_case(draft, gone), _open_case(draft, alert)
    if case is None or (own is not None and own.id == case.id):
        return alert
    if own is None and not alert.incident:
        shared = next(iter(alert.entities), None)
        why = {"type": shared.type, "value": shared.value, "alert": gone.id} if shared else {"level": alert.rule.level}
        _add(draft, case.id, [(alert, why)])
    elif own is not None and not case.touched and case.exercise == own.exercise:
        _merge(draft, case, own.id)
    return draft.alert(alert.id)


def _add(draft: Draft, case: str, items: list[tuple[Alert, dict[str, str]]]) -> None:
    entities = dict.fromkeys(e for a, _ in items for e in (*a.entities, *a.related))
    draft.write_case(case, incidents.alerts_added([a.id for a, _ in items], list(entities)))
    for alert, why in items:
        draft.write(alert.id, "incident", {"incident": case, "why": why})


def _merge(draft: Draft, case: Case, into: str) -> None:
    moved = [draft.alert(a) for a in case.alerts]
    entities = dict.fromkeys(e for a in moved for e in (*a.entities, *a.related))
    draft.write_case(case.id, incidents.merged(into=into))
    draft.write_case(into, incidents.merged(source=case.id, alerts=[a.id for a in moved], entities=list(entities)))
    for alert in moved:
        draft.write(alert.id, "incident", {"incident": into, "why": dict(alert.why)})


def _begin(draft: Draft, alert: Alert, edges: list[Edge]) -> None:
    """Open an incident when the alert, with what is related to it, is worth one."""
    loose = [e for e in edges if not e.other.incident and e.other.is_open]
    members = [alert, *(e.other for e in loose)]
    reason = _worth(members, alert)
    if not reason:
        return
    first = min(members, key=lambda a: (a.first, a.id))
    key = incidents.incident_id(first.id, draft.now)
    entities = dict.fromkeys(e for a in members for e in (*a.entities, *a.related))
    grave = max(members, key=lambda a: (rank(a.rule.level), a.id == alert.id))
    draft.write_case(key, incidents.opened(incidents.Opening(
        key, draft.now, _title(grave), grave.rule.kind, tuple(a.id for a in sorted(members, key=lambda a: (a.first, a.id))),
        tuple(entities), exercise=alert.exercise,
    )))  # fmt: skip
    why = _why(loose[0]) if reason != "level" and loose else {"level": alert.rule.level}
    draft.write(alert.id, "incident", {"incident": key, "why": why})
    for edge in loose:
        draft.write(edge.other.id, "incident", {"incident": key, "why": _back(edge, alert)})


def _worth(members: list[Alert], alert: Alert) -> str:
    if rank(alert.rule.level) >= HIGH:
        return "level"
    if sum(rank(a.rule.level) >= MEDIUM for a in members) >= 2:
        return "related"
    kinds = {a.rule.kind == "anomaly" for a in members}
    return "kinds" if len(kinds) == 2 else ""


def _title(alert: Alert) -> str:
    about = ", ".join(e.value for e in alert.entities[:2])
    said = titles.title(alert.rule)
    return f"{said}: {about}" if about else said


def _why(edge: Edge) -> dict[str, str]:
    return {"type": edge.entity.type, "value": edge.entity.value, "alert": edge.other.id}


def _back(edge: Edge, alert: Alert) -> dict[str, str]:
    return {"type": edge.entity.type, "value": edge.entity.value, "alert": alert.id}
