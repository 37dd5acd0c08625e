"""Counting selected rows of segments by fields and time buckets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pyarrow as pa

from domain.query import Query
from store.grouping import Groups
from store.local.search import Picker, visits

if TYPE_CHECKING:
    from store.local.events import LocalEvents


def aggregate(events: LocalEvents, query: Query, by: Sequence[str], every: str) -> pa.Table:
    """See EventStore.aggregate."""
    groups, picker = Groups(by, every), Picker(query)
    for chunk in visits(events.snapshot(query.window), query):
        rows = picker.rows(chunk)
        if len(rows):
            groups.add(chunk, rows, chunk.times()[rows])
        chunk.forget()
    return groups.table()
