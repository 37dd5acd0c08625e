"""Correlations: a second pass over hits. Window [t - timespan, t], both ends in, in event-time order; fires while the condition holds.

An event that lacks a group-by field belongs to no group. One episode = firings without a gap longer than the timespan.
"""

from __future__ import annotations

import operator
import re
from bisect import insort
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import takewhile
from typing import Any, Final

import numpy as np

from detectors.sigma.refs import reference
from domain.alert import RuleRef
from domain.query import TRUE
from match import Entry, Matcher
from match.jsonbatch import JsonBatch

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800, "M": 2592000, "y": 31536000}
_OPS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "gt": operator.gt, "gte": operator.ge, "lt": operator.lt, "lte": operator.le, "eq": operator.eq, "neq": operator.ne,
}  # fmt: skip
TYPES: Final = (
    "event_count", "value_count", "temporal", "temporal_ordered", "value_sum", "value_avg", "value_percentile", "value_median",
)  # fmt: skip
_KEYS: Final = {"type", "rules", "group-by", "timespan", "condition", "aliases", "generate"}


@dataclass(frozen=True)
class Correlation:
    """A correlation rule."""

    ref: RuleRef
    type: str
    rules: tuple[str, ...]
    """Ids or names of the rules it looks at."""
    group_by: tuple[str, ...]
    seconds: float
    conditions: tuple[tuple[str, float], ...]
    value_field: str = ""
    """The field that value_* types look at."""
    percentile: float = 50
    aliases: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Alias -> rule -> field."""
    name: str = ""
    file: str = ""
    generate: bool = False
    """The rules it names also give alerts of their own."""

    def fields(self, rule: str) -> tuple[str, ...]:
        """Names of the group-by fields in events of one rule, then of the value field."""
        names = [self.aliases[g].get(rule, g) if g in self.aliases else g for g in self.group_by]
        return (
            *names,
            self.aliases[self.value_field].get(rule, self.value_field) if self.value_field in self.aliases else self.value_field,
        )


@dataclass(frozen=True, order=True)
class Hit:
    """An event that matched a base rule, as a correlation sees it."""

    at: float
    """Seconds since the epoch."""
    order: int
    """Breaks ties: place in the input."""
    rule: str = field(compare=False)
    group: tuple[str, ...] = field(compare=False)
    value: str | None = field(compare=False, default=None)
    event: str = field(compare=False, default="")
    """Event id, or anything that names the event to the caller."""
    exercise: bool = field(compare=False, default=False)
    """Exercise data never mixes with real data in one window."""
    about: tuple[tuple[str, str], ...] = field(compare=False, default=())
    """(kind, value) of what the event is about beside the group: told of the last rule of an ordered correlation."""


@dataclass
class Episode:
    """Firings of one group without a gap longer than the timespan."""

    group: tuple[str, ...]
    start: float
    """Event time of the first event in the window of the first firing."""
    first: float
    last: float
    """Event times of the first and last firing."""
    events: list[Hit]
    exercise: bool = False
    fired: list[Hit] = field(default_factory=list)
    """The hits at which the condition held: what a correlation of correlations sees."""


def read(data: Mapping[str, Any], file: str = "") -> Correlation:
    """A correlation document; ValueError says what is wrong."""
    spec = data["correlation"]
    if not isinstance(spec, dict):
        raise ValueError("correlation: a mapping is expected")
    unknown = sorted(set(spec) - _KEYS)
    if unknown:
        raise ValueError(f"correlation: unknown key {unknown[0]}; allowed: {', '.join(sorted(_KEYS))}")
    kind = spec.get("type")
    if kind not in TYPES:
        raise ValueError(f"correlation type {kind}: {' | '.join(TYPES)}")
    rules = spec.get("rules")
    names = (rules,) if isinstance(rules, str) else tuple(str(r) for r in rules or ())
    if not names:
        raise ValueError("correlation: rules are missing")
    conditions, name, percentile = _conditions(kind, spec.get("condition"))
    return Correlation(
        reference(data, "correlation"), kind, names, tuple(str(g) for g in spec.get("group-by") or ()),
        _seconds(str(spec.get("timespan", ""))), conditions, name, percentile, spec.get("aliases") or {}, str(data.get("name") or ""), file,
        bool(spec.get("generate", False)),
    )  # fmt: skip


def _conditions(kind: str, spec: Any) -> tuple[tuple[tuple[str, float], ...], str, float]:
    if spec is None and kind.startswith("temporal"):
        return (), "", 50
    if not isinstance(spec, dict):
        raise ValueError("correlation: condition is missing")
    found = tuple((op, float(spec[op])) for op in _OPS if op in spec)
    unknown = sorted(set(spec) - set(_OPS) - {"field", "percentile"})
    if unknown:
        raise ValueError(f"correlation condition: unknown key {unknown[0]}; allowed: {', '.join(_OPS)}, field, percentile")
    name = str(spec.get("field", ""))
    if kind.startswith("value_") and not name:
        raise ValueError(f"correlation {kind}: condition.field is missing")
    if not found and not kind.startswith("temporal"):
        raise ValueError(f"correlation condition: one of {', '.join(_OPS)} is needed")
    return found, name, float(spec.get("percentile", 50))


def _seconds(text: str) -> float:
    found = re.fullmatch(r"(\d+)([smhdwMy])", text)
    if not found:
        raise ValueError(f"correlation timespan {text or '(missing)'}: a number and one of s m h d w M y, such as 5m")
    return float(int(found[1]) * _UNITS[found[2]])


class Window:
    """The events of one group within the timespan."""

    def __init__(self, rule: Correlation) -> None:
        self.rule = rule
        self.hits: deque[Hit] = deque()
        self._values: Counter[str] = Counter()
        self._rules: Counter[str] = Counter()
        self._needed = Counter(rule.rules)

    def add(self, hit: Hit) -> bool:
        """Whether the condition holds at this event."""
        while self.hits and self.hits[0].at < hit.at - self.rule.seconds:
            self._drop(self.hits.popleft())
        self.hits.append(hit)
        self._rules[hit.rule] += 1
        if hit.value is not None:
            self._values[hit.value] += 1
        return self._holds()

    def _drop(self, hit: Hit) -> None:
        for counter, key in ((self._rules, hit.rule), (self._values, hit.value)):
            if key is not None:
                counter[key] -= 1
                if not counter[key]:
                    del counter[key]

    def _holds(self) -> bool:
        kind = self.rule.type
        if kind == "temporal":
            return all(self._rules[r] for r in self.rule.rules) if not self.rule.conditions else self._test(len(self._rules))
        if kind == "temporal_ordered":
            return self._ordered()
        if kind == "event_count":
            return self._test(len(self.hits))
        if kind == "value_count":
            return self._test(len(self._values))
        numbers = [n for n in (_number(h.value) for h in self.hits) if n is not None]
        return bool(numbers) and self._test(_aggregate(kind, numbers, self.rule.percentile))

    def _ordered(self) -> bool:
        if any(self._rules[r] < n for r, n in self._needed.items()):
            return False
        place = 0
        for hit in self.hits:
            if hit.rule == self.rule.rules[place]:
                place += 1
                if place == len(self.rule.rules):
                    return True
        return False

    def _test(self, value: float) -> bool:
        return all(_OPS[op](value, limit) for op, limit in self.rule.conditions)


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text is not None else None
    except ValueError:
        return None


def _aggregate(kind: str, numbers: Sequence[float], percentile: float) -> float:
    if kind == "value_sum":
        return sum(numbers)
    if kind == "value_avg":
        return sum(numbers) / len(numbers)
    return float(np.percentile(numbers, 50 if kind == "value_median" else percentile))


def episodes(rule: Correlation, hits: Iterable[Hit]) -> list[Episode]:
    """Episodes of one correlation over hits in any order."""
    windows: dict[tuple[tuple[str, ...], bool], Window] = {}
    open_: dict[tuple[tuple[str, ...], bool], Episode] = {}
    out: list[Episode] = []
    for hit in sorted(hits):
        key = (hit.group, hit.exercise)
        window = windows.setdefault(key, Window(rule))
        if not window.add(hit):
            continue
        episode = open_.get(key)
        if episode is None or hit.at - episode.last > rule.seconds:
            episode = Episode(hit.group, window.hits[0].at, hit.at, hit.at, list(window.hits), hit.exercise)
            open_[key] = episode
            out.append(episode)
        else:
            newer = takewhile(episode.events[-1].__lt__, reversed(window.hits))
            episode.events += reversed(list(newer))
            episode.last = hit.at
        episode.fired.append(hit)
    return out


def passed_on(child: Correlation, found: Sequence[Episode], parent: Correlation) -> list[Hit]:
    """The firings of one correlation as hits of another that names it: grouped by the parent's fields, which the child must have."""
    out = []
    for name in {child.ref.id, child.name} & set(parent.rules):
        *groups, _ = parent.fields(name)
        if set(groups) <= set(child.group_by):
            places = [child.group_by.index(g) for g in groups]
            for episode in found:
                group = tuple(episode.group[i] for i in places)
                out += [Hit(h.at, h.order, name, group, None, h.event, h.exercise) for h in episode.fired]
    return out


