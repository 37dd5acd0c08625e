"""What the logs of a hunt say about themselves: record numbers that are missing, logs that were cleared, auditing that was changed.

Windows numbers the records of each log (EventRecordID). Numbers that are missing between others mean records that were removed, a damaged
file, or an export with a filter: the share tells which is likely. Only told, never an alert.
Events: learn.microsoft.com/windows/security/threat-protection/auditing (1100-1104, 4616, 4719), Sysmon 4 and 16.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

import numpy as np

_SECURITY: Final = "Security"
_SYSMON: Final = "Microsoft-Windows-Sysmon/Operational"
KINDS: Final[Mapping[tuple[str, str], str]] = {
    (_SECURITY, "1102"): "cleared", ("System", "104"): "cleared", (_SECURITY, "1101"): "dropped", (_SECURITY, "1104"): "full",
    (_SECURITY, "4719"): "policy", (_SECURITY, "1100"): "stopped", (_SECURITY, "4616"): "clock",
    (_SYSMON, "4"): "sysmon", (_SYSMON, "16"): "sysmon_rules",
}  # fmt: skip
"""(channel, event code) -> what it says."""
SERIOUS: Final = ("cleared", "dropped", "policy")
"""Kinds that a responder must see; the others happen on ordinary days too."""
EDGES: Final = 16
"""Gaps per log and batch whose times are looked up: the widest."""
_RUNS: Final = 2_048
"""Runs remembered for each log; beyond it the narrowest gaps are only counted."""
MARKS: Final = 500
"""Marks per batch, and distinct ones per hunt, that are told one by one."""
_LOGS: Final = 20_000
"""Logs remembered: names of hosts come from the logs themselves."""
_SLACK: Final = 3_600_000_000
"""Microseconds by which clocks may go back without being told."""
FILTERED: Final = 0.2
"""Share of missing numbers above which a log looks like an export with a filter."""


class Run(NamedTuple):
    """Record numbers low..high without a hole, and the event times at both ends (microseconds; None = not looked up)."""

    low: int
    high: int
    first: int | None
    last: int | None


class Mark(NamedTuple):
    """An event in which a log speaks of itself."""

    kind: str
    host: str
    channel: str
    """The log that was cleared, where the event names one."""
    user: str


@dataclass(frozen=True)
class Marked:
    """How often, when, and where the first one is."""

    count: int
    first: int | None
    last: int | None
    source: str
    record: int


@dataclass
class Span:
    """Event times between which something lies, microseconds; None = not known."""

    first: int | None = None
    last: int | None = None

    def add(self, *times: int | None) -> None:
        """Widen it to hold these."""
        found = [at for at in (self.first, self.last, *times) if at is not None]
        self.first, self.last = min(found, default=None), max(found, default=None)


@dataclass
class Seen:
    """What one batch says."""

    runs: dict[tuple[str, str], tuple[int, list[Run]]] = field(default_factory=dict)
    """(host, channel) -> (records, runs)."""
    marks: list[tuple[Mark, Marked]] = field(default_factory=list)
    span: Span = field(default_factory=Span)
    """Of the first and last records of each kind."""


@dataclass
class _Log:
    records: int = 0
    runs: list[Run] = field(default_factory=list)
    narrow: int = 0
    """Missing numbers of gaps that are no longer remembered one by one."""
    narrow_gaps: int = 0
    reused: list[tuple[int, int]] = field(default_factory=list)
    """(time, earlier or later time) of numbers that came twice."""


class Gap(NamedTuple):
    """Record numbers that are missing: from..to, between two event times."""

    start: int
    stop: int
    after: int | None
    before: int | None

    @property
    def missing(self) -> int:
        """How many."""
        return self.stop - self.start + 1


@dataclass(frozen=True)
class LogReport:
    """One log of one host."""

    host: str
    channel: str
    records: int
    low: int
    high: int
    """Lowest and highest record number."""
    missing: int
    gaps: tuple[Gap, ...]
    """Widest first."""
    gap_count: int
    restarts: tuple[tuple[int, int], ...]
    """(time, time): numbers went on although the clock went back by so much, or the same numbers came at both times."""

    @property
    def verdict(self) -> str:
        """`whole`, `gaps` or `filtered`."""
        if not self.missing:
            return "whole"
        return "filtered" if self.missing / (self.high - self.low + 1) > FILTERED else "gaps"


@dataclass
class Records:
    """All batches together, in bounded memory."""

    span: Span = field(default_factory=Span)
    shed: int = 0
    """Logs that were too many to be remembered."""
    _logs: dict[tuple[str, str], _Log] = field(default_factory=dict)
    _marks: dict[Mark, Marked] = field(default_factory=dict)

    def add(self, seen: Seen) -> None:
        """What another batch says."""
        self.span.add(seen.span.first, seen.span.last)
        for key, (records, runs) in seen.runs.items():
            if key not in self._logs and len(self._logs) >= _LOGS:
                self.shed += 1
                continue
            log = self._logs.setdefault(key, _Log())
            log.records += records
            log.runs += runs
            if len(log.runs) > 2 * _RUNS:
                _join(log)
        for mark, marked in seen.marks:
            known = self._marks.get(mark)
            if known is not None:
                self._marks[mark] = _both(known, marked)
            elif len(self._marks) < MARKS:
                self._marks[mark] = marked
            else:
                other = Mark(mark.kind, "", "", "")
                self._marks[other] = _both(self._marks[other], marked) if other in self._marks else marked

    def marks(self, kinds: Sequence[str] = ()) -> list[tuple[Mark, Marked]]:
        """Serious ones first, then by time."""
        order = list(dict.fromkeys(KINDS.values()))
        found = [(m, d) for m, d in self._marks.items() if not kinds or m.kind in kinds]
        return sorted(found, key=lambda i: (order.index(i[0].kind), i[1].first or 0, i[0]))

    def logs(self) -> list[LogReport]:
        """Every log: those with gaps first, most missing numbers first."""
        out = [_report(key, log) for key, log in sorted(self._logs.items())]
        order = ("gaps", "filtered", "whole")
        return sorted(out, key=lambda r: (order.index(r.verdict), -r.missing, r.host, r.channel))


def _both(one: Marked, two: Marked) -> Marked:
    span = Span()
    span.add(one.first, one.last, two.first, two.last)
    return replace(one, count=one.count + two.count, first=span.first, last=span.last)


def _back(earlier: int | None, later: int | None) -> bool:
    """Whether the clock went back between two times that should follow each other."""
    return earlier is not None and later is not None and later < earlier - _SLACK


def _join(log: _Log) -> None:
    """Runs that touch or overlap become one; too many are thinned out."""
    joined: list[Run] = []
    for run in sorted(log.runs, key=lambda r: (r.low, -r.high, r.first or 0)):
        last = joined[-1] if joined else None
        if last is None or run.low > last.high + 1 or (run.low == last.high + 1 and _back(last.last, run.first)):
            joined.append(run)
            continue
        if run.low <= last.high and (_back(last.first, run.first) or _back(run.first, last.last)) and len(log.reused) < EDGES:
            log.reused.append((last.first or 0, run.first or 0))
        joined[-1] = last if run.high <= last.high else Run(last.low, run.high, last.first, run.last)
    log.runs = joined
    if len(joined) > _RUNS:
        _thin(log)


def _thin(log: _Log) -> None:
    """The widest gaps stay; the others are counted."""
    widths = np.array([b.low - a.high for a, b in zip(log.runs, log.runs[1:], strict=False)])
    limit = int(np.partition(widths, len(widths) - _RUNS // 2)[len(widths) - _RUNS // 2])
    kept: list[Run] = [log.runs[0]]
    for run in log.runs[1:]:
        width = run.low - kept[-1].high
        if width > limit:
            kept.append(run)
        else:
            log.narrow += width - 1
            log.narrow_gaps += width > 1
            kept[-1] = Run(kept[-1].low, run.high, kept[-1].first, run.last)
    log.runs = kept


def _report(key: tuple[str, str], log: _Log) -> LogReport:
    _join(log)
    gaps, restarts = [], list(log.reused)
    for before, after in zip(log.runs, log.runs[1:], strict=False):
        if after.low > before.high + 1:
            gaps.append(Gap(before.high + 1, after.low - 1, before.last, after.first))
        if _back(before.last, after.first):
            restarts.append((before.last or 0, after.first or 0))
    return LogReport(
        *key, log.records, log.runs[0].low, log.runs[-1].high, sum(g.missing for g in gaps) + log.narrow,
        tuple(sorted(gaps, key=lambda g: -g.missing)), len(gaps) + log.narrow_gaps, tuple(restarts),
    )  # fmt: skip
