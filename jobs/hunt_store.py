"""Hits of a hunt in the store, in the shape of hits in files: the record as it came or, where it is no JSON, its fields."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from domain.alert import Finding
from domain.event import rows_of
from domain.query import Query
from domain.window import micros
from jobs import retro
from jobs.hunt import Hunt
from jobs.hunt_found import FileEpisode, FileHit

if TYPE_CHECKING:
    from detectors.sigma.ruleset import RuleSet
    from jobs.runtime import Runtime

_FETCH: Final = 5_000
"""Hits whose events are fetched at once: looking for a few events costs as much as looking for many."""
_PLACE: Final = ("event.id", "@timestamp", "host.name", "thapcanh.source", "thapcanh.position", "thapcanh.parser", "event.original")


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
    result.seconds_rules = rules.matcher.seconds_compiling
    result.found += _episodes(runtime, chains)


def _hits(runtime: Runtime, part: Sequence[tuple[int, str]], result: Hunt) -> Iterator[FileHit]:
    places = {key: (at, event) for key, at, event in _events(runtime, (event for _, event in part), _PLACE)}
    texts = [key for key, (_, event) in places.items() if not _is_json(event)]
    fields = {key: event for key, _, event in _events(runtime, texts)}
    for number, key in part:
        if key in places:
            hit = _hit(number, key, *places[key], fields.get(key))
            if result.window is None or hit.at is None or hit.at in result.window:
                yield hit
            else:
                result.outside += 1


def _events(runtime: Runtime, ids: Iterable[str], names: Sequence[str] = ()) -> Iterator[tuple[str, datetime | None, dict[str, Any]]]:
    """Id, time and fields (`names`, else all) of these events, those that are there."""
    distinct = list(dict.fromkeys(ids))
    for start in range(0, len(distinct), _FETCH):
        asked = tuple(distinct[start : start + _FETCH])
        for table in runtime.store.events.search(Query(ids=asked, fields=tuple(names))):
            for at, event in zip(table["@timestamp"].to_pylist(), rows_of(table), strict=True):
                yield str(event["event.id"]), at, event


def _is_json(event: Mapping[str, Any]) -> bool:
    """Whether a hit shows the record as it is, as hits in files do."""
    return str(event.get("event.original", ""))[:1] == "{" and event.get("thapcanh.parser") != "plain"


def _hit(number: int, key: str, at: datetime | None, place: Mapping[str, Any], fields: Mapping[str, Any] | None) -> FileHit:
    raw = str(place.get("event.original", "")).encode()
    own = None if fields is None else {name: value for name, value in fields.items() if name != "event.original"}
    return FileHit(number, *_place(place), at, str(place.get("host.name") or ""), raw, own, key)


def _episodes(runtime: Runtime, findings: Sequence[Finding]) -> Iterator[FileEpisode]:
    told = _events(runtime, (event for finding in findings for event in finding.events), _PLACE)
    places = {key: _place(event) for key, _, event in told}
    for one in findings:
        group = {e.type: e.value for e in one.entities}
        known = tuple(places[event] for event in one.events if event in places)
        yield FileEpisode(one.rule, group, micros(one.first), micros(one.last), known)


def _place(event: Mapping[str, Any]) -> tuple[str, int]:
    return str(event.get("thapcanh.source") or ""), int(event.get("thapcanh.position") or 0)
