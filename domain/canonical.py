"""The canonical form of an expression: what `grammar.parse` gives and `grammar.show` writes.

Patterns become the plainest operator, numbers text, and alternatives on one field a single test with a list of values.
"""

from __future__ import annotations

import ipaddress
import math
import re
from enum import Enum
from typing import Final, TypeAlias

from domain.query import FALSE, TRUE, And, Expr, Not, Op, Or, Test, Value, all_of, any_of, glob_escape

COMPARE: Final = ("lt", "lte", "gt", "gte")
PARTS: Final = ("minute", "hour", "day", "week", "month", "year")
_TEXTUAL: Final = frozenset({"eq", "contains", "startswith", "endswith", "like"})
_PIECE: Final = re.compile(r"\\[\\*?]|[*?]|[^\\*?]+|\\")


class Wild(Enum):
    """A wildcard between pieces of literal text."""

    RUN = "*"
    ONE = "?"


Pieces: TypeAlias = "list[str | Wild]"


def canonical(expr: Expr) -> Expr:
    """The form that `parse` gives: patterns as the plainest operator, numbers as text, alternatives on one field as one list."""
    if isinstance(expr, Test):
        return _canonical_test(expr)
    if isinstance(expr, Not):
        child = canonical(expr.child)
        if isinstance(child, Not):
            return child.child
        return FALSE if child == TRUE else TRUE if child == FALSE else Not(child)
    children = tuple(canonical(c) for c in expr.children)
    if isinstance(expr, And):
        joined = all_of(*(c for c in children if c != TRUE))
        return FALSE if joined == FALSE or (isinstance(joined, And) and FALSE in joined.children) else joined
    joined = any_of(*children)
    return TRUE if joined == TRUE or (isinstance(joined, Or) and TRUE in joined.children) else _listed(joined)


def pieces_of(raw: str) -> Pieces:
    """Literal text and wildcards, in turn. A backslash escapes `*`, `?` and itself, else it is text."""
    out: Pieces = []
    literal = ""
    for piece in _PIECE.findall(raw):
        if piece in ("*", "?"):
            out += [literal, Wild(piece)] if literal else [Wild(piece)]
            literal = ""
        else:
            literal += piece[1] if len(piece) == 2 and piece[0] == "\\" and piece[1] in "\\*?" else piece
    return [*out, literal] if literal else out


def literal(pieces: Pieces) -> str:
    """The text, wildcards taken as plain characters."""
    return "".join(p if isinstance(p, str) else p.value for p in pieces)


def pattern(name: str | None, pieces: Pieces) -> Test:
    """The plainest operator for a pattern over the whole value."""
    core = list(pieces)
    while core and core[0] is Wild.RUN:
        core.pop(0)
    front = len(core) < len(pieces)
    kept = len(core)
    while core and core[-1] is Wild.RUN:
        core.pop()
    back = len(core) < kept
    if not core:
        return Test(name, "exists", (True,)) if front else Test(name, "eq", ("",))
    if len(core) == 1 and isinstance(core[0], str):
        op: Op = "contains" if front and back else "endswith" if front else "startswith" if back else "eq"
        return Test(name, op, (core[0],))
    inner = "".join(glob_escape(p) if isinstance(p, str) else p.value for p in core)
    return Test(name, "like", (re.sub(r"(?<!\\)\*{2,}", "*", f"{'*' * front}{inner}{'*' * back}"),))


def word_test(pieces: Pieces) -> Expr:
    """A bare word: text anywhere; with a wildcard inside, a pattern anywhere."""
    found = pattern(None, [Wild.RUN, *pieces, Wild.RUN])
    if found.op == "exists":
        return TRUE if pieces else Test(None, "fold", ("",))
    return Test(None, "fold", found.values) if found.op == "contains" else found


def _canonical_test(test: Test) -> Expr:
    if test.op == "null":
        return Test(test.field, "null")
    cased = test.cased and (test.op in _TEXTUAL or test.op.startswith("fieldref"))
    made = [_canonical_value(test.field, test.op, value) for value in test.values]
    return _listed(any_of(*(Test(t.field, t.op, t.values, cased and t.op != "exists") for t in made if t is not None)))


def _canonical_value(name: str | None, op: Op, value: Value) -> Test | None:
    """One value; None when it can never match."""
    if op in (*COMPARE, *PARTS):
        number = number_of(str(value))
        return None if number is None else Test(name, op, (number,))
    if op == "exists":
        return Test(name, "exists", (bool(value),))
    text = text_of(value)
    if op == "cidr":
        return Test(name, "cidr", (text,)) if is_network(text) else None
    if op not in _TEXTUAL:
        return Test(name, op, (text,))
    if op == "like":
        return pattern(name, pieces_of(text))
    front: Pieces = [Wild.RUN] if op in ("contains", "endswith") else []
    back: Pieces = [Wild.RUN] if op in ("contains", "startswith") else []
    return pattern(name, [*front, *([text] if text else []), *back])


def _listed(expr: Expr) -> Expr:
    """Alternatives that differ only in their value become one test with a list of values."""
    if not isinstance(expr, Or):
        return expr
    lists: dict[object, list[Value]] = {}
    places: dict[object, Expr] = {}
    for child in expr.children:
        key: object = child
        if isinstance(child, Test) and child.op != "null":
            key = (child.field, child.op, child.cased)
            values = lists.setdefault(key, [])
            values += [v for v in dict.fromkeys(child.values) if v not in values]
        places.setdefault(key, child)
    joined = (Test(e.field, e.op, tuple(lists[k]), e.cased) if k in lists and isinstance(e, Test) else e for k, e in places.items())
    return any_of(*joined)


def text_of(value: Value) -> str:
    """A value as text: booleans true/false, whole floats without .0 (as the evaluator reads them)."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def number_of(text: str) -> int | float | None:
    """A finite number, whole ones as int; None when the text is none."""
    try:
        return int(text)
    except ValueError:
        pass
    try:
        number = float(text)
    except ValueError:
        return None
    return None if not math.isfinite(number) else int(number) if number.is_integer() else number


def is_network(text: str) -> bool:
    """Whether it is a network (or an address), v4 or v6."""
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return True


def address_of(text: str) -> str:
    """An address as stored (compressed, lower case); empty when it is none."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return ""
