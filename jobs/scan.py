"""`soc scan`: run the detectors over what arrived since the last scan. Safe to run twice, or from two machines."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from domain.errors import ConflictError, StoreError, UsageError
from domain.window import duration
from jobs import foreign_scan, publish, retro, rule_filters, rule_off, rule_packs_state

if TYPE_CHECKING:
    from detectors.base import Detector
    from jobs.runtime import Runtime

STEP: Final = 1_000_000
"""Events per commit: bounds what a crash can make us do again, and memory."""
_TRIES: Final = 8


@dataclass
class ScanReport:
    """What one scan did."""

    events: int = 0
    """New events seen by the Sigma rules."""
    done: int = 0
    """Events that detectors have worked through, each detector counted: progress."""
    opened: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    silenced: int = 0
    skipped: list[str] = field(default_factory=list)
    """Detectors whose events another scan took first."""
    notes: list[str] = field(default_factory=list)
    rules: int = 0
    blind: int = 0
    broken: int = 0
    retro: int = 0
    """New or changed rules that were run over the past."""
    remembered: int = 0
    """Hits that correlations remember after it (at most 200,000 each; detectors.sigma.memory)."""
    failed: list[str] = field(default_factory=list)
    """Read-only sources that could not be read to the end, and why."""
    exit_code: int = 0
    """Of the command, when a source failed."""

    def passed(self, rows: int) -> None:
        """Evidence of read-only sources is nothing new."""
        self.events -= rows


def scan(runtime: Runtime, tick: Callable[[float], None] | None = None) -> ScanReport:
    """Every detector from its cursor to the head of the store; then the retro-hunts that new rules have queued."""
    report = ScanReport()
    store = runtime.store
    head = store.events.head()
    if store.coordination.cursor("sigma") < head or retro.changed(runtime):
        _sigma(runtime, head, report, tick)
    for detector in _anomaly(runtime):
        _run(runtime, detector, head, report, tick)
    _run(runtime, _follow(runtime), head, report, tick)
    if foreign_scan.sources(runtime):
        foreign_scan.scan(runtime, report)
    report.notes += publish.after_scan(runtime)
    return report


def work(runtime: Runtime) -> int:
    """How many events lie before the detectors, each detector counted."""
    head, cursor = runtime.store.events.head(), runtime.store.coordination.cursor
    return sum(head - cursor(name) for name in ("sigma", "follow", *(d.name for d in _anomaly(runtime))))


def _follow(runtime: Runtime) -> Detector:
    """What the alerts so far have named."""
    from detectors.follow import Follow, leads
    from detectors.triage import AlertIndex

    alerts = AlertIndex.load(runtime.store.records).alerts.values()
    named = leads(alerts, runtime.clock.now())
    told = frozenset(event for alert in alerts for event in alert.events if alert.rule.kind != "follow") if named else frozenset()
    return Follow(named, told)


def _sigma(runtime: Runtime, head: int, report: ScanReport, tick: Callable[[float], None] | None) -> None:
    from detectors.sigma.detector import SigmaDetector  # matching is heavy

    rules = rule_off.scanning(runtime)
    report.notes += rule_filters.notes(runtime, rules)
    report.notes += [f"{rule_packs_state.sentence(one)} → {one.next}" for one in rule_packs_state.troubles(runtime)]
    report.rules, report.blind, report.broken = len(rules.rules) + len(rules.correlations), len(rules.blind), len(rules.broken)
    start = runtime.store.coordination.cursor("sigma")
    retro.queue(runtime, rules, start, rule_filters.applied(runtime, rules))
    _run(runtime, SigmaDetector(rules), head, report, tick)
    report.events += head - start
    report.retro = retro.work(runtime, rules, lambda detector, upto: _over_past(runtime, detector, upto, report))


def _anomaly(runtime: Runtime) -> list[Detector]:
    from detectors.anomaly import detectors  # numpy is heavy

    return detectors(expected(runtime))


def expected(runtime: Runtime) -> Mapping[str, float]:
    """Source id -> longest silence in seconds that its configuration declares normal."""
    return {s.id: duration(s.expect_every).total_seconds() for s in runtime.config.sources if s.expect_every and not s.in_place}


def _run(
    runtime: Runtime, detector: Detector, head: int, report: ScanReport, tick: Callable[[float], None] | None
) -> None:  # fmt: skip
    """One detector up to the head, in steps; each step is one atomic commit."""
    store, now = runtime.store, runtime.clock.now()
    start = store.coordination.cursor(detector.name)
    if start > head:
        what = f"the cursor of {detector.name} stands at event {start}, but there are only {head}"
        hint = "restore all of the store from one snapshot, or begin another one: [store] index_prefix"
        raise StoreError(f"{what}: their log was deleted, or an older one restored", where=store.url, hint=hint)
    passed: Callable[[int], None] = report.passed if detector.name == "sigma" else lambda _: None
    once = start >= head
    while start < head or once:
        once = False
        end = min(head, start + STEP)
        state = store.coordination.state(detector.name)
        chunks = foreign_scan.ours(runtime, store.events.scan(start, end), passed)
        scanned = detector.scan(chunks, state, now, store.events)
        report.notes += [n for n in scanned.notes if n not in report.notes]
        if not scanned.findings and start == end and dict(scanned.state) == dict(state):
            return
        if not _commit(runtime, detector.name, (start, end), scanned, now, report):
            report.skipped.append(detector.name)
            return
        if tick:
            report.done += end - start
            tick(report.done)
        start = end


def _commit(runtime: Runtime, name: str, span: tuple[int, int], scanned: Any, now: datetime, report: ScanReport) -> bool:
    """Fold the findings into alerts and move the cursor, all or nothing; an analyst who acts meanwhile makes us fold again."""
    from detectors.triage import AlertIndex, triage

    store = runtime.store
    for attempt in range(_TRIES):
        known = AlertIndex.load(store.records) if scanned.findings else AlertIndex()  # long lists take seconds to read
        triaged = triage(scanned.findings, known, now)
        try:
            if not store.coordination.commit_scan(name, *span, triaged.records, now, scanned.state, triaged.expect):
                return False
        except ConflictError:
            if attempt == _TRIES - 1:
                raise
            continue
        report.opened += triaged.opened
        report.updated += triaged.updated
        report.silenced += triaged.silenced
        report.notes += triaged.notes
        if name == "sigma":
            report.remembered = sum(int(one["hits"]) for one in scanned.state["correlations"].values())
        return True
    return False


def _over_past(runtime: Runtime, detector: Detector, upto: int, report: ScanReport) -> None:
    """A retro-hunt: findings of new rules over events before the cursor. Scans go on with what its correlations remember."""
    from detectors.sigma import memory
    from detectors.triage import AlertIndex, triage

    store, now = runtime.store, runtime.clock.now()
    found = detector.scan(store.events.scan(0, upto), {}, now, store.events)
    for attempt in range(_TRIES):
        triaged = triage(found.findings, AlertIndex.load(store.records), now)
        try:
            store.records.append(triaged.records, now, triaged.expect)
        except ConflictError:
            if attempt == _TRIES - 1:
                raise
            continue
        report.opened += triaged.opened
        report.updated += triaged.updated
        report.notes += [n for n in (*found.notes, *triaged.notes) if n not in report.notes]
        break
    if not found.state["correlations"]:
        return
    state = memory.adopted(store.coordination.state("sigma"), found.state)
    cursor = store.coordination.cursor("sigma")
    store.coordination.commit_scan("sigma", cursor, cursor, [], now, state)  # lost to another scan: late events may then find less


def reaches(runtime: Runtime, report: ScanReport, level: str) -> bool:
    """Whether a newly opened alert has this level or a higher one."""
    from detectors.triage import AlertIndex
    from domain import severity

    if level not in severity.LEVELS:
        raise UsageError(f"--fail-on {level}: {' | '.join(severity.LEVELS)}")
    alerts = AlertIndex.load(runtime.store.records).alerts
    return any(severity.rank(alerts[i].rule.level) >= severity.rank(level) for i in report.opened if i in alerts)
