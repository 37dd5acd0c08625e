"""What a text must hold for a pattern to match: found by the automaton, so that costly patterns are asked of few values."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Iterator
from functools import lru_cache
from re import _constants, _parser  # type: ignore[attr-defined]
from typing import Any, Final

SHORTEST: Final = 3
"""Characters; shorter ones occur nearly everywhere."""
_FOLDED: Final = "ks"
"""ASCII letters that other characters stand for when case does not count (Kelvin sign, long s)."""


@lru_cache(4096)
def of_regex(pattern: str) -> str:
    """The longest text that every match of a regular expression holds, whatever its case; "" when none is known."""
    if "[:" in pattern:  # a class of POSIX, which Python takes for something else
        return ""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            parsed = _parser.parse(pattern.replace(r"\z", r"\Z"))
    except (re.error, RecursionError, OverflowError):  # RE2 knows more than Python, and the other way round
        return ""
    blind = bool(parsed.state.flags & re.IGNORECASE)
    return _longest(_runs(parsed, blind=blind))


def of_like(pattern: str) -> str:
    """The same of a `like` pattern."""
    runs = [""]
    for piece in re.findall(r"\\[*?\\]|[*?]|[^*?\\]+|\\", pattern):
        if piece in ("*", "?"):
            runs.append("")
        else:
            runs[-1] += piece[-1] if len(piece) == 2 and piece[0] == "\\" else piece
    return _longest(runs)


def _longest(runs: Iterable[str]) -> str:
    best = max(runs, key=len, default="")
    return best if len(best) >= SHORTEST else ""


def _runs(parsed: Iterable[tuple[Any, Any]], *, blind: bool) -> Iterator[str]:
    """Runs of characters that follow each other in every match; "" where something else stands between."""
    run = ""
    for op, value in parsed:
        if op is _constants.LITERAL and not (blind and (value >= 0x80 or chr(value).lower() in _FOLDED)):
            run += chr(value)
            continue
        yield run
        run = ""
        if op in (_constants.MAX_REPEAT, _constants.MIN_REPEAT) and value[0] >= 1:
            yield from _runs(value[2], blind=blind)
        elif op is _constants.SUBPATTERN:
            _, added, _, inner = value
            yield from _runs(inner, blind=blind or bool(added & re.IGNORECASE))
    yield run
