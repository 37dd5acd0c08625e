"""Hits of a hunt in the store, in the shape of hits in files: source and position of the record, its stored fields."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from domain.alert import Finding
from domain.event import row as event_row
from domain.window import micros
from jobs import retro
from jobs.hunt import Hunt
from jobs.hunt_found import FileEpisode, FileHit

if TYPE_CHECKING:
    from detectors.sigma.ruleset import RuleSet
    from jobs.runtime import Runtime

_FETCH: Final = 5_000
"""Hits whose events are fetched at once: looking for a few events costs as much as looking for many."""


def hits(runtime: Runtime, rules: RuleSet, result: Hunt) -> Iterator[FileHit]:
    """One per (rule, event), rule by rule; episodes of correlations go to `result.found`."""
    numbers = {rule.ref.id: number for number, rule in enumerate(rules.rules)}
    chains: list[Finding] = []

    def seen(events: int) -> None:
        result.events += events

    def wanted() -> Iterator[tuple[int, str]]:
        for finding in retro.look(runtime, rules, result.window, seen):
            if finding.rule.kind == "correlation":
                chains.append(finding)
            else:
                yield from ((numbers[finding.rule.id], event) for event in finding.events)

    every = wanted()
    while not result.stopped and (part := list(islice(every, _FETCH))):
        yield from _hits(runtime, part, result)
    result.found += _episodes(runtime, chains)


def _hits(runtime: Runtime, part: Sequence[tuple[int, str]], result: Hunt) -> Iterator[FileHit]:
    events = dict(_events(runtime, [event for _, event in part]))
    for number, key in part:
        if key in events:
            at, event = events[key]
            if result.window is None or at is None or at in result.window:
                yield _hit(number, dict(event), at)
            else:
                result.outside += 1


def _events(
    runtime: Runtime, ids: Iterable[str], names: Sequence[str] = ()
) -> Iterator[tuple[str, tuple[datetime | None, dict[str, Any]]]]:
    """Id, time and fields (`names`, else all) of these events, those that are there."""
    distinct = list(dict.fromkeys(ids))
    for start in range(0, len(distinct), _FETCH):
        whole = runtime.store.events.fetch(distinct[start : start + _FETCH])
        table = whole.select([name for name in whole.column_names if not names or name in names])
        for place in range(table.num_rows):
            yield whole["event.id"][place].as_py().hex(), (whole["@timestamp"][place].as_py(), event_row(table, place))


def _hit(number: int, event: dict[str, Any], at: datetime | None) -> FileHit:
    raw = str(event.pop("event.original", "")).encode()
    return FileHit(number, *_place(event), at, str(event.get("host.name") or ""), raw, event)


def _episodes(runtime: Runtime, findings: Sequence[Finding]) -> Iterator[FileEpisode]:
    told = _events(runtime, (event for finding in findings for event in finding.events), ("thapcanh.source", "thapcanh.position"))
    places = {key: _place(event) for key, (_, event) in told}
    for one in findings:
        group = {e.type: e.value for e in one.entities}
        known = tuple(places[event] for event in one.events if event in places)
        yield FileEpisode(one.rule, group, micros(one.first), micros(one.last), known)


def _place(event: Mapping[str, Any]) -> tuple[str, int]:
    return str(event.get("thapcanh.source") or ""), int(event.get("thapcanh.position") or 0)
