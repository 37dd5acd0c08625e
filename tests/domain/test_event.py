"""Tables of events as plain mappings."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa

from domain.event import row, rows_of


def test_all_rows_at_once_are_the_rows_one_by_one() -> None:
    table = pa.table({
        "event.id": pa.array([b"0" * 16, b"1" * 16], pa.binary(16)),
        "@timestamp": pa.array([datetime(2026, 11, 24, 1, 2, 3, 456789, UTC), None], pa.timestamp("us", "UTC")),
        "tags": ["a\x1eb", None], "source.port": pa.array([None, 7], pa.int64()), "user.name": pa.array([None, None], pa.string()),
        "event.original": pa.array([b"\xffx", b"y"], pa.large_binary()), "thapcanh.exercise": [True, False],
    })  # fmt: skip
    both = pa.concat_tables([table, table])
    assert rows_of(both) == [row(both, n) for n in range(4)]
    assert rows_of(table)[0] == {
        "event.id": (b"0" * 16).hex(), "@timestamp": "2026-11-24T01:02:03.456Z", "tags": ["a", "b"], "event.original": "\ufffdx",
        "thapcanh.exercise": True,
    }  # fmt: skip
    assert rows_of(table.slice(0, 0)) == []
