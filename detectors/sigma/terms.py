"""`condition: a and not (b or c)` of a temporal correlation: which rules must be seen, and which must not."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

_TOKEN: Final = re.compile(r"[()]|[^\s()]+")
MOST_BRANCHES: Final = 64
"""Ways in which an ordered correlation may hold."""


@dataclass(frozen=True)
class Term:
    """A tree of rules joined by and, or, not."""

    op: str
    """rule, and, or, not."""
    name: str = ""
    """Of a rule."""
    parts: tuple[Term, ...] = ()

    def names(self) -> Iterator[str]:
        """Rules in the order in which they first stand."""
        seen: dict[str, None] = {}
        for part in self.parts:
            seen |= dict.fromkeys(part.names())
        yield from (self.name,) if self.op == "rule" else seen

    def renamed(self, new: Callable[[str], str]) -> Term:
        """The same over other names."""
        return Term(self.op, new(self.name) if self.name else "", tuple(p.renamed(new) for p in self.parts))

    @property
    def negates(self) -> bool:
        """Whether the absence of a rule matters."""
        return self.op == "not" or any(p.negates for p in self.parts)


@dataclass(frozen=True)
class Branch:
    """One way in which the condition holds: rules that must be seen, in this order, and rules that must not be seen."""

    seen: tuple[str, ...]
    absent: frozenset[str] = frozenset()


def parse(text: str) -> Term:
    """The tree; `not` binds closer than `and`, `and` closer than `or`. ValueError says what is wrong."""
    tokens = _TOKEN.findall(text)
    found, rest = _or(tokens)
    if rest:
        raise ValueError(f"{rest[0]} where `and`, `or` or the end is expected")
    return found


def _or(tokens: list[str]) -> tuple[Term, list[str]]:
    return _joined("or", tokens, lambda t: _joined("and", t, _not))


def _joined(word: str, tokens: list[str], inner: Callable[[list[str]], tuple[Term, list[str]]]) -> tuple[Term, list[str]]:
    first, rest = inner(tokens)
    parts = [first]
    while rest and rest[0].lower() == word:
        more, rest = inner(rest[1:])
        parts.append(more)
    return (first if len(parts) == 1 else Term(word, parts=tuple(parts))), rest


def _not(tokens: list[str]) -> tuple[Term, list[str]]:
    if not tokens:
        raise ValueError("it ends where a rule is expected")
    head, rest = tokens[0], tokens[1:]
    if head.lower() == "not":
        part, rest = _not(rest)
        return Term("not", parts=(part,)), rest
    if head == "(":
        part, rest = _or(rest)
        if not rest or rest[0] != ")":
            raise ValueError("a parenthesis is not closed")
        return part, rest[1:]
    if head == ")" or head.lower() in ("and", "or"):
        raise ValueError(f"{head} where a rule is expected")
    return Term("rule", head), rest


def branches(term: Term, *, wanted: bool = True) -> list[Branch]:
    """Every way in which the term is true (`wanted`) or false. ValueError when there are too many."""
    if term.op == "rule":
        return [Branch((term.name,)) if wanted else Branch((), frozenset({term.name}))]
    if term.op == "not":
        return branches(term.parts[0], wanted=not wanted)
    each = [branches(p, wanted=wanted) for p in term.parts]
    if (term.op == "or") == wanted:
        found = [b for some in each for b in some]
    else:
        found = [Branch(())]
        for some in each:
            found = [Branch(tuple(dict.fromkeys((*a.seen, *b.seen))), a.absent | b.absent) for a in found for b in some]
            _bounded(found)
    _bounded(found)
    return found


def _bounded(found: list[Branch]) -> None:
    if len(found) > MOST_BRANCHES:
        raise ValueError(f"it can hold in more than {MOST_BRANCHES} ways")
