"""Keywords: tests on any value of an event. Asked last, of the rows that a rule's other terms have left."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from domain.batch import Searchable, Sought
from domain.event import Column, EventBatch, Rows
from domain.query import Test
from match.holding import restricted
from match.ops import special
from match.plan import FieldTests
from match.values import Mask, Values

NOT_TEXT = frozenset({
    "event.original", "event.id", "event.ingested", "@timestamp", "event.kind", "event.category", "event.type", "event.outcome",
    "event.action", "event.module", "event.dataset", "ecs.version", "error.message",
})  # fmt: skip
"""Columns that keywords do not search: the raw copy, and labels that parsers give (a keyword `failure` must not hit every label)."""
OWN = "thapcanh."
_SMALL = 32


class Keywords:
    """Answers of all keyword tests of a plan for `rows` of `batch`, row by row as rules ask."""

    def __init__(self, batch: EventBatch, rows: Rows, tests: FieldTests, known: Sequence[Test], words: Sequence[str]) -> None:
        self._batch, self._rows, self._tests, self._known = batch, rows, tests, known
        self._words = words if tests.common else tests.words
        self._answers: dict[int, Mask] = {}
        self._searched = np.zeros(len(rows), np.bool_)

    def holds(self, number: int, at: Rows) -> Mask:
        """One bool for each of these positions in `rows`: some value of the event holds the keyword."""
        fresh = at[~self._searched[at]]
        if len(fresh):
            self._search(fresh)
            self._searched[fresh] = True
        answers = self._answers.get(number)
        return np.zeros(len(at), np.bool_) if answers is None else answers[at]

    def _search(self, at: Rows) -> None:
        rows = self._rows[at]
        sought = self._batch.search(self._words, rows) if isinstance(self._batch, Searchable) else self._everything(rows)
        place = at[sought.at]
        for name in sought.batch.fields() if len(place) else ():
            column = sought.batch.column(name, sought.rows) if searchable(name) else None
            if column is not None:
                self._spread(Values(in_use(column)), place)

    def _everything(self, rows: Rows) -> Sought:
        return Sought(self._batch, None if len(rows) == self._batch.rows else rows, np.arange(len(rows), dtype=np.int32))

    def _spread(self, values: Values, place: Rows) -> None:
        for number, mask in self._masks(values):
            if mask.any():
                answers = self._answers.setdefault(number, np.zeros(len(self._rows), np.bool_))
                answers[place] |= np.append(mask, False)[values.codes]

    def _masks(self, values: Values) -> Iterator[tuple[int, Mask]]:
        if self._tests.texts:
            yield from literal_masks(values, self._tests)
        for number in self._tests.special:
            yield number, special(values, self._known[number])


def literal_masks(values: Values, tests: FieldTests) -> Iterator[tuple[int, Mask]]:
    """The literal tests that hold for some distinct value, each with one bool per value."""
    texts = values.lowered
    masks: dict[int, Mask] = {}
    for literal, hits in tests.literals.find(texts).items():
        for number, op in tests.users(literal):
            mask = masks.setdefault(number, np.zeros(len(texts), np.bool_))
            if op == "contains":
                mask[hits.elements] = True
            elif op == "startswith":
                mask[hits.elements[hits.at_start]] = True
            elif op == "endswith":
                mask[hits.elements[hits.at_end]] = True
            else:
                mask[hits.elements[hits.whole]] = True
    for number, mask in masks.items():
        if mask.any():
            yield number, values.spread(mask)


def in_use(column: Column) -> Column:
    """The column without values that none of its rows holds: what other rules' events say need not be searched."""
    count = len(column.values)
    if count <= _SMALL:
        return column
    seen = np.zeros(count + 1, np.bool_)
    seen[column.codes] = True
    used = np.flatnonzero(seen[:count])
    return column if len(used) * 4 > count * 3 else restricted(column, used)


def searchable(name: str) -> bool:
    """Whether keywords look into a column."""
    return name not in NOT_TEXT and not name.startswith(OWN)
