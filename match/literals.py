"""Many literals against many values in one pass: an Aho-Corasick automaton over the values' concatenated bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise

import ahocorasick_rs
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

FEW = 60
"""Up to so many literals a search that stops at nothing is many times faster: it goes first."""
_FIRST = ahocorasick_rs.MatchKind.LeftmostFirst
LONG = 1_000
"""Bytes of a literal from which a table of all states takes too long to make: quadratic for text that repeats itself."""
SHORT = 3
"""Literals below this many bytes occur nearly everywhere: they are searched one by one, by Arrow."""


@dataclass(frozen=True)
class Hits:
    """Where one literal occurs: element numbers, and whether an occurrence begins, ends or is the element."""

    elements: np.ndarray[tuple[int], np.dtype[np.int64]]
    at_start: np.ndarray[tuple[int], np.dtype[np.bool_]]
    at_end: np.ndarray[tuple[int], np.dtype[np.bool_]]
    whole: np.ndarray[tuple[int], np.dtype[np.bool_]]
    """One occurrence is the whole element."""


def automaton(literals: Sequence[bytes], kind: ahocorasick_rs.MatchKind) -> ahocorasick_rs.BytesAhoCorasick:
    """An automaton made in time that grows with the bytes of the literals."""
    lean = ahocorasick_rs.Implementation.ContiguousNFA if any(len(literal) > LONG for literal in literals) else None
    return ahocorasick_rs.BytesAhoCorasick(literals, matchkind=kind, implementation=lean)


class Literals:
    """A fixed set of literals (not empty strings)."""

    def __init__(self, literals: Sequence[str]) -> None:
        coded = [text.encode() for text in literals]
        self._long = [i for i, code in enumerate(coded) if len(code) >= SHORT]
        self._short = [(i, literals[i]) for i, code in enumerate(coded) if len(code) < SHORT]
        longs = [coded[i] for i in self._long]
        self._automaton = automaton(longs, ahocorasick_rs.MatchKind.Standard) if longs else None
        self._first = automaton(longs, _FIRST) if 0 < len(longs) <= FEW else None

    def find(self, texts: pa.Array) -> Mapping[int, Hits]:
        """Literal number -> its hits in `texts` (pa.string(), no nulls). Literals without a hit are left out."""
        out = dict(self._find_long(texts)) if self._automaton is not None else {}
        for number, literal in self._short:
            inside = pc.match_substring(texts, literal).to_numpy(zero_copy_only=False)
            where = np.flatnonzero(inside)
            if len(where):
                taken = texts.take(pa.array(where))
                starts = pc.starts_with(taken, literal).to_numpy(zero_copy_only=False)
                ends = pc.ends_with(taken, literal).to_numpy(zero_copy_only=False)
                out[number] = Hits(where, starts, ends, pc.equal(taken, literal).to_numpy(zero_copy_only=False))
        return out

    def _find_long(self, texts: pa.Array) -> Mapping[int, Hits]:
        offsets, data = contents(texts)
        if self._first is not None and not self._first.find_matches_as_indexes(data):
            return {}
        assert self._automaton is not None  # noqa: S101  for the type checker
        found = self._automaton.find_matches_as_indexes(data, overlapping=True)
        if not found:
            return {}
        flat = np.fromiter(chain.from_iterable(found), np.int64, 3 * len(found)).reshape(-1, 3)
        pattern, start, end = flat[:, 0], flat[:, 1], flat[:, 2]
        element = np.searchsorted(offsets, start, side="right") - 1
        inside = end <= offsets[element + 1]  # drop what straddles two values
        pattern, start, end, element = pattern[inside], start[inside], end[inside], element[inside]
        order = np.argsort(pattern, kind="stable")
        pattern, element = pattern[order], element[order]
        at_start = start[order] == offsets[element]
        at_end = end[order] == offsets[element + 1]
        whole = at_start & at_end
        edges = np.flatnonzero(np.diff(pattern)) + 1
        bounds = [0, *edges.tolist(), len(pattern)]
        return {
            self._long[int(pattern[a])]: Hits(element[a:b], at_start[a:b], at_end[a:b], whole[a:b]) for a, b in pairwise(bounds) if b > a
        }


def contents(array: pa.Array) -> tuple[np.ndarray[tuple[int], np.dtype[np.int64]], memoryview]:
    """Where each text or record begins in the bytes of all of them, and the end (n + 1 places); a null is empty."""
    kind = np.int64 if pa.types.is_large_string(array.type) or pa.types.is_large_binary(array.type) else np.int32
    _, offsets, data = array.buffers()
    if offsets is None or not len(array):
        return np.zeros(len(array) + 1, np.int64), memoryview(b"")
    bounds = np.frombuffer(offsets, kind)[array.offset : array.offset + len(array) + 1].astype(np.int64)
    view = memoryview(data).cast("B") if data is not None else memoryview(b"")
    return bounds - bounds[0], view[int(bounds[0]) : int(bounds[-1])]
