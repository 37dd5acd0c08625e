"""What pySigma 1.5 gets wrong or lacks, mended in one place, each with a test.

- `windash` expands only `-` and `/`: the three Unicode dashes in a value are taken for `-` first.
- `utf16le` is missing. (`utf16` writes a wrong byte-order mark; nobody uses it.)
- Illegal combinations of modifiers pass: they are refused here.
- Python's `re` decides whether a regular expression is valid: ours run in RE2 (checked in `express`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from sigma import modifiers
from sigma.types import SigmaExpansion, SigmaString

_DASHES: Final = re.compile(r"\B[\u2013\u2014\u2015](?=\w)")
_TEXT: Final = frozenset({"contains", "startswith", "endswith"})
_ENCODERS: Final = frozenset({"base64", "base64offset"})
_WIDE: Final = frozenset({"wide", "utf16", "utf16le", "utf16be"})
_COMPARE: Final = frozenset({"lt", "lte", "gt", "gte"})
_ALONE: Final = frozenset({"re", "cidr", "exists", "fieldref", *_COMPARE})
_FLAGS: Final = frozenset({"i", "m", "s"})
_PARTS: Final = frozenset({"minute", "hour", "day", "week", "month", "year"})


class WindowsDash(modifiers.SigmaWindowsDashModifier):
    """All five dashes alike, on both sides."""

    def modify(self, val: SigmaString) -> SigmaExpansion:
        """Unicode dashes become `-`, which the base class expands to all five."""
        val.s = [_DASHES.sub("-", part) if isinstance(part, str) else part for part in val.s]
        return super().modify(val)


class Utf16Le(modifiers.SigmaWideModifier):
    """UTF-16 little-endian without byte-order mark: the same as `wide`."""


def install() -> None:
    """Put the mended modifiers in pySigma's registry. Safe to call twice."""
    modifiers.modifier_mapping["windash"] = WindowsDash
    modifiers.modifier_mapping["utf16le"] = Utf16Le
    modifiers.reverse_modifier_mapping.update({"WindowsDash": "windash", "Utf16Le": "utf16le"})


def check(detection: object, path: str = "") -> list[str]:
    """Illegal combinations of modifiers anywhere in a `detection` section: one sentence each."""
    problems: list[str] = []
    if isinstance(detection, dict):
        for key, value in detection.items():
            if "|" in str(key):
                problems += _combination(str(key), value)
            problems += check(value, f"{path}.{key}")
    elif isinstance(detection, list):
        for item in detection:
            problems += check(item, path)
    return problems


def _combination(key: str, value: Any) -> list[str]:
    _, *names = key.split("|")
    found = set(names)
    problems = [f"{key}: {reason}" for reason in _reasons(found, names)]
    single = not isinstance(value, list) or len(value) < 2
    if "all" in found and single and not isinstance(value, dict):
        problems.append(f"{key}: `all` needs a list of values")
    return problems


def _reasons(found: set[str], names: Sequence[str]) -> list[str]:
    out = []
    if len(found) != len(names):
        out.append("a modifier stands twice")
    for group, what in (
        (_TEXT, "only one of"),
        (_ENCODERS, "only one of"),
        (_WIDE, "only one of"),
        (_COMPARE, "only one of"),
        (_PARTS, "only one of"),
    ):
        if len(found & group) > 1:
            out.append(f"{what} {', '.join(sorted(found & group))} can be used")
    alone = found & _ALONE
    if alone and found & (_TEXT | _ENCODERS | _WIDE | {"windash"}) and alone != {"fieldref"}:
        out.append(f"`{min(alone)}` cannot be combined with {', '.join(sorted(found - alone))}")
    if len(alone) > 1:
        out.append(f"{', '.join(sorted(alone))} exclude each other")
    if found & _FLAGS and "re" not in found:
        out.append("i, m and s are flags of `re`")
    if found & _WIDE and not found & _ENCODERS:
        out.append(f"`{min(found & _WIDE)}` needs base64 or base64offset after it")
    return out
