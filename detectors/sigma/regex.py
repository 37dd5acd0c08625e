r"""Regular expressions of rules for RE2: linear time, so no rule can stall a scan. What PCRE means and RE2 does not is put in other words.

`\s` holds the vertical tab; `$` and `\Z` hold before a last line break too; `\h` is a blank or a tab. Look-around, back-references,
atomic groups and possessive quantifiers do not exist in RE2: they are errors of the rule.
"""

from __future__ import annotations

import re
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

_PIECE: Final = re.compile(r"\\Q.*?(?:\\E|\Z)|\\.|\[:\^?\w+:\]|\[\^?\]?|[^\\\[\]$]+|.", re.DOTALL)
_LINES: Final = re.compile(r"\(\?[a-zA-Z]*m")
_OUTSIDE: Final = {"\\s": r"[\s\x0b]", "\\S": r"[^\s\x0b]", "\\h": r"[ \t]", "\\Z": r"(?:\n?\z)"}
_INSIDE: Final = {"\\s": r"\s\x0b", "\\h": r" \t"}
_END: Final = r"(?:\n?\z)"
LONGEST: Final = 16_384
"""Characters of a pattern. The time of a search grows with them, and nobody writes as many."""


def re2(pattern: str, flags: str) -> str:
    """A pattern as RE2 takes it, with the flags (of i, m, s) in front. ValueError when RE2 does not take it."""
    short(pattern)
    lines = "m" in flags or _LINES.search(pattern) is not None
    out = [f"(?{flags})"] if flags else []
    in_class = False
    for piece in _PIECE.findall(pattern):
        if in_class:
            out.append(_INSIDE.get(piece, piece))
            in_class = piece != "]"
        elif piece == "$" and not lines:
            out.append(_END)
        else:
            out.append(_OUTSIDE.get(piece, piece))
            in_class = piece in ("[", "[^", "[]", "[^]")
    found = "".join(out)
    checked(found)
    return found


def short(pattern: str) -> None:
    """ValueError when a pattern is longer than makes sense."""
    if len(pattern) > LONGEST:
        raise ValueError(f"a pattern of {len(pattern)} characters; the limit is {LONGEST}")


def checked(pattern: str) -> None:
    """ValueError when RE2 does not take the pattern, or finds it too large."""
    try:
        pc.match_substring_regex(pa.array([""], pa.string()), pattern)
    except pa.ArrowInvalid as error:
        reason = str(error).removeprefix("Invalid regular expression: ")
        raise ValueError(f"regular expression is not one of RE2 (no look-around, no back-references): {reason}") from None
