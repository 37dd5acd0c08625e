"""One alert in full: why, the records behind it, what is normal, what to do next; and whether it can be reproduced."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from domain import spoken
from domain.alert import Alert
from domain.i18n import lang, t
from domain.query import Expr, Query, all_of
from domain.window import TimeWindow
from jobs.alerts import every, resolve

if TYPE_CHECKING:
    import pyarrow as pa

    from detectors.sigma.ruleset import RuleSet
    from jobs.runtime import Runtime

LINES: Final = 10
"""Records shown."""
SECOND: Final = timedelta(seconds=1)


@dataclass(frozen=True)
class Detail:
    """What an analyst needs in order to decide."""

    alert: Alert
    why: tuple[str, ...]
    """Sentences in the language of the process."""
    records: tuple[dict[str, Any], ...]
    """The newest events behind it, flat, with `event.original`."""
    evidence_rows: int
    """Rows that the evidence query returns; -1 = there is no query."""
    earlier: int
    """Earlier alerts of the same rule about the same entities."""
    rule_alerts: int
    """Alerts of the same rule."""
    verdicts: dict[str, int]
    """Earlier verdicts on the rule."""
    related: tuple[Alert, ...]
    """The other alerts of the incident."""
    playbooks: tuple[tuple[str, str, str], ...]
    """(id, title, what matched) of the playbooks that fit."""
    next: tuple[str, ...]
    """Commands to go on with."""


def detail(runtime: Runtime, prefix: str, lines: int = LINES) -> Detail:
    """Everything about one alert; reads the store only."""
    known = every(runtime.store.records)
    alert = known[resolve(known, prefix)]
    same = [a for a in known.values() if a.rule.id == alert.rule.id and a.id != alert.id]
    verdicts: dict[str, int] = {}
    for one in same:
        if one.verdict:
            verdicts[one.verdict] = verdicts.get(one.verdict, 0) + 1
    related = tuple(a for a in known.values() if alert.incident and a.incident == alert.incident and a.id != alert.id)
    books = playbooks(runtime, alert)
    return Detail(
        alert, tuple(spoken.reason(r) for r in alert.reasons), tuple(_records(runtime, alert, lines)), _evidence(runtime, alert),
        sum(a.key == alert.key and a.opened_at < alert.opened_at for a in same), len(same) + 1, verdicts, related, books,
        tuple(_next(alert, books)),
    )  # fmt: skip


def _records(runtime: Runtime, alert: Alert, lines: int) -> list[dict[str, Any]]:
    """The newest events that the alert holds; without any, the newest rows of its evidence query."""
    from domain.event import row  # Arrow is heavy

    if not lines:
        return []
    if alert.events:
        table = runtime.store.events.fetch(alert.events[-lines:])
        return [row(table, i) for i in range(table.num_rows)]
    query = evidence_query(alert, lines)
    if query is None:
        return []
    out: list[dict[str, Any]] = []
    for table in runtime.store.events.search(query):
        out += [row(table, i) for i in range(min(table.num_rows, lines - len(out)))]
        if len(out) >= lines:
            break
    return out[::-1]


def evidence_query(alert: Alert, limit: int = 0) -> Query | None:
    """The alert's evidence as a query; None when it has none."""
    from domain.grammar import parse  # Arrow is heavy

    if not alert.evidence:
        return None
    start, end = alert.evidence_from or alert.first, alert.evidence_to or alert.last + SECOND
    return Query(parse(alert.evidence), TimeWindow(start, end), limit=limit)


def _evidence(runtime: Runtime, alert: Alert) -> int:
    query = evidence_query(alert)
    return -1 if query is None else runtime.store.events.count(query)


def playbooks(runtime: Runtime, alert: Alert) -> tuple[tuple[str, str, str], ...]:
    """Playbooks that the alert's rule calls for."""
    from domain.playbook import matches, say
    from playbooks.load import load_all

    books, _ = load_all(runtime.content("playbooks"))
    tags = frozenset(alert.rule.tags)
    found = [(b, matches(b.triggers, tags=tags, rule_id=alert.rule.id, category="")) for b in books.values()]
    return tuple((b.id, say(b.title, lang()), hit) for b, hit in found if hit)


