"""Placeholders: `%name%` of `|expand` by the values of registers and configured lists."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import product
from math import prod
from typing import Any, Final

from sigma import modifiers
from sigma.exceptions import SigmaValueError
from sigma.types import Placeholder, SigmaExpansion, SigmaRegularExpression, SigmaString

from detectors.sigma.strings import MOST, Pattern, combined, made
from match.ops import re2_escape

_PERCENT: Final = re.compile(r"(?<!\\)%([^%]+)%")
_VALUES: ContextVar[Mapping[str, Sequence[str]]] = ContextVar("values of placeholders", default={})  # noqa: B039  never changed


@contextmanager
def filled(placeholders: Mapping[str, Sequence[str]]) -> Iterator[None]:
    """Rules that are built within have these values for `%name%`; names without regard to case."""
    token = _VALUES.set({name.lower(): [v for v in values if v] for name, values in placeholders.items() if any(values)})
    try:
        yield
    finally:
        _VALUES.reset(token)


class Expand(modifiers.SigmaValueModifier[Any, Any]):
    """`%name%` by its values; where it has none it stays and the rule is blind."""

    def modify(self, val: SigmaString | SigmaRegularExpression) -> Any:
        """Each combination of values; those of a list are patterns, in a regular expression they are plain text."""
        known = _VALUES.get()
        if isinstance(val, SigmaRegularExpression):
            pattern = str(val.regexp.original)
            if any(name.lower() not in known for name in _PERCENT.findall(pattern)):
                return SigmaString.from_str(pattern).insert_placeholders()
            return SigmaExpansion([Pattern(text, set(val.flags)) for text in _patterns(pattern, known)])
        parts = val.insert_placeholders().s
        if not any(isinstance(p, Placeholder) and p.name.lower() in known for p in parts):
            return val
        choices = [known[p.name.lower()] if isinstance(p, Placeholder) and p.name.lower() in known else (p,) for p in parts]
        return SigmaExpansion([_whole(val, parts, one.s) for one in combined(val, choices, self.source)])


def _whole(val: SigmaString, parts: Sequence[Any], chosen: Sequence[Any]) -> SigmaString:
    """The parts of a value with what was chosen for its placeholders, each a pattern of its own."""
    out: list[Any] = []
    for part, one in zip(parts, chosen, strict=True):
        out += SigmaString(one).s if isinstance(part, Placeholder) and isinstance(one, str) else [one]
    return made(val, out)


def _patterns(pattern: str, known: Mapping[str, Sequence[str]]) -> list[str]:
    names = [name.lower() for name in _PERCENT.findall(pattern)]
    pieces = _PERCENT.split(pattern)[::2]
    if prod(len(known[name]) for name in names) > MOST:
        raise SigmaValueError(f"the value becomes more than {MOST} patterns")
    return [
        "".join(piece + re2_escape(word) for piece, word in zip(pieces, [*words, ""], strict=True))
        for words in product(*(known[name] for name in names))
    ]
