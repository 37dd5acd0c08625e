"""Which rows hold one of some words in any text column: asked of the distinct values."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from match.folded import ODD as ODD  # noqa: PLC0414
from match.folded import Spans, Words
from match.values import Mask


class Texts:
    """Text columns, plain or dictionary-encoded (others are taken as text)."""

    def __init__(self, columns: Sequence[pa.Array], size: int) -> None:
        self._size = size
        self._columns = [_text(column) for column in columns]

    def holding(self, words: Sequence[str]) -> Mask:
        """One bool per row: some value may hold a word (lower-case ASCII with a letter). Never false for a row that does."""
        search = Words(words)
        out = np.zeros(self._size, np.bool_)
        for column in self._columns:
            bounds, text = _bytes(column.dictionary if pa.types.is_dictionary(column.type) else column)
            found = search.find(text)
            if len(found):
                out |= _rows_of(column, touched(bounds, found))
        return out


def touched(bounds: np.ndarray[tuple[int], np.dtype[np.int64]], found: Spans) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """The values (from `bounds[n]` to `bounds[n + 1]`) that spans of bytes touch: one across several may hide a match in each."""
    first = np.searchsorted(bounds, found[:, 0], side="right") - 1
    last = np.searchsorted(bounds, found[:, 1] - 1, side="right") - 1
    across = [np.arange(first[n] + 1, last[n]) for n in np.flatnonzero(last > first + 1)]
    return np.unique(np.concatenate([first, last, *across]))


def _rows_of(column: pa.Array, values: np.ndarray) -> Mask:
    if not pa.types.is_dictionary(column.type):
        out = np.zeros(len(column), np.bool_)
        out[values] = True
        return out
    hit = np.zeros(len(column.dictionary) + 1, np.bool_)
    hit[values] = True
    hit[-1] = False
    codes = pc.fill_null(column.indices, len(column.dictionary)).to_numpy(zero_copy_only=False)
    rows: Mask = hit[codes]
    return rows


def _text(column: pa.Array) -> pa.Array:
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    return column if pa.types.is_string(kind) else column.cast(pa.string())


def _bytes(array: pa.Array) -> tuple[np.ndarray, memoryview]:
    """Where each text begins, and the end; their bytes. A null is empty."""
    _, offsets, data = array.buffers()
    if offsets is None or not len(array):
        return np.zeros(len(array) + 1, np.int64), memoryview(b"")
    bounds = np.frombuffer(offsets, np.int32)[array.offset : array.offset + len(array) + 1].astype(np.int64)
    view = memoryview(data).cast("B") if data is not None else memoryview(b"")
    return bounds - bounds[0], view[int(bounds[0]) : int(bounds[-1])]
