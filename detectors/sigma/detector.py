"""The Sigma detector: all rules over the chunks of a scan, then correlations over their hits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Final, TypeAlias

import numpy as np
import pyarrow as pa

from detectors.base import Scanned
from detectors.joined import joined
from detectors.sigma import explain, twins
from detectors.sigma.correlator import Correlator, Outcome
from detectors.sigma.gathered import Gathered
from detectors.sigma.ruleset import RuleSet
from domain.alert import Entity, Finding, Reason
from domain.event import EventBatch, Rows
from domain.raw import Int64s
from store.base import Chunk, EventStore

ABOUT: Final = (("host", "host.name"), ("ip", "source.ip"), ("user", "user.name"), ("client", "api.client.id"))
"""What an alert is about: findings of one rule that share these values are one alert."""
FALLBACK: Final = (("source", "thapcanh.source"),)
RELATED: Final = (
    ("ip", "destination.ip"), ("url", "url.path"), ("process", "process.executable"), ("file", "file.path"), ("user", "user.target.name"),
    ("domain", "dns.question.name"),
)  # fmt: skip
NO_ALERT: Final = "informational"
"""The specification: such rules enrich events, "no case or alerting should be triggered". Hunts and correlations still see them."""
ENOUGH: Final = 1_000_000
"""Hits for correlations that are looked at together: bounds memory when a retro-hunt reads everything. Episodes do not depend on it."""
_EXPLAINED: Final = 500
"""Findings of one scan that get reasons: enough for people, bounded for machines."""
_MICRO: Final = 1_000_000
_GAP: Final = 24 * 3600 * _MICRO
_NOBODY: Final = ("", "-")
"""Values that name nothing: `-` is how web servers write a missing user."""


@dataclass
class _Group:
    """Rows of one rule with the same entities, over all chunks of a scan."""

    times: list[int]
    ids: list[str]
    related: set[Entity]
    reasons: tuple[Reason, ...]
    exercise: bool


_Groups: TypeAlias = dict[tuple[int, tuple[Entity, ...], bool], _Group]


class SigmaDetector:
    """One rule set. Findings depend on the events only, not on how they are cut into scans."""

    name = "sigma"

    def __init__(self, rules: RuleSet, *, retro: bool = False, hunt: bool = False) -> None:
        self.rules = rules
        self._retro = retro
        self._correlator = Correlator(rules, retro=retro, hunt=hunt)
        self._doubled = [twins.doubled(rule) for rule in rules.rules]
        self._alerts = [not rule.quiet and (hunt or rule.ref.level != NO_ALERT) for rule in rules.rules]

    def scan(self, chunks: Iterable[Chunk], state: Mapping[str, Any], now: datetime, events: EventStore) -> Scanned:
        """Findings on the new events; `state` carries the hits that correlations still need."""
        groups: _Groups = {}
        gathered: list[Gathered] = []
        found = Outcome(state=dict(state))
        for chunk in joined(chunks):
            if sum(len(one.at) for one in gathered) > ENOUGH:
                found, gathered = self._correlator.more(found, gathered, now), []
            times = _Times(chunk)
            for key, rows in self.rules.matcher.run(chunk):
                number = int(str(key))
                if self._doubled[number]:
                    rows = twins.single(self.rules.rules[number], chunk, rows, times.of(rows), events)
                    if not len(rows):
                        continue
                if self._correlator.second.uses(number):
                    gathered.append(self._correlator.gather(number, chunk, rows, times.of(rows)))
                if self._alerts[number]:
                    self._group(number, chunk, rows, times.of(rows), groups)
        findings = [f for (number, about, _), group in groups.items() for f in self._findings(number, about, group)]
        found = self._correlator.more(found, gathered, now)
        return Scanned(findings + found.findings, found.state, found.notes)

    def _group(self, number: int, chunk: Chunk, rows: Rows, times: Int64s, groups: _Groups) -> None:
        """Rows of one chunk by their entities: one pass over dictionary codes, Python only per distinct combination."""
        ids = chunk.ids().take(pa.array(rows)).to_pylist()
        related, exercise = _columns(chunk, rows, RELATED), _flags(chunk, rows)
        for about, places in _combinations(chunk, rows):
            for flag in (False, True):
                mine = places[exercise[places] == flag]
                if not len(mine):
                    continue
                key = (number, about, flag)
                group = groups.get(key)
                if group is None:
                    reasons = self._explain(chunk, int(rows[mine[0]])) if len(groups) < _EXPLAINED else ()
                    group = groups[key] = _Group([], [], set(), reasons, flag)
                group.times += times[mine].tolist()
                group.ids += [ids[i].hex() for i in mine.tolist()]
                group.related |= _entities(related, mine[:20])

    def _explain(self, chunk: Chunk, row: int) -> tuple[Reason, ...]:
        """Why the rule at hand matched one row."""
        held = list(self.rules.matcher.held(row))
        return explain.told(held, _one(chunk, sorted({test.field for test in held if test.field}), row))

    def _findings(self, number: int, about: tuple[Entity, ...], group: _Group) -> Iterable[Finding]:
        """One for each run of events without a gap longer than the time within which alerts fold: as many scans would give."""
        order = sorted(range(len(group.ids)), key=lambda i: (group.times[i], group.ids[i]))
        related = tuple(sorted(group.related - set(about)))[:20]
        start = 0
        for end in range(1, len(order) + 1):
            if end == len(order) or group.times[order[end]] - group.times[order[end - 1]] > _GAP:
                part = order[start:end]
                yield Finding(
                    self.rules.rules[number].ref, about, _at(group.times[part[0]]), _at(group.times[part[-1]]), len(part),
                    tuple(group.ids[i] for i in part), group.reasons, retro=self._retro, exercise=group.exercise, related=related,
                )  # fmt: skip
                start = end


def _one(chunk: Chunk, names: Sequence[str], row: int) -> pa.Table:
    """One event with these fields, from the columns that matching has read."""
    found: dict[str, pa.Array] = {}
    for name in names:
        column = chunk.column(name)
        if column is not None and column.codes[row] >= 0:
            found[name] = column.values.slice(int(column.codes[row]), 1)
    return pa.table(found or {"event.kind": pa.array(["event"])})


def _at(micros: int) -> datetime:
    return datetime.fromtimestamp(micros / _MICRO, UTC)


class _Times:
    """`@timestamp` of a chunk's rows in microseconds, read when first asked for."""

    def __init__(self, chunk: Chunk) -> None:
        self._chunk = chunk

    def of(self, rows: Rows) -> Int64s:
        """Of these rows."""
        return self._all[rows]

    @cached_property
    def _all(self) -> Int64s:
        column = self._chunk.table(None, ["@timestamp"])["@timestamp"]
        return np.asarray(column.cast(pa.int64()).combine_chunks().to_numpy(zero_copy_only=False), np.int64)


