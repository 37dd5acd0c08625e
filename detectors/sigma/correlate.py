"""Correlations over hits: which windows hold, which episodes they make, and what correlations of correlations see of it.

One episode = firings of one group without a gap longer than the timespan. A correlation that names another one sees its firings: the events
at which its condition held, with its group-by names as fields.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from detectors.sigma.correlation import Correlation
from detectors.sigma.gathered import Array, Bools, Gathered, Ints
from detectors.sigma.hits import Feed, Hits, Table, enter, joined
from detectors.sigma.windows import Answer, answer, seen

_LEAST: Final = ("lt", "lte")
_NEVER: Final = -(1 << 62)


@dataclass(frozen=True)
class Episode:
    """Firings of one group without a gap longer than the timespan."""

    group: tuple[str, ...]
    exercise: bool
    start: int
    """Time of the first event in the window of the first firing, microseconds since the epoch."""
    last: int
    """Time of the last firing."""
    rows: Array
    """Hits in its windows, in order."""
    peak: float
    """The number that stands out most among its firings."""


@dataclass
class Round:
    """One correlation over its hits."""

    rule: Correlation
    table: Table
    hits: Hits
    left: Ints
    answer: Answer
    covered: Bools
    """Hits that stand in the window of a firing."""
    gone: Hits
    """Hits that no rule stands behind any more."""
    idle: Hits
    """Remembered hits that nothing new bears on; `hits` are the others."""
    since: Ints
    """For each hit the time of the first new one of its group: what was found before stays as it was."""
    firm: bool
    """Late events only add firings: neither it nor a correlation that it names asks for little or nothing."""

    def places(self, rows: Array) -> Iterator[tuple[str, int]]:
        """(stream, position) of some hits."""
        names = list(self.table.streams)
        for stream, position in zip(self.hits.stream[rows].tolist(), self.hits.position[rows].tolist(), strict=True):
            yield names[stream], position

    def episodes(self, *, fresh: bool = False) -> Iterator[Episode]:
        """By group, then by time; `fresh`: only those with a hit that was not told yet."""
        fired = np.flatnonzero(self.answer.holds)
        if not len(fired):
            return
        groups, at = self.hits.group[fired], self.hits.at[fired]
        starts = np.flatnonzero(np.append(True, (groups[1:] != groups[:-1]) | (np.diff(at) > self.rule.span)))
        firsts, lasts = fired[starts], fired[np.append(starts[1:], len(fired)) - 1]
        begins = self.left[firsts]
        if fresh:
            news = np.append(0, np.cumsum(self.covered & ~self.hits.told))
            keep = news[lasts + 1] > news[begins]
            starts, firsts, lasts, begins = starts[keep], firsts[keep], lasts[keep], begins[keep]
        names = list(self.table.groups)
        for begin, last in zip(begins.tolist(), lasts.tolist(), strict=True):
            rows = begin + np.flatnonzero(self.covered[begin : last + 1])
            exercise, group = names[int(self.hits.group[last])]
            peak = self._peak(begin, last)
            yield Episode(group, exercise, int(self.hits.at[begin]), int(self.hits.at[last]), rows, peak)

    def _peak(self, begin: int, last: int) -> float:
        here = slice(begin, last + 1)
        mine = self.answer.measure[here][self.answer.holds[here] & (self.hits.at[here] >= self.since[here])]
        if not len(mine):
            return 0.0
        return float(mine.min() if self.rule.conditions and all(op in _LEAST for op, _ in self.rule.conditions) else mine.max())

    def floor(self) -> Ints:
        """For each hit the time up to which hits of its group were forgotten."""
        floors = np.full(len(self.table.groups) + 1, _NEVER, np.int64)
        for group, at in self.table.floors.items():
            floors[group] = at
        return floors[self.hits.group]

    def withdrawn(self) -> Hits:
        """Hits that were told of, and that stand in no firing's window, as is now known."""
        if self.firm:
            return self.gone.take(np.flatnonzero(self.gone.told))
        rows = np.flatnonzero(self.hits.told & ~self.covered & (self.hits.at > self.floor()))
        return joined([self.hits.take(rows), self.gone.take(np.flatnonzero(self.gone.told))])


def evaluate(rule: Correlation, table: Table, *, firm: bool = False) -> Round:
    """The windows of the hits that something new bears on. What was found to hold stays so where older hits of the window are forgotten."""
    hits, idle, since = table.active(rule.span)
    live = hits.rules != 0
    gone, kept = hits.take(np.flatnonzero(~live)), np.flatnonzero(live)
    hits, since = hits.take(kept), since[kept]
    windows = seen(rule, hits, list(table.values))
    done = Round(rule, table, hits, windows.left, answer(rule, windows), np.zeros(0, np.bool_), gone, idle, since, firm)
    done.answer.holds = np.where(hits.at < since, hits.fired, done.answer.holds | (hits.fired & firm))
    if not firm and table.floors:
        done.answer.holds = np.where(hits.at - rule.span <= done.floor(), hits.fired, done.answer.holds)
    edges = np.zeros(len(hits) + 1, np.int64)
    fired = np.flatnonzero(done.answer.holds)
    np.add.at(edges, windows.left[fired], 1)
    np.add.at(edges, fired + 1, -1)
    done.covered = np.cumsum(edges[:-1]) > 0
    return done


