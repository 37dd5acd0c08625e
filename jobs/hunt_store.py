"""Hits of a hunt in the store, in the shape of hits in files: source and position of the record, its stored fields."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
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

_FETCH: Final = 2_000
"""Events fetched at once."""


def hits(runtime: Runtime, rules: RuleSet, result: Hunt) -> Iterator[FileHit]:
    """One per (rule, event), rule by rule; episodes of correlations go to `result.found`."""
    numbers = {rule.ref.id: number for number, rule in enumerate(rules.rules)}

    def seen(events: int) -> None:
        result.events += events

    for finding in retro.look(runtime, rules, result.window, seen):
        if finding.rule.kind == "correlation":
            result.found.append(_episode(runtime, finding))
            continue
        yield from _hits(runtime, numbers[finding.rule.id], finding, result)
        if result.stopped:
            return


def _hits(runtime: Runtime, number: int, finding: Finding, result: Hunt) -> Iterator[FileHit]:
    for start in range(0, len(finding.events), _FETCH):
        table = runtime.store.events.fetch(finding.events[start : start + _FETCH])
        for place in range(table.num_rows):
            at = table["@timestamp"][place].as_py()
            if result.window is None or at is None or at in result.window:
                yield _hit(number, event_row(table, place), at)
            else:
                result.outside += 1


def _hit(number: int, event: dict[str, object], at: datetime | None) -> FileHit:
    raw = str(event.pop("event.original", "")).encode()
    return FileHit(number, *_place(event), at, str(event.get("host.name") or ""), raw, event)


def _episode(runtime: Runtime, finding: Finding) -> FileEpisode:
    table = runtime.store.events.fetch(finding.events)
    rows = [event_row(table, place) for place in range(table.num_rows)]
    group = {e.type: e.value for e in finding.entities}
    return FileEpisode(finding.rule, group, micros(finding.first), micros(finding.last), tuple(_place(row) for row in rows))


def _place(event: Mapping[str, Any]) -> tuple[str, int]:
    return str(event.get("thapcanh.source") or ""), int(event.get("thapcanh.position") or 0)
