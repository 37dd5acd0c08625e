"""What filters hide: events of a period, the alerts they would have been, and what was decided about alerts that hold them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from domain.window import TimeWindow
from jobs import filter_guard
from jobs.alerts import every
from jobs.chunks import Picked

if TYPE_CHECKING:
    from detectors.sigma.filters import Filter
    from detectors.sigma.model import Rule
    from detectors.sigma.ruleset import RuleSet
    from domain.alert import Alert
    from jobs.runtime import Runtime
    from store.base import Chunk


@dataclass(frozen=True)
class Impact:
    """What one filter hides of a period."""

    events: int
    alerts: Mapping[str, int]
    """Title of the rule -> alerts that these events would have been; of correlations those that the store holds."""
    verdicts: Mapping[str, int]
    """Verdict ("" = none yet) -> alerts of the store all of whose events are hidden."""
    confirmed: tuple[str, ...] = ()
    """Alerts judged true that hold a hidden event."""

    @property
    def count(self) -> int:
        """How many alerts in all."""
        return sum(self.alerts.values())


NOTHING = Impact(0, {}, {})


def last(runtime: Runtime, days: int) -> TimeWindow:
    """The last `days` days until now."""
    now = runtime.clock.now()
    return TimeWindow(now - timedelta(days=days), now + timedelta(seconds=1))


def impacts(runtime: Runtime, rules: RuleSet, filters: Sequence[Filter], days: int) -> dict[str, Impact]:
    """By key of the filter, exact: one pass over the events of the period with the rules that filters narrow."""
    from detectors.sigma.filters import hiding

    pairs = list(hiding(rules.unfiltered(), filters))
    if not pairs:
        return dict.fromkeys((one.key for one in filters), NOTHING)
    found = _hidden(runtime, [rule for _, rule in pairs], last(runtime, days))
    known = list(every(runtime.store.records).values())
    below = filter_guard.bases(rules)
    out = {}
    for one in filters:
        mine = [n for n, (other, _) in enumerate(pairs) if other.key == one.key]
        out[one.key] = _impact([pairs[n][1] for n in mine], [found[n] for n in mine], known, below)
    return out


@dataclass
class _Hidden:
    """What one filter hides of one rule."""

    events: set[str]
    alerts: int


def _hidden(runtime: Runtime, rules: Sequence[Rule], window: TimeWindow) -> list[_Hidden]:
    """Events and would-be alerts for each rule; rules that give no alerts (informational, bases of correlations) have events only."""
    from detectors.sigma.detector import NO_ALERT, SigmaDetector
    from detectors.sigma.ruleset import RuleSet

    marked = [replace(rule, ref=replace(rule.ref, id=str(n)), quiet=False) for n, rule in enumerate(rules)]
    store = runtime.store
    detector = SigmaDetector(RuleSet(marked), hunt=True)
    out = [_Hidden(set(), 0) for _ in rules]
    for finding in detector.scan(within(store.events.chunks(window), window), {}, runtime.clock.now(), store.events).findings:
        rule, mine = rules[int(finding.rule.id)], out[int(finding.rule.id)]
        mine.events.update(finding.events)
        mine.alerts += not rule.quiet and rule.ref.level != NO_ALERT
    return out


def _impact(rules: Sequence[Rule], found: Sequence[_Hidden], known: Iterable[Alert], below: Mapping[str, frozenset[str]]) -> Impact:
    from detectors.sigma.refs import spoken

    alerts: Counter[str] = Counter()
    by_rule: dict[str, set[str]] = {}
    for rule, one in zip(rules, found, strict=True):
        if one.alerts:
            alerts[spoken(rule.ref).title] += one.alerts
        by_rule.setdefault(rule.ref.id, set()).update(one.events)
    verdicts: Counter[str] = Counter()
    confirmed = []
    for alert in known:
        rests = below.get(alert.rule.id, frozenset({alert.rule.id}))
        hidden = set().union(*(by_rule.get(i, set()) for i in rests)) & set(alert.events) if rests & by_rule.keys() else set()
        if hidden and alert.verdict == filter_guard.CONFIRMED:
            confirmed.append(alert.id)
        if hidden and len(hidden) == len(set(alert.events)):
            verdicts[alert.verdict] += 1
            if alert.rule.kind == "correlation":  # findings above are of detection rules alone
                alerts[alert.rule.title] += 1
    return Impact(len(set().union(*by_rule.values())), dict(alerts.most_common()), dict(verdicts), tuple(confirmed))


def within(chunks: Iterable[Chunk], window: TimeWindow) -> Iterator[Chunk]:
    """The events of the window, and no others."""
    start, end = window.micros
    for chunk in chunks:
        stamps: Any = chunk.table(None, ["@timestamp"])["@timestamp"].cast(pa.int64()).combine_chunks()
        times = np.asarray(stamps.to_numpy(zero_copy_only=False), np.int64)
        inside = (times >= start) & (times < end)
        if inside.all():
            yield chunk
        elif inside.any():
            yield Picked(chunk, np.flatnonzero(inside).astype(np.int32))
