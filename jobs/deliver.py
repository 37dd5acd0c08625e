"""Raw batches -> one delivery: parsed, completed, counted. What every way of collecting ends with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from collectors import detect
from domain.raw import Checkpoint, RawBatch
from store.base import Counts, DeadLetter, Delivery


@dataclass(frozen=True)
class Made:
    """The events of a batch, by parser, and what there is to say about them."""

    tables: Mapping[str, pa.Table]
    stored: int
    unparsed: int
    last_event: datetime | None


def events(batch: RawBatch, now: datetime, extra: Mapping[str, object]) -> Made:
    """Every record of the batch as an event; `extra`: constant columns."""
    tables: dict[str, pa.Table] = {}
    unparsed, last = 0, None
    for parsed in detect.parse(batch) if len(batch.records) else ():
        table = detect.complete(batch, parsed, now, extra)
        tables[parsed.parser] = table
        if "event.kind" in table.column_names:
            unparsed += pc.sum(pc.equal(table["event.kind"].cast(pa.string()), "pipeline_error")).as_py() or 0
        newest = pc.max(table["@timestamp"]).as_py()
        last = newest if last is None or (newest is not None and newest > last) else last
    return Made(tables, sum(t.num_rows for t in tables.values()), unparsed, last)


@dataclass
class Pending:
    """What goes into the next delivery of one source."""

    source: str
    extra: Mapping[str, object]
    tables: dict[str, list[pa.Table]] = field(default_factory=dict)
    checkpoints: dict[str, Checkpoint] = field(default_factory=dict)
    began: dict[str, Checkpoint] = field(default_factory=dict)
    dead: list[DeadLetter] = field(default_factory=list)
    rejected: Counter[str] = field(default_factory=Counter)
    received: int = 0
    stored: int = 0
    unparsed: int = 0
    duplicates: int = 0
    last_event: datetime | None = None

    def add(self, batch: RawBatch, began: Checkpoint, now: datetime) -> None:
        """Parse a batch; `began` is the checkpoint it was read from."""
        made = events(batch, now, self.extra)
        for parser, table in made.tables.items():
            self.tables.setdefault(parser, []).append(table)
        self.began.setdefault(batch.checkpoint.stream, began)
        self.checkpoints[batch.checkpoint.stream] = batch.checkpoint
        self.dead += [DeadLetter(batch.source, batch.stream, p, reason, raw, batch.parser, now) for p, reason, raw in batch.dead]
        self.rejected.update(batch.rejected)
        self.received += batch.received
        self.stored += made.stored
        self.unparsed += made.unparsed
        self.duplicates += batch.duplicates
        self.last_event = max((at for at in (self.last_event, made.last_event) if at is not None), default=None)

    def delivery(self, now: datetime) -> Delivery:
        """All of it, for one transaction."""
        counts = Counts(
            self.source, self.received, self.stored, self.unparsed, dict(self.rejected), self.duplicates, self.last_event,
            now if self.received else None,
        )  # fmt: skip
        return Delivery(self.tables, tuple(self.checkpoints.values()), tuple(self.began.values()), (counts,), self.dead)


def replay(letters: Sequence[tuple[int, DeadLetter]], now: datetime, settings: Mapping[str, tuple[str, str, str]]) -> Delivery:
    """Dead letters as events. `settings`: source -> (parser, encoding, tz) of its configuration, for those that have one."""
    tables: dict[str, list[pa.Table]] = {}
    counts = []
    for _, letter in letters:
        made = events(_again(letter, settings), now, {})
        for parser, table in made.tables.items():
            tables.setdefault(parser, []).append(table)
        counts.append(Counts(letter.source, 0, made.stored, made.unparsed, last_event=made.last_event))
    return Delivery(tables, counts=tuple(counts), replayed=tuple(number for number, _ in letters))


def _again(letter: DeadLetter, settings: Mapping[str, tuple[str, str, str]]) -> RawBatch:
    parser, encoding, tz = settings.get(letter.source, (letter.parser, "utf-8", "+07:00"))
    arrival = int(letter.at.timestamp() * 1_000_000)
    return RawBatch(
        letter.source, letter.stream, pa.array([letter.raw], pa.large_binary()), np.array([letter.position], np.int64),
        np.array([arrival], np.int64), Checkpoint(letter.source, letter.stream, letter.position), parser=parser, encoding=encoding, tz=tz,
    )  # fmt: skip
