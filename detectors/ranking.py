"""What to work on first, and why: a score from 0 to 100 that is the sum of its reasons. Pure.

Level counts most; then what is new (a rule or a rule about these entities never seen before), how much of an attack is visible (distinct
rules and tactics about the same entities, an anomaly and a rule together) and what earlier verdicts said about the rule.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from detectors.alert_index import Case
from domain import titles
from domain.alert import Alert, Entity
from domain.severity import rank

POINTS: Final = {"informational": 0, "low": 5, "medium": 15, "high": 30, "critical": 45}
RARE_RULE: Final = 8
NEW_PAIR: Final = 4
RULE: Final = 3
TACTIC: Final = 4
AT_MOST: Final = 4
"""Rules and tactics beyond the first that count."""
BOTH_KINDS: Final = 7
TRUE_BEFORE: Final = 8
FALSE_BEFORE: Final = 15
SAME_FALSE: Final = 13
WAITING: Final = timedelta(hours=24)
LATE: Final = 4
ENOUGH: Final = 3
"""Verdicts needed before the share of false ones counts."""
RETRO: Final = 3
TACTICS: Final = frozenset({
    "reconnaissance", "resource_development", "initial_access", "execution", "persistence", "privilege_escalation", "stealth",
    "defense_impairment", "defense_evasion",
    "credential_access", "discovery", "lateral_movement", "collection", "command_and_control", "exfiltration", "impact",
})  # fmt: skip


@dataclass(frozen=True)
class Point:
    """One reason of a score; its sentence is `alerts.why_<key>` filled with `values`."""

    key: str
    points: int
    values: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Item:
    """One thing to work on: an incident, or an alert that belongs to none."""

    kind: str
    """incident, alert."""
    id: str
    title: str
    level: str
    """Highest level among its alerts."""
    score: int
    why: tuple[Point, ...]
    alerts: tuple[Alert, ...]
    """The gravest first."""
    first: datetime
    last: datetime
    opened: datetime
    """When it was detected."""
    entities: tuple[Entity, ...]
    status: str
    assignee: str
    exercise: bool


@dataclass(frozen=True)
class History:
    """What earlier alerts say about rules."""

    rules: Mapping[str, int]
    """Alerts of each rule."""
    pairs: Mapping[tuple[str, tuple[Entity, ...]], int]
    """Alerts of each rule about the same entities."""
    verdicts: Mapping[str, Counter[str]]
    false_pairs: frozenset[tuple[str, tuple[Entity, ...]]]
    """Rule and entities that were once judged false or benign."""

    @classmethod
    def of(cls, known: Iterable[Alert]) -> History:
        """Count once."""
        rules: Counter[str] = Counter()
        pairs: Counter[tuple[str, tuple[Entity, ...]]] = Counter()
        verdicts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        false = set()
        for alert in known:
            rules[alert.rule.id] += 1
            pairs[alert.key] += 1
            if alert.verdict:
                verdicts[alert.rule.id][alert.verdict] += 1
            if alert.verdict in ("false_positive", "benign"):
                false.add(alert.key)
        return cls(rules, pairs, verdicts, frozenset(false))


def queue(known: Mapping[str, Alert], cases: Mapping[str, Case], now: datetime) -> list[Item]:
    """Open incidents and open alerts outside incidents, the most urgent first."""
    history = History.of(known.values())
    grouped: defaultdict[str, list[Alert]] = defaultdict(list)
    items = []
    for alert in known.values():
        if alert.incident and alert.incident in cases:
            grouped[alert.incident].append(alert)
        elif alert.is_open and rank(alert.rule.level) > 0:
            items.append(_item("alert", alert.id, [alert], history, now))
    for key, case in cases.items():
        if case.open and (members := grouped.get(key)):
            items.append(_item("incident", key, members, history, now))
    return sorted(items, key=lambda i: (-i.score, i.opened, i.id))


def _item(kind: str, key: str, members: Sequence[Alert], history: History, now: datetime) -> Item:
    graded = sorted(members, key=lambda a: (-rank(a.rule.level), a.first, a.id))
    worst = graded[0]
    why = [Point("level", POINTS.get(worst.rule.level, POINTS["medium"]), {"level": worst.rule.level})]
    why += _breadth(graded) + _novelty(graded, history) + _judged(graded, history)
    opened = min(a.opened_at for a in graded)
    taken = [a for a in graded if a.acked_at or a.assignee]
    if not taken and now - opened >= WAITING:
        why.append(Point("waiting", LATE, {"hours": int((now - opened).total_seconds() // 3600)}))
    if all(a.retro for a in graded):
        why.append(Point("retro", -RETRO))
    entities = dict.fromkeys(e for a in graded for e in a.entities)
    return Item(
        kind, key, titles.full(worst.rule), worst.rule.level, max(0, sum(p.points for p in why)), tuple(p for p in why if p.points),
        tuple(graded), min(a.first for a in graded), max(a.last for a in graded), opened, tuple(entities),
        "taken" if taken else "new", next((a.assignee for a in taken if a.assignee), ""), any(a.exercise for a in graded),
    )  # fmt: skip


def tactics(alert: Alert) -> set[str]:
    """ATT&CK tactics of the rule's tags, as tag names."""
    return {name for tag in alert.rule.tags if (name := tag.removeprefix("attack.").replace("-", "_")) in TACTICS}


def _breadth(members: Sequence[Alert]) -> list[Point]:
    out = []
    rules = {a.rule.id for a in members}
    if len(rules) > 1:
        out.append(Point("rules", RULE * min(len(rules) - 1, AT_MOST), {"n": len(rules)}))
    steps = sorted(set().union(*(tactics(a) for a in members)))
    if len(steps) > 1:
        out.append(Point("tactics", TACTIC * min(len(steps) - 1, AT_MOST), {"n": len(steps), "names": ", ".join(steps)}))
    if len({a.rule.kind == "anomaly" for a in members}) > 1:
        out.append(Point("kinds", BOTH_KINDS))
    return out


def _novelty(members: Sequence[Alert], history: History) -> list[Point]:
    rare = [a for a in members if history.rules[a.rule.id] == 1]
    if rare:
        return [Point("rare_rule", RARE_RULE, {"rule": titles.title(rare[0].rule)})]
    if any(history.pairs[a.key] == 1 for a in members):
        return [Point("new_pair", NEW_PAIR)]
    return []


def _judged(members: Sequence[Alert], history: History) -> list[Point]:
    """How earlier verdicts on the gravest rule went."""
    worst = members[0]
    seen = history.verdicts.get(worst.rule.id, Counter())
    false, true, n = seen["false_positive"] + seen["benign"], seen["true_positive"], seen.total()
    out = []
    if n >= ENOUGH and false:
        out.append(Point("often_false", -round(FALSE_BEFORE * (false + 1) / (n + 2)), {"false": false, "n": n}))
    if true:
        out.append(Point("true_before", TRUE_BEFORE, {"true": true, "n": n}))
    if all(a.key in history.false_pairs for a in members):
        out.append(Point("same_false", -SAME_FALSE))
    return out
