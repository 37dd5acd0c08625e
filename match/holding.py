"""Where words stand in columns of text: asked of the distinct values, all at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
import pyarrow as pa

from domain.event import Column, Rows
from match.folded import Spans, Words
from match.literals import contents

Bounds: TypeAlias = np.ndarray[tuple[int], np.dtype[np.int64]]


class Held:
    """Columns that are at hand (domain.batch.Columns)."""

    def __init__(self, columns: Mapping[str, Column], size: int) -> None:
        self._columns, self._size = columns, size

    @property
    def rows(self) -> int:
        """Number of events."""
        return self._size

    def fields(self) -> Sequence[str]:
        """Names of the columns."""
        return list(self._columns)

    def column(self, name: str, rows: Rows | None = None) -> Column | None:
        """The column, for all rows or only `rows`."""
        full = self._columns.get(name)
        return full if full is None or rows is None else Column(full.codes[rows], full.values, full.multi, full.null)


def held(columns: Mapping[str, Column], size: int) -> tuple[Rows, Held]:
    """Of columns with `size` rows the rows that hold a value, and their columns."""
    some = np.zeros(size, np.bool_)
    for column in columns.values():
        some |= column.codes >= 0
    rows = np.flatnonzero(some).astype(np.int32)
    return rows, Held({name: Column(c.codes[rows], c.values, c.multi) for name, c in columns.items()}, len(rows))


def narrowed(column: Column, words: Words) -> Column | None:
    """The column with only those values that may hold a word; None when there is none."""
    values = column.values if pa.types.is_string(column.values.type) else column.values.cast(pa.string())
    bounds, text = contents(values)
    found = words.find(text)
    if not len(found):
        return None
    return restricted(column, touched(bounds, found))


def restricted(column: Column, kept: Bounds) -> Column:
    """The column with some of its values (numbers, ascending); rows that hold another one hold none."""
    place = np.full(len(column.values) + 1, -1, np.int32)
    place[kept] = np.arange(len(kept), dtype=np.int32)
    null = int(place[column.null]) if column.null >= 0 else -1
    return Column(place[column.codes], column.values.take(pa.array(kept)), column.multi, null)


def touched(bounds: Bounds, found: Spans) -> Bounds:
    """The values (from `bounds[n]` to `bounds[n + 1]`) that spans of bytes touch: one across several may hide a match in each."""
    first = np.searchsorted(bounds, found[:, 0], side="right") - 1
    last = np.searchsorted(bounds, found[:, 1] - 1, side="right") - 1
    across = [np.arange(first[n] + 1, last[n]) for n in np.flatnonzero(last > first + 1)]
    return np.unique(np.concatenate([first, last, *across]))
