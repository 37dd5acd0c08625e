"""Values of rules while modifiers work on them: text in parts, its case kept in mind."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from math import prod
from typing import Any, Final

from sigma.exceptions import SigmaValueError
from sigma.types import Placeholder, SigmaBool, SigmaCasedString, SigmaNumber, SigmaRegularExpression, SigmaString

from match.ops import text_of

MOST: Final = 20_000
"""Texts that one value may become."""


class Pattern(SigmaRegularExpression):
    """A regular expression that RE2 judges, not Python."""

    def compile(self) -> None:
        """Nothing: `express` does."""


def made(like: SigmaString, parts: Sequence[Any]) -> SigmaString:
    """Text of these parts, cased as `like` is."""
    out = SigmaCasedString() if isinstance(like, SigmaCasedString) else SigmaString()
    out.s, out.original = list(parts), like.original
    return out


def text(value: SigmaString | SigmaNumber | SigmaBool) -> SigmaString:
    """A value as text: numbers in decimal, booleans as true and false."""
    if isinstance(value, SigmaString):
        return value
    return SigmaString.from_str(text_of(value.number if isinstance(value, SigmaNumber) else value.boolean))


def blank(value: SigmaString) -> bool:
    """A placeholder without values is in it: modifiers leave the value as it is, and the rule is blind."""
    return any(isinstance(part, Placeholder) for part in value.s)


def whole(value: SigmaString, what: str, source: Any) -> str:
    """The text of a value without wildcards."""
    if value.contains_special():
        raise SigmaValueError(f"{what} takes no wildcards (escape * and ? by a backslash)", source=source)
    return "".join(part for part in value.s if isinstance(part, str))


def combined(val: SigmaString, choices: Sequence[Sequence[Any]], source: Any) -> Iterator[SigmaString]:
    """Every combination of one part of each choice."""
    count = prod(map(len, choices))
    if count > MOST:
        raise SigmaValueError(f"the value becomes {count} texts; the limit is {MOST}", source=source)
    return (made(val, [p for p in parts if p != ""]) for parts in product(*choices))
