"""What a store, or a source that is only read, really holds: which kinds of events, and which fields they have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from domain.event import SEP
from domain.query import And, Expr, Not, Query, Test

if TYPE_CHECKING:
    from jobs.runtime import Runtime
    from store.base import EventStore

Coverage: TypeAlias = "Mapping[str, Mapping[str, int]]"
"""By data set and field: number of events that hold it (`EventStore.coverage`)."""
Kind: TypeAlias = "Mapping[str, frozenset[str]]"
"""Values, in lower case, of the fields by which rules are routed: one combination that occurs."""
_DATASET: Final = "event.dataset"
_WINDOWS: Final = ("winlog.channel", "event.code", "event.module")
_PROGRAM: Final = "process.name"


@dataclass(frozen=True)
class Seen:
    """What one place holds."""

    fields: Coverage
    kinds: Mapping[str, Sequence[Kind]] = field(default_factory=dict)
    """By data set; a data set without is known by its fields only."""
    _known: dict[Expr, list[str]] = field(default_factory=dict, compare=False, repr=False)
    _held: dict[str, frozenset[str]] = field(default_factory=dict, compare=False, repr=False)

    def datasets(self, route: Expr) -> list[str]:
        """Data sets with events that a route selects; worked out once per route, which many rules share."""
        if route not in self._known:
            self._known[route] = [name for name in self.fields if self._feeds(route, name)]
        return self._known[route]

    def _feeds(self, route: Expr, dataset: str) -> bool:
        held = self.fields[dataset]
        return any(_holds(route, dataset, held, kind) for kind in self.kinds.get(dataset) or (None,))

    def held(self, dataset: str) -> frozenset[str]:
        """Fields that at least one of its events has."""
        if dataset not in self._held:
            self._held[dataset] = frozenset(name for name, count in self.fields[dataset].items() if count and name)
        return self._held[dataset]


def _holds(expr: Expr, dataset: str, held: Mapping[str, int], kind: Kind | None) -> bool:
    if isinstance(expr, Test):
        if expr.field == _DATASET and expr.op == "eq":
            return dataset.lower() in {str(v).lower() for v in expr.values}
        if not held.get(expr.field or ""):
            return False
        if kind is None or expr.field is None or expr.field not in kind or expr.op != "eq":
            return True
        return not kind[expr.field].isdisjoint(str(v).lower() for v in expr.values)
    if isinstance(expr, Not):
        return True
    answers = (_holds(child, dataset, held, kind) for child in expr.children)
    return all(answers) if isinstance(expr, And) else any(answers)


@cache
def routed() -> Mapping[str, frozenset[str]]:
    """Fields whose values decide which log source an event is of, but for the data set; and these values."""
    from detectors.sigma.route import load

    found: dict[str, frozenset[str]] = {}
    for entry in load("routing.yml"):
        for when in entry["feeds"].values() if "feeds" in entry else [entry.get("when", {})]:
            for name, values in when.items():
                if values != ["*"] and name != _DATASET:
                    found[name] = found.get(name, frozenset()) | {str(value) for value in values}
    return found


def store(events: EventStore) -> Seen:
    """What a store holds: two passes over the few columns by which rules are routed, about a second for a million events."""
    coverage = events.coverage()
    kinds: dict[str, list[Kind]] = {}
    windows = [name for name, held in coverage.items() if held.get(_WINDOWS[0])]
    if windows:
        _count(events, Test(_WINDOWS[0], "exists", (True,)), _WINDOWS, kinds)
        _add_programs(events, windows, kinds)
    others = sorted({name for dataset, held in coverage.items() if dataset not in windows for name in routed().keys() & held.keys()})
    if others:
        _count(events, Not(Test(_WINDOWS[0], "exists", (True,))), others, kinds)
    return Seen(coverage, kinds)


def _count(events: EventStore, where: Expr, by: Sequence[str], kinds: dict[str, list[Kind]]) -> None:
    for row in events.aggregate(Query(where), [_DATASET, *by]).to_pylist():
        kinds.setdefault(row[_DATASET] or "", []).append({name: _values(row[name]) for name in by})


def _add_programs(events: EventStore, windows: Sequence[str], kinds: dict[str, list[Kind]]) -> None:
    """Programs that tell a log source (sshd, cron): on Windows there are too many others to count by them."""
    told = Test(_PROGRAM, "eq", tuple(sorted(routed()[_PROGRAM])))
    rows = events.aggregate(Query(And((Test(_WINDOWS[0], "exists", (True,)), told))), [_DATASET, _PROGRAM]).to_pylist()
    for name in windows:
        programs = frozenset().union(*(_values(row[_PROGRAM]) for row in rows if row[_DATASET] == name))
        kinds[name] = [{**kind, _PROGRAM: programs} for kind in kinds.get(name, ())]


def _values(value: Any) -> frozenset[str]:
    texts = value if isinstance(value, list) else [] if value is None else str(value).split(SEP)
    return frozenset(str(text).lower() for text in texts)


def elsewhere(runtime: Runtime) -> dict[str, Seen]:
    """By read-only source: what its documents held so far."""
    from jobs import coverage

    return {source: Seen(held) for source, held in coverage.elsewhere(runtime).items()}