def firings(rules: Sequence[Any], documents: Sequence[Mapping[str, Any]], events: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """Raw firings over raw events (`rules verify`): for each event the ids of the correlations whose condition holds then."""
    correlations = [read(document) for document in documents]
    batch = JsonBatch(events)
    times = [_time(event["time"]) for event in events]
    found: dict[str, list[int]] = {}
    for key, rows in Matcher([Entry(number, TRUE, rule.expr or TRUE) for number, rule in enumerate(rules)]).run(batch):
        rule = rules[int(str(key))]
        for name in {rule.ref.id, rule.name} - {""}:
            found[name] = rows.tolist()
    out: list[list[str]] = [[] for _ in events]
    for correlation in ordered_by_use(correlations):
        hits = [h for name in dict.fromkeys(correlation.rules) for h in _hits(correlation, name, found.get(name, ()), batch, times)]
        windows: dict[tuple[str, ...], Window] = {}
        fired: list[int] = []
        for hit in sorted(hits):
            if windows.setdefault(hit.group, Window(correlation)).add(hit):
                insort(fired, hit.order)
        for row in dict.fromkeys(fired):
            out[row].append(correlation.ref.id)
        for name in {correlation.ref.id, correlation.name} - {""}:
            found[name] = list(dict.fromkeys(fired))
    return out


def ordered_by_use(correlations: Sequence[Correlation]) -> list[Correlation]:
    """Those that others refer to first. ValueError for a circle."""
    names = {n: c for c in correlations for n in (c.ref.id, c.name) if n}
    done: dict[str, Correlation] = {}

    def visit(correlation: Correlation, path: tuple[str, ...]) -> None:
        if correlation.ref.id in path:
            raise ValueError(f"correlations refer to each other in a circle: {' -> '.join(path)}")
        for name in correlation.rules:
            if name in names:
                visit(names[name], (*path, correlation.ref.id))
        done.setdefault(correlation.ref.id, correlation)

    for correlation in correlations:
        visit(correlation, ())
    return list(done.values())


def _hits(rule: Correlation, name: str, rows: Sequence[int], batch: JsonBatch, times: Sequence[float]) -> Iterable[Hit]:
    picked = np.array(list(rows), np.int32)
    *groups, values = [texts(batch, f, picked) if f else [None] * len(picked) for f in rule.fields(name)]
    for place, row in enumerate(rows):
        group = [column[place] for column in groups]
        if all(g is not None for g in group):
            yield Hit(times[row], row, name, tuple(str(g) for g in group), values[place], str(row))


def texts(batch: Any, name: str, rows: np.ndarray[Any, Any]) -> list[str | None]:
    """A field of some rows as text; None where it is missing."""
    import pyarrow as pa

    column = batch.column(name, rows)
    if column is None:
        return [None] * len(rows)
    values = [v if isinstance(v, str) else str(v) for v in column.values.cast(pa.string()).to_pylist()]
    return [values[c] if c >= 0 and c != column.null else None for c in column.codes.tolist()]


def _time(value: object) -> float:
    if isinstance(value, (int, float)):
        return float(value)
    at = datetime.fromisoformat(str(value))
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
