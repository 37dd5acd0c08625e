"""The EventStore over a cluster: events are documents, deliveries are entries of a log that orders and counts them."""

from __future__ import annotations

import secrets
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import pyarrow as pa

from domain.errors import ConflictError
from domain.query import Query
from domain.raw import Checkpoint
from domain.window import TimeWindow
from store import faults
from store import rows as tables
from store.base import Capabilities, Chunk, Counts, DeadLetter, Delivery, Hold, Retained, SourceStatus
from store.opensearch import deliveries, grouped, mapping, records, scan, search, upkeep, verify
from store.opensearch.client import Cluster
from store.opensearch.dead import Dead
from store.opensearch.deliveries import Slice
from store.opensearch.log import Entry, Log, State, View
from store.opensearch.write import Fate, Ranges, write

_MOVED: Final = 5
_BESIDE: Final = 2
"""Indices that are written at the same time."""


def _parts(delivery: Delivery) -> Iterator[tuple[str, int, pa.Table]]:
    """(parser, day, events in the order in which every engine keeps them)."""
    for partition, parts in delivery.tables.items():
        whole = tables.prepare(parts)
        for day, rows in tables.by_day(whole) if whole.num_rows else ():
            order = tables.order(rows)
            yield partition, day, rows if order is None else rows.take(pa.array(order))


class _MovedError(Exception):
    """Retention has removed an index into which we were writing, or another collector was not dead after all: write again."""


@dataclass
class _Written:
    """What became of a delivery's events."""

    slices: list[Slice]
    corrections: dict[str, Counts]
    """Source -> what the cluster's answers change in the counts of the delivery."""
    dead: list[DeadLetter]