@dataclass
class Plan:
    """Correlations, those that others name first, and what feeds them."""

    correlations: Sequence[Correlation]
    feeds: dict[str, list[tuple[int, Feed]]] = field(default_factory=dict)
    """Id of a rule or correlation -> (number of a correlation, how its hits enter)."""
    carried: list[tuple[str, ...]] = field(default_factory=list)
    """For each correlation the fields of its events that the ones above it need."""
    firm: list[bool] = field(default_factory=list)
    """For each correlation whether late events only add firings."""

    def run(
        self, found: Iterable[Gathered], now: int = 0, known: Callable[[int], Table | None] = lambda _: None
    ) -> Iterator[tuple[int, Round]]:  # fmt: skip
        """Every correlation (by number) that these hits touch, those that others name first. `known`: what it remembers, asked for once."""
        tables: dict[int, Table] = {}

        def fill(feeds: Iterable[tuple[int, Feed]], one: Gathered, *, back: bool = False) -> None:
            for number, feed in feeds:
                if number not in tables:
                    tables[number] = known(number) or Table()
                enter(tables[number], feed, one, now, back=back)

        for one in found:
            fill(self.feeds.get(one.rule, ()), one)
        for number, rule in enumerate(self.correlations):
            if number in tables:
                done = evaluate(rule, tables.pop(number), firm=self.firm[number])
                above = self.feeds.get(rule.ref.id, ())
                if above:
                    names = self.carried[number]
                    fill(above, firings(done, done.hits.take(np.flatnonzero(done.answer.holds & ~done.hits.fired)), names))
                    back = joined([done.hits.take(np.flatnonzero(done.hits.fired & ~done.answer.holds)), done.gone])
                    fill(above, firings(done, back, names), back=True)
                yield number, done


def plan(correlations: Sequence[Correlation], told: Sequence[str] = ()) -> Plan:
    """How linked correlations, those that others name first, depend on each other. Fields of events keep their names (see `second`).

    `told`: fields that ordered correlations carry along of the hits of their last rule.
    """
    number = {c.ref.id: n for n, c in enumerate(correlations)}
    carried: list[dict[str, None]] = [dict.fromkeys(told if c.type == "temporal_ordered" else ()) for c in correlations]
    for above in reversed(correlations):
        for name in above.distinct:
            if name in number:
                child = correlations[number[name]]
                asked = (*above.groups_of(name), *above.values_of(name), *carried[number[above.ref.id]])
                carried[number[name]].update(dict.fromkeys(f for f in asked if f not in child.group_by))
    out = Plan(correlations, {}, [tuple(c) for c in carried])
    for rule in correlations:
        out.firm.append(rule.growing and all(out.firm[number[name]] for name in rule.distinct if name in number))
    for place, rule in enumerate(correlations):
        for bit, name in enumerate(rule.distinct):
            needed = set(out.carried[place]) if name == rule.rules[-1] else _needed(rule, correlations, number, out.carried)
            fields = tuple(f if f in needed else "" for f in out.carried[place])
            feed = Feed(name, 1 << bit, rule.groups_of(name), rule.values_of(name), fields)
            out.feeds.setdefault(name, []).append((place, feed))
    return out


def _needed(
    rule: Correlation, correlations: Sequence[Correlation], number: Mapping[str, int], carried: Sequence[Sequence[str]]
) -> set[str]:  # fmt: skip
    """Fields of its events that the correlations above it need."""
    above = [c for c in correlations if rule.ref.id in c.distinct]
    return {f for c in above for f in (*c.groups_of(rule.ref.id), *c.values_of(rule.ref.id), *carried[number[c.ref.id]])}


def firings(done: Round, hits: Hits, carried: Sequence[str]) -> Gathered:
    """Firings of a correlation as what a rule found: the event, the group-by names as fields, and what was carried along."""
    groups, more = list(done.table.groups), list(done.table.carried)
    columns: dict[str, tuple[Array, list[str]]] = {}
    for place, name in enumerate(done.rule.group_by):
        columns[name] = (hits.group, [values[place] for _, values in groups])
    for place, name in enumerate(carried):
        texts = [row[place] for row in more]
        missing = np.array([t is None for t in [*texts, None]])
        columns[name] = (np.where(missing[hits.carried], np.int32(-1), hits.carried), [t or "" for t in texts])
    exercise = np.array([flag for flag, _ in groups] or [False])[hits.group]
    return Gathered(
        done.rule.ref.id, hits.at, list(done.table.streams), hits.stream, hits.position, hits.event, exercise, columns
    )  # fmt: skip
