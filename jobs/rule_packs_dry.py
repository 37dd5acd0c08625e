"""A dry run: what other rules would have found over the last days of the store, and what would be found no more. Writes nothing."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from domain import silence
from domain.alert import STREAM, Finding, RuleRef
from domain.i18n import t
from domain.window import TimeWindow, moment
from jobs import retro, rule_off, rulesets

if TYPE_CHECKING:
    from detectors.sigma.ruleset import RuleSet
    from jobs.runtime import Runtime
    from match import Matcher
    from store.base import Chunk

MAX_ALERTS: Final = 100
"""A rule that would open more alerts than this in a dry run floods."""
STEP: Final = 1_000_000
"""Events whose hits are in memory at once."""
_PATIENCE: Final = 10.0
"""Seconds for measuring costs, all rules together; the loudest come first."""


@dataclass
class Outlook:
    """What one rule would do."""

    rule: RuleRef
    hits: int = 0
    """Events that it would have matched, or that its episodes would have held."""
    alerts: int = 0
    """That it would have had open."""
    opened: int = 0
    """Of these, the ones that the rules of today do not have."""
    vanished: int = 0
    """Alerts of the rules of today that would not be there."""
    hosts: Counter[str] = field(default_factory=Counter)
    """Host, else the first entity -> alerts opened; for rules that only lose some: alerts vanished."""
    cost: float | None = None
    """Seconds that it would take alone over the period, reckoned from a sample; None = not measured. Together they take far less."""


@dataclass
class DryRun:
    """Both rule sets over the same days; only rules that differ were run, since no rule depends on another."""

    since: datetime
    until: datetime
    events: int = 0
    new: int = 0
    """Rules and correlations that are new or changed, and were run."""
    gone: int = 0
    """Those of today that are changed or removed, and were run."""
    rules: list[Outlook] = field(default_factory=list)
    """With a hit or an alert; most opened alerts first."""
    seconds: float = 0.0
    """What the new and changed rules took."""
    seconds_before: float = 0.0
    """What those in their place took."""
    notes: list[str] = field(default_factory=list)

    @property
    def opened(self) -> int:
        """Alerts more than today, all rules."""
        return sum(one.opened for one in self.rules)

    @property
    def vanished(self) -> int:
        """Alerts fewer, all rules."""
        return sum(one.vanished for one in self.rules)

    def floods(self, most: int) -> list[Outlook]:
        """Rules that would open more than `most` alerts."""
        return [one for one in self.rules if one.opened > most]


def dry_run(runtime: Runtime, name: str, version: str, since: str, tick: Callable[[float], None] = lambda _: None) -> DryRun:
    """The pack in that version ("" = without it) instead of the one that runs, as scans run it, since then (7d, an instant)."""
    end = runtime.clock.now()
    then = rulesets.load(runtime, instead={name: version})
    off = rule_off.listing(runtime, then)
    now, then = (rule_off.without(runtime, rules) for rules in (rulesets.load(runtime), then))
    out = compare(runtime, now, then, TimeWindow(moment(since, end), end), tick)
    if off:
        out.notes.append(t("packs.dry_off", n=len(off)))
    return out


def compare(runtime: Runtime, now: RuleSet, then: RuleSet, window: TimeWindow, tick: Callable[[float], None] = lambda _: None) -> DryRun:
    """Two rule sets over one period."""
    gone, fresh = differing(now, then)
    out = DryRun(window.start, window.end, new=len(fresh), gone=len(gone))
    old, new = retro.subset(now, gone), retro.subset(then, fresh)
    watched = _Watched(runtime, window, tick, 2 if gone else 1)
    before, out.seconds_before = _findings(runtime, old, watched, out) if gone else ([], 0.0)
    after, out.seconds = _findings(runtime, new, watched, out) if fresh else ([], 0.0)
    before, after = [f for f in before if f.rule.id in gone], [f for f in after if f.rule.id in fresh]
    out.events = watched.events
    found: dict[str, Outlook] = {}
    opened, vanished = _alerts(runtime, after), _alerts(runtime, before)
    for finding in after:
        found.setdefault(finding.rule.id, Outlook(finding.rule)).hits += finding.count
    for key, finding in opened.items():
        _one(found, finding).alerts += 1
        if key not in vanished:
            _count(_one(found, finding), "opened", finding)
    for key, finding in vanished.items():
        if key not in opened:
            _count(_one(found, finding), "vanished", finding)
    out.rules = sorted(found.values(), key=lambda one: (-one.opened, -one.vanished, -one.hits, one.rule.id))
    _measure(watched, new, out.rules)
    return out


def _one(found: dict[str, Outlook], finding: Finding) -> Outlook:
    return found.setdefault(finding.rule.id, Outlook(finding.rule))


def _count(one: Outlook, kind: str, finding: Finding) -> None:
    setattr(one, kind, getattr(one, kind) + 1)
    if kind == "opened" or not one.opened:
        hosts = [e.value for e in finding.entities if e.type == "host"] or [e.value for e in finding.entities[:1]] or ["-"]
        one.hosts[hosts[0]] += 1


def differing(now: RuleSet, then: RuleSet) -> tuple[set[str], set[str]]:
    """Ids of the rules and correlations that (are changed or removed, are new or changed), filters and bases included."""
    before, after = _said(now), _said(then)
    gone = {key for key in before if after.get(key) != before[key]}
    fresh = {key for key in after if before.get(key) != after[key]}
    return _grown(now, gone), _grown(then, fresh)


def _said(rules: RuleSet) -> dict[str, Any]:
    said: dict[str, Any] = {r.ref.id: (r.ref.version, r.ref.level, r.route, r.body, r.quiet) for r in rules.rules}
    return said | {_key(o.data): o.data for o in rules.correlations}


def _key(data: Mapping[str, Any]) -> str:
    return str(data.get("id") or data.get("name"))


def _grown(rules: RuleSet, ids: set[str]) -> set[str]:
    """With the correlations that stand on these rules, and those on them."""
    names = {r.name: r.ref.id for r in rules.rules if r.name}
    names |= {str(o.data["name"]): _key(o.data) for o in rules.correlations if o.data.get("name")}
    grown, size = set(ids), -1
    while size != len(grown):
        size = len(grown)
        for one in rules.correlations:
            spec = one.data.get("correlation")
            bases = spec.get("rules") if isinstance(spec, dict) else ()
            if any(names.get(str(base), str(base)) in grown for base in bases or ()):
                grown.add(_key(one.data))
    return grown


class _Watched:
    """The chunks of the period, again and again, with progress."""

    def __init__(self, runtime: Runtime, window: TimeWindow, tick: Callable[[float], None], passes: int) -> None:
        self.window = window
        self.events = 0
        self._store = runtime.store.events
        self._tick = tick
        self._total = max(1, self._store.head()) * passes
        self._done = 0
        self._kinds: Counter[str] = Counter()

    def samples(self) -> Iterator[tuple[Chunk, float]]:
        """One chunk of each partition, and how many times as many events there are."""
        for partition, events in self._kinds.items():
            for chunk in self._store.chunks(self.window, [partition]):
                if chunk.rows:
                    yield chunk, events / chunk.rows
                    break

    def steps(self) -> Iterator[Iterator[Chunk]]:
        """All of them, in pieces of about STEP events."""
        left = self.chunks()
        for first in left:
            yield _piece(first, left)

    def chunks(self) -> Iterator[Chunk]:
        """All of them."""
        self.events, self._kinds = 0, Counter()
        for chunk in self._store.chunks(self.window):
            self.events += chunk.rows
            self._kinds[chunk.partition] += chunk.rows
            self._done += chunk.rows
            yield chunk
            self._tick(min(1.0, self._done / self._total))


def _piece(first: Chunk, more: Iterator[Chunk]) -> Iterator[Chunk]:
    rows = first.rows
    yield first
    while rows < STEP and (chunk := next(more, None)) is not None:
        rows += chunk.rows
        yield chunk


def _findings(runtime: Runtime, rules: RuleSet, watched: _Watched, out: DryRun) -> tuple[list[Finding], float]:
    """Of rules a step at a time, so that one that hits everything fills no memory; of correlations in one go over all events."""
    from detectors.sigma.detector import SigmaDetector

    began, now, events = time.monotonic(), runtime.clock.now(), runtime.store.events
    found: list[Finding] = []
    plain = SigmaDetector(type(rules)([rule for rule in rules.rules if not rule.quiet], []), retro=True)
    for step in watched.steps():
        found += [replace(f, events=f.events[:1]) for f in plain.scan(step, {}, now, events).findings]
    if rules.correlations:
        quiet = type(rules)([replace(rule, quiet=True) for rule in rules.rules], rules.correlations)
        scanned = SigmaDetector(quiet, retro=True).scan(watched.chunks(), {}, now, events)
        found += scanned.findings
        out.notes += [note for note in scanned.notes if note not in out.notes]
    window = watched.window
    return [f for f in found if f.first < window.end and f.last >= window.start], round(time.monotonic() - began, 3)


def _alerts(runtime: Runtime, findings: Sequence[Finding]) -> dict[str, Finding]:
    """Id -> a finding of it, of the alerts that people would see: folded, and silenced as they are today."""
    from detectors.triage import AlertIndex, triage

    quiet = silence.fold(runtime.store.records.find(silence.STREAM))
    triaged = triage(findings, AlertIndex.of({}, tuple(quiet.values())), runtime.clock.now())
    told = [r for r in triaged.records if r.stream == STREAM]
    hidden = {r.key for r in told if r.type == "silenced"}
    by_key: dict[tuple[str, Any], Finding] = {(f.rule.id, f.entities): f for f in findings}
    return {r.key: by_key[_about(r.body)] for r in told if r.type == "opened" and r.key not in hidden}


def _about(body: Mapping[str, Any]) -> tuple[str, Any]:
    from domain.alert import Entity

    return body["rule"]["id"], tuple(Entity(**pair) for pair in body["entities"])


def _measure(watched: _Watched, rules: RuleSet, loud: Sequence[Outlook]) -> None:
    """What each rule costs alone: on one chunk of each kind of events, reckoned up to the period's."""
    from match import Entry, Matcher

    compiled = {rule.ref.id: Matcher([Entry(0, rule.route, rule.body)]) for rule in rules.rules if rule.ref.id in {o.rule.id for o in loud}}
    until = time.monotonic() + _PATIENCE
    for chunk, share in watched.samples():
        for one in loud:
            if one.rule.id in compiled and time.monotonic() < until:
                took = min(_timed(compiled[one.rule.id], chunk) for _ in range(2))  # the first may read columns
                one.cost = round((one.cost or 0.0) + took * share, 4)


def _timed(matcher: Matcher, chunk: Chunk) -> float:
    began = time.perf_counter()
    for _ in matcher.run(chunk):
        pass
    return time.perf_counter() - began
