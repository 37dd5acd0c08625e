"""Copying events from one store to another: in phases, each delivery moving the mark of progress with its events.

The target numbers events anew. A phase ends at every cursor of the source, so that a cursor has an equal in the target; within a phase
order plays no part. The mark says up to which sequence of the source everything is there (`after`), and where that stands in the
target (`at`); what was copied beyond it before a crash is found again by event id.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from collectors import faults
from domain.errors import ConflictError, StoreError
from domain.raw import Checkpoint
from store.base import RESERVED, Delivery, EventStore

SOURCE: Final = f"{RESERVED}copy"
"""Name of the checkpoint (and of the cursor over records) in the target."""
STEP: Final = 1_000_000
"""Sequences of a phase: merged segments reach over many, and are read again in each phase that they touch."""
ROWS: Final = 50_000
"""Events of a delivery, about."""
BYTES: Final = 128 << 20
"""Bytes of a delivery, about."""
Counted = Mapping[str, tuple[int, int]]


@dataclass(frozen=True)
class Mark:
    """How far a copy has come; stands in the target."""

    origin: str
    """Identity of the source."""
    step: int = 0
    """Deliveries so far."""
    after: int = 0
    """Every event of the source with a sequence up to this is in the target."""
    at: int = 0
    """The target's head when that became so."""
    head: int = 0
    """The target's head now."""
    upto: int = 0
    """End of the phase under way: events beyond `after` and up to there may be in the target; 0 between phases."""
    edges: tuple[tuple[int, int], ...] = ()
    """(sequence of the source, of the target) that part the same events: where cursors can stand."""
    held: Counted = field(default_factory=dict)
    """Log source -> (stored, unparsed): events that were copied."""
    retired: Counted = field(default_factory=dict)
    """Log source -> (stored, unparsed): events that the ledger counts, but that the source had removed before they were copied."""

    @property
    def checkpoint(self) -> Checkpoint:
        """As the target keeps it."""
        state = {
            "after": self.after, "at": self.at, "head": self.head, "upto": self.upto, "edges": [list(e) for e in self.edges],
            "held": {k: list(v) for k, v in self.held.items()}, "retired": {k: list(v) for k, v in self.retired.items()},
        }  # fmt: skip
        return Checkpoint(SOURCE, self.origin, self.step, state)

    def translate(self, cursor: int) -> tuple[int, int]:
        """(edge of the source, sequence of the target) at a cursor of the source, or at the last edge before it."""
        known = [(0, 0), *self.edges]
        return known[bisect_right([a for a, _ in known], cursor) - 1]


def mark_of(kept: Checkpoint) -> Mark:
    """The inverse of `Mark.checkpoint`."""
    state: Any = kept.state
    edges = tuple((int(a), int(b)) for a, b in state["edges"])
    held, retired = ({k: (int(n), int(u)) for k, (n, u) in state[name].items()} for name in ("held", "retired"))
    after, at, head, upto = (int(state[name]) for name in ("after", "at", "head", "upto"))
    return Mark(kept.stream, kept.position, after, at, head, upto, edges, held, retired)


def marks(target: EventStore) -> list[Mark]:
    """Of the copy that a store holds: none or one."""
    return [mark_of(c) for c in target.checkpoints(SOURCE)]


def deliver(target: EventStore, delivery: Delivery, old: Mark, new: Mark) -> int:
    """Append and move the mark, both or neither; the new head. ConflictError when the mark is no longer where it was."""
    try:
        return target.append(replace(delivery, checkpoints=[*delivery.checkpoints, new.checkpoint], began=[old.checkpoint]))
    except ConflictError as error:
        raise ConflictError("another copy into this store is running; it was left alone", hint="wait until it has ended") from error


