"""How alerts look on a terminal and as JSON. Log text is made harmless here."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from domain import attack as known_attack
from domain import spoken, titles
from domain.alert import Alert, Entity
from domain.alert_fold import to_json
from domain.clock import LOCAL, show_local
from domain.i18n import t
from domain.text import clean, one_line
from jobs.alert_detail import Detail

HEADERS: Final = ("id", "level", "rule", "entities", "count", "first", "last", "status", "incident")
WIDE: Final = 400
"""Characters of a record shown."""
_OWN: Final = 30
"""Characters of a rule's own title in a list on a terminal."""

SHORT: Final = ("id", "level", "rule", "entities", "count", "last", "status", "incident")
"""Columns of a terminal: HEADERS without the first event."""


def short_row(alert: Alert) -> tuple[object, ...]:
    """The cells of a list on a terminal: no year, no seconds."""
    cells = row(alert, _OWN)
    return (*cells[:5], alert.last.astimezone(LOCAL).strftime("%d/%m %H:%M"), *cells[7:])


def row(alert: Alert, own: int = 0) -> tuple[object, ...]:
    """The cells of a list; `own`: characters of the rule's own title (0 = all)."""
    about = ", ".join(e.value for e in alert.entities)
    flags = "".join(f" [{t(f'alerts.flag_{name}')}]" for name in ("retro", "exercise") if getattr(alert, name))
    status = t(f"alerts.verdict_{alert.verdict}") if alert.verdict else t(f"alerts.status_{alert.status}")
    return (
        alert.id[:8], t(f"alerts.level_{alert.rule.level}"), titles.full(alert.rule, cut=own) + flags, about, alert.count,
        show_local(alert.first), show_local(alert.last), status, alert.incident,
    )  # fmt: skip


def detail_json(found: Detail) -> dict[str, Any]:
    """`soc alerts show --json`."""
    return {
        **listed(found.alert), "does": _does(found.alert), "why_text": list(found.why), "records": list(found.records),
        "evidence_rows": found.evidence_rows,
        "earlier": found.earlier, "rule_alerts": found.rule_alerts, "rule_verdicts": found.verdicts,
        "related_alerts": [a.id for a in found.related], "next": list(found.next),
        "playbooks": [{"id": b[0], "title": b[1], "matched": b[2]} for b in found.playbooks],
    }  # fmt: skip


def detail_text(found: Detail) -> Iterator[str]:
    """`soc alerts show` for people: what, why, the records, what is normal, what next."""
    alert = found.alert
    yield one_line(f"{t(f'alerts.level_{alert.rule.level}')} · {titles.headline(alert.rule, alert.entities)}")
    yield from _facts(alert)
    yield from _section("why", found.why)
    yield from _section("normal", _normal(found))
    yield from _section("records", [_record(r) for r in found.records])
    if found.evidence_rows >= 0:
        yield f"  {t('alerts.evidence_rows', n=found.evidence_rows)}"
    yield from _section("together", [_beside(a) for a in found.related[:10]])
    yield from _section("playbooks", [t("alerts.playbook", id=b[0], title=b[1], hit=spoken.hit(b[2])) for b in found.playbooks])
    yield from _section("next", found.next)


def _facts(alert: Alert) -> Iterator[str]:
    when = f"{show_local(alert.first)} – {show_local(alert.last)}"
    state = t(f"alerts.status_{alert.status}") + (f" · {t(f'alerts.verdict_{alert.verdict}')}" if alert.verdict else "")
    facts = {
        "id": alert.id, "entities": ", ".join(map(spoken.entity, alert.entities)),
        "with": ", ".join(map(spoken.entity, alert.related)), "when": when, "count": alert.count,
        "detected": show_local(alert.opened_at), "state": state, "assignee": alert.assignee, "incident": alert.incident,
        "joined": _joined(alert), "merged": ", ".join(alert.merged), "duplicate_of": alert.duplicate_of, "reason": alert.verdict_reason,
        "rule": _rule(alert), "tags": spoken.attack(alert.rule.tags), "does": _does(alert),
    }  # fmt: skip
    for name, value in facts.items():
        if value not in ("", 0):
            yield one_line(f"  {t(f'alerts.col_{name}')}: {value}", 600)
    for name in ("retro", "exercise"):
        if getattr(alert, name):
            yield f"  {t(f'alerts.is_{name}')}"


def _rule(alert: Alert) -> str:
    """The rule's own title, id and version."""
    own = alert.rule.title if alert.rule.title != titles.title(alert.rule) else ""
    return f"{own} · {alert.rule.id} ({alert.rule.version})" if own else f"{alert.rule.id} ({alert.rule.version})"


def _does(alert: Alert) -> str:
    """What the attacker does, by the technique that says most of the rule."""
    return spoken.does(titles.main_technique(known_attack.name_of(tag) for tag in alert.rule.tags))


def listed(alert: Alert) -> dict[str, Any]:
    """`soc alerts list --json`: the alert, with its title and its reasons in words in the language of the reader."""
    return {**to_json(alert), "title_local": titles.headline(alert.rule, alert.entities), "sentence": spoken.sentence(alert.reasons)}


def _joined(alert: Alert) -> str:
    """Why it belongs to its incident."""
    if "level" in alert.why:
        return t("alerts.joined_level", level=t(f"alerts.level_{alert.why['level']}"))
    if "value" in alert.why:
        return t("alerts.joined_entity", what=spoken.entity(Entity(alert.why["type"], alert.why["value"])), alert=alert.why["alert"][:8])
    return ""


def _section(name: str, lines: Any) -> Iterator[str]:
    shown = list(lines)
    if shown:
        yield ""
        yield t(f"alerts.part_{name}")
        for line in shown:
            yield f"  {one_line(line)}"


def _normal(found: Detail) -> Iterator[str]:
    expected = [r.expected for r in found.alert.reasons if r.expected and not r.text]
    if expected and found.alert.rule.kind == "anomaly":
        yield t("alerts.expected", value=", ".join(expected))
    if found.rule_alerts == 1:
        yield t("alerts.first_of_rule")
    else:
        yield t("alerts.seen_before", n=found.rule_alerts - 1, same=found.earlier)
    if found.verdicts:
        yield t("alerts.judged", list=", ".join(f"{t(f'alerts.verdict_{k}')} {n}" for k, n in sorted(found.verdicts.items())))


def _record(event: dict[str, Any]) -> str:
    text = event.get("event.original") or event.get("message") or ""
    return f"{show_local(datetime.fromisoformat(str(event['@timestamp'])))}  {clean(str(text), WIDE)}"


def _beside(alert: Alert) -> str:
    about = ", ".join(e.value for e in alert.entities)
    return f"{alert.id[:8]} · {t(f'alerts.level_{alert.rule.level}')} · {titles.full(alert.rule)} · {about} · {show_local(alert.last)}"
