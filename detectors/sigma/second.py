"""The second pass over a rule set: which rules feed which correlations, and under what field names."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from detectors.sigma.correlate import Plan, plan
from detectors.sigma.correlation import Correlation, Fault
from detectors.sigma.correlation_check import link
from detectors.sigma.gathered import Gathered, Where, gather
from detectors.sigma.hits import Feed
from detectors.sigma.model import BlindRule, Broken, LogSource, Other
from detectors.sigma.route import Blind, field_map
from detectors.sigma.ruleset import RuleSet
from domain.event import EventBatch, Rows

ABOUT: Final = ("host.name", "source.ip", "user.name", "api.client.id")
"""What the last event of an ordered correlation is about is told beside its group."""


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
        self._wanted: dict[int, tuple[str, ...]] = {}
        for number, rule in enumerate(rules.rules):
            feeds = self.plan.feeds.get(rule.ref.id)
            if feeds:
                mapped = [(place, _mapped(feed, rule.source)) for place, feed in feeds]
                self.plan.feeds[rule.ref.id] = mapped
                self._wanted[number] = tuple(dict.fromkeys(n for _, f in mapped for n in (*f.groups, *f.values, *f.carried) if n))
        self.fields = frozenset(name for names in self._wanted.values() for name in names)

    def uses(self, number: int) -> bool:
        """Whether a rule, by its number, feeds a correlation."""
        return number in self._wanted

    def gather(self, number: int, batch: EventBatch, rows: Rows, where: Where) -> Gathered:
        """What a rule found in a batch, with the fields that correlations ask for."""
        return gather(self._ids[number], batch, rows, self._wanted[number], where)

    def inner(self, rule: Correlation) -> bool:
        """Whether it only feeds others, which do not ask it to speak for itself."""
        return any(rule.ref.id in c.distinct and not c.generate for c in self.correlations)


def _mapped(feed: Feed, source: LogSource) -> Feed:
    """Fields as the events of a log source name them."""

    def names(written: Iterable[str]) -> tuple[str, ...]:
        return tuple(_name(one, source) if one else "" for one in written)

    return replace(feed, groups=names(feed.groups), values=names(feed.values), carried=names(feed.carried))


def _name(field: str, source: LogSource) -> str:
    try:
        return field_map(source).name(field)
    except Blind:
        return field
