"""How incidents, clocks and evidence look on a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from commands.common import OPTIONS, emit, show
from domain import duties
from domain.alert import Evidence
from domain.clock import show_local
from domain.duties import Duty
from domain.i18n import t
from domain.incident import Incident
from jobs import respond_evidence as evidence
from jobs.respond_playbook import Unmet

DUTY_KEYS = ("incident", "duty", "state", "due_at", "left", "to", "source")


def headers(*names: str) -> list[str]:
    """Column titles in the reader's language."""
    return [t(f"incident.col_{name}") for name in names]


def left(duty: Duty) -> str:
    """How much time is left, how late it is, or what else is known of the clock."""
    if duty.state == "done":
        return t("duties.state_done_late") if duty.late else t("duties.state_done")
    if duty.remaining is None:
        return t("duties.not_started")
    key = "duties.late_by" if duty.remaining < timedelta() else "duties.left"
    return t(key, time=span(abs(duty.remaining)))


def span(length: timedelta) -> str:
    """`2 ngày 04 giờ`, `3 giờ 20 phút`, `12 phút`."""
    days, rest = divmod(int(length.total_seconds() // 60), 1440)
    hours, minutes = divmod(rest, 60)
    key = "span_days" if days else "span_hours" if hours else "span_minutes"
    return t(f"duties.{key}", days=days, hours=hours, minutes=minutes)


def duty_rows(incident: Incident, now: datetime) -> list[tuple[str, ...]]:
    """One row a clock, most pressing first."""
    rows: list[tuple[str, ...]] = []
    for duty in duties.due(incident, now):
        due = show_local(duty.due_at) if duty.due_at else ""
        to = ", ".join(t(f"duties.to_{key}") for key in duty.clause.to)
        source = duty.clause.source or t("duties.own_rule")
        state = t(f"duties.state_{duty.state}") if duty.started else ""
        rows.append((incident.id, f"{duty.id}: {t(f'duties.{duty.id}')}", state, due, left(duty), to, source))
    return rows


def duty_objects(incident: Incident, now: datetime) -> list[dict[str, object]]:
    """The same for machines."""
    return [{"incident": incident.id, **evidence.duty_json(d)} for d in duties.due(incident, now)]


def listed(found: Sequence[Incident], now: datetime, form: str) -> None:
    """The list, with the clock that runs out first."""
    if OPTIONS.json or form == "json":
        emit([evidence.to_json(incident, now) for incident in found])
        return
    names = ("id", "level", "t0", "title", "status", "alerts", "next_due")
    show(headers(*names), [_row(i, now) for i in found], form)


def _row(i: Incident, now: datetime) -> tuple[object, ...]:
    running = [d for d in duties.due(i, now) if d.state != "done" and d.started] if i.is_open else []
    due = f"{t(f'duties.{running[0].id}')}: {left(running[0])}" if running else ""
    title = f"[{t('incident.exercise')}] {i.title}" if i.exercise else i.title
    return i.id, i.level or "?", show_local(i.t0), title, t(f"incident.status_{i.status}"), len(i.alerts), due


def detail(incident: Incident, now: datetime, runs: Iterable[str], fitting: Iterable[str]) -> None:
    """One incident on a screen: what it is, then its clocks."""
    none = t("incident.none")
    category = t(f"incident.category_{incident.category}") if incident.category else "?"
    rows = [
        (t("incident.col_id"), f"{incident.id}{' ' + t('incident.exercise') if incident.exercise else ''}"),
        (t("incident.col_title"), incident.title),
        (t("incident.col_t0"), f"{show_local(incident.t0)} ({t('incident.detected_by')}: {incident.detected_by})"),
        (t("incident.col_status"), t(f"incident.status_{incident.status}")),
        (t("incident.col_level"), f"{incident.level or '?'} {incident.level_reason}".strip()),
        (t("incident.col_category"), category),
        (t("incident.profile"), f"{incident.profile} / {incident.personal_data_profile}"),
        (t("incident.flags"), "; ".join(t(f"incident.flag_{f}") for f in incident.flags) or none),
        (t("incident.entities"), "  ".join(f"{e.type}={e.value}" for e in incident.entities) or none),
        (t("incident.assets"), ", ".join(incident.assets) or none),
        (t("incident.units"), ", ".join(incident.units) or none),
        (t("incident.col_alerts"), f"{len(incident.alerts)}: {' '.join(incident.alerts[:10])}"),
        (t("incident.runs"), ", ".join(runs) or none),
        (t("incident.proposals"), "; ".join(fitting) or none),
        *((t(f"incident.fact_{k}"), v) for k, v in incident.facts.items()),
    ]
    show(headers("field", "value"), rows)
    show(headers("duty", "status", "due", "left", "to"), [row[1:6] for row in duty_rows(incident, now)])


def evidence_table(items: Sequence[Evidence], form: str) -> None:
    """What is kept."""
    if OPTIONS.json or form == "json":
        emit([evidence.evidence_json(item) for item in items])
    else:
        rows = [(e.name, e.size, e.sha256, show_local(e.taken_at), e.taken_by, e.note) for e in items]
        show(headers("file", "size", "sha256", "at", "actor", "note"), rows, form)


def unmet_table(open_: Sequence[Unmet]) -> None:
    """What keeps an incident open."""
    show(headers("kind", "field", "what"), [(t(f"incident.unmet_{u.kind}"), u.id, u.text) for u in open_])
