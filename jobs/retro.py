"""Retro-hunts: new and changed rules look at the past once; `soc hunt --store` looks at it on demand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from domain.alert import Finding
from domain.window import TimeWindow, moment
from jobs import rulesets
from store.base import NewRecord

if TYPE_CHECKING:
    from detectors.base import Detector
    from detectors.sigma.ruleset import RuleSet
    from jobs.runtime import Runtime

STREAM: Final = "retro"
"""Records: `queued` {rules, upto}, `done` {}; key = fingerprint of the rule set."""
KNOWN: Final = "sigma.rules"
"""Cursor whose state says which rule versions have seen everything so far."""


def changed(runtime: Runtime) -> bool:
    """Whether the rule files are others than at the last scan, or a retro-hunt waits. Reads the files, compiles nothing."""
    from detectors.sigma.ruleset import fingerprint, read

    state = runtime.store.coordination.state(KNOWN)
    files = read(rulesets.roots(runtime))
    return state.get("fingerprint") != fingerprint(files, rulesets.placeholders(runtime)) or bool(_waiting(runtime))


def queue(runtime: Runtime, rules: RuleSet, cursor: int) -> None:
    """Note the rules that are new or changed since the last scan: they have not seen the events up to `cursor`."""
    coordination = runtime.store.coordination
    state = coordination.state(KNOWN)
    if state.get("fingerprint") == rules.fingerprint:
        return
    raw = state.get("versions")
    before: dict[str, str] = dict(raw) if isinstance(raw, dict) else {}
    versions = {r.ref.id: r.ref.version for r in rules.rules} | _correlation_versions(rules)
    fresh = sorted(i for i, version in versions.items() if before.get(i) != version)
    records = []
    if cursor and fresh:
        records.append(NewRecord(STREAM, rules.fingerprint, "queued", {"rules": fresh, "upto": cursor}))
    at = coordination.cursor(KNOWN)
    coordination.commit_scan(KNOWN, at, at + 1, records, runtime.clock.now(), {"fingerprint": rules.fingerprint, "versions": versions})


def _correlation_versions(rules: RuleSet) -> dict[str, str]:
    from detectors.sigma.refs import reference

    return {ref.id: ref.version for ref in (reference(o.data, "correlation") for o in rules.correlations)}


def _waiting(runtime: Runtime) -> dict[str, dict[str, Any]]:
    waiting: dict[str, dict[str, Any]] = {}
    for record in runtime.store.records.find(STREAM):
        if record.type == "queued":
            waiting[record.key] = dict(record.body)
        else:
            waiting.pop(record.key, None)
    return waiting


def work(runtime: Runtime, rules: RuleSet, run: Callable[[Detector, int], None]) -> int:
    """Do the retro-hunts that wait; how many rules looked at the past. Repeating one does no harm: events are counted once."""
    from detectors.sigma.detector import SigmaDetector

    count = 0
    for key, job in _waiting(runtime).items():
        part = subset(rules, set(job["rules"]))
        run(SigmaDetector(part, retro=True), int(job["upto"]))
        runtime.store.records.append([NewRecord(STREAM, key, "done", {"rules": len(job["rules"])})], runtime.clock.now())
        count += len(job["rules"])
    return count


def subset(rules: RuleSet, ids: set[str]) -> RuleSet:
    """These rules, with the base rules that their correlations need."""
    kept = [o for o in rules.correlations if str(o.data.get("id") or o.data.get("name")) in ids]
    bases = {str(n) for o in kept for n in o.data["correlation"].get("rules") or ()}
    picked = [
        replace(r, quiet=r.quiet or r.ref.id not in ids)
        for r in rules.rules
        if r.ref.id in ids or r.ref.id in bases or (r.name and r.name in bases)
    ]
    return type(rules)(picked, kept)


def hunt(runtime: Runtime, paths: Sequence[str], since: str, until: str) -> list[Finding]:
    """`soc hunt --store`: the rules over the store's events of a period. No alerts are made: it is a question, not a scan."""
    from detectors.sigma.detector import SigmaDetector

    store, now = runtime.store, runtime.clock.now()
    window = None
    if since or until:
        window = TimeWindow(moment(since, now) if since else datetime.min.replace(tzinfo=UTC), moment(until, now) if until else now)
    detector = SigmaDetector(rulesets.load(runtime, paths), retro=True, hunt=True)
    found = detector.scan(store.events.chunks(window), {}, now, store.events).findings
    return [f for f in found if window is None or (f.first < window.end and f.last >= window.start)]
