"""Chunks in memory: what a scan would be handed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import pyarrow as pa

from domain.event import TableBatch, table_of

T0 = datetime(2026, 11, 2, 1, 0, tzinfo=UTC)
"""Monday 08:00 in Ho Chi Minh City."""


class MemoryChunk:
    """A Chunk over a table in memory."""

    partition = "test"

    def __init__(self, table: pa.Table, first_seq: int = 1) -> None:
        self._batch = TableBatch(table)
        self.rows, self.nbytes = table.num_rows, table.nbytes
        self.first_seq, self.last_seq = first_seq, first_seq + table.num_rows - 1
        self.fields, self.column, self.ids = self._batch.fields, self._batch.column, self._batch.ids

    def table(self, rows: Sequence[int] | None = None, names: Sequence[str] | None = None) -> pa.Table:
        """Rows and columns as asked."""
        full = self._batch.table
        table = full if rows is None else full.take(list(rows))
        return table if names is None else table.select([n for n in names if n in table.column_names])


def at(seconds: float) -> datetime:
    """T0 plus so many seconds."""
    return T0 + timedelta(seconds=seconds)


def chunk(events: Sequence[Mapping[str, object]]) -> MemoryChunk:
    """Events as one chunk; each gets an id made of its content unless it has one."""
    full = []
    for event in events:
        digest = hashlib.blake2b(repr(sorted(event.items())).encode(), digest_size=16).digest()
        full.append({"event.id": digest, "event.ingested": event["@timestamp"] + timedelta(seconds=2), **event})
    return MemoryChunk(table_of(full))


def login(seconds: float, source: str, user: str, ok: bool = False, **more: object) -> dict[str, object]:
    """One login attempt."""
    outcome = "success" if ok else "failure"
    return {
        "@timestamp": at(seconds), "event.category": ["authentication"], "event.outcome": outcome, "source.ip": source,
        "user.name": user, "host.name": "vpn01", "thapcanh.source": "vpn", **more,
    }  # fmt: skip
