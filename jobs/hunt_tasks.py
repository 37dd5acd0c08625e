"""What a hunt works through: lots of records, read where they are matched. Large files are cut, small ones are read together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa

from collectors import whole
from domain.event import Rows
from domain.raw import RawBatch

Tell = Callable[[whole.Problem], None]
_LITTLE: Final = 4 << 20
"""Bytes of a file that is read together with others."""
TOGETHER: Final = 32 << 20
"""Bytes of files that make one task."""
_FULL: Final = 32 << 20
"""Bytes of records in a lot."""


@dataclass(frozen=True)
class Input:
    """One file."""

    path: Path
    label: str
    size: int
    """Bytes on disk."""
    arrival: int = 0
    """Last change, microseconds since the epoch."""


@dataclass(frozen=True)
class Lot:
    """Records that are matched at once; they may come from several files."""

    batch: RawBatch
    labels: tuple[str, ...]
    owners: Rows
    """For each record its place in `labels`."""
    disk: int = 0
    """Bytes on disk that it stands for, 0 when a task knows better."""


@dataclass(frozen=True)
class Task:
    """Files, or a part of one, that one worker reads and matches."""

    files: tuple[Input, ...]
    span: whole.Span | None
    parser: str

    @property
    def disk(self) -> int:
        """Bytes on disk."""
        return sum(file.size for file in self.files) if self.span is None else self.span.end - self.span.start

    def lots(self, tell: Tell) -> Iterator[Lot]:
        """All records, those of small files together."""
        waiting: list[RawBatch] = []
        size = 0
        for file in self.files:
            for batch in self._batches(file, tell):
                waiting.append(batch)
                size += batch.records.nbytes
                if size >= _FULL:
                    yield lot(waiting)
                    waiting, size = [], 0
        if waiting:
            yield lot(waiting)

    def _batches(self, file: Input, tell: Tell) -> Iterator[RawBatch]:
        if self.span is None:
            return whole.batches(file.path, file.label, file.arrival, tell, self.parser)
        return whole.part(file.path, self.span, file.label, file.arrival, tell, self.parser)


def lot(batches: Sequence[RawBatch]) -> Lot:
    """Batches as one; they were read in the same way."""
    labels = tuple(dict.fromkeys(batch.source for batch in batches))
    place = {label: number for number, label in enumerate(labels)}
    owners = np.repeat(np.array([place[b.source] for b in batches], np.int32), [len(b.records) for b in batches])
    if len(batches) == 1:
        return Lot(batches[0], labels, owners)
    together = replace(
        batches[0], records=pa.concat_arrays([b.records for b in batches]), positions=np.concatenate([b.positions for b in batches]),
        arrivals=np.concatenate([b.arrivals for b in batches]), received=sum(b.received for b in batches),
    )  # fmt: skip
    return Lot(together, labels, owners)


def tasks(files: Iterator[Input], parser: str, tell: Tell, *, shared: bool) -> Iterator[Task | Lot]:
    """Everything to do, in order. What is packed and large is read here: only its matching can be `shared` out."""
    little: list[Input] = []
    size = 0
    for file in files:
        if file.size < _LITTLE:
            little.append(file)
            size += file.size
            if size < TOGETHER:
                continue
        if little:
            yield Task(tuple(little), None, parser)
            little, size = [], 0
        if file.size >= _LITTLE:
            yield from _large(file, parser, tell) if shared else (Task((file,), None, parser),)
    if little:
        yield Task(tuple(little), None, parser)


def _large(file: Input, parser: str, tell: Tell) -> Iterator[Task | Lot]:
    kind = whole.kind(file.path)
    if kind in (whole.LINES, whole.EVTX):
        for span in whole.spans(file.path, kind):
            yield Task((file,), span, parser)
        return
    read = 0
    for batch in whole.batches(file.path, file.label, file.arrival, tell, parser):
        known = min(file.size - read, batch.records.nbytes // _PACKED)
        read += known
        yield replace(lot([batch]), disk=known)


_PACKED: Final = 12
"""Records take about so many times the bytes of their compressed file: for progress only."""
