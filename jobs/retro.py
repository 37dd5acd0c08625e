"""Retro-hunts: new and changed rules look at the past once; `soc hunt --store` looks at it on demand."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from domain.alert import Finding
from domain.window import TimeWindow
from jobs import rulesets
from store.base import Chunk, NewRecord

if TYPE_CHECKING:
    from detectors.base import Detector
    from detectors.sigma.ruleset import RuleSet
    from jobs.runtime import Runtime

STREAM: Final = "retro"
"""Records: `queued` {rules, upto}, `done` {}; key = fingerprint of the rule set."""
KNOWN: Final = "sigma.rules"
"""Cursor whose state says which rule versions have seen everything so far, and which filters the last scan applied."""


def changed(runtime: Runtime) -> bool:
    """Whether the rule files are others than at the last scan, or a retro-hunt waits. Reads the files, compiles nothing."""
    from detectors.sigma.ruleset import fingerprint, read
    from jobs import rule_off

    state = runtime.store.coordination.state(KNOWN)
    files = read(rulesets.roots(runtime))
    now = fingerprint(files, rulesets.placeholders(runtime), runtime.config.windows_feeds) + rule_off.suffix(runtime)
    return state.get("fingerprint") != now or bool(_waiting(runtime))


def queue(runtime: Runtime, rules: RuleSet, cursor: int, applied: Collection[str] = ()) -> None:
    """Note the rules that are new or changed since the last scan: they have not seen the events up to `cursor`.

    `applied`: keys of the filters that the scan which now begins applies.
    """
    coordination = runtime.store.coordination
    state = coordination.state(KNOWN)
    if state.get("fingerprint") == rules.fingerprint and state.get("filters") == sorted(applied):
        return
    unseen = fresh(runtime, rules)
    records = []
    if cursor and unseen:
        records.append(NewRecord(STREAM, rules.fingerprint, "queued", {"rules": unseen, "upto": cursor}))
    at = coordination.cursor(KNOWN)
    known = {"fingerprint": rules.fingerprint, "versions": _versions(rules), "filters": sorted(applied)}
    coordination.commit_scan(KNOWN, at, at + 1, records, runtime.clock.now(), known)


def applied(runtime: Runtime) -> frozenset[str] | None:
    """Keys of the filters that the last scan applied; None when a scan of an older version did not say."""
    known = runtime.store.coordination.state(KNOWN).get("filters")
    return frozenset(map(str, known)) if isinstance(known, list) else None


def again(runtime: Runtime, jobs: Mapping[str, Sequence[str]], cursor: int) -> None:
    """Let rules look once more at the events up to `cursor`. `jobs`: key of the record -> ids of rules; what waits is not noted twice."""
    new = {key: ids for key, ids in jobs.items() if ids and cursor}
    waiting = _waiting(runtime) if new else {}
    records = [NewRecord(STREAM, key, "queued", {"rules": list(ids), "upto": cursor}) for key, ids in new.items() if key not in waiting]
    if records:
        runtime.store.records.append(records, runtime.clock.now())


def fresh(runtime: Runtime, rules: RuleSet) -> list[str]:
    """Ids of the rules and correlations that are new or changed since the last scan."""
    raw = runtime.store.coordination.state(KNOWN).get("versions")
    before = raw if isinstance(raw, dict) else {}
    return sorted(i for i, version in _versions(rules).items() if before.get(i) != version)


def _versions(rules: RuleSet) -> dict[str, str]:
    from detectors.sigma.refs import reference

    correlations = (reference(o.data, "correlation") for o in rules.correlations)
    return {r.ref.id: r.ref.version for r in rules.rules} | {ref.id: ref.version for ref in correlations}


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
        upto = int(job["upto"])
        for some, end in _parts(rules, set(job["rules"]), upto, runtime.store.coordination.cursor("sigma")):
            run(SigmaDetector(subset(rules, some), retro=True), end)
        runtime.store.records.append([NewRecord(STREAM, key, "done", {"rules": len(job["rules"])})], runtime.clock.now())
        count += len(job["rules"])
    return count


def _parts(rules: RuleSet, ids: set[str], upto: int, cursor: int) -> Iterator[tuple[set[str], int]]:
    """Rules, and how far each looks: correlations as far as the scans have come, for a window may lie across the place where they began."""
    from detectors.sigma.refs import reference

    linked = {reference(one.data, "correlation").id for one in rules.correlations} & ids
    if ids - linked:
        yield ids - linked, upto
    if linked:
        yield linked, max(upto, cursor)


def subset(rules: RuleSet, ids: set[str]) -> RuleSet:
    """These rules, with the rules and correlations that their correlations stand on."""
    from detectors.sigma.correlation import named

    wanted, kept, size = set(ids), set[int](), -1
    while size != len(kept):
        size = len(kept)
        for number, one in enumerate(rules.correlations):
            if number not in kept and wanted & {str(one.data.get("id")), str(one.data.get("name"))}:
                kept.add(number)
                wanted |= set(named(one.data))
    picked = [replace(r, quiet=r.quiet or r.ref.id not in ids) for r in rules.rules if r.ref.id in wanted or (r.name and r.name in wanted)]
    return type(rules)(picked, [one for number, one in enumerate(rules.correlations) if number in kept])


def look(runtime: Runtime, rules: RuleSet, window: TimeWindow | None, seen: Callable[[int], None]) -> list[Finding]:
    """`soc hunt --store`: the rules over the store's events of a period. No alerts are made: it is a question, not a scan.

    `seen` is told how many events each piece has that was looked at.
    """
    from detectors.sigma.detector import SigmaDetector

    def told() -> Iterator[Chunk]:
        for chunk in runtime.store.events.chunks(window):
            seen(chunk.rows)
            yield chunk

    detector = SigmaDetector(rules, retro=True, hunt=True)
    found = detector.scan(told(), {}, runtime.clock.now(), runtime.store.events).findings
    return [f for f in found if window is None or (f.first < window.end and f.last >= window.start)]
