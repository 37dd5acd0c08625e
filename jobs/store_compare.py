"""Whether two stores hold the same: events by partition and UTC day, records, ledger, dead letters, checkpoints, legal holds, cursors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import islice

import pyarrow as pa
import pyarrow.compute as pc

from domain.window import micros
from jobs.store_copy_events import SOURCE, Mark
from jobs.store_copy_state import AS_THEY_ARE, Snapshot, snapshot
from jobs.store_hash import Sums, Tally, count_between, day_name, day_numbers, digests_sum, plain_hash, records_hash, sums
from store.base import Hold, SourceStatus, Store

Tick = Callable[[int], None]


@dataclass(frozen=True)
class Difference:
    """One thing that is not the same."""

    what: str
    """events, records, ledger, dead, checkpoints, holds, cursor, files, unfinished."""
    where: str
    """Partition and day, log source, name."""
    source: str
    target: str


@dataclass(frozen=True)
class DayHash:
    """Events of one partition and day."""

    partition: str
    day: str
    """ISO date, UTC, of `@timestamp`."""
    events: int
    hash: str
    """Sum of their digests (store_hash)."""


@dataclass
class Comparison:
    """What was compared and what differs."""

    events: int = 0
    """Of the source, as far as they were compared."""
    events_hash: str = ""
    records: int = 0
    records_hash: str = ""
    state_hash: str = ""
    """Ledger, dead letters, checkpoints, legal holds; empty when a store has moved on and only events and records were compared."""
    days: list[DayHash] = field(default_factory=list)
    """The source's events by partition and UTC day."""
    kept: dict[str, int] = field(default_factory=dict)
    """Partition and day -> events that retention removed from the source after they were copied."""
    differences: list[Difference] = field(default_factory=list)

    @property
    def same(self) -> bool:
        """Nothing differs."""
        return not self.differences


@dataclass(frozen=True)
class Reach:
    """How far each side is compared."""

    source: int
    target: int
    last: int
    """Newest record of the source."""
    records: int | None
    """Records of the target, from its first; None = all."""
    at_rest: bool
    """Neither side has moved on: the state can be compared too."""
    pure: bool
    """The target holds nothing but what was copied."""


def compare(source: Store, target: Store, snap: Snapshot, mark: Mark | None, tick: Tick = lambda _: None) -> Comparison:
    """Source as of `snap` against target; with the mark of a copy as far as the copy goes, else everything."""
    reach = _reach(target, snap, mark)
    out = Comparison()
    if mark and mark.at != mark.head:
        out.differences.append(Difference("unfinished", "", str(snap.head), str(mark.after)))
    own = sums(source.events.scan(0, reach.source), tick)
    there = sums(target.events.scan(0, reach.target), lambda n: tick(own.count + n))
    out.events, out.events_hash = own.count, own.hash
    out.days = [DayHash(partition, day_name(day), t.count, t.hash) for (partition, day), t in sorted(own.cells.items())]
    _events((source, target), (own, there), reach, out)
    _records((source, target), reach, out)
    if reach.at_rest:
        after = snapshot(target)
        out.state_hash = plain_hash(_state(snap))
        _states(_state(snap), _state(after), out)
        _cursors((source, target), (snap, after), mark, out)
    return out


def _reach(target: Store, snap: Snapshot, mark: Mark | None) -> Reach:
    head = target.events.head()
    if mark is None:
        return Reach(snap.head, head, snap.last, None, at_rest=True, pure=False)
    last, state = target.coordination.cursor(SOURCE), target.coordination.state(SOURCE)
    at_rest = (snap.head, snap.last, head) == (mark.after, last, mark.head)
    return Reach(mark.after, mark.at, last, int(str(state.get("count", 0))), at_rest, pure=head == mark.head)


def _events(stores: tuple[Store, Store], found: tuple[Sums, Sums], reach: Reach, out: Comparison) -> None:
    own, there = found
    for cell in sorted({*own.cells, *there.cells}):
        a, b = own.cells.get(cell, Tally()), there.cells.get(cell, Tally())
        if a == b:
            continue
        name = f"{cell[0]} {day_name(cell[1])}"
        if reach.pure and b.count > a.count and _within(stores, cell, reach) == a:
            out.kept[name] = b.count - a.count
        else:
            out.differences.append(Difference("events", name, f"{a.count} {a.hash}", f"{b.count} {b.hash}"))


