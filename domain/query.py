"""Expr: the predicate tree that rules, `soc search` and playbook queries share. Evaluated by `match/`, compiled by stores.

Semantics (docs/semantics.md): two-valued. A missing field makes every Test false (so `Not` of it is true) except `null` and
`exists: false`. Strings compare lower-cased per code point unless `cased`. A value list in one Test means "any of them".
A field that holds several values matches when any element does. `field=None` is a keyword: any leaf value but event.original.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from domain.window import TimeWindow

Op = Literal[
    "eq",  # equals a string, number or bool; numbers and text compare as Sigma says (4688 = '4688')
    "contains", "startswith", "endswith",  # literal text, no wildcards in it
    "like",  # whole-value pattern: * any run, ? any one character, backslash escapes * ? \
    "re",  # unanchored regular expression (RE2); values carry inline flags such as (?i)
    "cidr",  # address within a network, v4 or v6; ::ffff:a.b.c.d counts as v4
    "lt", "lte", "gt", "gte",  # numeric; text that parses as a number compares as one, other text is false
    "exists",  # value True: present; False: absent
    "null",  # absent or JSON null
    "fieldref",  # equals another field of the event; value = its name
    "fieldref_startswith", "fieldref_endswith", "fieldref_contains",
    "minute", "hour", "day", "week", "month", "year",  # part of a time stamp equals a number
    "fold",  # contains, without regard to case and diacritics (bare words of `soc search`)
]  # fmt: skip
TEXT_OPS: Final = frozenset({"eq", "contains", "startswith", "endswith", "like", "re", "fold"})

Value: TypeAlias = str | int | float | bool


@dataclass(frozen=True)
class Test:
    """One predicate on one field."""

    __test__ = False  # pytest must not collect it
    field: str | None
    """Dotted field name; None = keyword (any value of the event)."""
    op: Op
    values: tuple[Value, ...] = ()
    """Any of these; empty only for `null`."""
    cased: bool = False
    """Compare without lower-casing."""

    def __post_init__(self) -> None:
        """A boolean is its text: to Python True equals 1, and two tests that are equal share their answer."""
        if self.op == "eq" and any(value is True or value is False for value in self.values):
            texts = tuple(str(v).lower() if isinstance(v, bool) else v for v in self.values)
            object.__setattr__(self, "values", texts)


@dataclass(frozen=True)
class And:
    """All children hold; no children: true."""

    children: tuple[Expr, ...]


@dataclass(frozen=True)
class Or:
    """Some child holds; no children: false."""

    children: tuple[Expr, ...]


@dataclass(frozen=True)
class Not:
    """The child does not hold."""

    child: Expr


Expr: TypeAlias = "Test | And | Or | Not"
TRUE: Final = And(())
FALSE: Final = Or(())


@dataclass(frozen=True)
class Query:
    """What to look for in a store."""

    where: Expr = TRUE
    window: TimeWindow | None = None
    """On `@timestamp`; None = all."""
    ids: tuple[str, ...] = ()
    """Only these `event.id` (hex)."""
    limit: int = 0
    """0 = no limit."""
    newest_first: bool = True
    fields: tuple[str, ...] = field(default=())
    """Columns wanted; empty = all."""


def all_of(*children: Expr) -> Expr:
    """And, flattened; a single child stands alone."""
    return _join(And, children)


def any_of(*children: Expr) -> Expr:
    """Or, flattened; a single child stands alone."""
    return _join(Or, children)


def _join(kind: type[And | Or], children: tuple[Expr, ...]) -> Expr:
    flat: list[Expr] = []
    for child in children:
        flat.extend(child.children if isinstance(child, kind) else (child,))
    return flat[0] if len(flat) == 1 else kind(tuple(flat))


def tests(expr: Expr) -> Iterator[Test]:
    """Every Test in the tree."""
    if isinstance(expr, Test):
        yield expr
    elif isinstance(expr, Not):
        yield from tests(expr.child)
    else:
        for child in expr.children:
            yield from tests(child)


def fields_of(expr: Expr) -> set[str]:
    """Field names that the tree reads; "*" when it has a keyword."""
    names: set[str] = set()
    for test in tests(expr):
        names.add(test.field or "*")
        if test.op.startswith("fieldref"):
            names.update(str(v) for v in test.values)
    return names


def to_json(expr: Expr, pool: dict[Test, int] | None = None) -> list[object] | int:
    """A plain JSON form: the rule cache and stored playbook evidence use it. With a `pool` each Test is its number there."""
    if isinstance(expr, Test):
        return _test_json(expr) if pool is None else pool.setdefault(expr, len(pool))
    if isinstance(expr, Not):
        return ["n", to_json(expr.child, pool)]
    return ["a" if isinstance(expr, And) else "o", *(to_json(c, pool) for c in expr.children)]


def _test_json(test: Test) -> list[object]:
    return ["t", test.field, test.op, list(test.values), int(test.cased)]


def from_json(data: list[object] | int, pool: Sequence[Test] = ()) -> Expr:
    """The inverse of `to_json`. Tests of a pool are shared by all that name them."""
    if isinstance(data, int):
        return pool[data]
    kind, *rest = data
    if kind == "t":
        name, op, values, cased = rest
        return Test(name, op, tuple(values), bool(cased))  # type: ignore[arg-type]
    if kind == "n":
        return Not(from_json(rest[0], pool))  # type: ignore[arg-type]
    children = tuple(from_json(c, pool) for c in rest)  # type: ignore[arg-type]
    return And(children) if kind == "a" else Or(children)


def pooled(pool: dict[Test, int]) -> list[object]:
    """A pool as JSON; each item is read by `from_json`."""
    return [_test_json(test) for test in pool]


def shared(expr: Expr, known: dict[Test, Test]) -> Expr:
    """The same expression; equal Tests are one object."""
    if isinstance(expr, Test):
        return known.setdefault(expr, expr)
    if isinstance(expr, Not):
        return Not(shared(expr.child, known))
    children = tuple(shared(child, known) for child in expr.children)
    return And(children) if isinstance(expr, And) else Or(children)


def glob_escape(text: str) -> str:
    """Text as a literal inside a `like` pattern."""
    return text.replace("\\", "\\\\").replace("*", "\\*").replace("?", "\\?")
