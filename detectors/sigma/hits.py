"""Hits of one correlation as columns: when, where, of which group, by which rules, with what value.

Order is (time, source, stream, place in the stream): events of the same time stand in the order in which their source wrote them, so
nothing depends on how they were cut into batches. An event that several rules of a correlation match is one hit with several rules.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from itertools import product
from math import prod
from typing import Any, Final, TypeAlias

import numpy as np

from detectors.sigma.gathered import Array, Bools, Codes, Gathered, Ints
from domain.event import SEP

Group: TypeAlias = tuple[bool, tuple[str, ...]]
"""Whether it is exercise data, which never mixes with real data in one window; values of the group-by fields."""
TYPES: Final[dict[str, Any]] = {
    "at": np.int64, "stream": np.int32, "position": np.int64, "event": "V16", "group": np.int32, "rules": np.int64, "value": np.int32,
    "carried": np.int32, "arrival": np.int64, "told": np.bool_, "fired": np.bool_,
}  # fmt: skip
_ROOM: Final = 1 << 62
_NEVER: Final = _ROOM
JOIN: Final = "\x1d"
"""Joins the values of several fields that are counted together."""


class Names(dict[Any, int]):
    """Distinct values, each with its number."""

    def __missing__(self, key: Any) -> int:
        self[key] = number = len(self)
        return number


@dataclass
class Hits:
    """Columns of equal length."""

    at: Ints
    """Microseconds since the epoch."""
    stream: Codes
    """Index into `Table.streams`."""
    position: Ints
    """Place in the stream."""
    event: Array
    """`event.id`, 16 bytes; zeros where events have none."""
    group: Codes
    """Index into `Table.groups`."""
    rules: Ints
    """One bit for each distinct rule of the correlation that matched; negative: the bit of a rule that, as is now known, did not."""
    value: Codes
    """Index into `Table.values`; -1 = none."""
    carried: Codes
    """Index into `Table.carried`: what correlations of this correlation need of the event."""
    arrival: Ints
    """When it was first seen here, microseconds."""
    told: Bools
    """Already part of an episode that was reported."""
    fired: Bools
    """The condition was already found to hold here."""

    def __len__(self) -> int:
        return len(self.at)

    def take(self, rows: Array) -> Hits:
        """Some rows, in this order."""
        return Hits(*(getattr(self, f.name)[rows] for f in fields(self)))


def empty() -> Hits:
    """No hit."""
    return Hits(**{name: np.zeros(0, kind) for name, kind in TYPES.items()})


def joined(parts: Sequence[Hits]) -> Hits:
    """One after the other."""
    if len(parts) == 1:
        return parts[0]
    return Hits(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Hits))) if parts else empty()


@dataclass
class Table:
    """Hits of one correlation, with the values that their numbers stand for."""

    streams: Names = field(default_factory=Names)
    groups: Names = field(default_factory=Names)
    values: Names = field(default_factory=Names)
    carried: Names = field(default_factory=Names)
    floors: dict[int, int] = field(default_factory=dict)
    """Group -> time of the newest of its hits that was forgotten."""
    old: Hits | None = None
    """Hits that were looked at before."""
    parts: list[Hits] = field(default_factory=list)
    """New ones."""

    def active(self, span: int) -> tuple[Hits, Hits, Ints]:
        """Hits that new ones may bear on, the others, and for each of the former the time of the first new hit of its group.

        The former stand by group, then in order, each event once in a group. `rules` 0: no rule stands behind a hit any more.
        """
        hits = joined(self.parts)
        since = np.full(len(self.groups) + 1, _NEVER, np.int64)
        if len(hits):
            np.minimum.at(since, hits.group, hits.at)
        idle = empty()
        if self.old is not None:
            near = self.old.at >= since[self.old.group] - span
            idle = self.old.take(np.flatnonzero(~near))
            hits = joined([self.old.take(np.flatnonzero(near)), hits])
        if len(hits):
            hits = self._merged(self._ordered(hits))
        return hits, idle, since[hits.group]

    def _ordered(self, hits: Hits) -> Hits:
        names = list(self.streams)
        rank = np.empty(len(names), np.int32)
        rank[np.array(sorted(range(len(names)), key=names.__getitem__), np.int64)] = np.arange(len(names), dtype=np.int32)
        place = rank[hits.stream]
        order = np.lexsort((hits.position, place, hits.at, hits.group))
        hits, place = hits.take(order), place[order]
        same = _same(hits, place)
        if np.any(hits.event[1:][same] != hits.event[:-1][same]):
            order = np.lexsort((*_halves(hits.event), hits.position, place, hits.at, hits.group))
            hits = hits.take(order)
        return hits

    def _merged(self, hits: Hits) -> Hits:
        """An event that came by several rules, or once more, is one hit."""
        again = np.append(False, _same(hits, hits.stream) & (hits.event[1:] == hits.event[:-1]))
        if not again.any() and not (hits.rules < 0).any():
            return hits
        starts = np.flatnonzero(~again)
        out = hits.take(starts)
        out.rules = _standing(hits.rules, starts)
        out.arrival = np.minimum.reduceat(hits.arrival, starts)
        out.told = np.logical_or.reduceat(hits.told, starts)
        out.fired = np.logical_or.reduceat(hits.fired, starts)
        ends = np.append(starts[1:], len(hits))
        texts = list(self.values)
        for place in np.flatnonzero(ends - starts > 1).tolist():
            codes = sorted({c for c in hits.value[starts[place] : ends[place]].tolist() if c >= 0})
            if len(codes) > 1:
                elements = sorted({e for c in codes for e in texts[c].split(SEP)})
                out.value[place] = self.values[SEP.join(elements)]
            elif codes:
                out.value[place] = codes[0]
        return out


def _standing(rules: Ints, starts: Array) -> Ints:
    """The rules that stand behind each event: those that were found, without those that were taken back."""
    found = np.bitwise_or.reduceat(np.maximum(rules, 0), starts)
    return np.asarray(found & ~np.bitwise_or.reduceat(np.maximum(-rules, 0), starts), np.int64)


def _same(hits: Hits, place: Array) -> Bools:
    """Whether a hit stands at the same place of the same group as the one before it."""
    return (
        (hits.group[1:] == hits.group[:-1]) & (hits.at[1:] == hits.at[:-1])
        & (hits.position[1:] == hits.position[:-1]) & (place[1:] == place[:-1])
    )  # fmt: skip


def _halves(events: Array) -> tuple[Array, Array]:
    words = np.ascontiguousarray(events).view(">u8").reshape(-1, 2)
    return words[:, 1], words[:, 0]


@dataclass(frozen=True)
class Feed:
    """How hits of one rule enter a correlation."""

    rule: str
    """Id of a rule, or of a correlation."""
    bit: int
    groups: tuple[str, ...]
    """Fields of the event that are the group, one for each group-by field."""
    values: tuple[str, ...]
    carried: tuple[str, ...]
    """Fields that the correlations above ask for; "" = not of this rule."""


def enter(table: Table, feed: Feed, found: Gathered, now: int, *, back: bool = False) -> None:
    """Put what a rule found into the table of a correlation; `back`: it did not after all. Events without a group-by field stay out."""
    size = len(found.at)
    group, rows = _groups(table.groups, [_column(found, n, size) for n in feed.groups], found.exercise)
    if not len(rows):
        return
    streams = np.array([table.streams[name] for name in found.streams], np.int32)
    value = _numbered(table.values, [_column(found, n, size) for n in feed.values], size, _combined)
    carried = _numbered(table.carried, [_column(found, n, size) for n in feed.carried], size, lambda row: row)
    count = len(rows)
    bits = np.full(count, -feed.bit if back else feed.bit, np.int64)
    table.parts.append(Hits(
        found.at[rows], streams[found.stream[rows]], found.position[rows], found.event[rows], group, bits, value[rows], carried[rows],
        np.full(count, now, np.int64), np.zeros(count, np.bool_), np.zeros(count, np.bool_),
    ))  # fmt: skip


def _column(found: Gathered, name: str, size: int) -> tuple[Codes, list[str]]:
    return found.fields.get(name) or (np.full(size, -1, np.int32), [])


def _distinct(columns: Sequence[tuple[Codes, list[str]]]) -> tuple[list[tuple[str | None, ...]], Array]:
    """Distinct combinations of several columns, and which one each row has."""
    if len(columns) == 1:
        codes, values = columns[0]
        kept, inverse = np.unique(codes, return_inverse=True)
        return [(values[c] if c >= 0 else None,) for c in kept.tolist()], inverse.ravel()
    sizes = [len(values) + 1 for _, values in columns]
    if prod(sizes) < _ROOM:
        mixed = np.zeros(len(columns[0][0]), np.int64)
        for (codes, _), size in zip(columns, sizes, strict=True):
            mixed = mixed * size + codes + 1
        _, first, inverse = np.unique(mixed, return_index=True, return_inverse=True)
        kept = np.stack([codes[first] for codes, _ in columns], axis=1)
    else:
        kept, inverse = np.unique(np.stack([codes for codes, _ in columns], axis=1), axis=0, return_inverse=True)
    return [tuple(v[c] if c >= 0 else None for c, (_, v) in zip(row, columns, strict=True)) for row in kept.tolist()], inverse.ravel()


def _groups(names: Names, columns: Sequence[tuple[Codes, list[str]]], exercise: Bools) -> tuple[Codes, Array]:
    """Group of each hit, and the row it comes from: a field with several values puts an event into several groups."""
    if not columns:
        return np.array([names[flag, ()] for flag in exercise.tolist()], np.int32), np.arange(len(exercise))
    found, inverse = _distinct([*columns, (exercise.astype(np.int32), ["real", "exercise"])])
    lists = [_expanded(names, row) for row in found]
    sizes = np.array([len(one) for one in lists], np.int64)
    if sizes.max(initial=0) <= 1:
        codes = np.array([one[0] if one else -1 for one in lists], np.int32)[inverse]
        rows = np.flatnonzero(codes >= 0)
        return codes[rows], rows
    pairs = [(code, row) for row, place in enumerate(inverse.tolist()) for code in lists[place]]
    return np.array([c for c, _ in pairs], np.int32), np.array([r for _, r in pairs], np.int64)


def _expanded(names: Names, row: tuple[str | None, ...]) -> list[int]:
    *parts, flag = row
    if any(p is None for p in parts):
        return []
    return [names[flag == "exercise", combination] for combination in product(*(dict.fromkeys(str(p).split(SEP)) for p in parts))]


def _combined(row: tuple[str | None, ...]) -> str | None:
    """Several fields as one value; None when one is missing. Fields that hold several values give every combination."""
    parts = [p.split(SEP) for p in row if p is not None]
    return SEP.join(map(JOIN.join, product(*parts))) if len(parts) == len(row) else None


def _numbered(
    names: Names, columns: Sequence[tuple[Codes, list[str]]], size: int, key: Callable[[tuple[str | None, ...]], object]
) -> Codes:  # fmt: skip
    """Number of each row's combination; -1 where `key` says that there is none, and where nothing is asked for."""
    if not columns:
        return np.full(size, -1, np.int32)
    found, inverse = _distinct(columns)
    keys = [key(row) for row in found]
    return np.array([-1 if k is None else names[k] for k in keys], np.int32)[inverse]
