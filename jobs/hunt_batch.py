"""A parsed batch as the matcher sees it during a hunt: only the wanted columns were read; keywords read more, of few records."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from collectors.detect import Parsed, parse
from domain.event import EventBatch, Rows, TableBatch
from domain.raw import RawBatch
from match.folded import ODD, Words
from match.holding import touched

_HIDING = (r"\u00", *(f"\\u{ord(letter):04x}" for letter in ODD))
"""What JSON may write for a letter, or for what lower-cases to one."""
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
        bounds, text = _bytes(self._records)
        return every[touched(bounds, Words([*words, *_HIDING]).find(text))]

    @property
    def _records(self) -> pa.Array:
        places = self._parsed.rows
        return self._batch.records if len(places) == len(self._batch.records) else self._batch.records.take(pa.array(places))

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


def _bytes(records: pa.Array) -> tuple[np.ndarray[tuple[int], np.dtype[np.int64]], memoryview]:
    """Where each record begins, and the end; their bytes."""
    _, offsets, data = records.buffers()
    bounds = np.frombuffer(offsets, np.int64)[records.offset : records.offset + len(records) + 1]
    view = memoryview(data).cast("B") if data is not None else memoryview(b"")
    return bounds - bounds[0], view[int(bounds[0]) : int(bounds[-1])]
