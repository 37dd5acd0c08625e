"""Small chunks of one partition as one batch: matching costs per batch, and many small deliveries make many small chunks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Final

import numpy as np
import pyarrow as pa

from domain.batch import Columns, Searchable, Sought, Stored
from domain.event import Column, Rows
from store.base import Chunk

ENOUGH = 200_000
"""Rows from which a batch is handed on: what is distinct is looked at once for all of them, and columns of so many rows fit in memory."""
FULL: Final = 192 << 20
"""Bytes that a batch of several chunks holds at most, however long its texts are: matching takes four to five times as much."""
MANY: Final = 256
"""Chunks from which a batch is handed on: each may hold a file open."""


class _Side:
    """Columns of several batches, one below the other."""

    def __init__(self, parts: Sequence[Columns]) -> None:
        self._parts = parts
        self._read = [part.read if isinstance(part, Stored) else part.column for part in parts]
        self.starts = np.cumsum([0, *(part.rows for part in parts)])
        self._cache: dict[str, Column | None] = {}

    @property
    def rows(self) -> int:
        """Number of events."""
        return int(self.starts[-1])

    def fields(self) -> Sequence[str]:
        """Columns of any part."""
        return list(dict.fromkeys(name for part in self._parts for name in part.fields()))

    def column(self, name: str, rows: Rows | None = None) -> Column | None:
        """The parts' columns with one common set of values."""
        if name not in self._cache:
            self._cache[name] = self._join(name)
        full = self._cache[name]
        return full if full is None or rows is None else Column(full.codes[rows], full.values, full.multi)

    def _join(self, name: str) -> Column | None:
        columns = [read(name) for read in self._read]
        held = [c for c in columns if c is not None]
        if not held:
            return None
        merged = pa.concat_arrays([c.values for c in held]).dictionary_encode()
        places = merged.indices.to_numpy()
        codes = np.full(self.rows, -1, np.int32)
        at = 0
        for start, column in zip(self.starts.tolist(), columns, strict=False):
            if column is not None:
                known = np.append(places[at : at + len(column.values)], -1)
                codes[start : start + len(column.codes)] = known[column.codes]
                at += len(column.values)
        return Column(codes, merged.dictionary, held[0].multi)


class Joined(_Side):
    """Chunks side by side, behaving as one (store.base.Chunk)."""

    def __init__(self, parts: Sequence[Chunk]) -> None:
        super().__init__(parts)
        self._chunks = parts
        self.partition = parts[0].partition
        self.first_seq = min(part.first_seq for part in parts)
        self.last_seq = max(part.last_seq for part in parts)

    @property
    def nbytes(self) -> int:
        """Of the chunks."""
        return sum(part.nbytes for part in self._chunks)

    def ids(self) -> pa.Array:
        """`event.id` of each row."""
        return self._ids

    @cached_property
    def _ids(self) -> pa.Array:
        return pa.concat_arrays([part.ids() for part in self._chunks])

    def search(self, words: Sequence[str], rows: Rows) -> Sought:
        """What the parts of these rows have to search."""
        found = list(self._search(words, rows))
        batch = _Side([part.batch for part in found])
        every = [np.arange(part.batch.rows) if part.rows is None else part.rows for part in found]
        inside = [part + start for part, start in zip(every, batch.starts.tolist(), strict=False)]
        return Sought(batch, _together(inside), _together([part.at for part in found]))

    def _search(self, words: Sequence[str], rows: Rows) -> Iterator[Sought]:
        edges = np.searchsorted(rows, self.starts)
        for part, start, first, last in zip(self._chunks, self.starts, edges, edges[1:], strict=False):
            if first < last:
                mine = rows[first:last] - np.int32(start)
                every = np.arange(len(mine), dtype=np.int32)
                found = part.search(words, mine) if isinstance(part, Searchable) else Sought(part, mine, every)
                yield found._replace(at=found.at + np.int32(first))

    def table(self, rows: Sequence[int] | Rows | None = None, names: Sequence[str] | None = None) -> pa.Table:
        """These rows, in this order, and columns."""
        wanted = np.arange(self.rows) if rows is None else np.asarray(rows)
        owner = np.searchsorted(self.starts, wanted, side="right") - 1
        tables = []
        for number in np.unique(owner).tolist():
            mine = (wanted[owner == number] - self.starts[number]).astype(np.int32)
            tables.append(self._chunks[number].table(mine.tolist(), names))
        if not tables:
            return self._chunks[0].table([], names)
        back = np.argsort(np.argsort(owner, kind="stable"), kind="stable")
        return pa.concat_tables(tables, promote_options="default").take(pa.array(back))


def _together(rows: Sequence[Rows]) -> Rows:
    return np.concatenate([np.zeros(0, np.int32), *rows]).astype(np.int32)


def joined(chunks: Iterable[Chunk]) -> Iterator[Chunk]:
    """Batches of about ENOUGH rows, each of one partition; large chunks pass as they are."""
    waiting: dict[str, list[Chunk]] = {}
    for chunk in chunks:
        parts = waiting.setdefault(chunk.partition, [])
        if parts and sum(part.nbytes for part in parts) + chunk.nbytes > FULL:
            yield _one(waiting.pop(chunk.partition))
            parts = waiting.setdefault(chunk.partition, [])
        parts.append(chunk)
        if len(parts) >= MANY or sum(part.rows for part in parts) >= ENOUGH:
            yield _one(waiting.pop(chunk.partition))
    for parts in waiting.values():
        yield _one(parts)


def _one(parts: list[Chunk]) -> Chunk:
    return parts[0] if len(parts) == 1 else Joined(parts)
