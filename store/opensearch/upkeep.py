"""Upkeep of the cluster store: recount, retention by whole indices, legal holds, what dead collectors left."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from domain.window import TimeWindow, micros
from store import faults
from store import rows as tables
from store.base import Counts, Hold, Retained
from store.opensearch import deliveries
from store.opensearch.deliveries import Slice
from store.opensearch.documents import columns_of
from store.opensearch.log import Entry, State
from store.opensearch.mapping import DELIVERY, ORDINAL
from store.opensearch.write import Ranges, ranges

if TYPE_CHECKING:
    from store.opensearch.events import ClusterEvents

_LEFT_ALONE: Final = timedelta(hours=1)
"""A collector that has not committed its documents for so long is dead."""
_PAGE: Final = 5_000
_BUCKETS: Final = 5_000


class _AbsentError(Exception):
    """There is no such hold."""


def verify(events: ClusterEvents) -> list[str]:
    """What is wrong, one sentence each; empty when all is well."""
    catalog, state = events.catalog.catch_up(), events.view.catch_up()
    found: list[str] = []
    expected = _expected(events)
    for index in sorted({*catalog, *_there(events)}):
        counted = dict(_counted(events, index))
        wanted = expected.get(index, {})
        for name in sorted({*counted, *wanted}):
            if counted.get(name, 0) < wanted.get(name, 0):
                found.append(f"{index}: {counted.get(name, 0)} events of delivery {name}, the log says {wanted[name]}")
            elif counted.get(name, 0) > wanted.get(name, 0):
                found.append(
                    f"{index}: {counted[name] - wanted.get(name, 0)} events of delivery {name} were never committed: their collector died;"
                    " collect the source again, or soc store compact takes them in after an hour"
                )  # fmt: skip
    return found + _ledger(events, catalog, state)


def retain(events: ClusterEvents, before: date) -> Retained:
    """Remove whole indices of days before `before`. One that touches a hold stays as a whole."""
    catalog = events.catalog.catch_up()
    standing = holds(events.view.catch_up())
    old = {name: there for name, there in catalog.items() if deliveries.day_of(name) < before}
    kept: dict[str, int] = {}
    gone: list[str] = []
    for name, there in sorted(old.items()):
        names = [h.name for h in standing if _touched(h, there)]
        for held in names:
            kept[held] = kept.get(held, 0) + there["rows"]
        if not names:
            gone.append(name)
    rows = sum(old[name]["rows"] for name in gone)
    size = sum(_sizes(events, gone).values())
    if gone:
        sources: dict[str, list[int]] = {}
        for name in gone:
            for source, (stored, unparsed) in old[name]["sources"].items():
                was = sources.get(source, [0, 0])
                sources[source] = [was[0] + stored, was[1] + unparsed]
        events.log.append(events.view, lambda _: {"kind": "retire", "indices": gone, "sources": sources})
        faults.point("after-retire")
    for name in sorted({*gone, *(n for n in _there(events) if _was_removed(n, events.view.state) and n not in events.catalog.catch_up())}):
        events.cluster.call("DELETE", f"/{name}", missing=True)
    return Retained(rows, size, kept)


def hold(events: ClusterEvents, new: Hold) -> None:
    """Put events under hold."""
    window = None if new.window is None else list(new.window.micros)
    body = {"kind": "hold", "name": new.name, "hold": {"window": window, "partitions": list(new.partitions)}}
    events.log.append(events.view, lambda _: body)


def release(events: ClusterEvents, name: str) -> bool:
    """End a hold."""

    def decide(state: State) -> Entry:
        if name not in state["holds"]:
            raise _AbsentError
        return {"kind": "release", "name": name}

    try:
        events.log.append(events.view, decide)
    except _AbsentError:
        return False
    return True


def holds(state: State) -> list[Hold]:
    """By name."""
    out = []
    for name, body in sorted(state["holds"].items()):
        window = None
        if body["window"] is not None:
            start, end = (deliveries.EPOCH + timedelta(microseconds=at) for at in body["window"])
            window = TimeWindow(start, end)
        out.append(Hold(name, window, tuple(body["partitions"])))
    return out


def adopt(events: ClusterEvents, now: datetime) -> int:
    """Documents that a dead collector wrote and nobody committed become stored events; how many."""
    total = 0
    expected = _expected(events)
    for index in _there(events):
        for name, n in list(_counted(events, index)):
            if n > expected.get(index, {}).get(name, 0):
                total += _adopt(events, index, name, now)
    return total


def _adopt(events: ClusterEvents, index: str, name: str, now: datetime) -> int:
    table, ordinals = _documents(events, index, name)
    known = events.committed([name]).get(name, [])
    loose = np.array([n for n, at in enumerate(ordinals.tolist()) if not any(a <= at <= b for a, b in known)], dtype=np.int64)
    if not len(loose):
        return 0
    part = table.take(pa.array(loose))
    if int(tables.micros(part, "event.ingested").max()) > micros(now - _LEFT_ALONE):
        return 0
    part = tables.prepare([part])
    times = tables.micros(part, "@timestamp")
    partition = index.removeprefix(f"{events.prefix}-events-").rpartition("-")[0]
    taken = Slice(
        name,
        ranges(ordinals[loose]),
        partition,
        index,
        part.num_rows,
        int(times.min()),
        int(times.max()),
        tables.coverage(part),
        tables.sources(part),
    )
    events.log.append(events.view, lambda state: _taking(state, taken, events.committed))
    return part.num_rows


def _taking(state: State, taken: Slice, committed: Any) -> Entry:
    """The entry that takes documents in; nothing when somebody else was first."""
    known: Ranges = committed([taken.delivery])
    inside = any(a <= low <= b for a, b in known.get(taken.delivery, ()) for low, _ in taken.ordinals)
    head, rows = int(state["head"]), 0 if inside else taken.rows
    counts = [Counts(source, received=n, stored=n, unparsed=u) for source, (n, u) in taken.sources.items()]
    return {
        "kind": "delivery", "delivery": f"adopt-{taken.delivery}", "first": head + 1, "last": head + rows, "rows": rows,
        "low": taken.low, "high": taken.high, "deliveries": [taken.delivery], "slices": [] if inside else [taken.plain()],
        "counts": [] if inside else [deliveries.counted(c) for c in counts], "checkpoints": [], "retired": {},
    }  # fmt: skip


def _documents(events: ClusterEvents, index: str, name: str) -> tuple[pa.Table, Any]:
    hits: list[dict[str, Any]] = []
    body: dict[str, Any] = {"query": {"term": {DELIVERY: name}}, "sort": [{ORDINAL: "asc"}], "size": _PAGE}
    while True:
        page = events.cluster.search(index, body)
        hits += page
        if len(page) < _PAGE:
            break
        body["search_after"] = page[-1]["sort"]
    table, own = columns_of(hits)
    return table, np.asarray(own[ORDINAL], dtype=np.int64)


def _expected(events: ClusterEvents) -> dict[str, dict[str, int]]:
    """Index -> delivery -> events, by the log."""
    out: dict[str, dict[str, int]] = {}
    for entry in events.log.find([{"term": {"kind": "delivery"}}], events.view.at, exclude="slices.coverage"):
        for part in entry["slices"]:
            known = out.setdefault(part["index"], {})
            known[part["delivery"]] = known.get(part["delivery"], 0) + part["rows"]
    catalog = events.catalog.state
    return {name: found for name, found in out.items() if name in catalog}


def _counted(events: ClusterEvents, index: str) -> Iterator[tuple[str, int]]:
    """(delivery, documents) of an index, as they are there now."""
    events.cluster.refresh(index)
    sources = [{"delivery": {"terms": {"field": DELIVERY, "missing_bucket": True}}}]
    composite: dict[str, Any] = {"size": _BUCKETS, "sources": sources}
    while True:
        body = {"size": 0, "aggs": {"by": {"composite": composite}}}
        by = events.cluster.found(index, body).get("aggregations", {}).get("by", {"buckets": []})
        for bucket in by["buckets"]:
            yield str(bucket["key"]["delivery"] or "(none)"), int(bucket["doc_count"])
        if "after_key" not in by or not by["buckets"]:
            return
        composite["after"] = by["after_key"]


def _there(events: ClusterEvents) -> list[str]:
    answer = events.cluster.call(
        "GET", f"/{events.prefix}-events-*/_settings/index.uuid", params={"allow_no_indices": "true"}, missing=True
    )
    return sorted(answer or {})


def _sizes(events: ClusterEvents, names: Sequence[str]) -> dict[str, int]:
    out: dict[str, int] = {}
    for start in range(0, len(names), 40):
        answer = events.cluster.call(
            "GET", f"/{','.join(names[start : start + 40])}/_stats/store", params={"ignore_unavailable": "true"}, missing=True
        )
        out |= {name: int(there["total"]["store"]["size_in_bytes"]) for name, there in (answer or {}).get("indices", {}).items()}
    return out


def _was_removed(index: str, state: State) -> bool:
    number = deliveries.generation(index)
    base = index.removesuffix(f".{number}") if number else index
    return bool(state["gone"].get(base, 0) > number)


def _touched(held: Hold, there: Mapping[str, Any]) -> bool:
    if held.partitions and there["partition"] not in held.partitions:
        return False
    if held.window is None:
        return True
    start, end = held.window.micros
    return bool(there["high"] >= start and there["low"] < end)


def _ledger(events: ClusterEvents, catalog: Mapping[str, Any], state: State) -> list[str]:
    stored: dict[str, int] = {}
    unparsed: dict[str, int] = {}
    for there in catalog.values():
        for source, (n, u) in there["sources"].items():
            stored[source] = stored.get(source, 0) + n
            unparsed[source] = unparsed.get(source, 0) + u
    waiting: dict[tuple[str, str], int] = {}
    for _, letter in events.dead.waiting("", events.view.at):
        waiting[letter.source, letter.reason] = waiting.get((letter.source, letter.reason), 0) + 1
    return list(_differences(state, stored, unparsed, waiting))


def _differences(
    state: State, stored: Mapping[str, int], unparsed: Mapping[str, int], waiting: Mapping[tuple[str, str], int]
) -> Iterator[str]:
    for source, row in sorted(state["ledger"].items()):
        retired = state["retired"].get(source, (0, 0))
        there = stored.get(source, 0) + retired[0]
        if there != row["stored"]:
            yield f"ledger {source}: stored {row['stored']}, the segments hold {there}"
        there = unparsed.get(source, 0) + retired[1]
        if there != row["unparsed"]:
            yield f"ledger {source}: unparsed {row['unparsed']}, the segments hold {there}"
        rejected = sum(row["rejected"].values())
        if row["received"] != row["stored"] + rejected + row["duplicates"]:
            yield (
                f"ledger {source}: received {row['received']} is not stored {row['stored']} + rejected {rejected}"
                f" + duplicates {row['duplicates']}"
            )
        for reason, n in row["rejected"].items():
            if n != waiting.get((source, reason), 0):
                yield f"ledger {source}: {n} rejected ({reason}), the dead letters hold {waiting.get((source, reason), 0)}"
    for source in sorted(set(stored) - set(state["ledger"])):
        yield f"ledger {source or '(no source)'}: {stored[source]} events stored, none counted"
