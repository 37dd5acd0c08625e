"""Raw firings of correlations over raw events, as `soc rules verify` asks for them. No field mapping, no routing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np

from detectors.sigma.correlate import plan
from detectors.sigma.correlation import number
from detectors.sigma.correlation_check import link, twice
from detectors.sigma.gathered import Where, gather
from detectors.sigma.load import Parsed
from detectors.sigma.model import Other
from detectors.sigma.refs import reference
from domain.query import TRUE
from match import Entry, Matcher
from match.jsonbatch import JsonBatch, raw

_MICRO: Final = 1_000_000
_LATEST: Final = 2**62 // _MICRO
"""Seconds: later times do not fit 64 bits of microseconds."""


def fired(rules: Sequence[Parsed], documents: Sequence[Mapping[str, Any]], events: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """For each event the ids of the correlations whose condition holds at it. ValueError says everything that is wrong."""
    names = [(rule.ref.id, rule.name) for rule in rules]
    linked = link([Other("correlation", d, "rules") for d in documents], names)
    wrong = [*twice([*names, *((reference(d).id, str(d.get("name") or "")) for d in documents)]), *(f.reason for _, f in linked.faults)]
    if wrong:
        raise ValueError("; ".join(wrong))
    at = np.array([micros(event, place) for place, event in enumerate(events)], np.int64)
    batch = JsonBatch(events)
    found = plan(linked.correlations)
    bases = []
    for key, rows in Matcher([Entry(place, TRUE, raw(rule.expr or TRUE)) for place, rule in enumerate(rules)]).run(batch):
        ref = rules[int(str(key))].ref
        feeds = [feed for _, feed in found.feeds.get(ref.id, ())]
        if feeds:
            fields = dict.fromkeys(n for f in feeds for n in (*f.groups, *f.values, *f.carried) if n)
            bases.append(gather(ref.id, batch, rows, fields, _where(rows, at)))
    out: list[list[str]] = [[] for _ in events]
    for _, done in found.run(bases):
        for row in sorted(set(done.hits.position[done.answer.holds].tolist())):
            out[row].append(done.rule.ref.id)
    return out


def _where(rows: Any, at: Any) -> Where:
    size = len(rows)
    return Where(at[rows], [""], np.zeros(size, np.int32), rows.astype(np.int64), np.zeros(size, "V16"), np.zeros(size, np.bool_))


def micros(event: Mapping[str, Any], place: int) -> int:
    """`time` of an event (seconds since the epoch, or ISO 8601) in microseconds. ValueError when there is none."""
    value = event.get("time", event.get("@timestamp"))
    seconds = value if isinstance(value, (int, float)) and not isinstance(value, bool) else number(str(value))
    if abs(seconds) < _LATEST:  # not NaN, not beyond 64 bits
        return round(seconds * _MICRO)
    try:
        when = datetime.fromisoformat(str(value))
    except ValueError:
        raise ValueError(f"event {place}: time {str(value)[:60]} is neither seconds nor ISO 8601") from None
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    return round((when - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * _MICRO)
