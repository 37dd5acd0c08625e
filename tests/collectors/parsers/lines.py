"""Batches from lines, and events from batches, for the tests of parsers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa

from collectors import detect
from domain.event import row
from domain.raw import Checkpoint, RawBatch

ARRIVAL = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
"""When all test records arrived."""


def batch(
    lines: Sequence[str | bytes], parser: str = "auto", *, tz: str = "+07:00", at: datetime = ARRIVAL, encoding: str = "utf-8"
) -> RawBatch:
    """The lines as one batch of source `test`."""
    raw = [line.encode() if isinstance(line, str) else line for line in lines]
    size = len(raw)
    arrivals = np.full(size, int(at.timestamp() * 1_000_000), np.int64)
    checkpoint = Checkpoint("test", "g1", size)
    records = pa.array(raw, pa.large_binary())
    return RawBatch("test", "g1", records, np.arange(size, dtype=np.int64), arrivals, checkpoint, parser=parser, tz=tz, encoding=encoding)


def events(
    lines: Sequence[str | bytes], parser: str = "auto", *, tz: str = "+07:00", at: datetime = ARRIVAL
) -> list[tuple[str, dict[str, object]]]:
    """(parser, event) of every line, in order; fails when a line has no event or two."""
    out: list[tuple[str, dict[str, object]]] = [("", {})] * len(lines)
    for parsed in detect.parse(batch(lines, parser, tz=tz, at=at)):
        assert len(parsed.rows) == parsed.table.num_rows
        for number, line in enumerate(parsed.rows.tolist()):
            assert out[line] == ("", {}), f"line {line} has two events"
            out[line] = (parsed.parser, row(parsed.table, number))
    assert all(name for name, _ in out), "a line has no event"
    return out


def event(line: str | bytes, parser: str = "auto", *, tz: str = "+07:00", at: datetime = ARRIVAL) -> dict[str, object]:
    """The event of one line."""
    return events([line], parser, tz=tz, at=at)[0][1]
