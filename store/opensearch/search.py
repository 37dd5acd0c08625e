"""Search over a cluster: it is asked for what may match, `match/` decides, in `@timestamp` order."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
import pyarrow as pa

import match
from domain import fields
from domain.errors import StoreError
from domain.event import TableBatch
from domain.query import TRUE, Query, fields_of
from domain.raw import Int64s
from store.opensearch.client import GONE, PATIENCE, Refused
from store.opensearch.compile import Dsl, bounds, but, every
from store.opensearch.documents import MORE, columns_of
from store.opensearch.mapping import AT, DELIVERY, ORDINAL, RAW, indexed

if TYPE_CHECKING:
    from store.opensearch.events import ClusterEvents

PAGE: Final = 5_000
_ALIVE: Final = "5m"
_PATIENCE: Final = 15.0
"""Seconds that a page is waited for before a new point in time is taken."""
_ID: Final = re.compile(r"[0-9a-fA-F]{32}")


def search(events: ClusterEvents, query: Query) -> Iterator[pa.Table]:
    """Matching events, page by page."""
    left = query.limit or 1 << 62
    asked = bounds(query.where)
    size = min(PAGE, left if asked.over == asked.under else max(left * 4, 200))
    for table, _ in matching(events, query, asked.over, query.fields, size):
        part = table.slice(0, left)
        left -= part.num_rows
        yield _shaped(part, query.fields)
        if left <= 0:
            return


def count(events: ClusterEvents, query: Query) -> int:
    """How many match: what is sure is only counted, the rest is looked at."""
    if not events.head():
        return 0
    asked = bounds(query.where)
    refresh(events)
    answer = events.cluster.call("POST", f"/{indices(events)}/_count", {"query": filtered(query, asked.under)}, GONE)
    total = int(events.cluster.complete(answer)["count"])
    if asked.over != asked.under:
        total += sum(t.num_rows for t, _ in matching(events, query, but(asked.over, asked.under), ("@timestamp",), PAGE))
    return min(total, query.limit) if query.limit else total


def fetch(events: ClusterEvents, ids: Sequence[str]) -> pa.Table:
    """The events with these ids, oldest first."""
    distinct = tuple(dict.fromkeys(ids))
    found = [t for t in search(events, Query(ids=distinct, newest_first=False)) if t.num_rows] if distinct else []
    return pa.concat_tables(found, promote_options="default") if found else pa.table({"event.id": pa.array([], pa.binary(16))})


def starting(events: ClusterEvents, prefix: str, limit: int) -> list[str]:
    """Ids (hex) that begin so, sorted."""
    if not events.head():
        return []
    refresh(events)
    body = {"query": {"prefix": {"event.id": {"value": prefix}}}, "size": limit, "_source": False}
    return sorted({hit["_id"] for hit in events.cluster.search(indices(events), body)})


def matching(events: ClusterEvents, query: Query, over: Dsl, names: Sequence[str], size: int) -> Iterator[tuple[pa.Table, Int64s]]:
    """(events that match, their times in microseconds), page by page."""
    matcher = None if query.where == TRUE else match.Matcher([match.Entry(0, TRUE, query.where)])
    for hits in _pages(events, filtered(query, over), query.newest_first, _includes(query, names), size):
        table, own = columns_of(hits)
        times = np.asarray(own[AT], dtype=np.int64)
        if matcher is not None:
            rows = next((found for _, found in matcher.run(TableBatch(table))), np.empty(0, dtype=np.int32))
            table, times = table.take(pa.array(rows)), times[rows]
        if table.num_rows:
            yield table, times


def _pages(events: ClusterEvents, query: Dsl, newest: bool, includes: Sequence[str], size: int) -> Iterator[list[dict[str, Any]]]:
    """Hits of one point in time, in order."""
    if not events.head():
        return
    refresh(events)
    order = "desc" if newest else "asc"
    body: dict[str, Any] = {
        "query": query, "sort": [{AT: order}, {DELIVERY: order}, {ORDINAL: order}], "size": size, "track_total_hits": False,
        **({"_source": {"includes": list(includes)}} if includes else {}),
    }  # fmt: skip
    with _Moment(events) as moment:
        while moment.pit:
            hits = moment.search(body)
            if hits:
                after = hits[-1]["sort"]
                full = len(hits) == body["size"]
                yield hits
            if not hits or not full:
                return
            body |= {"search_after": after, "size": PAGE}


class _Moment:
    """A point in time over all events. When it is gone with its node, or too old, a new one is taken: pages are in order of keys."""

    def __init__(self, events: ClusterEvents) -> None:
        self._events = events
        self.pit = ""
        """Empty when there is no index."""

    def __enter__(self) -> Self:
        self._open()
        return self

    def __exit__(self, *_: object) -> None:
        if self.pit:
            with suppress(StoreError):  # it ends by itself
                self._events.cluster.call("DELETE", "/_search/point_in_time", {"pit_id": [self.pit]}, missing=True, patience=1)

    def search(self, body: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Hits of the moment."""
        try:
            return self._asked(body, _PATIENCE)
        except StoreError as error:
            if isinstance(error, Refused) and error.status != 404:
                raise
        self._open()
        return self._asked(body, PATIENCE)

    def _asked(self, body: Mapping[str, Any], patience: float) -> list[dict[str, Any]]:
        return self._events.cluster.search("", {**body, "pit": {"id": self.pit, "keep_alive": _ALIVE}}, patience)

    def _open(self) -> None:
        params = {"keep_alive": _ALIVE, **GONE}
        try:
            made = self._events.cluster.call("POST", f"/{indices(self._events)}/_search/point_in_time", params=params)
        except Refused as error:
            if error.status != 400 or "invalid id: [null]" not in error.reason:  # what OpenSearch says when the pattern matches nothing
                raise
            made = {"pit_id": ""}
        self.pit = str(made["pit_id"])


def refresh(events: ClusterEvents) -> None:
    """What was acknowledged is found."""
    events.cluster.refresh(indices(events))


def indices(events: ClusterEvents) -> str:
    """All events."""
    return f"{events.prefix}-events-*"


def filtered(query: Query, body: Dsl) -> Dsl:
    """A query body within the window and ids of a Query."""
    parts: list[Dsl] = [body]
    if query.window is not None:
        start, end = query.window.micros
        parts.append({"range": {AT: {"gte": start, "lt": end}}})
    if query.ids:
        parts.append({"ids": {"values": [i.lower() for i in query.ids if _ID.fullmatch(i)]}})
    return every(parts)


def _includes(query: Query, names: Sequence[str]) -> list[str]:
    """Fields to bring; empty = all."""
    read = fields_of(query.where)
    if not names or "*" in read:
        return []
    wanted = {*names, *read} - {"event.id"}
    more = {MORE} if any(not indexed(n) for n in wanted) else set()
    raw = {RAW} if "event.original" in wanted else set()
    return sorted({*wanted, *more, *raw, AT, DELIVERY, ORDINAL})


def _shaped(table: pa.Table, names: Sequence[str]) -> pa.Table:
    """Exactly the columns asked for, in that order."""
    if not names:
        return table
    return pa.table({n: table[n] if n in table.column_names else pa.nulls(table.num_rows, fields.arrow_type(n)) for n in names})