class ClusterEvents:
    """Documents in daily indices, described by a log."""

    capabilities = Capabilities(atomic_scan=True, compaction=False, snapshots=True, aggregates=True, dashboards=True)

    def __init__(self, cluster: Cluster, prefix: str, settings: Mapping[str, object]) -> None:
        self.cluster = cluster
        self.prefix = prefix
        self.log = Log(cluster, f"{prefix}-deliveries", deliveries.PROPERTIES, (f"{prefix}-events-*", "thapcanh"))
        self.view = View(self.log, "ledger", deliveries.fold, deliveries.empty, exclude="slices.coverage,slices.sources")
        self.catalog = View(self.log, "catalog", deliveries.catalog, dict)
        self.dead = Dead(cluster, prefix, self.log)
        self.recent = scan.Recent()
        self._settings = settings
        self._ready = False
        self._one_by_one = threading.Lock()
        self._fit: set[str] = set()
        """Indices that were found to be ours."""

    def append(self, delivery: Delivery) -> int:
        """Write the events, then make them part of the store by one entry of the log."""
        if not self._ready:
            self.view.catch_up()
            mapping.install(self.cluster, self.prefix, self._settings)
            if not self.view.at:
                records.log(self.cluster, self.prefix).make()
                self.log.make()
            self._ready = True
        state = self.view.catch_up()
        name = f"{state['head']:014d}-{secrets.token_hex(6)}"
        for _ in range(_MOVED):
            deliveries.check(state, delivery)
            written = self._write(name, delivery, state["gone"])
            letters = [*delivery.dead, *written.dead]
            self.dead.write(name, letters)
            faults.point("before-commit")
            rejected = self.dead.rejected(delivery.replayed)
            try:
                entry = self.log.append(self.view, lambda now: self._entry(name, delivery, written, len(letters), rejected, now))  # noqa: B023
            except _MovedError:
                state = self.view.catch_up()
                continue
            faults.point("after-commit")
            self.dead.forget(delivery.replayed)
            return int(entry["last"])
        raise _MovedError  # retention runs without end: cannot be

    def head(self) -> int:
        """The highest ingest sequence; 0 when empty."""
        return int(self.view.catch_up()["head"])

    def scan(self, after: int, upto: int | None = None, partitions: Sequence[str] = ()) -> Iterator[Chunk]:
        """Events with after < sequence <= upto."""
        yield from scan.scan(self, after, self.head() if upto is None else upto, frozenset(partitions))

    def chunks(self, window: TimeWindow | None = None, partitions: Sequence[str] = ()) -> Iterator[Chunk]:
        """Chunks of deliveries that touch the window."""
        yield from scan.scan(self, 0, self.head(), frozenset(partitions), window)

    def search(self, query: Query) -> Iterator[pa.Table]:
        """Matching events in `@timestamp` order, as tables."""
        return search.search(self, query)

    def count(self, query: Query) -> int:
        """How many match."""
        return search.count(self, query)

    def aggregate(self, query: Query, by: Sequence[str], every: str = "") -> pa.Table:
        """Counts by fields and time bucket."""
        return grouped.aggregate(self, query, by, every)

    def starting(self, prefix: str, limit: int = 2) -> Sequence[str]:
        """Ids that begin so."""
        return search.starting(self, prefix, limit)

    def fetch(self, ids: Sequence[str]) -> pa.Table:
        """Events by id, in `@timestamp` order."""
        return search.fetch(self, ids)

    def coverage(self, window: TimeWindow | None = None) -> Mapping[str, Mapping[str, int]]:
        """By data set and field; a window is widened to whole UTC days."""
        days = None if window is None else (window.start.astimezone(UTC).date(), _last_day(window))
        out: dict[str, dict[str, int]] = {}
        for index, there in self.catalog.catch_up().items():
            if days is None or days[0] <= deliveries.day_of(index) <= days[1]:
                for dataset, names in there["coverage"].items():
                    known = out.setdefault(dataset, {})
                    for name, n in names.items():
                        known[name] = known.get(name, 0) + n
        return out

    def checkpoint(self, source: str, stream: str) -> Checkpoint | None:
        """Where to go on."""
        return next((c for c in self.checkpoints(source) if c.stream == stream), None)

    def checkpoints(self, source: str) -> Sequence[Checkpoint]:
        """All streams of a source."""
        return deliveries.checkpoints(self.view.catch_up(), source)

    def ledger(self) -> Sequence[SourceStatus]:
        """Per source."""
        return deliveries.statuses(self.view.catch_up())

    def dead_letters(self, source: str = "") -> Iterator[tuple[int, DeadLetter]]:
        """Numbered dead letters that were not replayed."""
        self.view.catch_up()
        return self.dead.waiting(source, self.view.at)

    def verify(self) -> Sequence[str]:
        """Every index and the ledger, recounted."""
        return verify.verify(self)

    def compact(self, now: datetime) -> int:
        """Documents of collectors that died and never came back are taken into the ledger; merging is OpenSearch's own affair."""
        upkeep.adopt(self, now)
        return 0

    def retain(self, before: date) -> Retained:
        """Remove whole days before `before`, but for what is held."""
        return upkeep.retain(self, before)

    def hold(self, hold: Hold) -> None:
        """Put events under legal hold."""
        upkeep.hold(self, hold)

    def release(self, name: str) -> bool:
        """End a legal hold; False when there is none of that name."""
        return upkeep.release(self, name)

    def holds(self) -> Sequence[Hold]:
        """Legal holds, by name."""
        return upkeep.holds(self.view.catch_up())

    def committed(self, names: Sequence[str]) -> Ranges:
        """Which ordinals of these deliveries are part of the store."""
        with self._one_by_one:
            return self._committed(names)

    def _committed(self, names: Sequence[str]) -> Ranges:
        self.view.catch_up()
        out: Ranges = {}
        for entry in self.log.find([{"terms": {"deliveries": list(names)}}], self.view.at, exclude="slices.coverage"):
            for part in entry["slices"]:
                out.setdefault(part["delivery"], []).extend((low, high) for low, high in part["ordinals"])
        return out

    def _write(self, name: str, delivery: Delivery, gone: Mapping[str, int]) -> _Written:
        """Parsers and days one beside the other: one index is made while another one is filled."""
        out = _Written([], {}, [])
        waiting: deque[tuple[str, pa.Table, Future[Fate]]] = deque()

        def settle() -> None:
            partition, table, future = waiting.popleft()
            fate = future.result()
            out.slices += fate.slices
            _correct(out, partition, table, fate)

        with ThreadPoolExecutor(_BESIDE) as pool:
            ordinal = 0
            for partition, day, table in _parts(delivery):
                index = deliveries.index_name(self.prefix, partition, day, gone)
                waiting.append((partition, table, pool.submit(self._into, index, partition, table, (name, ordinal))))
                ordinal += table.num_rows
                if len(waiting) > _BESIDE:
                    settle()
            while waiting:
                settle()
        return out

    def _into(self, index: str, partition: str, table: pa.Table, mine: tuple[str, int]) -> Fate:
        if index not in self._fit:
            mapping.fit(self.cluster, self.prefix, index, self._settings)
            self._fit.add(index)
        return write(self.cluster, index, partition, table, mine, self.committed)

    def _came_back(self, name: str, slices: Sequence[Slice]) -> bool:
        """Whether a collector that we took for dead has committed what we are about to adopt."""
        adopted = [part for part in slices if part.delivery != name]
        known = self.committed(sorted({part.delivery for part in adopted})) if adopted else {}
        return any(
            low <= end and start <= high
            for part in adopted for start, end in part.ordinals for low, high in known.get(part.delivery, ())
        )  # fmt: skip

    def _entry(
        self, name: str, delivery: Delivery, written: _Written, dead: int, rejected: Mapping[str, Mapping[str, int]], state: State
    ) -> Entry:
        """The entry that makes it so, if nothing has come between."""
        if self._came_back(name, written.slices):
            raise _MovedError
        state = self.view.state  # brought up to date by asking
        deliveries.check(state, delivery)
        self.dead.check(delivery.replayed, self.view.at)
        if any(deliveries.removed(state, part.index) for part in written.slices):
            raise _MovedError
        if name in state["adopted"]:
            raise ConflictError("another collector has stored these records; nothing was stored", hint="run the collection again")
        head = int(state["head"])
        rows = sum(part.rows for part in written.slices)
        counts = [deliveries.counted(c) for c in (*delivery.counts, *written.corrections.values())]
        counts += [deliveries.counted(Counts(source, rejected={r: -n for r, n in reasons.items()})) for source, reasons in rejected.items()]
        return {
            "kind": "delivery", "delivery": name, "first": head + 1, "last": head + rows, "rows": rows,
            "low": min((p.low for p in written.slices), default=0), "high": max((p.high for p in written.slices), default=0),
            "deliveries": sorted({name, *(p.delivery for p in written.slices)}),
            "slices": [p.plain() for p in written.slices], "indices": sorted({p.index for p in written.slices}), "counts": counts,
            "checkpoints": [[c.source, c.stream, c.position, dict(c.state)] for c in delivery.checkpoints],
            "retired": {s: list(n) for s, n in delivery.retired.items()},
            **({"dead": dead} if dead else {}), **({"replayed": list(delivery.replayed)} if delivery.replayed else {}),
        }  # fmt: skip