def _next(alert: Alert, books: Sequence[tuple[str, str, str]]) -> list[str]:
    short = alert.id[:8]
    out = []
    if alert.status in ("new", "assigned"):
        out.append(f"soc alerts ack {short}")
    if alert.evidence:
        start, end = alert.evidence_from or alert.first, alert.evidence_to or alert.last
        window = f"--since {start.isoformat()} --until {end.isoformat()}".replace("+00:00", "Z")
        out.append(f"soc search {shlex.quote(alert.evidence)} {window}")
    elif alert.events:
        out.append(f"soc search --around {alert.events[-1]} 10m")
    if alert.incident:
        out.append(f"soc incident show {alert.incident}")
        out += [f"soc playbook start {alert.incident} {books[0][0]}"] if books else []
    elif alert.is_open:
        out.append(f"soc incident open --alert {short}")
    if alert.is_open:
        out.append(f"soc alerts verdict {short} true_positive|false_positive|benign --reason …")
    return out


@dataclass(frozen=True)
class Replayed:
    """Whether the alert comes about again."""

    alert: Alert
    same: bool
    present: int
    """Events of the alert that the store still holds."""
    matching: int
    """Of those, how many the rule of today matches; for anomalies, rows of the evidence query."""
    changed: tuple[str, ...]
    """What is different, in the language of the process."""


def replay(runtime: Runtime, prefix: str) -> Replayed:
    """Run the rule of today over the events of the alert."""
    known = every(runtime.store.records)
    alert = known[resolve(known, prefix)]
    table = runtime.store.events.fetch(alert.events)
    if alert.rule.kind == "anomaly":
        return _anomaly(runtime, alert, table)
    from detectors.sigma.refs import reference
    from jobs.rulesets import load

    changed = _gone(alert, table)
    rules = load(runtime)
    rule = next((r for r in rules.rules if r.ref.id == alert.rule.id), None)
    correlations = (reference(c.data, "correlation") for c in rules.correlations)
    ref = rule.ref if rule else next((c for c in correlations if c.id == alert.rule.id), None)
    if ref is None:
        return Replayed(alert, False, table.num_rows, 0, (*changed, t("alerts.replay_no_rule", rule=alert.rule.id)))
    if ref.version != alert.rule.version:
        changed.append(t("alerts.replay_version", old=alert.rule.version, new=ref.version))
    matching = _matching(all_of(rule.route, rule.body), table) if rule else _correlated(runtime, rules, alert)
    if matching < table.num_rows:
        changed.append(t("alerts.replay_fewer", n=table.num_rows - matching, of=table.num_rows))
    return Replayed(alert, not changed, table.num_rows, matching, tuple(changed))


def _matching(expr: Expr, table: pa.Table) -> int:
    from domain.event import TableBatch
    from match import rows

    return len(rows(expr, TableBatch(table))) if table.num_rows else 0


def _correlated(runtime: Runtime, rules: RuleSet, alert: Alert) -> int:
    """Events of the alert that the correlation finds again in the store, with those that its windows begin with."""
    from detectors.sigma.detector import SigmaDetector
    from detectors.sigma.second import readable
    from jobs.retro import subset

    part = subset(rules, {alert.rule.id})
    reach = timedelta(seconds=sum(one.seconds for one in readable(part)))
    window = TimeWindow(alert.first - reach, alert.last + timedelta(microseconds=1))
    events = runtime.store.events
    found = SigmaDetector(part, retro=True, hunt=True).scan(events.chunks(window), {}, runtime.clock.now(), events).findings
    told = {event for one in found if one.rule.id == alert.rule.id and one.entities == alert.entities for event in one.events}
    return len(told.intersection(alert.events))


def _gone(alert: Alert, table: pa.Table) -> list[str]:
    missing = len(alert.events) - table.num_rows
    return [t("alerts.replay_gone", n=missing, of=len(alert.events))] if missing else []


def _anomaly(runtime: Runtime, alert: Alert, table: pa.Table) -> Replayed:
    """Models learn, so the evidence is compared: the rows that it names must still be what the alert counted."""
    changed = _gone(alert, table)
    rows = _evidence(runtime, alert)
    held = set(alert.events)
    query = evidence_query(alert)
    if query is not None and held:
        found = {key.hex() for part in runtime.store.events.search(query) for key in part["event.id"].to_pylist()}
        if not held & found:
            changed.append(t("alerts.replay_evidence"))
    return Replayed(alert, not changed, table.num_rows, max(rows, 0), tuple(changed))
