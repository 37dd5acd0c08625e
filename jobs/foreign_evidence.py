"""The events that alerts name, copied from indices that others write into our own store: once each."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from collectors.base import Collector
from detectors.sigma import memory
from domain.raw import Checkpoint
from jobs import deliver
from jobs.collect import collector, extra
from jobs.foreign import EVIDENCE
from store.base import Counts, Delivery
from store.rows import prepare

if TYPE_CHECKING:
    from jobs.config import Source
    from jobs.runtime import Runtime

_ID: Final = re.compile("[0-9a-f]{32}")

Tables = Mapping[str, Sequence[pa.Table]]


@dataclass(frozen=True)
class Kept:
    """What became of the events that were wanted."""

    stored: int
    missing: int
    """Events of earlier scans that the index does not hold any more."""


class Evidence:
    """Evidence of one source; `start` is the scan's cursor."""

    def __init__(self, runtime: Runtime, source: Source, start: int) -> None:
        self._runtime = runtime
        self._source = source
        self._start = start

    def store(self, wanted: set[str], tables: Tables, where: Mapping[str, Sequence[Any]], now: datetime) -> Kept:
        """Store those of the wanted events (ids, hex) that are not stored yet. ConflictError when another scan did so meanwhile."""
        if not wanted:
            return Kept(0, 0)
        events = self._runtime.store.events
        before = events.checkpoint(self._source.id, EVIDENCE) or Checkpoint(self._source.id, EVIDENCE, 0)
        new, found = _picked(tables, wanted)
        older = wanted - found
        ask = older | (found if before.state.get("from") == self._start else set())
        known = {i.hex() for i in events.fetch(sorted(ask))["event.id"].to_pylist()} if ask else set()
        again = {event: where[event] for event in older - known if event in where}
        more, refound = _picked(self._fetched(again, now), set(again))
        picked = {parser: [*new.get(parser, []), *more.get(parser, [])] for parser in {*new, *more}}
        picked = _picked(picked, (found | refound) - known)[0] if known else picked
        stored = sum(t.num_rows for tables in picked.values() for t in tables)
        if stored:
            events.append(self._delivery(picked, before, stored, now))
        return Kept(stored, len(older - known - refound))

    def _delivery(self, picked: Tables, before: Checkpoint, stored: int, now: datetime) -> Delivery:
        after = Checkpoint(self._source.id, EVIDENCE, before.position + stored, {"from": self._start})
        tables = [table for some in picked.values() for table in some]
        newest = max(pc.max(table["@timestamp"]).as_py() for table in tables)
        unparsed = sum(_unparsed(table) for table in tables)
        return Delivery(picked, (after,), (before,), (Counts(self._source.id, stored, stored, unparsed, last_event=newest, at=now),))

    def _fetched(self, again: Mapping[str, Sequence[Any]], now: datetime) -> Tables:
        """Events of earlier scans, read once more from where they stood."""
        out: dict[str, list[pa.Table]] = {}
        by_stream: dict[str, list[int]] = {}
        for stream, position in again.values():
            by_stream.setdefault(str(stream), []).append(int(position))
        reader: Collector | None = collector(self._runtime, self._source) if by_stream else None
        for stream, positions in by_stream.items():
            batch = reader.again(stream, positions)  # type: ignore[union-attr]
            for parser, table in deliver.events(batch, now, extra(self._source)).tables.items():
                out.setdefault(parser, []).append(prepare([table]))
        return out


def named(state: object) -> set[str]:
    """Ids (hex) of the events that a detector's state names."""
    if isinstance(state, str):
        return {state} if _ID.fullmatch(state) else set()
    if isinstance(state, Mapping):
        if memory.packed(state):
            return memory.events(state)
        return named(list(state.values())) | named(list(state))
    return set().union(*map(named, state)) if isinstance(state, (list, tuple)) else set()


def places(tables: Tables, before: Mapping[str, Sequence[Any]], wanted: Iterable[str]) -> dict[str, list[Any]]:
    """Where events stand that correlations remember: id (hex) -> [stream, position]."""
    keep = set(wanted)
    out = {event: list(place) for event, place in before.items() if event in keep}
    rest = keep - out.keys()
    if rest:
        for some in _picked(tables, rest)[0].values():
            for table in some:
                ids = [i.hex() for i in table["event.id"].to_pylist()]
                stream, position = table["thapcanh.stream"].to_pylist(), table["thapcanh.position"].to_pylist()
                out |= {event: [stream[n], position[n]] for n, event in enumerate(ids)}
    return out


def _picked(tables: Tables, wanted: set[str]) -> tuple[dict[str, list[pa.Table]], set[str]]:
    """The rows of these events, and which were found."""
    ids = pa.array([bytes.fromhex(i) for i in wanted], pa.binary(16))
    out: dict[str, list[pa.Table]] = {}
    found: set[str] = set()
    for parser, some in tables.items():
        for table in some if len(ids) else ():
            column = table["event.id"].combine_chunks()
            rows = np.flatnonzero(pc.is_in(column, ids).to_numpy(zero_copy_only=False))
            if len(rows):
                part = table.take(pa.array(rows))
                out.setdefault(parser, []).append(part)
                found.update(i.hex() for i in part["event.id"].to_pylist())
    return out, found


def _unparsed(table: pa.Table) -> int:
    if "event.kind" not in table.column_names:
        return 0
    return pc.sum(pc.equal(table["event.kind"].cast(pa.string()), "pipeline_error")).as_py() or 0
