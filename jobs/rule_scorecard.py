"""`soc rules scorecard`: what each rule has done in a period, how often it was right, what it costs, and what to do with it."""

from __future__ import annotations

import time
from collections import Counter, defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import TYPE_CHECKING, Final

from domain import tuning
from domain.alert import Alert
from domain.clock import LOCAL
from domain.query import TRUE, Query
from domain.tuning import Record
from domain.window import TimeWindow
from jobs import rule_check, rule_off, rule_seen
from jobs.alerts import every
from jobs.rule_state import BLIND, ERROR, State

if TYPE_CHECKING:
    from detectors.sigma.model import Rule
    from detectors.sigma.ruleset import RuleSet
    from jobs.rule_seen import Seen
    from jobs.runtime import Runtime
    from store.base import Chunk, EventStore

SAMPLE: Final = 100_000
"""Newest events on which the cost of a rule is measured."""
_MILLION: Final = 1_000_000


@dataclass(frozen=True)
class Card:
    """One rule."""

    id: str
    title: str
    spoken: str
    """The title in the reader's language, the rule's own beside it."""
    level: str
    status: str
    """LIVE, PARTIAL, BLIND."""
    record: Record
    last: datetime | None
    """Newest event on one of its alerts in the period."""
    blind_days: int
    """Days of the period without any event of its log source."""
    advice: str
    """keep, tune, retire, blind, off."""
    why: str
    """Key `tuning.why_<why>`."""
    next: str
    """Command; "" when there is nothing to do."""


def cards(runtime: Runtime, rules: RuleSet, window: TimeWindow) -> list[Card]:
    """Every loaded rule: what asks for action first, then by alerts."""
    seen = rule_seen.store(runtime.store.events)
    states = [s for s in rule_check.check(rules, seen, rule_seen.elsewhere(runtime)) if s.status != ERROR]
    alerts: dict[str, list[Alert]] = defaultdict(list)
    for alert in every(runtime.store.records).values():
        if alert.first < window.end and alert.last >= window.start:
            alerts[alert.rule.id].append(alert)
    off = rule_off.ids(runtime)
    dark = _dark(rules, seen, runtime.store.events, window)
    found = [_card(state, alerts.get(state.id, ()), (state.id in off, dark.get(state.id, 0))) for state in states]
    return sorted(found, key=_order)


def _order(card: Card) -> tuple[bool, int, int, str]:
    """What has told something first: of a large public set most rules have not."""
    return not card.record.alerts, tuning.ADVICE.index(card.advice), -card.record.alerts, card.title


def _card(state: State, alerts: Sequence[Alert], said: tuple[bool, int]) -> Card:
    off, dark = said
    verdicts = Counter(alert.verdict for alert in alerts)
    record = Record(
        sum(a.count for a in alerts), len(alerts), verdicts["true_positive"], verdicts["false_positive"], verdicts["benign"],
        verdicts["duplicate"], blind=state.status == BLIND, off=off,
    )  # fmt: skip
    last = max((alert.last for alert in alerts), default=None)
    return _advised(Card(state.id, state.title, state.spoken, state.level, state.status, record, last, dark, "", "", ""), alerts)


def _advised(card: Card, alerts: Sequence[Alert] = ()) -> Card:
    advice, why = tuning.judge(card.record)
    return replace(card, advice=advice, why=why, next=_next(card, why, alerts) or card.next)


def _next(card: Card, why: str, alerts: Sequence[Alert]) -> str:
    judged = [a for a in alerts if a.verdict in ("false_positive", "benign")]
    if why in ("imprecise", "benign") and judged:
        return f"soc rules filter propose {max(judged, key=lambda a: (a.last, a.id)).id[:8]}"
    name = card.id[:8] if card.id else card.title
    return {
        "never_true": f'[rules] off = ["{card.id}"]',
        "blind": "soc rules check",
        "off": "soc rules list --off",
        "unjudged": f"soc alerts list --rule {name}",
        "dear": "soc rules lint",
    }.get(why, "")


def _dark(rules: RuleSet, seen: Seen, events: EventStore, window: TimeWindow) -> dict[str, int]:
    """Rule id -> days of the period, from the first event of the store on, on which no data set of its log source had an event."""
    held: dict[str, set[date]] = defaultdict(set)
    for row in events.aggregate(Query(TRUE, window), ["event.dataset"], every="1d").to_pylist():
        held[row["event.dataset"] or ""].add(row["bucket"].astimezone(LOCAL).date())
    days = set().union(*held.values())
    if not days:
        return {}
    first, last = min(days), min(max(days), window.end.astimezone(LOCAL).date())
    total = (last - first).days + 1
    by_route: dict[object, int] = {}
    out = {}
    for rule in rules.rules:
        if rule.route not in by_route:
            by_route[rule.route] = total - len(set().union(*(held[name] for name in seen.datasets(rule.route))))
        out[rule.ref.id] = by_route[rule.route]
    return out


def measured(runtime: Runtime, rules: RuleSet, found: Sequence[Card], sample: int = SAMPLE) -> list[Card]:
    """The same cards with what each rule costs: it alone over the newest events. Together rules cost less, because they share the work."""
    store = runtime.store.events
    head = store.head()
    chunks = list(store.scan(max(0, head - sample), head))
    by_id = {rule.ref.id: rule for rule in rules.rules}
    costs = {card.id: _cost(by_id[card.id], chunks) for card in found if card.id in by_id} if chunks else {}
    made = [_advised(replace(card, record=replace(card.record, seconds=costs.get(card.id)))) for card in found]
    return sorted(made, key=_order)


def _cost(rule: Rule, chunks: Sequence[Chunk]) -> float:
    """Seconds for a million events, the better of two runs: the first one may have to read the columns."""
    from match import Entry, Matcher

    matcher = Matcher([Entry(0, rule.route, rule.body)])
    took = []
    for _ in range(2):
        start = time.perf_counter()
        for chunk in chunks:
            deque(matcher.run(chunk), 0)
        took.append(time.perf_counter() - start)
    return min(took) * _MILLION / max(1, sum(chunk.rows for chunk in chunks))


def counted(found: Sequence[Card]) -> Mapping[str, int]:
    """Advice -> rules."""
    return Counter(card.advice for card in found)
