"""Upkeep of the cluster store: recount, retention by whole indices, legal holds, what dead collectors left."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import numpy as np
import pyarrow as pa

from domain.errors import StoreError
from domain.window import TimeWindow, micros
from store import faults
from store import rows as tables
from store.base import Counts, Hold, Retained
from store.opensearch import deliveries
from store.opensearch.client import Cluster, Refused
from store.opensearch.deliveries import Slice
from store.opensearch.documents import columns_of
from store.opensearch.log import Entry, State
from store.opensearch.mapping import DELIVERY, ORDINAL
from store.opensearch.verify import documents_in, expected, indices, tally, together
from store.opensearch.write import Ranges, ranges
from store.prefix import ours

if TYPE_CHECKING:
    from store.opensearch.events import ClusterEvents

_KEPT: Final = 1_000
"""Entries of the log that are never removed: other processes may still be reading on from there."""
_LEFT_ALONE: Final = timedelta(hours=1)
"""A collector that has not committed its documents for so long after they were first noticed is dead."""
_ASK: Final = 0.5
"""Seconds between looks at a snapshot that is being taken."""
_PAGE: Final = 5_000


class _AbsentError(Exception):
    """There is no such hold."""


class _NothingError(Exception):
    """There is nothing to remove."""


def retain(events: ClusterEvents, before: date) -> Retained:
    """Remove whole indices of days before `before`. One that touches a hold stays as a whole."""
    done = Retained(0, 0)

    def decide(state: State) -> Entry:
        nonlocal done
        catalog = events.catalog.catch_up()
        old = {name: there for name, there in catalog.items() if deliveries.day_of(name) < before}
        held = {name: [h.name for h in holds(state) if _touched(h, there)] for name, there in old.items()}
        gone = sorted(name for name in old if not held[name])
        kept: dict[str, int] = {}
        for name, names in held.items():
            kept |= {h: kept.get(h, 0) + old[name]["rows"] for h in names}
        done = Retained(sum(old[name]["rows"] for name in gone), sum(_sizes(events, gone).values()), kept)
        if not gone:
            raise _NothingError
        return {"kind": "retire", "indices": gone, "sources": _totals(old[name]["sources"] for name in gone)}

    with suppress(_NothingError):
        events.log.append(events.view, decide)
        faults.point("after-retire")
    catalog, state = together(events)
    for name in indices(events):
        if deliveries.removed(state, name) and name not in catalog:
            events.cluster.call("DELETE", f"/{name}", missing=True)
    _trim(events, before)
    return done


def _totals(parts: Iterable[Mapping[str, Sequence[int]]]) -> dict[str, list[int]]:
    """Source -> [stored, unparsed], added up."""
    out: dict[str, list[int]] = {}
    for part in parts:
        for source, (stored, unparsed) in part.items():
            was = out.get(source, [0, 0])
            out[source] = [was[0] + stored, was[1] + unparsed]
    return out


def _trim(events: ClusterEvents, before: date) -> None:
    """Entries of the log whose events are all gone, and that nothing else needs, go too; what they said stands in the views."""
    catalog, _ = together(events)
    if not (events.view.save() and events.catalog.save()):
        return  # these entries are all that says it
    cut = micros(datetime(before.year, before.month, before.day, tzinfo=UTC))
    where: list[dict[str, Any]] = [{"term": {"kind": "delivery"}}, {"range": {"high": {"lt": cut}}}, {"range": {"first": {"gt": 1}}}]
    gone = [
        entry["number"]
        for entry in events.log.find(where, events.view.at - _KEPT, exclude="slices,counts,checkpoints")
        if not {"dead", "replayed"} & set(entry) and entry.get("indices") and not set(entry["indices"]) & set(catalog)
    ]
    events.log.forget(gone)


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
    """Documents that were there an hour ago and that nobody has committed since become stored events; how many."""
    known, since = events.view.catch_up()["loose"], micros(now)
    there = {f"{index}/{name}" for index, name in _loose(events)}
    seen = {place: min(known.get(place, since), since) for place in sorted(there)}
    if seen != known:
        events.log.append(events.view, lambda _: {"kind": "loose", "seen": seen})
    old = [place.rpartition("/") for place, first in seen.items() if first <= micros(now - _LEFT_ALONE)]
    return sum(_adopt(events, index, name) for index, _, name in old)


def _loose(events: ClusterEvents) -> Iterator[tuple[str, str]]:
    """(index, delivery) of documents that are not in the log."""
    catalog, state = together(events)
    for index in indices(events):
        if deliveries.removed(state, index):
            continue  # a collector wrote into it while retention removed it, and has written again elsewhere
        if documents_in(events, index) != catalog.get(index, {"rows": 0})["rows"]:
            wanted = expected(events, index)
            yield from ((index, name) for name, n in tally(events, index) if n > wanted.get(name, 0))


def _adopt(events: ClusterEvents, index: str, name: str) -> int:
    table, ordinals = _documents(events, index, name)
    known = events.committed([name]).get(name, [])
    loose = np.array([n for n, at in enumerate(ordinals.tolist()) if not any(a <= at <= b for a, b in known)], dtype=np.int64)
    if not len(loose):
        return 0
    part = table.take(pa.array(loose))
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
        "indices": [taken.index],
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


def _sizes(events: ClusterEvents, names: Sequence[str]) -> dict[str, int]:
    out: dict[str, int] = {}
    for start in range(0, len(names), 40):
        answer = events.cluster.call(
            "GET", f"/{','.join(names[start : start + 40])}/_stats/store", params={"ignore_unavailable": "true"}, missing=True
        )
        out |= {name: int(there["total"]["store"]["size_in_bytes"]) for name, there in (answer or {}).get("indices", {}).items()}
    return out


def _touched(held: Hold, there: Mapping[str, Any]) -> bool:
    if held.partitions and there["partition"] not in held.partitions:
        return False
    if held.window is None:
        return True
    start, end = held.window.micros
    return bool(there["high"] >= start and there["low"] < end)


def snapshot(cluster: Cluster, prefix: str, repository: str, name: str) -> str:
    """Everything under the prefix into a registered repository. StoreError when it is not complete."""
    body = {"indices": ours(prefix), "include_global_state": False, "metadata": {"by": "soc store backup"}}
    path = f"/_snapshot/{quote(repository, safe='')}/{quote(name, safe='')}"
    try:
        cluster.call("PUT", path, body)
        while (there := cluster.call("GET", path)["snapshots"][0])["state"] == "IN_PROGRESS":
            time.sleep(_ASK)
    except Refused as error:
        if error.kind == "repository_missing_exception":
            raise StoreError(f"no snapshot repository {repository}", where=cluster.where, hint="docs/opensearch.md, Backup") from None
        raise
    if there["state"] != "SUCCESS":
        why = "; ".join(sorted({str(f.get("reason", "")) for f in there.get("failures", ())}))[:300]
        raise StoreError(
            f"snapshot {repository}/{name} is {there['state']}: {why}", where=cluster.where, hint="mend it and take another one"
        )
    return f"{repository}/{name}"
