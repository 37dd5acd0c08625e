"""Small chunks of one partition as one batch: matching costs per batch, and many small deliveries make many small chunks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property

import numpy as np
import pyarrow as pa

from domain.event import Column, Rows, TableBatch
from match.keywords import searchable
from store.base import Chunk

ENOUGH = 50_000
"""Rows from which a batch is handed on."""


class Joined:
    """Chunks side by side, behaving as one (store.base.Chunk)."""

    def __init__(self, parts: Sequence[Chunk]) -> None:
        self._parts = parts
        self._starts = np.cumsum([0, *(part.rows for part in parts)])
        self._cache: dict[str, Column | None] = {}
        self.partition = parts[0].partition
        self.first_seq = min(part.first_seq for part in parts)
        self.last_seq = max(part.last_seq for part in parts)

    @property
    def rows(self) -> int:
        """Number of events."""
        return int(self._starts[-1])

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
        columns = [part.column(name) for part in self._parts]
        held = [c for c in columns if c is not None]
        if not held:
            return None
        merged = pa.concat_arrays([c.values for c in held]).dictionary_encode()
        places = merged.indices.to_numpy()
        codes = np.full(self.rows, -1, np.int32)
        at = 0
        for start, column in zip(self._starts.tolist(), columns, strict=False):
            if column is not None:
                known = np.append(places[at : at + len(column.values)], -1)
                codes[start : start + len(column.codes)] = known[column.codes]
                at += len(column.values)
        return Column(codes, merged.dictionary, held[0].multi)

    def ids(self) -> pa.Array:
        """`event.id` of each row."""
        return self._ids

    @cached_property
    def _ids(self) -> pa.Array:
        return pa.concat_arrays([part.ids() for part in self._parts])

    def candidates(self, words: Sequence[str]) -> Rows:
        """Rows that may hold one of the words: part by part, without joining columns; all rows of a part that cannot tell."""
        found = []
        for start, part in zip(self._starts.tolist(), self._parts, strict=False):
            look = getattr(part, "candidates", None)
            found.append((np.arange(part.rows, dtype=np.int32) if look is None else look(words)) + start)
        return np.concatenate(found).astype(np.int32)

    def texts(self, rows: Rows) -> TableBatch:
        """All text of these rows."""
        tables = []
        for start, end, part in zip(self._starts, self._starts[1:], self._parts, strict=False):
            mine = (rows[(rows >= start) & (rows < end)] - start).astype(np.int32)
            look = getattr(part, "texts", None)
            if len(mine):
                tables.append(part.table(mine, [n for n in part.fields() if searchable(n)]) if look is None else look(mine).table)
        return TableBatch(pa.concat_tables(tables, promote_options="default") if tables else self._parts[0].table([], []))

    def table(self, rows: Sequence[int] | Rows | None = None, names: Sequence[str] | None = None) -> pa.Table:
        """These rows, in this order, and columns."""
        wanted = np.arange(self.rows) if rows is None else np.asarray(rows)
        owner = np.searchsorted(self._starts, wanted, side="right") - 1
        tables = []
        for number in np.unique(owner).tolist():
            mine = (wanted[owner == number] - self._starts[number]).astype(np.int32)
            tables.append(self._parts[number].table(mine.tolist(), names))
        if not tables:
            return self._parts[0].table([], names)
        back = np.argsort(np.argsort(owner, kind="stable"), kind="stable")
        return pa.concat_tables(tables, promote_options="default").take(pa.array(back))


def joined(chunks: Iterable[Chunk]) -> Iterator[Chunk]:
    """Batches of about ENOUGH rows, each of one partition; large chunks pass as they are."""
    waiting: dict[str, list[Chunk]] = {}
    sizes: dict[str, int] = {}
    for chunk in chunks:
        name = chunk.partition
        waiting.setdefault(name, []).append(chunk)
        sizes[name] = sizes.get(name, 0) + chunk.rows
        if sizes[name] >= ENOUGH:
            yield _one(waiting.pop(name))
            sizes[name] = 0
    for parts in waiting.values():
        yield _one(parts)


def _one(parts: list[Chunk]) -> Chunk:
    return parts[0] if len(parts) == 1 else Joined(parts)