class EventCopy:
    """Brings a target up to the head of a source's snapshot."""

    def __init__(self, source: EventStore, target: EventStore, mark: Mark, tick: Callable[[int], None] = lambda _: None) -> None:
        self.mark = mark
        """How far the target has come."""
        self.copied = 0
        """Events brought by this run."""
        self._source = source
        self._target = target
        self._tick = tick
        self._tables: dict[str, list[pa.Table]] = defaultdict(list)
        self._rows = self._bytes = 0

    def run(self, head: int, cursors: Collection[int]) -> Mark:
        """All events up to `head`, with an edge at every cursor that lies ahead. A phase that was broken off keeps its end."""
        self.mark = replace(self.mark, edges=_needed(self.mark.edges, min(cursors, default=0)))
        seen = self._copied_beyond()
        start, broken = self.mark.after, self.mark.upto
        for end in [broken] * bool(broken) + phases(max(start, broken), head, cursors):
            for chunk in self._source.scan(start, end):
                self._take(chunk.partition, _unseen(chunk.table(), seen))
                if self._rows >= ROWS or self._bytes >= BYTES:
                    self._deliver(end, whole=False)
            if self._rows or self.mark.head > self.mark.at or end == head:
                self._deliver(end, whole=True)
            start, seen = end, None
        return self.mark

    def _take(self, partition: str, table: pa.Table) -> None:
        if table.num_rows:
            self._tables[partition].append(table)
            self._rows += table.num_rows
            self._bytes += table.nbytes

    def _deliver(self, end: int, *, whole: bool) -> None:
        """Store what is gathered of the phase up to `end`, and move the mark in the same step."""
        old, rows = self.mark, self._rows
        head = old.head + rows
        new = replace(old, step=old.step + 1, head=head, upto=end, held=_added(old.held, self._tables))
        if whole:
            new = replace(new, after=end, at=head, upto=0, edges=(*old.edges, (end, head)))
        reached = deliver(self._target, Delivery(dict(self._tables)), old, new)
        if reached > head:
            what = f"{rows} events were written and the head moved from {old.head} to {reached}: somebody else writes to the target"
            raise StoreError(what, hint="stop whatever writes into the target, then copy into an empty store")
        if reached < head:
            what = f"the target did not take {head - reached} of {rows} events: it has them already, or refuses them"
            raise StoreError(what, hint="soc store verify, soc collect status on the target; then copy into an empty store")
        faults.point("copied")
        self.mark = new
        self._tables.clear()
        self._rows = self._bytes = 0
        self.copied += rows
        self._tick(self.copied)

    def _copied_beyond(self) -> pa.Array | None:
        """Ids of events that a run which did not finish has copied beyond the mark."""
        if self.mark.head == self.mark.at:
            return None
        return pa.concat_arrays([chunk.ids() for chunk in self._target.scan(self.mark.at, self.mark.head)])


def phases(after: int, head: int, cursors: Collection[int]) -> list[int]:
    """Where phases end: at cursors, every `STEP` before the lowest of them, every `ROWS` after it, where cursors may yet come to stand."""
    lowest = min(cursors, default=head)
    coarse, fine = range(after + STEP, lowest, STEP), range(max(after, lowest) + ROWS, head, ROWS)
    return sorted({head, *(c for c in cursors if after < c < head), *coarse, *fine}) if after < head else []


def _unseen(table: pa.Table, seen: pa.Array | None) -> pa.Table:
    return table if seen is None else table.filter(pc.invert(pc.is_in(table["event.id"], value_set=seen)))


def _needed(edges: Sequence[tuple[int, int]], floor: int) -> tuple[tuple[int, int], ...]:
    """Edges at which a cursor can come to stand: cursors only move ahead."""
    first = bisect_right([a for a, _ in edges], floor) - 1
    return tuple(edges[max(first, 0) :])


def _added(held: Counted, tables: Mapping[str, Sequence[pa.Table]]) -> Counted:
    out = dict(held)
    for table in (t for parts in tables.values() for t in parts):
        for source, kind, n in _kinds(table):
            stored, unparsed = out.get(source, (0, 0))
            out[source] = stored + n, unparsed + (n if kind == "pipeline_error" else 0)
    return out


def _kinds(table: pa.Table) -> Iterator[tuple[str, str, int]]:
    """(log source, event.kind, events)."""
    names = [n for n in ("thapcanh.source", "event.kind") if n in table.column_names]
    counted = table.select(names).group_by(names).aggregate([([], "count_all")]).to_pydict()
    empty = [""] * len(counted["count_all"])
    columns = [counted.get(n, empty) for n in ("thapcanh.source", "event.kind")]
    yield from ((source or "", kind or "", n) for source, kind, n in zip(*columns, counted["count_all"], strict=True))
