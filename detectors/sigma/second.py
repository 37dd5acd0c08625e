"""The second pass over a rule set: which rules feed which correlations, and under what field names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from detectors.sigma.correlate import Plan, plan
from detectors.sigma.correlation import Correlation, Fault
from detectors.sigma.correlation_check import link
from detectors.sigma.gathered import Gathered, Where, gathered, joined, texts
from detectors.sigma.hits import Feed
from detectors.sigma.model import BlindRule, Broken, LogSource, Other
from detectors.sigma.route import Blind, FieldMap, feeds, field_map
from detectors.sigma.ruleset import RuleSet
from domain.event import EventBatch, Rows
from domain.query import TRUE, fields_of
from match import Entry, Matcher

ABOUT: Final = ("host.name", "source.ip", "user.name", "api.client.id")
"""What the last event of an ordered correlation is about is told beside its group."""

_EVERY: Final = ("sysmon", "security")
"""Feeds of the generic Windows categories."""


def readable(rules: RuleSet) -> list[Correlation]:
    """The correlations of a rule set that can run, those that others name first; what is wrong goes to `broken`, and stops nothing."""
    names = [(r.ref.id, r.name) for r in rules.rules] + [(b.id, b.name) for b in rules.blind]
    linked = link(rules.correlations, names)
    told = {(b.file, b.reason) for b in rules.broken}
    rules.broken += [_placed(d, f) for d, f in linked.faults if (d.file, f.reason) not in told]
    return _sighted(rules, linked.correlations)


def _placed(document: Other, fault: Fault) -> Broken:
    from detectors.sigma.lint.places import fault as placed

    return placed(document, fault.path, fault.reason)


def _sighted(rules: RuleSet, correlations: Iterable[Correlation]) -> list[Correlation]:
    """Without those that can never hold because rules that they need are blind; these are blind themselves."""
    dark = {b.id for b in rules.blind}
    known = {b.id for b in rules.blind}
    out = []
    for one in correlations:
        lost = [r for r in one.distinct if r in dark]
        all_needed = one.type.startswith("temporal") and not one.conditions and one.term is None
        if lost and (all_needed or len(lost) == len(one.distinct)):
            dark.add(one.ref.id)
            if one.ref.id not in known:
                rules.blind.append(BlindRule(one.ref.id, one.ref.title, one.file, f"it needs a rule that is blind: {', '.join(lost)}"))
        else:
            out.append(one)
    return out


class Second:
    """The second pass of one rule set."""

    def __init__(self, rules: RuleSet) -> None:
        self.rules = rules
        self.correlations = readable(rules)
        self.plan: Plan = plan(self.correlations, ABOUT)
        self._ids = [r.ref.id for r in rules.rules]
        self._wanted: dict[int, list[Way]] = {}
        for number, rule in enumerate(rules.rules):
            feeds = self.plan.feeds.get(rule.ref.id)
            if feeds:
                asked = dict.fromkeys(n for _, f in feeds for n in (*f.groups, *f.values, *f.carried) if n)
                names = {name: _name(field_map(rule.source), name) for name in asked}
                self.plan.feeds[rule.ref.id] = [(place, _mapped(feed, names)) for place, feed in feeds]
                self._wanted[number] = _ways(rule.source, names)
        self.fields = frozenset(f for ways in self._wanted.values() for way in ways for f in (*way.names.values(), *way.asks))

    def uses(self, number: int) -> bool:
        """Whether a rule, by its number, feeds a correlation."""
        return number in self._wanted

    def gather(self, number: int, batch: EventBatch, rows: Rows, where: Where) -> Gathered:
        """What a rule found in a batch, with the fields that correlations ask for: under the names of the first feed of its log source."""
        ways = self._wanted[number]
        if len(ways) == 1:
            columns = {key: batch.column(name, rows) for key, name in ways[0].names.items()}
            found = {key: texts(column) for key, column in columns.items() if column is not None}
        else:
            parts = [(way, _own(way, batch, rows)) for way in ways]
            found = {key: joined((batch, rows), [(way.names[key], own) for way, own in parts]) for key in ways[0].names}
        return gathered(self._ids[number], where, found)

    def inner(self, rule: Correlation) -> bool:
        """Whether it only feeds others, which do not ask it to speak for itself."""
        return any(rule.ref.id in c.distinct and not c.generate for c in self.correlations)


@dataclass
class Way:
    """How one feed of a log source names the fields that correlations ask for."""

    names: dict[str, str]
    """Name in the first feed -> name in this one."""
    matcher: Matcher | None = None
    """Finds the events of the feed; None = all are."""
    asks: frozenset[str] = frozenset()
    """Fields that it looks at."""


def _ways(source: LogSource, names: Mapping[str, str]) -> list[Way]:
    """One for each feed, where they differ."""
    try:
        found = feeds(source, _EVERY)
    except Blind:
        found = ()
    each = [(feed, {key: _name(feed.map, name) for name, key in names.items()}) for feed in found]
    if all(mapped == {key: key for key in mapped} for _, mapped in each):
        return [Way({key: key for key in names.values()})]
    return [Way(mapped, Matcher([Entry(0, TRUE, feed.when)]), frozenset(fields_of(feed.when))) for feed, mapped in each]


def _own(way: Way, batch: EventBatch, rows: Rows) -> Rows:
    """Those of the rows that are events of the feed."""
    if way.matcher is None:
        return rows
    return np.concatenate([np.zeros(0, np.int32), *(np.intersect1d(found, rows) for _, found in way.matcher.run(batch))]).astype(np.int32)


def _mapped(feed: Feed, names: Mapping[str, str]) -> Feed:
    """Fields as the events of a log source name them."""

    def known(written: Iterable[str]) -> tuple[str, ...]:
        return tuple(names.get(one, "") for one in written)

    return replace(feed, groups=known(feed.groups), values=known(feed.values), carried=known(feed.carried))


def _name(known: FieldMap, field: str) -> str:
    try:
        return known.name(field)
    except Blind:
        return field