def _within(stores: tuple[Store, Store], cell: tuple[str, int], reach: Reach) -> Tally:
    """The events of the target's cell that the source's cell still has."""
    partition, day = cell
    ids = [t["event.id"].combine_chunks() for t in _cell(stores[0], partition, day, reach.source)]
    wanted = pa.concat_arrays(ids) if ids else pa.array([], pa.binary(16))
    out = Tally()
    for table in _cell(stores[1], partition, day, reach.target):
        kept = table.filter(pc.is_in(table["event.id"], value_set=wanted))
        out.add(kept.num_rows, digests_sum(kept))
    return out


def _cell(store: Store, partition: str, day: int, upto: int) -> Iterator[pa.Table]:
    for chunk in store.events.scan(0, upto, [partition]):
        table = chunk.table()
        kept = table.filter(pa.array(day_numbers(table) == day))
        if kept.num_rows:
            yield kept


def _records(stores: tuple[Store, Store], reach: Reach, out: Comparison) -> None:
    out.records, out.records_hash = records_hash(r for r in stores[0].records.find("") if r.seq <= reach.last)
    there = records_hash(islice(stores[1].records.find(""), reach.records))
    if (out.records, out.records_hash) != there:
        out.differences.append(Difference("records", "", f"{out.records} {out.records_hash}", f"{there[0]} {there[1]}"))


def _state(snap: Snapshot) -> dict[str, dict[str, object]]:
    """Ledger, dead letters, checkpoints and holds as plain values: kind -> name -> value."""
    return {
        "ledger": {name: _status(status) for name, status in snap.ledger.items()},
        "dead": {digest.hex(): len(own) for digest, own in snap.letters.items()},
        "checkpoints": {f"{name} {c.stream}": [c.position, dict(c.state)] for name, status in snap.ledger.items() for c in status.streams},
        "holds": {name: _hold(hold) for name, hold in snap.holds.items()},
    }


def _status(status: SourceStatus) -> list[object]:
    times = [micros(at) if at else None for at in (status.last_event, status.last_delivery)]
    rejected = {reason: n for reason, n in status.rejected.items() if n}
    return [status.received, status.stored, status.unparsed, rejected, status.duplicates, *times]


def _hold(hold: Hold) -> list[object]:
    return [list(hold.window.micros) if hold.window else None, list(hold.partitions)]


def _states(own: Mapping[str, Mapping[str, object]], there: Mapping[str, Mapping[str, object]], out: Comparison) -> None:
    for kind in own:
        for name in sorted({*own[kind], *there[kind]}):
            a, b = own[kind].get(name), there[kind].get(name)
            if a != b:
                out.differences.append(Difference(kind, name, str(a), str(b)))


def _cursors(stores: tuple[Store, Store], snaps: tuple[Snapshot, Snapshot], mark: Mark | None, out: Comparison) -> None:
    """States are equal, and as many events wait behind each cursor (more where it has no exact place); positions are of their own store."""

    @cache
    def behind(side: int, position: int) -> int:  # a cluster reads what it counts
        return count_between(stores[side].events, position, snaps[side].head)

    for name, (at, state) in snaps[0].cursors.items():
        there, kept = snaps[1].cursors.get(name, (0, {}))
        waiting = (at, there)
        exact = name.startswith(AS_THEY_ARE) or mark is None or mark.translate(at)[0] == at
        if not name.startswith(AS_THEY_ARE):
            waiting = behind(0, at), behind(1, there)
        misplaced = waiting[0] != waiting[1] if exact else waiting[0] > waiting[1]
        if dict(state) != dict(kept) or (misplaced and not out.kept):
            shown = [f"{n} {plain_hash(dict(s))}" for n, s in zip(waiting, (state, kept), strict=True)]
            out.differences.append(Difference("cursor", name, *shown))
