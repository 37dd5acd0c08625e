"""Checks of regular expressions: what they cost, and what says the same for less."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from detectors.sigma.cells import Cell
from detectors.sigma.lint.base import Document, Finding, Item

_LITERAL: Final = re.compile(r"(?:[^\\.^$*+?{}\[\]|()]|\\[^A-Za-z0-9])*")
_PIECE: Final = re.compile(
    r"""
    (?P<group>\((?:\?(?:[imsU-]+:|:|P?<\w+>))?)   # a group opens, with its flags or name
    | (?P<end>\))
    | (?P<or>\|)
    | (?P<class>\[\^?\]?(?:\\.|\[:\w+:\]|[^\]\\])*\])
    | (?P<any>\\[A-Za-z]\{?\w*\}?|\\\d+|[.^$])
    | (?P<one>\\.|[^\\])
    """,
    re.VERBOSE | re.DOTALL,
)
_REPEAT: Final = re.compile(r"(?:([*?])|(\+)|\{(\d*)(?:,\d*)?\})[?+]?")
_FLAGS: Final = re.compile(r"\(\?[imsU]+\)")
_CASED: Final = (
    "Image", "ParentImage", "CommandLine", "ParentCommandLine", "TargetFilename", "TargetObject", "ImageLoaded", "SourceImage",
    "TargetImage", "CurrentDirectory", "ServiceFileName", "ImagePath", "Details", "ScriptBlockText", "PipeName",
)  # fmt: skip
"""Fields of Windows in which case means nothing."""
_MIN: Final = 3


def _patterns(document: Document) -> Iterator[tuple[Item, Cell, str]]:
    for item in document.items:
        if item.has("re"):
            for cell, text in item.texts:
                yield item, cell, text


def required(pattern: str) -> int:
    """Length of the longest text that every match of a pattern holds."""
    try:
        return _Required(_FLAGS.sub("", pattern)).longest()
    except RecursionError:
        return 0


class _Required:
    """Reads a pattern once."""

    def __init__(self, pattern: str) -> None:
        self._pattern, self._place = pattern, 0

    def longest(self) -> int:
        branches: list[int] = []
        best = run = 0
        while self._place < len(self._pattern):
            found = _PIECE.match(self._pattern, self._place)
            if found is None:
                break
            self._place = found.end()
            kind = found.lastgroup
            if kind == "end":
                break
            if kind == "or":
                branches.append(max(best, run))
                best = run = 0
                continue
            inner = self.longest() if kind == "group" else 0
            least = self._least()
            if kind == "one":
                run, best = (run + 1 if least == 1 else max(least, 0), max(best, run)) if least is not None else (run + 1, best)
                if least == 0:
                    best, run = max(best, run), 0
            else:
                best, run = max(best, run, inner if least != 0 else 0), 0
        return min([*branches, max(best, run)])

    def _least(self) -> int | None:
        """How often the piece before must stand there; None: exactly once."""
        found = _REPEAT.match(self._pattern, self._place)
        if found is None:
            return None
        self._place = found.end()
        return 0 if found[1] else 1 if found[2] else int(found[3] or 0)


@lru_cache(maxsize=1024)
def plain(pattern: str) -> str:
    """The modifier that says the same as a pattern; empty when none does."""
    text = _FLAGS.sub("", pattern)
    before = re.match(r"\^|\.\*\??", text)
    left = before[0] if before else ""
    text = text[len(left) :]
    after = re.search(r"(?<!\\)(?:\$|\.\*\??)$", text)
    right = after[0] if after else ""
    text = text[: len(text) - len(right)]
    if not text or not _LITERAL.fullmatch(text):
        return ""
    start, end = left == "^", right == "$"
    return "no modifier" if start and end else "startswith" if start else "endswith" if end else "contains"


def regex_for_modifier(document: Document) -> Iterator[Finding]:
    """A pattern without anything that only patterns can say."""
    for item, cell, text in _patterns(document):
        if plain(text):
            yield cell, {"found": text, "modifier": plain(text), "field": item.field}


def regex_open_ends(document: Document) -> Iterator[Finding]:
    """`.*` at an end: patterns are looked for anywhere."""
    for _, cell, text in _patterns(document):
        if not plain(text) and (text.startswith(".*") or re.search(r"(?<!\\)\.\*$", text)):
            yield cell, {"found": text}


def regex_without_text(document: Document) -> Iterator[Finding]:
    """No text of three characters that a match must hold: the pattern is tried on every value."""
    for item, cell, text in _patterns(document):
        if required(text) < _MIN:
            yield cell, {"found": text, "field": item.field or "-"}


def regex_cased(document: Document) -> Iterator[Finding]:
    """Windows does not care about case; `re` without `i` does."""
    if not document.source or document.source.product != "windows":
        return
    for item, cell, text in _patterns(document):
        letters = re.sub(r"\\[A-Za-z]|\(\?[^)]*\)?|\[[^\]]*\]", "", text)
        insensitive = item.has("i", "ignorecase") or re.match(r"\(\?[a-z]*i", text)
        if item.field in _CASED and not insensitive and re.search(r"[a-zA-Z]{2}", letters):
            yield cell, {"found": text, "field": item.field}
