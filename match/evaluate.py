"""One plan over the rows of one batch: masks per distinct value, then candidates narrowed term by term."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from domain.event import SEP, Column, EventBatch, Rows
from domain.query import Test
from match.ops import special
from match.plan import KEYWORD, ROW_OPS, FieldTests, Node, Plan, absent_holds, decided_by_values
from match.values import Mask, Values, lower

NOT_TEXT = frozenset({
    "event.original", "event.id", "event.ingested", "@timestamp", "event.kind", "event.category", "event.type", "event.outcome",
    "event.action", "event.module", "event.dataset", "ecs.version", "error.message",
})  # fmt: skip
"""Columns that keywords do not search: the raw copy, and labels that parsers give (a keyword `failure` must not hit every label)."""
OWN = "thapcanh."
_WORD = 4
_SMALL = 32


class Evaluation:
    """Answers of one plan for `rows` of `batch`. Positions below are indices into `rows`."""

    def __init__(self, plan: Plan, batch: EventBatch, rows: Rows) -> None:
        self.plan, self.batch, self.rows = plan, batch, rows
        self.part = None if len(rows) == batch.rows else rows
        self.masks: dict[int, Mask] = {}
        """Test number -> one bool per distinct value and a last one for "missing". Absent = false for all."""
        self.codes: dict[str, np.ndarray[tuple[int], np.dtype[np.int32]]] = {}
        self._values: dict[str, Values] = {}
        self._keyword: dict[int, Mask] | None = None
        self.alive = np.zeros(len(plan.tests), np.bool_)

    def run(self) -> Iterator[tuple[int, Rows]]:
        """(rule number, rows that match), rules without a match left out."""
        for name, tests in self.plan.by_field.items():
            if name != KEYWORD:
                self._test_field(name, tests)
        everything = np.arange(len(self.rows), dtype=np.int32)
        for rule in self.plan.candidates(self.alive):
            found = self.narrow(self.plan.bodies[rule], everything)
            if len(found):
                yield rule, self.rows[found]

    def _test_field(self, name: str, tests: FieldTests) -> None:
        column = self.batch.column(name, self.part)
        if column is not None and self.part is not None:
            column = in_use(column)
        if column is None:
            for number in tests.presence:
                if absent_holds(self.plan.tests[number]):
                    self._set(number, np.zeros(0, np.bool_), missing=True)
            self.codes[name] = np.full(len(self.rows), -1, np.int32)
            return
        values = Values(column)
        self.codes[name] = column.codes
        if tests.special:
            self._values[name] = values
        if tests.texts:
            for number, mask in self._literal_masks(values, tests):
                self._set(number, mask, missing=False)
        for number in tests.presence:
            test = self.plan.tests[number]
            holds = absent_holds(test)
            mask = np.full(len(values), not holds, np.bool_)
            if test.op == "null" and values.null >= 0:
                mask[values.null] = True
            self._set(number, mask, missing=holds)

    def _set(self, number: int, mask: Mask, *, missing: bool) -> None:
        if missing or mask.any():
            self.masks[number] = np.append(mask, missing)
            self.alive[number] = True

    def _masks(self, values: Values, tests: FieldTests) -> Iterator[tuple[int, Mask]]:
        """Literal and special tests of one field over its distinct values."""
        if tests.texts:
            yield from self._literal_masks(values, tests)
        for number in tests.special:
            yield number, special(values, self.plan.tests[number])

    @staticmethod
    def _literal_masks(values: Values, tests: FieldTests) -> Iterator[tuple[int, Mask]]:
        texts = values.lowered
        masks: dict[int, Mask] = {}
        for literal, hits in tests.literals.find(texts).items():
            for number, op in tests.by_literal[literal]:
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

    def narrow(self, node: Node, at: Rows) -> Rows:
        """The positions of `at` where the node holds."""
        if isinstance(node, int):
            return at[self._holds(node, at)]
        kind, children = node
        if kind == "a":
            for child in sorted(children, key=self._cost):
                if not len(at):
                    break
                at = self.narrow(child, at)
            return at
        if kind == "n":
            found = self.narrow(children[0], at)
            return np.setdiff1d(at, found, assume_unique=True) if len(found) else at
        out: Rows = at[:0]
        rest = at
        for child in sorted(children, key=self._cost):
            found = self.narrow(child, rest)
            if len(found):
                out = np.union1d(out, found) if len(out) else found
                rest = np.setdiff1d(rest, found, assume_unique=True)
                if not len(rest):
                    break
        return out

    def _holds(self, number: int, at: Rows) -> Mask:
        test = self.plan.tests[number]
        if test.field is None:
            return self._keywords().get(number, np.zeros(len(self.rows), np.bool_))[at]
        if test.op in ROW_OPS:
            return self._fieldref(number, at)
        if not decided_by_values(test):
            return self._special(test, at)
        mask = self.masks.get(number)
        if mask is None:
            return np.zeros(len(at), np.bool_)
        return mask[self.codes[test.field][at]]

    def _special(self, test: Test, at: Rows) -> Mask:
        """A costly test, asked only of the values that candidates hold."""
        name = str(test.field)
        out = np.zeros(len(at), np.bool_)
        if name not in self._values:
            return out
        codes = self.codes[name][at]
        held, place = np.unique(codes, return_inverse=True)
        known = held >= 0
        if known.any():
            values = self._values[name].only(held[known])
            answers = np.zeros(len(held), np.bool_)
            answers[known] = special(values, test)
            out = answers[place]
        return out

    def _cost(self, node: Node) -> float:
        """Cheap and selective first: dead tests, then few values, then trees, then keywords and row tests."""
        if not isinstance(node, int):
            return 1e9 if node[0] == "o" else 2e9
        test = self.plan.tests[node]
        if test.field is None or test.op in ROW_OPS:
            return 3e9
        if not decided_by_values(test):
            return 1e8
        mask = self.masks.get(node)
        return 0.0 if mask is None else float(np.count_nonzero(mask)) / len(mask)

    def _keywords(self) -> dict[int, Mask]:
        """Row answers of all keyword tests: true when any searchable value of the event holds it."""
        if self._keyword is None:
            tests = self.plan.by_field[KEYWORD]
            self._keyword = {}
            batch, rows, place = self._searchable(tests)
            for name in batch.fields() if len(place) else ():
                if name in NOT_TEXT or name.startswith(OWN):
                    continue
                column = batch.column(name, rows)
                if column is not None:
                    self._spread_keywords(tests, Values(in_use(column)), place)
        return self._keyword

    def _searchable(self, tests: FieldTests) -> tuple[EventBatch, Rows | None, Rows]:
        """The batch to search, which of its rows, and their positions in `self.rows`."""
        holding = getattr(self.batch, "holding", None)
        words = [safe_word(text) for text in tests.texts]
        if holding is None or tests.special or not all(words):
            return self.batch, self.part, np.arange(len(self.rows), dtype=np.int32)
        batch, found = holding(words, self.rows)
        return batch, None, np.searchsorted(self.rows, found).astype(np.int32)

    def _spread_keywords(self, tests: FieldTests, values: Values, place: Rows) -> None:
        assert self._keyword is not None  # noqa: S101  for the type checker
        for number, mask in self._masks(values, tests):
            if mask.any():
                answers = self._keyword.setdefault(number, np.zeros(len(self.rows), np.bool_))
                answers[place] |= np.append(mask, False)[values.codes]

    def _fieldref(self, number: int, at: Rows) -> Mask:
        """Two fields of the same event compared, case-insensitively; false when either is missing."""
        test = self.plan.tests[number]
        left = self._texts(str(test.field), at, cased=test.cased)
        out = np.zeros(len(at), np.bool_)
        for other in test.values:
            right = self._texts(str(other), at, cased=test.cased)
            pairs = zip(left, right, strict=True)
            out |= np.array([_related(a, b, test.op) for a, b in pairs], np.bool_)
        return out

    def _texts(self, name: str, at: Rows, *, cased: bool) -> list[list[str]]:
        column = self.batch.column(name, self.rows[at])
        if column is None:
            return [[]] * len(at)
        texts = column.values.cast(pa.string())
        texts = texts if cased else lower(texts)
        split = [t.split(SEP) if column.multi else [t] for t in texts.to_pylist()]
        if column.null >= 0:
            split[column.null] = []
        return [split[code] if code >= 0 else [] for code in column.codes.tolist()]


def in_use(column: Column) -> Column:
    """The column without values that none of its rows holds: what other rules' events say need not be searched."""
    count = len(column.values)
    if count <= _SMALL:
        return column
    seen = np.zeros(count + 1, np.bool_)
    seen[column.codes] = True
    used = np.flatnonzero(seen[:count])
    if len(used) * 4 > count * 3:
        return column
    place = np.full(count + 1, -1, np.int32)
    place[used] = np.arange(len(used), dtype=np.int32)
    null = int(place[column.null]) if column.null >= 0 else -1
    return Column(place[column.codes], column.values.take(pa.array(used)), column.multi, null)


def safe_word(text: str) -> str:
    """The longest run of characters of a literal that every encoding of a record writes as they are; "" when it is too short."""
    runs = re.findall(r"[a-z0-9 .:_-]+", text)
    best = max(runs, key=len, default="")
    return best if len(best) >= _WORD else ""


def _related(left: list[str], right: list[str], op: str) -> bool:
    for a in left:
        for b in right:
            if (op == "fieldref" and a == b) or (op == "fieldref_contains" and b in a):
                return True
            if (op == "fieldref_startswith" and a.startswith(b)) or (op == "fieldref_endswith" and a.endswith(b)):
                return True
    return False
