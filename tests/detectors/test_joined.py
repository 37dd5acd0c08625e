"""Joined chunks answer as the chunks do."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

import detectors.joined
from detectors.joined import Joined, joined
from domain.event import row
from tests.detectors.chunks import MemoryChunk, at, chunk

PARTS = [
    chunk([{"@timestamp": at(0), "user.name": "an", "source.port": 1}, {"@timestamp": at(1), "user.name": "bình"}]),
    chunk([{"@timestamp": at(2), "host.name": "may01"}]),
    chunk([{"@timestamp": at(3), "user.name": "an", "host.name": "may02"}, {"@timestamp": at(4)}]),
]


def texts(batch: Joined, name: str, rows: list[int] | None = None) -> list[object]:
    column = batch.column(name, None if rows is None else np.array(rows, np.int32))
    assert column is not None
    values = column.values.to_pylist()
    return [values[c] if c >= 0 else None for c in column.codes.tolist()]


def test_columns_have_one_set_of_values() -> None:
    batch = Joined(PARTS)
    assert batch.rows == 5
    assert texts(batch, "user.name") == ["an", "bình", None, "an", None]
    assert texts(batch, "host.name", [2, 3, 4]) == ["may01", "may02", None]
    assert texts(batch, "source.port") == [1, None, None, None, None]
    assert batch.column("nowhere") is None


def test_rows_come_in_the_order_asked_for() -> None:
    table = Joined(PARTS).table([4, 0, 3], ["@timestamp", "user.name"])
    assert [row(table, n)["@timestamp"] for n in range(3)] == [f"2026-11-02T01:00:0{s}.000Z" for s in (4, 0, 3)]
    assert Joined(PARTS).ids().equals(pa.concat_arrays([p.ids() for p in PARTS]))


def test_partitions_stay_apart_and_everything_is_handed_on_once() -> None:
    other = MemoryChunk(PARTS[1].table(), first_seq=50)
    other.partition = "other"
    found = list(joined([PARTS[0], other, PARTS[2]]))
    assert sorted((c.partition, c.rows) for c in found) == [("other", 1), ("test", 4)]


def sizes(parts: list[MemoryChunk]) -> list[int]:
    return [batch.rows for batch in joined(parts)]


def test_long_texts_make_small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """A column of text ends at 2 GiB: so much must never come together."""
    parts = [chunk([{"@timestamp": at(n), "message": str(n) * 1000}] * 3) for n in range(7)]
    monkeypatch.setattr(detectors.joined, "FULL", 2 * parts[0].nbytes + 10)
    assert sizes(parts) == [6, 6, 6, 3]
    monkeypatch.setattr(detectors.joined, "FULL", 1)
    assert sizes(parts) == [3] * 7


def test_no_batch_is_of_more_chunks_than_files_may_be_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detectors.joined, "MANY", 3)
    assert sizes([chunk([{"@timestamp": at(n)}]) for n in range(7)]) == [3, 3, 1]
