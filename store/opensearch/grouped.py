"""Aggregation where the events are: the cluster groups and counts what it can be sure of, the rest is fetched and counted here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from domain import fields
from domain.clock import LOCAL
from domain.event import TableBatch
from domain.query import Query
from domain.window import duration
from store.grouping import Groups
from store.opensearch.compile import NONE, Dsl, bounds, but, elsewhere, some
from store.opensearch.compile import every as _every
from store.opensearch.mapping import AT, indexed
from store.opensearch.search import PAGE, filtered, indices, matching, refresh

if TYPE_CHECKING:
    from store.opensearch.events import ClusterEvents

_BUCKETS: Final = 5_000
_ZONE: Final = datetime(2000, 1, 1, tzinfo=LOCAL).isoformat()[-6:]
_MICROS: Final = pa.timestamp("us", "UTC")
_GROUPED: Final = frozenset({"keyword", "ip", "long", "double", "boolean"})


def aggregate(events: ClusterEvents, query: Query, by: Sequence[str], every: str) -> pa.Table:
    """See EventStore.aggregate."""
    groups = Groups(by, every)
    asked = bounds(query.where)
    sure = NONE
    if all(_groupable(name) for name in by):
        sure = but(asked.under, some([elsewhere(name) for name in by]))
        sure = _every([sure, {"exists": {"field": "@timestamp"}}]) if every else sure
    if sure != NONE and events.head():
        refresh(events)
        for table in _counted(events, filtered(query, sure), by, every):
            groups.put(table)
    rest = but(asked.over, sure)
    if rest != NONE:
        for table, times in matching(events, query, rest, (*by, "@timestamp"), PAGE):
            groups.add(TableBatch(table), np.arange(table.num_rows, dtype=np.int32), times)
    return groups.table()


def _groupable(name: str) -> bool:
    """Whether its values stand in the index as they are, or none do: an event that has it elsewhere says so."""
    entry = fields.lookup(name)
    return not indexed(name) or (entry is not None and entry.type in _GROUPED)


def _counted(events: ClusterEvents, query: Dsl, by: Sequence[str], every: str) -> Iterator[pa.Table]:
    """Groups with count, first and last, page by page."""
    step = duration(every) // timedelta(microseconds=1) if every else 0
    sources: list[dict[str, Any]] = [
        {f"k{n}": {"terms": {"field": _column(name), "missing_bucket": True}}} for n, name in enumerate(by) if indexed(name)
    ]  # fmt: skip
    if step:
        sources.append({"bucket": {"date_histogram": {"field": "@timestamp", "fixed_interval": f"{step // 1000}ms", "time_zone": _ZONE}}})
    if not sources:
        yield from _whole(events, query, by)
        return
    ends = {"first": {"min": {"field": AT}}, "last": {"max": {"field": AT}}}
    composite: dict[str, Any] = {"size": _BUCKETS, "sources": sources}
    while True:
        body = {"size": 0, "query": query, "aggs": {"by": {"composite": composite, "aggs": ends}}}
        found = _asked(events, body).get("by", {"buckets": []})
        if found["buckets"]:
            yield _table(found["buckets"], by, step)
        if "after_key" not in found or not found["buckets"]:
            return
        composite["after"] = found["after_key"]


def _whole(events: ClusterEvents, query: Dsl, by: Sequence[str]) -> Iterator[pa.Table]:
    """Everything as one group."""
    body = {"size": 0, "query": query, "track_total_hits": True, "aggs": {"first": {"min": {"field": AT}}, "last": {"max": {"field": AT}}}}
    answer = events.cluster.found(indices(events), body)
    count = int(answer["hits"]["total"]["value"])
    if count:
        yield _table([{"key": {}, "doc_count": count, **answer["aggregations"]}], by, 0)


def _asked(events: ClusterEvents, body: Dsl) -> dict[str, Any]:
    return dict(events.cluster.found(indices(events), body).get("aggregations", {}))


def _column(name: str) -> str:
    entry = fields.lookup(name)
    return f"{name}.raw" if entry is not None and entry.type in ("keyword", "ip") else name


def _table(buckets: Sequence[dict[str, Any]], by: Sequence[str], step: int) -> pa.Table:
    out: dict[str, pa.Array] = {}
    for n, name in enumerate(by):
        out[name] = pa.array([bucket["key"].get(f"k{n}") for bucket in buckets], fields.arrow_type(name))
    if step:
        out["bucket"] = _stamps([bucket["key"]["bucket"] * 1000 for bucket in buckets])
    out["count"] = pa.array([bucket["doc_count"] for bucket in buckets], pa.int64())
    out["first"] = _stamps([bucket["first"]["value"] for bucket in buckets])
    out["last"] = _stamps([bucket["last"]["value"] for bucket in buckets])
    return pa.table(out)


def _stamps(values: Sequence[float]) -> pa.Array:
    return pa.array([round(v) for v in values], pa.int64()).cast(_MICROS)
