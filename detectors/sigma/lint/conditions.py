"""Checks of `condition`: syntax with the place inside it, what it refers to, what is deprecated."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from detectors.sigma.cells import Cell
from detectors.sigma.condition import selected
from detectors.sigma.lint.base import Document, Finding, listed, suggestion

_TOKEN: Final = re.compile(r"\s*(?:([()])|([\w*-]+)|(\S))", re.ASCII)
_QUANTIFIERS: Final = ("1", "any", "all")
_WORDS: Final = ("and", "or", "not")
_OLD: Final = re.compile(r"\|\s*(?:count|sum|min|max|avg|near)\b|\|", re.IGNORECASE)


@dataclass
class Parsed:
    """What a condition says."""

    names: list[tuple[str, int]] = field(default_factory=list)
    """Selections it names, with the offset."""
    patterns: list[tuple[str, int, str]] = field(default_factory=list)
    """`selection_*` or `them`, its offset, the quantifier."""
    fault: tuple[int, str, str] | None = None
    """(offset, what stands there, what was expected); None when it is well formed."""


class _Fault(Exception):
    def __init__(self, offset: int, found: str, expected: str) -> None:
        super().__init__(expected)
        self.at = (offset, found, expected)


@lru_cache(maxsize=512)
def parse(text: str) -> Parsed:
    """A condition; what is wrong is in `fault`."""
    out = Parsed()
    tokens = [(m[1] or m[2] or m[3], m.start(m.lastindex or 0)) for m in _TOKEN.finditer(text)]
    reader = _Reader(tokens, len(text), out)
    try:
        reader.whole()
    except _Fault as fault:
        out.fault = fault.at
    except RecursionError:
        out.fault = (0, "(", "lint.word_shallower")
    return out


class _Reader:
    """`or` over `and` over `not` over operands."""

    def __init__(self, tokens: list[tuple[str, int]], end: int, out: Parsed) -> None:
        self._tokens, self._end, self._out = tokens, end, out
        self._place = 0

    def whole(self) -> None:
        self._level(0)
        if self._place < len(self._tokens):
            raise self._fault("lint.word_after_operand")

    def _next(self) -> str:
        return self._tokens[self._place][0] if self._place < len(self._tokens) else ""

    def _offset(self) -> int:
        return self._tokens[self._place][1] if self._place < len(self._tokens) else max(0, self._end - 1)

    def _fault(self, expected: str) -> _Fault:
        word = self._next()
        shouted = word not in _WORDS and word.lower() in _WORDS
        return _Fault(self._offset(), word or "lint.word_end", word.lower() if shouted else expected)

    def _level(self, level: int) -> None:
        word = ("or", "and")[level]
        self._operand() if level else self._level(1)
        while self._next() == word:
            self._place += 1
            self._operand() if level else self._level(1)

    def _operand(self) -> None:
        while self._next() == "not":
            self._place += 1
        word, offset = self._next(), self._offset()
        if word == "(":
            self._place += 1
            self._level(0)
            if self._next() != ")":
                raise self._fault(")")
        elif not word or word in _WORDS or not re.fullmatch(r"[\w*-]+", word, re.ASCII):
            raise self._fault("lint.word_operand")
        elif self._place + 1 < len(self._tokens) and self._tokens[self._place + 1][0] == "of":
            self._selector(word)
        elif "*" in word:
            raise self._fault("lint.word_quantified")
        else:
            self._out.names.append((word, offset))
        self._place += 1

    def _selector(self, quantifier: str) -> None:
        if quantifier not in _QUANTIFIERS:
            raise self._fault("lint.word_quantifier")
        self._place += 2
        pattern, offset = self._next(), self._offset()
        if not re.fullmatch(r"[\w*-]+", pattern, re.ASCII):
            raise self._fault("lint.word_pattern")
        self._out.patterns.append((pattern, offset, quantifier))


def condition_syntax(document: Document) -> Iterator[Finding]:
    """Malformed conditions, at the character."""
    for cell in document.conditions:
        fault = None if "|" in cell.value else parse(cell.value).fault
        if fault:
            yield cell.at(fault[0]), {"found": fault[1], "expected": fault[2]}


def deprecated_aggregation(document: Document) -> Iterator[Finding]:
    """`| count() > 5` and `| near`: correlations took their place."""
    for cell in document.conditions:
        if "|" in cell.value:
            found = _OLD.search(cell.value)
            yield cell.at(found.start() if found else 0), {"found": cell.value[found.start() if found else 0 :]}


def deprecated_timeframe(document: Document) -> Iterator[Finding]:
    """`timeframe` beside the selections."""
    key = document.detection.key("timeframe") if document.detection else None
    if key:
        yield key, {}


def missing_selection(document: Document) -> Iterator[Finding]:
    """Names and patterns that no selection has."""
    names = [str(name.value) for name, _ in document.selections]
    for cell in document.conditions:
        found = parse(cell.value)
        if found.fault:
            continue
        for word, offset in found.names:
            if word not in names:
                yield cell.at(offset), {"name": word, "hint": suggestion(word, names) or listed(names) or "-"}
        for pattern, offset, _ in found.patterns:
            if not selected(pattern, names):
                yield cell.at(offset), {"name": pattern, "hint": listed(names) or "-"}


def unused_selection(document: Document) -> Iterator[Finding]:
    """Selections that no condition means."""
    parsed = [parse(cell.value) for cell in document.conditions]
    if not parsed or any(p.fault for p in parsed):
        return
    names = [str(name.value) for name, _ in document.selections]
    used = {word for p in parsed for word, _ in p.names}
    used.update(name for p in parsed for pattern, _, _ in p.patterns for name in selected(pattern, names))
    for name, _ in document.selections:
        if str(name.value) not in used:
            yield name, {"name": name.value}


def all_of_them(document: Document) -> Iterator[Finding]:
    """`all of them`: the next selection that somebody adds is taken in without a word."""
    for cell, pattern, offset, quantifier in _patterns(document):
        if pattern == "them" and quantifier == "all":
            yield cell.at(offset), {}


def them_of_one(document: Document) -> Iterator[Finding]:
    """`1 of them` where there is only one selection."""
    for cell, pattern, offset, _ in _patterns(document):
        if pattern == "them" and len(document.selections) == 1:
            yield cell.at(offset), {"name": document.selections[0][0].value}


def pattern_of_one(document: Document) -> Iterator[Finding]:
    """`1 of selection_*` that means one selection."""
    for cell, pattern, offset, quantifier in _patterns(document):
        names = selected(pattern, [str(name.value) for name, _ in document.selections])
        if pattern != "them" and len(names) == 1:
            yield cell.at(offset), {"pattern": pattern, "name": names[0], "quantifier": quantifier}


def _patterns(document: Document) -> Iterator[tuple[Cell, str, int, str]]:
    for cell in document.conditions:
        for pattern, offset, quantifier in parse(cell.value).patterns:
            yield cell, pattern, offset, quantifier
