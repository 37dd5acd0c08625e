"""No filter may hide a confirmed true positive: each is tried on the events of every alert that was judged so.

The answer is kept with the store (cursor `sigma.filters`) and made anew when a rule, a filter or a verdict has changed.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from domain import alert as alerts
from domain.alert import Alert
from domain.alert_fold import fold_all
from domain.event import TableBatch

if TYPE_CHECKING:
    from detectors.sigma.filters import Filter
    from detectors.sigma.model import Rule
    from detectors.sigma.ruleset import RuleSet
    from jobs.runtime import Runtime
    from store.base import EventStore

NAME: Final = "sigma.filters"
CONFIRMED: Final = "true_positive"
_DECIDE: Final = frozenset({"verdict", "reopened"})
"""Records of an alert that change what is confirmed."""
_AT_ONCE: Final = 5_000
"""Events that are fetched at a time."""


@dataclass(frozen=True)
class Refusal:
    """A confirmed true positive that a filter would hide."""

    alert: str
    title: str
    """Of the alert's rule."""
    events: int
    """How many of its events would be hidden."""
    of: int
    """How many events of it are known."""


Refusals = Mapping[str, Sequence[Refusal]]
"""By key of the filter; only filters that are refused."""


def check(runtime: Runtime, rules: RuleSet) -> dict[str, tuple[Refusal, ...]]:
    """What the filters of these rules would hide of what is confirmed; asked again only when something has changed."""
    store = runtime.store
    state: Mapping[str, Any] = store.coordination.state(NAME)
    same = state.get("rules") == rules.fingerprint
    known = int(state.get("seq", 0)) if same else 0
    newest, decided = known, False
    for record in store.records.find(alerts.STREAM, after=known):
        newest, decided = record.seq, decided or record.type in _DECIDE
    if same and not decided:
        found = {key: tuple(Refusal(*one) for one in some) for key, some in state["refused"].items()}
    else:
        found = refused(rules, rules.filters, confirmed(fold_all(store.records.find(alerts.STREAM)).values()), store.events)
    if not same or newest != known:
        plain = {key: [[one.alert, one.title, one.events, one.of] for one in some] for key, some in found.items()}
        at = store.coordination.cursor(NAME)
        made = {"rules": rules.fingerprint, "seq": newest, "refused": plain}
        store.coordination.commit_scan(NAME, at, max(at, store.events.head()), [], runtime.clock.now(), made)
    return found


def confirmed(known: Iterable[Alert]) -> list[Alert]:
    """Alerts that somebody has judged to be true."""
    return [a for a in known if a.verdict == CONFIRMED]


def refused(rules: RuleSet, filters: Sequence[Filter], true: Sequence[Alert], events: EventStore) -> dict[str, tuple[Refusal, ...]]:
    """Filters that would hide an event of a confirmed alert, and which alerts. Events that retention removed cannot speak."""
    from detectors.sigma.filters import hiding

    below = bases(rules)
    rests = {a.id: below.get(a.rule.id, frozenset({a.rule.id})) for a in true}
    named = frozenset().union(*rests.values())
    pairs = [(one, rule) for one, rule in hiding(rules.unfiltered(), filters) if rule.ref.id in named]
    if not pairs:
        return {}
    touched = {rule.ref.id for _, rule in pairs}
    asked = [a for a in true if rests[a.id] & touched]
    owners: dict[str, list[Alert]] = defaultdict(list)
    for alert in asked:
        for event in alert.events:
            owners[event].append(alert)
    hidden: dict[str, Counter[str]] = defaultdict(Counter)
    for number, event in _hits([rule for _, rule in pairs], list(owners), events):
        one, rule = pairs[number]
        hidden[one.key].update(a.id for a in owners[event] if rule.ref.id in rests[a.id])
    titles = {a.id: (a.rule.title, len(a.events)) for a in asked}
    return {key: tuple(Refusal(i, titles[i][0], n, titles[i][1]) for i, n in sorted(some.items())) for key, some in hidden.items() if some}


def _hits(rules: Sequence[Rule], ids: Sequence[str], events: EventStore) -> Iterator[tuple[int, str]]:
    """(position of the rule, event id) for each of these events on which a rule fires."""
    from match import Entry, Matcher

    matcher = Matcher([Entry(number, rule.route, rule.body) for number, rule in enumerate(rules)])
    for start in range(0, len(ids), _AT_ONCE):
        batch = TableBatch(events.fetch(ids[start : start + _AT_ONCE]))
        names = [i.hex() for i in batch.ids().to_pylist()] if batch.rows else []
        for key, rows in matcher.run(batch):
            yield from ((int(str(key)), names[row]) for row in rows.tolist())


def bases(rules: RuleSet) -> dict[str, frozenset[str]]:
    """By correlation (id): the detection rules (ids) it rests on, also through other correlations."""
    ids = {name: rule.ref.id for rule in rules.rules for name in (rule.ref.id, rule.name) if name}
    below: dict[str, tuple[str, ...]] = {}
    for other in rules.correlations:
        spec = other.data.get("correlation")
        given = spec.get("rules") if isinstance(spec, dict) else None
        named = (given,) if isinstance(given, str) else tuple(str(r) for r in given or ())
        below |= {str(other.data[key]): named for key in ("id", "name") if other.data.get(key)}

    def reach(name: str, seen: frozenset[str]) -> frozenset[str]:
        if name in seen:
            return frozenset()
        if name in below:
            return frozenset().union(*(reach(child, seen | {name}) for child in below[name]))
        return frozenset({ids[name]}) if name in ids else frozenset()

    return {name: reach(name, frozenset()) for name in below}