def _correct(out: _Written, partition: str, table: pa.Table, fate: Fate) -> None:
    """Counts and dead letters by what the cluster said: duplicates are not stored, what it refused is rejected."""
    gone = [*fate.duplicates, *fate.refused]
    if not gone:
        return
    part = table.take(pa.array(gone)).to_pylist()
    for number, event in enumerate(part):
        source = str(event.get("thapcanh.source") or "")
        counts = out.corrections.get(source, Counts(source))
        failed = int(event.get("event.kind") == "pipeline_error")
        counts = replace(counts, stored=counts.stored - 1, unparsed=counts.unparsed - failed)
        if number < len(fate.duplicates):
            counts = replace(counts, duplicates=counts.duplicates + 1)
        else:
            reason = f"the cluster refused it: {fate.refused[gone[number]].partition(':')[0]}"
            counts = replace(counts, rejected={**counts.rejected, reason: counts.rejected.get(reason, 0) + 1})
            out.dead.append(_letter(event, partition, reason))
        out.corrections[source] = counts


def _letter(event: Mapping[str, Any], parser: str, reason: str) -> DeadLetter:
    return DeadLetter(
        str(event.get("thapcanh.source") or ""), str(event.get("thapcanh.stream") or ""), int(event.get("thapcanh.position") or 0), reason,
        event.get("event.original") or b"", parser, event.get("event.ingested") or event["@timestamp"],
    )  # fmt: skip


def _last_day(window: TimeWindow) -> date:
    return (window.end - timedelta(microseconds=1)).astimezone(UTC).date()
