"""A group of rules that share a route, compiled: distinct tests, literals by field, and what a rule cannot do without."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, TypeAlias

import numpy as np

from domain.query import And, Expr, Not, Test
from match import witness
from match.folded import safe_word
from match.literals import Literals
from match.ops import text_of
from match.values import lower_text

Node: TypeAlias = "int | tuple[str, tuple[Node, ...]]"
"""A test number, or ("a" | "o" | "n", children)."""

LITERAL_OPS: Final = frozenset({"eq", "contains", "startswith", "endswith"})
ROW_OPS: Final = frozenset({"fieldref", "fieldref_startswith", "fieldref_endswith", "fieldref_contains"})
KEYWORD: Final = "*"


_WITNESS: Final[Mapping[str, Callable[[str], str]]] = {"re": witness.of_regex, "like": witness.of_like}


@dataclass(frozen=True)
class Entry:
    """One rule for the matcher."""

    key: Hashable
    route: Expr
    """Which events can feed it (log source): shared by many rules; TRUE = all."""
    body: Expr


@dataclass
class FieldTests:
    """All tests on one field (or keyword) of a group."""

    literal: list[tuple[int, str, list[int]]] = field(default_factory=list)
    """(test number, op, literal numbers)."""
    special: list[int] = field(default_factory=list)
    presence: list[int] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    seconds: float = 0
    """Time that went into the automaton."""
    _numbers: dict[str, int] = field(default_factory=dict)

    def number(self, text: str) -> int:
        """The number of a literal, given when it is first seen."""
        number = self._numbers.setdefault(text, len(self.texts))
        if number == len(self.texts):
            self.texts.append(text)
        return number

    @cached_property
    def numbers(self) -> list[int]:
        """All tests of the field."""
        return [*(number for number, _, _ in self.literal), *self.special, *self.presence]

    @cached_property
    def literals(self) -> Literals:
        """The automaton, built when the first event of this route arrives."""
        start = time.perf_counter()
        made = Literals(self.texts)
        self.seconds += time.perf_counter() - start
        return made

    @property
    def words(self) -> Sequence[str]:
        """Of keywords: the literals, one of which stands wherever a keyword holds; none when that cannot be told."""
        return () if self.special else self.texts

    @cached_property
    def common(self) -> bool:
        """Whether records can be searched for them as they are written."""
        return not self.special and all(map(safe_word, self.texts))

    @cached_property
    def _users(self) -> tuple[np.ndarray[tuple[int], np.dtype[np.int64]], list[int], list[str]]:
        """Where the tests of each literal begin; the tests and their ops, by literal."""
        numbers = np.array([n for _, _, numbers in self.literal for n in numbers], np.int64)
        order = np.argsort(numbers, kind="stable")
        starts = np.searchsorted(numbers[order], np.arange(len(self.texts) + 1))
        each = np.repeat(np.arange(len(self.literal)), [len(numbers) for _, _, numbers in self.literal])[order].tolist()
        return starts, [self.literal[i][0] for i in each], [self.literal[i][1] for i in each]

    def users(self, literal: int) -> Iterator[tuple[int, str]]:
        """The tests that use a literal, with their op."""
        starts, tests, ops = self._users
        span = slice(int(starts[literal]), int(starts[literal + 1]))
        return zip(tests[span], ops[span], strict=True)


class Plan:
    """Compiled once per group and kept over batches."""

    def __init__(self, route: Expr, entries: Sequence[Entry]) -> None:
        self.route = route
        self.keys = [entry.key for entry in entries]
        self.tests: list[Test] = []
        self._numbers: dict[int, int] = {}
        self.witnesses: dict[int, int] = {}
        """Pattern test -> the test of what it must hold: ours, no term of the rule."""
        self.bodies = [self._node(entry.body) for entry in entries]
        self.decided = [decided_by_values(test) for test in self.tests]
        """By test number: a pass over the distinct values settles it."""
        self._must = [decided and not absent_holds(test) for decided, test in zip(self.decided, self.tests, strict=True)]
        self.by_field: dict[str, FieldTests] = {}
        for number, test in enumerate(self.tests):
            self._place(number, test)
        self._clauses()
        self.fields = [frozenset(self.tests[n].field or KEYWORD for n in numbers(body)) for body in self.bodies]
        """By rule: the fields that it asks for."""

    def _node(self, expr: Expr) -> Node:
        if isinstance(expr, Test):
            number = self._numbers.setdefault(id(expr), len(self.tests))  # rule sets share equal tests (ruleset.cached)
            if number == len(self.tests):
                self.tests.append(expr)
                self._witness(number, expr)
            return ("a", (self.witnesses[number], number)) if number in self.witnesses else number
        if isinstance(expr, Not):
            return ("n", (self._node(expr.child),))
        return ("a" if isinstance(expr, And) else "o", tuple(self._node(c) for c in expr.children))

    def plain(self, node: Node) -> Node:
        """A node as the rule has it: without the witness of a pattern."""
        if not isinstance(node, int) and isinstance(node[1][-1], int) and self.witnesses.get(node[1][-1]) == node[1][0]:
            return node[1][-1]
        return node

    def _witness(self, number: int, test: Test) -> None:
        """A pattern holds only where its longest literal does."""
        find = _WITNESS.get(test.op) if test.field is not None and not test.cased else None
        texts = [find(str(value)) for value in test.values] if find else []
        if texts and all(texts):
            self.witnesses[number] = len(self.tests)
            self.tests.append(Test(test.field, "contains", tuple(dict.fromkeys(texts))))

    def _place(self, number: int, test: Test) -> None:
        if test.op in ROW_OPS:
            return
        tests = self.by_field.setdefault(test.field or KEYWORD, FieldTests())
        if test.op in ("exists", "null"):
            tests.presence.append(number)
        elif is_literal(test):
            folded = [lower_text(text_of(v)) for v in test.values]
            tests.literal.append((number, test.op, [tests.number(text) for text in folded]))
        else:
            tests.special.append(number)

    def _clauses(self) -> None:
        """Flatten "needs one of these tests" clauses of all rules, so that dead rules drop out in three numpy calls."""
        flat: list[int] = []
        starts: list[int] = []
        owners: list[int] = []
        for rule, body in enumerate(self.bodies):
            for clause in (c for c in required(body, self._must) if c):
                starts.append(len(flat))
                owners.append(rule)
                flat.extend(clause)
        self._flat, self._starts = np.array(flat, np.int64), np.array(starts, np.int64)
        self._owners = np.array(owners, np.int64)

    def candidates(self, alive: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> list[int]:
        """Rules that can still match, given which tests hit at least one value."""
        if not len(self._starts):
            return list(range(len(self.bodies)))
        clause = np.logical_or.reduceat(alive[self._flat], self._starts)
        dead = np.zeros(len(self.bodies), np.bool_)
        dead[self._owners[~clause]] = True
        return np.flatnonzero(~dead).tolist()


def numbers(node: Node) -> Iterator[int]:
    """The tests below a node."""
    if isinstance(node, int):
        yield node
    else:
        for child in node[1]:
            yield from numbers(child)


def required(node: Node, must: Sequence[bool]) -> list[tuple[int, ...]]:
    """Clauses that must all hold: each a tuple of tests of which one must hit. () = unknown, may always hold.

    `must`: by test number, whether it holds only where a distinct value hits.
    """
    if isinstance(node, int):
        return [(node,)] if must[node] else [()]
    kind, children = node
    if kind == "n":
        return [()]
    if kind == "a":
        return [clause for child in children for clause in required(child, must)]
    merged: list[int] = []
    for child in children:
        clauses = [c for c in required(child, must) if c]
        if not clauses:
            return [()]
        shortest: tuple[int, ...] = min(clauses, key=len)
        merged.extend(shortest)
    return [tuple(merged)]


def is_literal(test: Test) -> bool:
    """Whether the automaton serves it."""
    return test.op in LITERAL_OPS and not test.cased and all(text_of(v) for v in test.values)


def decided_by_values(test: Test) -> bool:
    """Whether a pass over the distinct values settles it beforehand; others are asked when a rule still has candidates."""
    return test.field is not None and (is_literal(test) or test.op in ("exists", "null"))


def absent_holds(test: Test) -> bool:
    """Whether the test is true of an event that lacks the field."""
    return test.op == "null" or (test.op == "exists" and not test.values[0])
