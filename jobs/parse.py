"""Parsing without a store: what `soc parse` and `soc parsers --detect` show."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from collectors import PARSERS, detect, whole
from collectors.whole import Problem
from domain.clock import Clock
from domain.errors import UsageError
from domain.event import plain_value
from domain.raw import RawBatch

__all__ = ["PARSERS", "Asked", "Problem", "Record", "owners", "records"]


@dataclass(frozen=True)
class Record:
    """One record of a file as its parser reads it."""

    source: str
    """Label of the file; `archive!member` inside archives."""
    record: int
    """0-based line number; EventRecordID of an EVTX file."""
    parser: str
    event: dict[str, object]
    """Flat ECS names and values; several values are a list, times ISO 8601 in UTC."""


@dataclass(frozen=True)
class Asked:
    """How to read a file."""

    parser: str = "auto"
    tz: str = "+07:00"
    """Zone of stamps that carry none."""


def records(path: Path, asked: Asked, clock: Clock, tell: Callable[[Problem], None]) -> Iterator[Record]:
    """Every record of a file or folder, in order. UsageError when there is no such file."""
    for batch in _batches(path, asked, clock, tell):
        yield from _in_order(batch)


def owners(path: Path, asked: Asked, clock: Clock, tell: Callable[[Problem], None]) -> Iterator[tuple[str, int, str]]:
    """(source, record, parser) of every record of a file or folder, in order."""
    for batch in _batches(path, asked, clock, tell):
        names = [""] * len(batch.records)
        for parsed in detect.parse(batch, frozenset(("@timestamp",))):
            for row in parsed.rows.tolist():
                names[row] = parsed.parser
        yield from zip([batch.source] * len(names), batch.positions.tolist(), names, strict=True)


def _batches(path: Path, asked: Asked, clock: Clock, tell: Callable[[Problem], None]) -> Iterator[RawBatch]:
    if not path.exists():
        raise UsageError(f"no such file or folder: {path}")
    arrival = int(clock.now().timestamp() * 1_000_000)
    for file, label in whole.files(path, tell):
        for batch in whole.batches(file, label, arrival, tell, asked.parser):
            yield replace(batch, tz=asked.tz)


def _in_order(batch: RawBatch) -> Iterator[Record]:
    events: list[tuple[str, dict[str, object]]] = [("", {})] * len(batch.records)
    for parsed in detect.parse(batch):
        columns = {name: parsed.table[name].to_pylist() for name in parsed.table.column_names}
        for number, row in enumerate(parsed.rows.tolist()):
            event = {name: plain_value(name, values[number]) for name, values in columns.items() if values[number] is not None}
            events[row] = (parsed.parser, event)
    for position, raw, (parser, event) in zip(batch.positions.tolist(), batch.records.to_pylist(), events, strict=True):
        yield Record(batch.source, position, parser, event | {"event.original": plain_value("event.original", raw)})
