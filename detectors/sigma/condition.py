"""`condition:` of a rule as an Expr over its selections.

pySigma's grammar takes `notepad` for `not epad`, knows no `-` in `1 of sel-*`, reads `1 of nothing_*` as nothing at all, and is slow.
`or` binds least, then `and`, then `not`, then `1 of` and parentheses.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import Final

from sigma.rule import SigmaDetections

from detectors.sigma.express import Unfilled, Unsupported, express, merged
from domain.query import TRUE, Expr, Not, all_of

_TOKEN: Final = re.compile(r"[()]|[^\s()]+")
_NAME: Final = re.compile(r"[\w-]+", re.ASCII)
_PATTERN: Final = re.compile(r"[\w*-]+", re.ASCII)
_QUANTIFIERS: Final = ("1", "any", "all")
_WORDS: Final = ("and", "or", "not")
_DEEPEST: Final = 100


def detection(found: SigmaDetections) -> Expr:
    """The Expr of a rule. Unsupported when it is wrong, else Unfilled when a placeholder has no values."""
    selections: dict[str, Expr] = {}
    unfilled: Unfilled | None = None
    for name, one in found.detections.items():
        try:
            selections[name] = express(one)
        except Unfilled as error:
            unfilled = unfilled or error
            selections[name] = TRUE
    expr = expression(found.condition, selections)
    if unfilled:
        raise unfilled
    return expr


def expression(conditions: Sequence[object], selections: Mapping[str, Expr]) -> Expr:
    """Any of the conditions. Unsupported says what is wrong."""
    if not conditions:
        raise Unsupported("the list of conditions is empty")
    return merged(_Reader(text, selections).whole() for text in conditions)


def selected(pattern: str, names: Sequence[str]) -> list[str]:
    """The selections that `1 of PATTERN` means: names that begin with `_` only where the pattern does."""
    shape = re.compile(".*" if pattern == "them" else re.escape(pattern).replace(r"\*", ".*"))
    return [name for name in names if shape.fullmatch(name) and (pattern.startswith("_") or not name.startswith("_"))]


class _Reader:
    """One condition, token by token."""

    def __init__(self, text: object, selections: Mapping[str, Expr]) -> None:
        if not isinstance(text, str):
            raise Unsupported(f"condition is no text: {text!r}")
        if "|" in text:
            raise Unsupported("`|` in a condition (count, near) is deprecated: write a correlation")
        self._tokens = _TOKEN.findall(text)
        self._selections = selections
        self._place = 0
        self._depth = 0

    def whole(self) -> Expr:
        found = self._or()
        if self._place < len(self._tokens):
            raise self._fault("`and`, `or` or the end")
        return found

    def _peek(self, ahead: int = 0) -> str:
        place = self._place + ahead
        return self._tokens[place] if place < len(self._tokens) else ""

    def _fault(self, expected: str) -> Unsupported:
        word = self._peek()
        hint = f" (write `{word.lower()}`)" if word.lower() in _WORDS and word not in _WORDS else ""
        return Unsupported(f"condition: {expected} expected, found {word or 'the end'}{hint}")

    def _or(self) -> Expr:
        parts = [self._and()]
        while self._peek() == "or":
            self._place += 1
            parts.append(self._and())
        return merged(parts) if len(parts) > 1 else parts[0]

    def _and(self) -> Expr:
        parts = [self._not()]
        while self._peek() == "and":
            self._place += 1
            parts.append(self._not())
        return all_of(*parts)

    def _not(self) -> Expr:
        negations = 0
        while self._peek() == "not":
            self._place += 1
            negations += 1
        found = self._operand()
        return Not(found) if negations % 2 else found

    def _operand(self) -> Expr:
        word = self._peek()
        if word == "(":
            return self._inner()
        if self._peek(1) == "of" and word in _QUANTIFIERS:
            return self._selector(word)
        if word in _WORDS or not _NAME.fullmatch(word):
            raise self._fault("a selection, `1 of`, `all of`, `not` or `(`")
        self._place += 1
        if word not in self._selections:
            close = difflib.get_close_matches(word, self._selections, 1)
            raise Unsupported(f"Detection '{word}' not defined in detections" + (f"; did you mean {close[0]}?" if close else ""))
        return self._selections[word]

    def _inner(self) -> Expr:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise Unsupported(f"condition: more than {_DEEPEST} parentheses within each other")
        self._place += 1
        found = self._or()
        if self._peek() != ")":
            raise self._fault("`)`")
        self._place += 1
        self._depth -= 1
        return found

    def _selector(self, quantifier: str) -> Expr:
        self._place += 2
        pattern = self._peek()
        if not _PATTERN.fullmatch(pattern):
            raise self._fault("`them` or a pattern of selections")
        self._place += 1
        names = selected(pattern, list(self._selections))
        if not names:
            raise Unsupported(f"condition: `{quantifier} of {pattern}` means no selection")
        parts = [self._selections[name] for name in names]
        return all_of(*parts) if quantifier == "all" else merged(parts)
