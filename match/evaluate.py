"""One plan over the rows of one batch: masks per distinct value, then candidates narrowed term by term."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import numpy as np
import pyarrow as pa

from domain.event import SEP, EventBatch, Rows
from domain.fields import WIDE
from domain.query import Test
from match.keywords import NOT_TEXT as NOT_TEXT  # noqa: PLC0414  part of this module for everybody
from match.keywords import OWN as OWN  # noqa: PLC0414
from match.keywords import Keywords, in_use, literal_masks
from match.ops import special
from match.plan import KEYWORD, ROW_OPS, FieldTests, Node, Plan, absent_holds
from match.values import Mask, Values, lower

KINDS: Final = frozenset({"event.code", "winlog.channel", "winlog.provider_name", "event.dataset", "event.action"})
"""Fields of few values that tell what an event is: asked first, so that the columns of rules about other events are not read."""


class Evaluation:
    """Answers of one plan for `rows` of `batch`. Positions below are indices into `rows`."""

    def __init__(self, plan: Plan, batch: EventBatch, rows: Rows, words: Sequence[str] = ()) -> None:
        """`words`: what batches are searched for, for the sake of the keywords of this plan and of others."""
        self.plan, self.batch, self.rows = plan, batch, rows
        self._sought = words
        self.part = None if len(rows) == batch.rows else rows
        self.masks: dict[int, Mask] = {}
        """Test number -> one bool per distinct value and a last one for "missing". Absent = false for all."""
        self.codes: dict[str, np.ndarray[tuple[int], np.dtype[np.int32]]] = {}
        self._values: dict[str, Values] = {}
        self._ours = frozenset(plan.witnesses.values())
        self._words: Keywords | None = None
        self._late: set[str] = set()
        """Wide columns that no rule has asked for yet."""
        self.alive = np.zeros(len(plan.tests), np.bool_)

    def run(self) -> Iterator[tuple[int, Rows]]:
        """(rule number, rows that match), rules without a match left out."""
        self.alive[:] = True
        self._test([name for name in self.plan.by_field if name in KINDS])
        left = frozenset[str]().union(*(self.plan.fields[rule] for rule in self.plan.candidates(self.alive)))
        self._late = {name for name in left if name in WIDE}
        self._test([name for name in left if name not in KINDS and name not in WIDE and name != KEYWORD])
        everything = np.arange(len(self.rows), dtype=np.int32)
        for rule in self.plan.candidates(self.alive):
            found = self.narrow(self.plan.bodies[rule], everything)
            if len(found):
                yield rule, self.rows[found]

    def _test(self, names: Iterable[str]) -> None:
        for name in names:
            tests = self.plan.by_field.get(name)
            if tests is not None:  # fields that are only compared with another have no tests of their own
                self.alive[tests.numbers] = False
                self._test_field(name, tests)

    def held(self, node: Node, at: Rows) -> Iterator[Test]:
        """The positive tests that make a node hold at one position."""
        if not len(self.narrow(node, at)):
            return
        if isinstance(node, int):
            if node not in self._ours:
                yield self.plan.tests[node]
        elif node[0] != "n":
            for child in node[1]:
                yield from self.held(child, at)

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
            for number, mask in literal_masks(values, tests):
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
            return self._keyword(number, at)
        if test.op in ROW_OPS:
            return self._fieldref(number, at)
        if test.field in self._late:
            self._late.discard(test.field)
            self._test([test.field])
        if not self.plan.decided[number]:
            return self._special(test, at)
        mask = self.masks.get(number)
        if mask is None:
            return np.zeros(len(at), np.bool_)
        return mask[self.codes[test.field][at]]

    def _keyword(self, number: int, at: Rows) -> Mask:
        if self._words is None:
            self._words = Keywords(self.batch, self.rows, self.plan.by_field[KEYWORD], self.plan.tests, self._sought)
        return self._words.holds(number, at)

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
        if test.field in self._late:
            return 5e8
        if not self.plan.decided[node]:
            return 1e8
        mask = self.masks.get(node)
        return 0.0 if mask is None else float(np.count_nonzero(mask)) / len(mask)

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


def _related(left: list[str], right: list[str], op: str) -> bool:
    for a in left:
        for b in right:
            if (op == "fieldref" and a == b) or (op == "fieldref_contains" and b in a):
                return True
            if (op == "fieldref_startswith" and a.startswith(b)) or (op == "fieldref_endswith" and a.endswith(b)):
                return True
    return False
