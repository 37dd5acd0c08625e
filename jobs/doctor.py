"""`soc doctor`: is anything wrong, and what is the next command? Each check yields findings; one that fails is a finding itself."""

from __future__ import annotations

import ctypes
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Final, Literal

from domain.clock import show_local
from domain.errors import SocError
from jobs import rule_filters, rule_packs_state, rule_seen, rulesets, schedule
from jobs.collect_status import Ledger, ledgers
from jobs.config_check import check as config_faults
from jobs.rule_check import check as check_rules
from jobs.rule_state import BLIND, ERROR
from jobs.runtime import Runtime

Level = Literal["ok", "note", "wrong"]
FREE_WRONG: Final = 0.05
"""Share of the disk that must be free."""
FREE_NOTE: Final = 0.15
LAG: Final = timedelta(minutes=10)
"""Records that wait longer than this in the spool are wrong."""
UNPARSED: Final = 0.05
"""Share of unparsed records from which a source is worth a look."""
BEHIND: Final = 1_000_000
"""Events not yet scanned, from which scanning is too slow or stands still."""
BUFFER: Final = 8 << 20
"""Bytes that a UDP socket should be able to hold: bursts are lost beyond it."""
NEARLY: Final = 0.9
"""Share of what a correlation may remember from which it is noted."""
SKEW: Final = timedelta(minutes=5)


@dataclass(frozen=True)
class Finding:
    """One thing looked at."""

    check: str
    """config, store, disk, clock, sources, spool, dead, rules, scan, memory, jobs."""
    level: Level
    text: str
    """Key in the catalogue `doctor`."""
    values: Mapping[str, object] = field(default_factory=dict)
    next: str = ""
    """The command to run; empty when all is well."""


@dataclass(frozen=True)
class Patient:
    """What is examined; costly looks are taken once."""

    runtime: Runtime

    @cached_property
    def ledgers(self) -> list[Ledger]:
        """Every source."""
        return ledgers(self.runtime)

    @property
    def now(self) -> datetime:
        """The present."""
        return self.runtime.clock.now()

    def runs(self, name: str) -> list[schedule.Ran]:
        """The last runs of a job."""
        return schedule.history(self.runtime.store.coordination, name)


def examine(runtime: Runtime) -> list[Finding]:
    """All checks, in the order in which one would mend things."""
    out: list[Finding] = []
    patient = Patient(runtime)
    for name, look in CHECKS.items():
        try:
            out += look(patient)
        except SocError as error:
            out.append(Finding(name, "wrong", "failed", {"error": str(error)}, error.hint or "soc config check"))
        if name == "store" and out[-1].level == "wrong":
            break
    return out


def _config(patient: Patient) -> Iterator[Finding]:
    if patient.runtime.config.path is None:
        yield Finding("config", "note", "config_none", {}, "soc init")
        return
    problems = config_faults(patient.runtime.config)
    for problem in problems:
        yield Finding("config", "wrong", "config_wrong", {"problem": problem}, "soc config check")
    if not problems:
        yield Finding("config", "ok", "config_ok", {"file": str(patient.runtime.config.path), "n": len(patient.runtime.config.sources)})


def _store(patient: Patient) -> Iterator[Finding]:
    work, now = patient.runtime.store.coordination, patient.now
    name = f"doctor:{schedule.holder()}"
    work.lease(name, schedule.holder(), 1, now)
    work.release(name, schedule.holder())
    for trouble in patient.runtime.store.about().troubles:
        yield Finding("store", "wrong" if trouble.grave else "note", f"store_{trouble.kind}", trouble.values, "docs/opensearch.md")
    yield Finding("store", "ok", "store_ok", {"url": patient.runtime.store.url, "events": patient.runtime.store.events.head()})


def _disk(patient: Patient) -> Iterator[Finding]:
    folder = next(path for path in [patient.runtime.state_dir, *patient.runtime.state_dir.parents] if path.exists())
    usage = shutil.disk_usage(folder)
    share = usage.free / usage.total
    level: Level = "wrong" if share < FREE_WRONG else "note" if share < FREE_NOTE else "ok"
    values = {"free": f"{usage.free / 2**30:.1f}", "percent": f"{share:.0%}", "folder": str(folder)}
    yield Finding("disk", level, "disk", values, "" if level == "ok" else "soc store retain --help")