def _flags(chunk: Chunk, rows: Rows) -> np.ndarray[Any, np.dtype[np.bool_]]:
    column = chunk.column("thapcanh.exercise", rows)
    if column is None:
        return np.zeros(len(rows), np.bool_)
    values = np.append(column.values.to_numpy(zero_copy_only=False).astype(np.bool_), False)
    return values[column.codes]


Columns = list[tuple[str, np.ndarray[Any, np.dtype[np.int32]], list[str]]]


def _columns(chunk: EventBatch, rows: Rows, wanted: Sequence[tuple[str, str]]) -> Columns:
    out: Columns = []
    for kind, name in wanted:
        column = chunk.column(name, rows)
        if column is not None:
            out.append((kind, column.codes, [str(v) for v in column.values.to_pylist()]))
    return out


def _combinations(chunk: EventBatch, rows: Rows) -> Iterable[tuple[tuple[Entity, ...], np.ndarray[Any, Any]]]:
    columns = _columns(chunk, rows, ABOUT) or _columns(chunk, rows, FALLBACK)
    if not columns:
        yield (), np.arange(len(rows))
        return
    stacked = np.stack([codes for _, codes, _ in columns], axis=1)
    distinct, inverse = np.unique(stacked, axis=0, return_inverse=True)
    for number, codes in enumerate(distinct.tolist()):
        about = {
            Entity(kind, values[c]) for (kind, _, values), c in zip(columns, codes, strict=True) if c >= 0 and values[c] not in _NOBODY
        }
        yield tuple(sorted(about)), np.flatnonzero(inverse.ravel() == number)


def _entities(columns: Columns, places: np.ndarray[Any, Any]) -> set[Entity]:
    return {
        Entity(kind, values[c])
        for kind, codes, values in columns
        for c in np.unique(codes[places]).tolist()
        if c >= 0 and values[c] not in _NOBODY
    }
