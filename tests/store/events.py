"""Events for store tests: small tables as a collector delivers them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pyarrow as pa

from domain.event import table_of
from domain.raw import Checkpoint
from store.base import Counts, Delivery

T0 = datetime(2026, 11, 24, 1, 0, tzinfo=UTC)


def identity(number: int) -> bytes:
    return number.to_bytes(16, "big")


def events(first: int, count: int, *, at: datetime = T0, step: float = 1.0, source: str = "web1", **more) -> pa.Table:
    """Events number `first`, `first + 1`, ...: one every `step` seconds from `at`. `more`: field (dots as `__`) -> value or list of values."""
    rows = []
    for i in range(count):
        row = {
            "event.id": identity(first + i), "@timestamp": at + timedelta(seconds=step * i), "event.ingested": at + timedelta(seconds=step * count),
            "event.original": f"record {first + i}".encode(), "event.dataset": "test.log", "event.kind": "event", "thapcanh.source": source,
            "user.name": ("root", "Nguyễn Văn Ánh", "www-data")[i % 3], "source.ip": ("10.0.0.1", "2001:db8::1")[i % 2],
            "http.response.status_code": 200 + i % 5,
        }  # fmt: skip
        for name, value in more.items():
            row[name.replace("__", ".")] = value[i % len(value)] if isinstance(value, list) else value
        rows.append(row)
    return table_of(rows)


def delivery(table: pa.Table, *, parser: str = "nginx", position: int = 0, source: str = "web1", **more) -> Delivery:
    """With its counts, and a checkpoint when a position is given."""
    failed = table["event.kind"].to_pylist().count("pipeline_error")
    counts = Counts(source, table.num_rows, table.num_rows, failed, last_event=T0, at=T0)
    checkpoints = [Checkpoint(source, "s1", position, {"line": position})] if position else []
    return Delivery({parser: [table]}, checkpoints=checkpoints, counts=[counts], **more)


def numbers(table: pa.Table) -> list[int]:
    """Which events these are."""
    return [int.from_bytes(i, "big") for i in table["event.id"].to_pylist()]


def ids(chunk) -> list[int]:
    return [int.from_bytes(i, "big") for i in chunk.ids().to_pylist()]
