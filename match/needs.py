"""Which fields rules can ask of an event of which some are known: what a reader of logs may skip."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Final

from domain.query import And, Expr, Not, Test, fields_of
from match.ops import text_of
from match.plan import Entry
from match.values import lower_text

_Allowed = Mapping[str, frozenset[str] | None]


MOST: Final = 4_096
"""Kinds that are remembered; log lines can name any number, and of further ones everything is read."""


class Needs:
    """Fields by what is known of an event; remembered for each combination."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._entries = entries
        self._answers: dict[tuple[tuple[str, str], ...], frozenset[str]] = {}
        self.seconds = 0.0
        """Time that went into answers that were not known."""

    def __call__(self, known: Mapping[str, str]) -> frozenset[str]:
        """Fields of every rule that an event with these values could still match; "*" when one has keywords."""
        key = tuple(sorted((name, lower_text(value)) for name, value in known.items()))
        if key not in self._answers and len(self._answers) >= MOST:
            return self._everything
        if key not in self._answers:
            start = time.perf_counter()
            self._answers[key] = self._of(dict(key))
            self.seconds += time.perf_counter() - start
        return self._answers[key]

    def _of(self, known: Mapping[str, str]) -> frozenset[str]:
        out: set[str] = set()
        for route, bodies in self._groups.items():
            if _possible(route, known):
                out |= fields_of(route)
                out = out.union(*(body.fields for body in bodies if body.possible(known)))
        return frozenset(out)

    @cached_property
    def _everything(self) -> frozenset[str]:
        return frozenset().union(*(fields_of(entry.route) | fields_of(entry.body) for entry in self._entries))

    @cached_property
    def _groups(self) -> dict[Expr, list[_Body]]:
        groups: dict[Expr, list[_Body]] = {}
        for entry in self._entries:
            groups.setdefault(entry.route, []).append(_Body(entry.body))
        return groups


class _Body:
    """A rule's condition: its fields, and what some of them must be (worked out when first asked)."""

    def __init__(self, expr: Expr) -> None:
        self._expr = expr
        self.fields = frozenset(fields_of(expr))
        self._allowed: dict[str, frozenset[str] | None] = {}

    def possible(self, known: Mapping[str, str]) -> bool:
        """Whether an event with these values could match."""
        for name in known.keys() & self.fields:
            if name not in self._allowed:
                self._allowed[name] = allowed(self._expr, name)
            values = self._allowed[name]
            if values is not None and known[name] not in values:
                return False
        return True


def _possible(expr: Expr, known: Mapping[str, str]) -> bool:
    if isinstance(expr, Test):
        values = allowed(expr, expr.field) if expr.field in known else None
        return values is None or known[str(expr.field)] in values
    if isinstance(expr, Not):
        return True
    some = all if isinstance(expr, And) else any
    return some(_possible(child, known) for child in expr.children)


def allowed(expr: Expr, name: str | None) -> frozenset[str] | None:
    """The values (lower-case) one of which a field must have for the expression to hold; None = any, or none at all."""
    if isinstance(expr, Test):
        if expr.field == name and expr.op == "eq" and not expr.cased:
            return frozenset(lower_text(text_of(value)) for value in expr.values)
        return None
    if isinstance(expr, Not):
        return None
    sets = [allowed(child, name) for child in expr.children]
    given = [values for values in sets if values is not None]
    if isinstance(expr, And):
        return frozenset.intersection(*given) if given else None
    return frozenset().union(*given) if len(given) == len(sets) else None
