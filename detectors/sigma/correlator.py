"""Correlations of a scan: hits of base rules in, findings and what the next scan needs out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np

from detectors.sigma import memory
from detectors.sigma.correlate import Episode, Round
from detectors.sigma.correlation import COUNTS, Correlation
from detectors.sigma.gathered import Array, Gathered, place_of
from detectors.sigma.hits import Table
from detectors.sigma.ruleset import RuleSet
from detectors.sigma.second import ABOUT, Second
from domain.alert import Entity, Finding, Reason
from domain.clock import show_local
from domain.event import EventBatch, Rows
from domain.i18n import t
from domain.window import micros

_MICRO: Final = 1_000_000
_KINDS: Final = {
    "host.name": "host", "source.ip": "ip", "user.name": "user", "api.client.id": "client", "destination.ip": "ip", "url.path": "url",
    "process.executable": "process", "file.path": "file", "user.target.name": "user", "dns.question.name": "domain",
    "Computer": "host", "ComputerName": "host", "computer_name": "host", "hostname": "host", "IpAddress": "ip", "SourceIp": "ip",
    "DestinationIp": "ip", "address": "ip", "TargetUserName": "user", "SubjectUserName": "user", "User": "user", "Image": "process",
}  # fmt: skip
QUIET: Final = "informational"


@dataclass
class Outcome:
    """What the correlations made of one scan."""

    findings: list[Finding] = field(default_factory=list)
    state: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


class Correlator:
    """The correlations of one rule set during one scan after another. Episodes depend on the events only, not on the scans."""

    def __init__(self, rules: RuleSet, *, retro: bool = False, hunt: bool = False, most: int = memory.MOST) -> None:
        self.second = Second(rules)
        self._rules = rules
        self._retro, self._most = retro, most
        titles = {r.ref.id: r.ref.title for r in rules.rules} | {c.ref.id: c.ref.title for c in self.second.correlations}
        self._of = [[(key, titles.get(key, key)) for key in _signs(c)] for c in self.second.correlations]
        self._speaks = [not self.second.inner(c) and (hunt or c.ref.level != QUIET) for c in self.second.correlations]

    def gather(self, number: int, batch: EventBatch, rows: Rows, at: Array) -> Gathered:
        """Hits of one rule in one chunk; `at` in microseconds."""
        return self.second.gather(number, batch, rows, place_of(batch, rows, at))

    def more(self, so_far: Outcome, found: Sequence[Gathered], now: datetime) -> Outcome:
        """What was found so far, and these hits."""
        out = self.scan(found, so_far.state, now)
        return Outcome([*so_far.findings, *out.findings], out.state, [*so_far.notes, *(n for n in out.notes if n not in so_far.notes)])

    def scan(self, found: Sequence[Gathered], state: Mapping[str, Any], now: datetime) -> Outcome:
        """Episodes that hold something new, and the state after that."""
        clock = micros(now)
        newest = min(max([int(state.get("newest", 0)), *(int(g.at.max()) for g in found if len(g.at))]), clock)
        packed: Mapping[str, Any] = state.get("correlations", {})
        out = Outcome(state={"newest": newest, "correlations": {}})
        for rule in self.second.correlations:
            old = packed.get(rule.ref.id)
            if old and memory.fits(old, rule) and not memory.over(old, rule, newest, clock):
                out.state["correlations"][rule.ref.id] = old
        for number, done in self.second.plan.run(found, clock, lambda n: self._known(n, out.state["correlations"])):
            if self._speaks[number]:
                out.findings += [self._finding(number, done, e) for e in done.episodes(fresh=True)]
                out.findings += self._withdrawn(done)
            self._keep(done, newest, clock, out)
        return out

    def _known(self, number: int, kept: Mapping[str, Any]) -> Table | None:
        old = kept.get(self.second.correlations[number].ref.id)
        return memory.unpack(old) if old else None

    def _keep(self, done: Round, newest: int, clock: int, out: Outcome) -> None:
        key = done.rule.ref.id
        one, shed = memory.pack(done, newest, clock, self._most)
        out.state["correlations"].pop(key, None)
        if one:
            out.state["correlations"][key] = one
        if shed is not None:
            text = "correlation.shed_late" if shed.late else "correlation.shed"
            out.notes.append(
                t(text, title=done.rule.ref.title, hits=shed.hits, groups=shed.groups, most=self._most, upto=show_local(_at(shed.upto)))
            )  # fmt: skip

    def _withdrawn(self, done: Round) -> Iterator[Finding]:
        """By group: events that were told of, and that late events have put outside of every episode."""
        back = done.withdrawn()
        names = list(done.table.groups)
        for code in np.unique(back.group).tolist():
            exercise, group = names[code]
            mine = back.take(np.flatnonzero(back.group == code))
            old = done.idle.group == code
            left = np.concatenate([done.hits.at[(done.hits.group == code) & done.covered], done.idle.at[old & done.idle.told]])
            known = np.concatenate([done.hits.at[done.hits.group == code], done.idle.at[old], mine.at])
            first, last = (left.min(), left.max()) if len(left) else (mine.at.min(), mine.at.max())
            yield Finding(
                done.rule.ref, _about(done.rule, group), _at(int(first)), _at(int(last)), len(mine), _ids(mine.event),
                retro=self._retro, exercise=exercise, withdrawn=_at(int(known.min())),
            )  # fmt: skip

    def _finding(self, number: int, done: Round, episode: Episode) -> Finding:
        rule = done.rule
        fresh = episode.rows[~done.hits.told[episode.rows]]
        order = fresh[np.argsort(done.hits.at[fresh], kind="stable")]
        about = _about(rule, episode.group)
        return Finding(
            rule.ref, about, _at(episode.start), _at(episode.last), len(fresh), _ids(done.hits.event[order]),
            (self._reason(number, rule, episode),), retro=self._retro, exercise=episode.exercise,
            related=tuple(sorted(self._last(number, done, order) - set(about)))[:20],
        )  # fmt: skip

    def _last(self, number: int, done: Round, rows: Array) -> set[Entity]:
        """What the last events of an ordered correlation are about."""
        if done.rule.type != "temporal_ordered":
            return set()
        bit = 1 << done.rule.distinct.index(done.rule.rules[-1])
        names, texts = self.second.plan.carried[number], list(done.table.carried)
        codes = np.unique(done.hits.carried[rows[done.hits.rules[rows] & bit != 0]]).tolist()
        pairs = [pair for code in codes if code >= 0 for pair in zip(names, texts[code], strict=True)]
        return {Entity(_kind(name), value) for name, value in pairs if name in ABOUT and value}

    def _reason(self, number: int, rule: Correlation, episode: Episode) -> Reason:
        value = f"{episode.peak:.0f}" if rule.type in COUNTS or not rule.value_fields else f"{episode.peak:g}"
        limits = [f"{op} {limit:g}" for op, limit in rule.conditions]
        return Reason(rule.type, value, ", ".join(limits), values={
            "of": self._of[number], "group": dict(zip(rule.group_by, episode.group, strict=True)), "seconds": rule.seconds,
            "fields": list(rule.value_fields), **({"percentile": rule.percentile} if rule.type == "value_percentile" else {}),
        })  # fmt: skip


def _signs(rule: Correlation) -> tuple[str, ...]:
    """The rules that a reason names: steps in their order, with their repeats, where the order counts."""
    return rule.rules if rule.type == "temporal_ordered" else rule.distinct


def _about(rule: Correlation, group: Sequence[str]) -> tuple[Entity, ...]:
    return tuple(sorted({Entity(_kind(name), value) for name, value in zip(rule.group_by, group, strict=True) if value}))


def _ids(events: Array) -> tuple[str, ...]:
    return tuple(event.tobytes().hex() for event in events)


def _kind(name: str) -> str:
    """Kind of entity that a group-by field names, whether it is ECS or a name of Windows."""
    return _KINDS.get(name) or _KINDS.get(name.rpartition(".")[2], name.rpartition(".")[2])


def _at(instant: int) -> datetime:
    return datetime.fromtimestamp(instant / _MICRO, UTC)
