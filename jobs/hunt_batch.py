"""A parsed batch as the matcher sees it during a hunt: only the wanted columns were read; keywords read more, of few records."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import ahocorasick_rs
import numpy as np
import pyarrow as pa

from collectors.detect import Parsed, parse
from domain.event import EventBatch, Rows, TableBatch
from domain.raw import RawBatch
from match.holding import ODD
from match.literals import automaton

_HIDING = (*ODD, r"\u00", *(f"\\u{ord(letter):04x}" for letter in ODD))
"""Letters that lower-case to an ASCII letter, and what JSON may write for one."""
_AS_WRITTEN = frozenset({"windows"})
"""Parsers whose values stand in the record as they are; others undo escapes (%20, hex), name numbers, join records."""
_JOINING = frozenset({"linux_audit"})
"""Parsers that give a record fields of others in the batch."""


class HuntBatch(TableBatch):
    """An EventBatch that knows the raw records behind it."""

    complete = False
    """Its columns are only those that rules name."""

    def __init__(self, batch: RawBatch, parsed: Parsed) -> None:
        super().__init__(parsed.table)
        self._batch, self._parsed = batch, parsed

    def candidates(self, words: Sequence[str]) -> Rows:
        """Rows whose record may hold one of the words (lower-case ASCII) in any case, or characters that could hide one.

        Where values stand in records as they are, these are searched in one pass; otherwise every row may.
        """
        every = np.arange(self.rows, dtype=np.int32)
        if self._parsed.parser not in _AS_WRITTEN or self._batch.encoding.lower().replace("_", "-") not in ("utf-8", "utf8"):
            return every
        offsets, data = self._text
        search = automaton([text.encode() for text in (*words, *_HIDING)], ahocorasick_rs.MatchKind.LeftmostFirst)
        hits = np.array(search.find_matches_as_indexes(data), np.int64).reshape(-1, 3)
        first = np.searchsorted(offsets, hits[:, 1], side="right") - 1
        last = np.searchsorted(offsets, hits[:, 2] - 1, side="right") - 1
        across = [np.arange(first[n], last[n]) for n in np.flatnonzero(last > first)]  # one across records may hide one in each
        return every[np.unique(np.concatenate([first, last, *across]))]

    @cached_property
    def _text(self) -> tuple[np.ndarray[tuple[int], np.dtype[np.int64]], bytes]:
        places = self._parsed.rows
        return _lowered(self._batch.records if len(places) == len(self._batch.records) else self._batch.records.take(pa.array(places)))

    def texts(self, rows: Rows) -> EventBatch:
        """All fields of these rows."""
        return TableBatch(self.whole(rows, None) if len(rows) else self.table.slice(0, 0))

    def whole(self, rows: Rows, wanted: frozenset[str] | None) -> pa.Table:
        """These rows parsed once more, with these fields (None = all)."""
        if self._parsed.parser in _JOINING and len(rows) < self.rows:
            return self.whole(np.arange(self.rows, dtype=np.int32), wanted).take(pa.array(rows))
        places = self._parsed.rows[rows]
        part = RawBatch(
            self._batch.source, self._batch.stream, self._batch.records.take(pa.array(places)), self._batch.positions[places],
            self._batch.arrivals[places], self._batch.checkpoint, None, self._parsed.parser, self._batch.encoding, self._batch.tz,
        )  # fmt: skip
        return parse(part, wanted)[0].table


def _lowered(records: pa.Array) -> tuple[np.ndarray[tuple[int], np.dtype[np.int64]], bytes]:
    """Where each record starts, and all of them in lower case (ASCII)."""
    _, offsets, data = records.buffers()
    bounds = np.frombuffer(offsets, np.int64)[records.offset : records.offset + len(records) + 1]
    first, last = int(bounds[0]), int(bounds[-1])
    text = memoryview(data).cast("B")[first:last].tobytes() if data is not None else b""
    return bounds[:-1] - first, text.lower()
