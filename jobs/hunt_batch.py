"""A parsed batch as the matcher sees it during a hunt: only the wanted columns were read; keywords read more, of few records."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from collectors import JOINING
from collectors.detect import Parsed, parse
from domain.batch import Sought
from domain.event import Rows, TableBatch
from domain.raw import RawBatch
from match.folded import ODD, Words, safe_word
from match.holding import touched
from match.literals import contents

_HIDING = (r"\u00", *(f"\\u{ord(letter):04x}" for letter in ODD))
"""What JSON may write for a letter, or for what lower-cases to one."""
_REWRITTEN = ("newvalue", "objectvaluename")
"""What records hold whose values are written in the words of another (windows_ecs.REGISTRY)."""
_AS_WRITTEN = frozenset({"windows"})
"""Parsers whose values stand in the record as they are, but for these; others undo escapes (%20, hex), name numbers, join records."""


class HuntBatch(TableBatch):
    """An EventBatch that knows the raw records behind it."""

    def __init__(self, batch: RawBatch, parsed: Parsed) -> None:
        super().__init__(parsed.table)
        self._batch, self._parsed = batch, parsed
        self._known: tuple[tuple[str, ...], Rows] | None = None

    def search(self, words: Sequence[str], rows: Rows) -> Sought:
        """These rows, or those of them that may hold a word, with all their fields."""
        safe = tuple(map(safe_word, words))
        kept = np.isin(rows, self._holding(safe), assume_unique=True) if safe and all(safe) else np.ones(len(rows), np.bool_)
        batch = TableBatch(self.whole(rows[kept], None) if kept.any() else self.table.slice(0, 0))
        return Sought(batch, None, np.flatnonzero(kept).astype(np.int32))

    def _holding(self, words: tuple[str, ...]) -> Rows:
        """Rows whose record may hold one of the words in any case, or characters that could hide one.

        Where values stand in records as they are, these are searched; otherwise every row may. The same words are asked for again.
        """
        if self._known is None or self._known[0] != words:
            self._known = words, self._find(words)
        return self._known[1]

    def _find(self, words: Sequence[str]) -> Rows:
        every = np.arange(self.rows, dtype=np.int32)
        if self._parsed.parser not in _AS_WRITTEN or self._batch.encoding.lower().replace("_", "-") not in ("utf-8", "utf8"):
            return every
        bounds, text = contents(self._records)
        return every[touched(bounds, Words([*words, *_HIDING, *_REWRITTEN]).find(text))]

    @property
    def _records(self) -> pa.Array:
        places = self._parsed.rows
        return self._batch.records if len(places) == len(self._batch.records) else self._batch.records.take(pa.array(places))

    def whole(self, rows: Rows, wanted: frozenset[str] | None) -> pa.Table:
        """These rows parsed once more, with these fields (None = all)."""
        if self._parsed.parser in JOINING and len(rows) < self.rows:
            return self.whole(np.arange(self.rows, dtype=np.int32), wanted).take(pa.array(rows))
        places = self._parsed.rows[rows]
        part = RawBatch(
            self._batch.source, self._batch.stream, self._batch.records.take(pa.array(places)), self._batch.positions[places],
            self._batch.arrivals[places], self._batch.checkpoint, None, self._parsed.parser, self._batch.encoding, self._batch.tz,
        )  # fmt: skip
        return parse(part, wanted)[0].table
