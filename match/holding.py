"""Which rows hold one of some words in any text column: one pass over all distinct values together."""

from __future__ import annotations

from collections.abc import Sequence

import ahocorasick_rs
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from match.literals import automaton
from match.values import Mask

ODD = ("\u212a", "\u0130")
"""The letters outside ASCII that lower-case to an ASCII letter: Kelvin sign, I with a dot."""


class Texts:
    """Text columns, plain or dictionary-encoded (others are taken as text), ready to be searched."""

    def __init__(self, columns: Sequence[pa.Array], size: int) -> None:
        self._size = size
        self._columns = [_text(column) for column in columns]
        self._bounds, pieces, start = [], [], 0
        for column in self._columns:
            offsets, piece = _bytes(column.dictionary if pa.types.is_dictionary(column.type) else column)
            self._bounds.append(offsets - offsets[0] + start)
            pieces.append(piece)
            start += len(piece)
        self._data = b"".join(pieces).lower()

    def holding(self, words: Sequence[str]) -> Mask:
        """One bool per row: some value may hold a word (lower-case ASCII with a letter). Never false for a row that does."""
        search = automaton([text.encode() for text in (*words, *ODD)], ahocorasick_rs.MatchKind.LeftmostFirst)
        found = search.find_matches_as_indexes(self._data)
        out = np.zeros(self._size, np.bool_)
        if found:
            _mark(self._columns, self._bounds, np.array(found, np.int64), out)
        return out


def _mark(columns: Sequence[pa.Array], bounds: Sequence[np.ndarray[tuple[int], np.dtype[np.int64]]], found: np.ndarray, out: Mask) -> None:
    """Rows of the values that matches touch: one across values may hide a match in each."""
    starts = np.array([b[0] for b in bounds])
    for places in _touched(found, np.concatenate(bounds)):
        owner = np.searchsorted(starts, places, side="right") - 1
        for number in np.unique(owner).tolist():
            mine = places[owner == number]
            value = np.unique(np.searchsorted(bounds[number], mine, side="right") - 1)
            out |= _rows_of(columns[number], value)


def _touched(found: np.ndarray, edges: np.ndarray) -> tuple[np.ndarray, ...]:
    """Places in the values that matches touch: where they begin, where they end, and where a value begins between."""
    first, last = (np.searchsorted(edges, places, side="right") for places in (found[:, 1], found[:, 2] - 1))
    between = [edges[first[n] : last[n]] for n in np.flatnonzero(last > first + 1)]
    return found[:, 1], found[:, 2] - 1, *between


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
    """Offsets and bytes of the texts; a null is empty."""
    _, offsets, data = array.buffers()
    if offsets is None or not len(array):
        return np.zeros(len(array) + 1, np.int64), memoryview(b"")
    bounds = np.frombuffer(offsets, np.int32)[array.offset : array.offset + len(array) + 1].astype(np.int64)
    view = memoryview(data).cast("B") if data is not None else memoryview(b"")
    return bounds, view[int(bounds[0]) : int(bounds[-1])]