def _clock(patient: Patient) -> Iterator[Finding]:
    now = patient.now
    latest = [entry.last_delivery for entry in patient.ledgers if entry.last_delivery]
    latest += [datetime.fromtimestamp(patient.runtime.store.coordination.cursor(f"job.{name}"), UTC) for name in schedule.JOBS]
    if latest and max(latest) > now + SKEW:
        yield Finding("clock", "wrong", "clock_back", {"now": show_local(now), "latest": show_local(max(latest))}, "timedatectl")
    elif not _synchronised():
        yield Finding("clock", "note", "clock_free", {"now": show_local(now)}, "timedatectl set-ntp true")
    else:
        yield Finding("clock", "ok", "clock_ok", {"now": show_local(now)})


def _synchronised() -> bool:
    """Whether the kernel says that something keeps its clock right (adjtimex: 5 = TIME_ERROR); True where it cannot be asked."""
    try:
        return int(ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(1024))) != 5
    except (OSError, AttributeError):
        return True


def _sources(patient: Patient) -> Iterator[Finding]:
    found = patient.ledgers
    wrong = [finding for entry in found for finding in _source(entry)]
    yield from wrong
    if not found:
        yield Finding("sources", "note", "sources_none", {}, "soc init")
    elif not any(finding.level == "wrong" for finding in wrong):
        yield Finding("sources", "ok", "sources_ok", {"n": len(found), "events": sum(entry.stored for entry in found)})


def _source(entry: Ledger) -> Iterator[Finding]:
    since = show_local(entry.last_delivery) if entry.last_delivery else "—"
    if entry.silent:
        yield Finding("sources", "wrong", "silent", {"source": entry.source, "since": since}, "soc collect status")
    elif entry.configured and not entry.received:
        yield Finding("sources", "note", "never", {"source": entry.source}, "soc collect once")
    if entry.stored and entry.unparsed > entry.stored * UNPARSED:
        values = {"source": entry.source, "n": entry.unparsed, "percent": f"{entry.unparsed / entry.stored:.0%}"}
        yield Finding("sources", "note", "unparsed", values, "soc search 'event.kind:pipeline_error' --limit 20")
    if entry.lost_bytes:
        yield Finding("sources", "wrong", "lost", {"source": entry.source, "n": entry.lost_bytes}, "soc collect status")


def _spool(patient: Patient) -> Iterator[Finding]:
    found = patient.ledgers
    for entry in found:
        if entry.spooled and (entry.lag_seconds or 0) > LAG.total_seconds():
            values = {"source": entry.source, "n": entry.spooled, "minutes": round((entry.lag_seconds or 0) / 60)}
            yield Finding("spool", "wrong", "spool_late", values, "soc collect once")
        if dropped := entry.dropped_by_kernel + entry.dropped_by_quota:
            yield Finding("spool", "note", "dropped", {"source": entry.source, "n": dropped}, "sysctl net.core.rmem_max")
    if any(source.listen.startswith("udp") for source in patient.runtime.config.sources) and (most := _buffer()) < BUFFER:
        yield Finding("spool", "note", "buffer", {"kib": most >> 10}, f"sysctl -w net.core.rmem_max={4 * BUFFER}")
    if waiting := sum(entry.spooled for entry in found):
        yield Finding("spool", "ok", "spool_some", {"n": waiting})


