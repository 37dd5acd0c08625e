"""The Sigma detector: all rules over the chunks of a scan, then correlations over their hits."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
import pyarrow as pa

from detectors.base import Scanned
from detectors.joined import joined
from detectors.sigma import correlate, explain, second
from detectors.sigma.refs import spoken
from detectors.sigma.ruleset import RuleSet
from domain.alert import Entity, Finding, Reason
from domain.event import EventBatch, Rows
from domain.query import fields_of
from match.keywords import NOT_TEXT
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
KEEP: Final = 20_000
"""Hits that a correlation remembers between scans; beyond it the oldest are shed, and it is said."""
_KINDS: Final = {
    "Computer": "host", "ComputerName": "host", "computer_name": "host", "hostname": "host", "IpAddress": "ip", "SourceIp": "ip",
    "DestinationIp": "ip", "address": "ip", "TargetUserName": "user", "SubjectUserName": "user", "User": "user", "Image": "process",
}  # fmt: skip
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


class SigmaDetector:
    """One rule set. Findings depend on the events only, not on how they are cut into scans."""

    name = "sigma"

    def __init__(self, rules: RuleSet, *, retro: bool = False, hunt: bool = False) -> None:
        self.rules = rules
        self._retro = retro
        self._correlations = second.readable(rules)
        self._users = second.users(rules, self._correlations)
        self._alerts = [not rule.quiet and (hunt or rule.ref.level != NO_ALERT) for rule in rules.rules]

    def scan(self, chunks: Iterable[Chunk], state: Mapping[str, object], now: datetime, events: EventStore) -> Scanned:  # noqa: ARG002  the contract
        """Findings on the new events; `state` carries the hits that correlations still need."""
        groups: dict[tuple[int, tuple[Entity, ...], bool], _Group] = {}
        fresh: dict[int, list[correlate.Hit]] = defaultdict(list)
        for chunk in joined(chunks):
            for key, rows in self.rules.matcher.run(chunk):
                number = int(str(key))
                if number in self._users:
                    self._collect(number, chunk, rows, fresh)
                if self._alerts[number]:
                    self._group(number, chunk, rows, groups)
        findings = [f for (number, about, _), group in groups.items() for f in self._findings(number, about, group)]
        more, kept, notes = self._correlate(fresh, state)
        return Scanned(findings + more, kept, notes)

    def _group(self, number: int, chunk: Chunk, rows: Rows, groups: dict[tuple[int, tuple[Entity, ...], bool], _Group]) -> None:
        """Rows of one chunk by their entities: one pass over dictionary codes, Python only per distinct combination."""
        ids = chunk.ids().take(pa.array(rows)).to_pylist()
        times = _times(chunk, rows)
        related, exercise = _columns(chunk, rows, RELATED), _flags(chunk, rows)
        for about, places in _combinations(chunk, rows):
            for flag in (False, True):
                mine = places[exercise[places] == flag]
                if not len(mine):
                    continue
                key = (number, about, flag)
                group = groups.get(key)
                if group is None:
                    reasons = self._explain(number, chunk, int(rows[mine[0]])) if len(groups) < _EXPLAINED else ()
                    group = groups[key] = _Group([], [], set(), reasons, flag)
                group.times += times[mine].tolist()
                group.ids += [ids[i].hex() for i in mine.tolist()]
                group.related |= _entities(related, mine[:20])

    def _explain(self, number: int, chunk: Chunk, row: int) -> tuple[Reason, ...]:
        body = self.rules.rules[number].body
        names = fields_of(body)
        return explain.reasons(body, _one(chunk, [n for n in chunk.fields() if n not in NOT_TEXT] if "*" in names else sorted(names), row))

    def _findings(self, number: int, about: tuple[Entity, ...], group: _Group) -> Iterable[Finding]:
        """One for each run of events without a gap longer than the time within which alerts fold: as many scans would give."""
        order = sorted(range(len(group.ids)), key=lambda i: (group.times[i], group.ids[i]))
        related = tuple(sorted(group.related - set(about)))[:20]
        start = 0
        for end in range(1, len(order) + 1):
            if end == len(order) or group.times[order[end]] - group.times[order[end - 1]] > _GAP:
                part = order[start:end]
                yield Finding(
                    spoken(self.rules.rules[number].ref), about, _at(group.times[part[0]]), _at(group.times[part[-1]]), len(part),
                    tuple(group.ids[i] for i in part), group.reasons, retro=self._retro, exercise=group.exercise, related=related,
                )  # fmt: skip
                start = end

    def _collect(self, number: int, chunk: Chunk, rows: Rows, fresh: dict[int, list[correlate.Hit]]) -> None:
        rule = self.rules.rules[number]
        ids = chunk.ids().take(pa.array(rows)).to_pylist()
        times, exercise = _times(chunk, rows), _flags(chunk, rows)
        for index, name in self._users[number]:
            correlation = self._correlations[index]
            told = _columns(chunk, rows, ABOUT) if correlation.type == "temporal_ordered" and name == correlation.rules[-1] else []
            names = second.mapped_fields(correlation, name, rule.source)
            *groups, values = [correlate.texts(chunk, f, rows) if f else [None] * len(rows) for f in names]
            for place, event in enumerate(ids):
                key = [column[place] for column in groups]
                if all(k is not None for k in key):
                    order = int.from_bytes(event[:6], "big")
                    about = tuple((kind, texts[codes[place]]) for kind, codes, texts in told if codes[place] >= 0)
                    at = int(times[place]) / _MICRO
                    group = tuple(map(str, key))
                    fresh[index].append(correlate.Hit(at, order, name, group, values[place], event.hex(), bool(exercise[place]), about))

    def _correlate(
        self, fresh: Mapping[int, list[correlate.Hit]], state: Mapping[str, Any]
    ) -> tuple[list[Finding], dict[str, Any], list[str]]:
        """Episodes that hold at least one new hit. What is kept: hits within the timespan of the newest, for late events twice that."""
        findings: list[Finding] = []
        kept: dict[str, Any] = {}
        notes: list[str] = []
        found: list[tuple[correlate.Correlation, list[correlate.Episode]]] = []
        for index, correlation in enumerate(self._correlations):
            old = [_hit(item) for item in state.get(correlation.ref.id, ())]
            known = {(h.event, h.rule) for h in old}
            passed = [h for child, its in found for h in correlate.passed_on(child, its, correlation)]
            new = [h for h in (*fresh.get(index, ()), *passed) if (h.event, h.rule) not in known]
            hits = sorted([*old, *new])
            added = {(h.event, h.rule) for h in new}
            episodes = correlate.episodes(correlation, hits) if new else []
            episodes = [e for e in episodes if any((h.event, h.rule) in added for h in e.events)]
            found.append((correlation, episodes))
            if not self._inner(correlation):
                findings += [self._episode(correlation, episode) for episode in episodes]
            kept[correlation.ref.id], shed = _kept(correlation, hits)
            if shed:
                notes.append(f"{correlation.ref.title}: {shed} of {len(hits)} remembered hits were shed, the oldest first")
        return findings, {k: v for k, v in kept.items() if v}, notes

    def _inner(self, correlation: correlate.Correlation) -> bool:
        """Whether it only feeds others, which do not ask it to speak for itself."""
        return any({correlation.ref.id, correlation.name} & set(c.rules) and not c.generate for c in self._correlations)

    def _episode(self, correlation: correlate.Correlation, episode: correlate.Episode) -> Finding:
        about = tuple(sorted({Entity(_kind(n), v) for n, v in zip(correlation.group_by, episode.group, strict=True)}))
        events = tuple(dict.fromkeys(h.event for h in episode.events))
        values = {h.value for h in episode.events if h.value is not None}
        reason = Reason(
            correlation.type, str(len(values) if correlation.type.startswith("value") else len(events)),
            expected=", ".join(f"{op} {limit:g}" for op, limit in correlation.conditions),
        )  # fmt: skip
        first, last = _at(int(episode.start * _MICRO)), _at(int(max(h.at for h in episode.events) * _MICRO))
        related = tuple(sorted({Entity(k, v) for h in episode.events for k, v in h.about if v} - set(about)))[:20]
        return Finding(
            spoken(correlation.ref), about, first, last, len(events), events, (reason,),
            retro=self._retro, exercise=episode.exercise, related=related,
        )  # fmt: skip


def _one(chunk: Chunk, names: Sequence[str], row: int) -> pa.Table:
    """One event with these fields, from the columns that matching has read."""
    found: dict[str, pa.Array] = {}
    for name in names:
        column = chunk.column(name)
        if column is not None and column.codes[row] >= 0:
            found[name] = column.values.slice(int(column.codes[row]), 1)
    return pa.table(found or {"event.kind": pa.array(["event"])})


def _kind(name: str) -> str:
    """Kind of entity that a group-by field names, whether it is ECS or a name of Windows."""
    known = next((kind for kind, field in (*ABOUT, *RELATED) if field == name), "")
    return known or _KINDS.get(name.rpartition(".")[2], name.rpartition(".")[2])


def _kept(correlation: correlate.Correlation, hits: list[correlate.Hit]) -> tuple[list[Any], int]:
    """What the next scan needs: the timespan before the newest hit, and as much again for late events; and how many were shed."""
    horizon = hits[-1].at - 2 * correlation.seconds if hits else 0
    left = [h for h in hits if h.at >= horizon]
    return [_item(h) for h in left[-KEEP:]], max(0, len(left) - KEEP)


def _item(hit: correlate.Hit) -> list[Any]:
    return [hit.at, hit.order, hit.rule, list(hit.group), hit.value, hit.event, hit.exercise, [list(a) for a in hit.about]]


def _hit(item: Sequence[Any]) -> correlate.Hit:
    at, order, rule, group, value, event, exercise, about = item
    return correlate.Hit(at, order, rule, tuple(group), value, event, exercise, tuple((kind, text) for kind, text in about))


def _at(micros: int) -> datetime:
    return datetime.fromtimestamp(micros / _MICRO, UTC)


def _times(chunk: Chunk, rows: Rows) -> np.ndarray[Any, np.dtype[np.int64]]:
    column = chunk.table(rows.tolist(), ["@timestamp"])["@timestamp"]
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