def _buffer() -> int:
    """Bytes that a UDP socket may hold at most; the largest number where the kernel does not say."""
    try:
        return int(Path("/proc/sys/net/core/rmem_max").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return sys.maxsize


def _dead(patient: Patient) -> Iterator[Finding]:
    count = sum(1 for _ in patient.runtime.store.events.dead_letters())
    if count:
        yield Finding("dead", "wrong", "dead", {"n": count}, "soc collect replay")
    else:
        yield Finding("dead", "ok", "dead_none")


def _rules(patient: Patient) -> Iterator[Finding]:
    """Loaded, broken, which cannot see anything of what the store holds; packs that are not as they should be."""
    for one in rule_packs_state.troubles(patient.runtime, deep=True):
        yield Finding("rules", "wrong", "rules_pack", {"problem": rule_packs_state.sentence(one)}, one.next)
    rules = rulesets.load(patient.runtime)
    seen, others = rule_seen.Seen(patient.runtime.store.events.coverage()), rule_seen.elsewhere(patient.runtime)
    states = Counter(state.status for state in check_rules(rules, seen, others))
    loaded = sum(states.values()) - states[ERROR]
    if broken := rules.broken:
        yield Finding("rules", "wrong", "rules_error", {"n": len(broken), "first": broken[0].told}, "soc rules lint")
    if old := [one for one in rules.filters if one.expired(rule_filters.today(patient.runtime))]:
        yield Finding("rules", "note", "rules_filters", {"n": len(old), "first": old[0].title}, "soc rules filter list")
    if not loaded:
        yield Finding("rules", "wrong", "rules_none", {}, "soc rules import")
    elif states[BLIND] == loaded and patient.runtime.store.events.head():
        yield Finding("rules", "wrong", "rules_all_blind", {"n": loaded}, "soc rules check")
    else:
        values = {"n": loaded, "blind": states[BLIND]}
        yield Finding("rules", "ok", "rules_ok", values, "soc rules check" if states[BLIND] else "")


def _scan(patient: Patient) -> Iterator[Finding]:
    """How far the rules have come."""
    head, cursor = patient.runtime.store.events.head(), patient.runtime.store.coordination.cursor("sigma")
    runs = [run for run in patient.runs("scan") if not run.code]
    at = _shown(runs[-1].started) if runs else "—"
    if head and not cursor:
        yield Finding("scan", "wrong", "scan_never", {"n": head}, "soc scan")
    elif head - cursor > BEHIND:
        yield Finding("scan", "wrong", "scan_behind", {"n": head - cursor, "at": at}, "soc scan")
    else:
        yield Finding("scan", "ok", "scan_ok", {"n": cursor, "rest": head - cursor})


def _memory(patient: Patient) -> Iterator[Finding]:
    """How much correlations remember; the one that is nearest to its limit."""
    from detectors.sigma import memory

    sizes = memory.sizes(patient.runtime.store.coordination.state("sigma"))
    if sizes:
        key, hits, groups = sizes[0]
        values = {"all": sum(n for _, n, _ in sizes), "rules": len(sizes), "id": key, "n": hits, "groups": groups, "most": memory.MOST}
        if hits >= memory.MOST * NEARLY:
            yield Finding("memory", "note", "memory_full", values, "soc rules scorecard")
        else:
            yield Finding("memory", "ok", "memory", values)


def _jobs(patient: Patient) -> Iterator[Finding]:
    for name, cron in schedule.planned(patient.runtime.config).items():
        runs = patient.runs(name)
        if runs and runs[-1].code:
            values = {"job": name, "code": runs[-1].code, "at": _shown(runs[-1].started), "said": runs[-1].said.rpartition("\n")[2]}
            yield Finding("jobs", "wrong", "job_failed", values, f"soc jobs history {name}")
        elif runs:
            yield from _late(patient, name, cron, runs[-1])
    if not any(patient.runs(name) for name in schedule.JOBS):
        yield Finding("jobs", "note", "jobs_never", {}, "soc run")


def _late(patient: Patient, name: str, cron: str, last: schedule.Ran) -> Iterator[Finding]:
    """A job that has not run for three of its periods."""
    now, started = patient.now, datetime.fromisoformat(last.started)
    due = schedule.due_at(cron, now)
    before = schedule.due_at(cron, due - timedelta(minutes=1)) if due else None
    if due is None or before is None:
        return
    if now - started > 3 * (due - before) + timedelta(seconds=schedule.job(name).limit):
        yield Finding("jobs", "wrong", "job_late", {"job": name, "since": show_local(started)}, "soc run")
    else:
        yield Finding("jobs", "ok", "job_ok", {"job": name, "at": show_local(started), "seconds": last.seconds})


def _shown(stamp: str) -> str:
    return show_local(datetime.fromisoformat(stamp))


CHECKS: Final[dict[str, Callable[[Patient], Iterator[Finding]]]] = {
    "config": _config,
    "store": _store,
    "disk": _disk,
    "clock": _clock,
    "sources": _sources,
    "spool": _spool,
    "dead": _dead,
    "rules": _rules,
    "scan": _scan,
    "memory": _memory,
    "jobs": _jobs,
}
"""In the order in which one would mend things; without a store nothing after it can be said."""
