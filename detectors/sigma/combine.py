"""Which modifiers cannot stand together, and which values they cannot have: one sentence for each problem."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

_TEXT: Final = frozenset({"contains", "startswith", "endswith"})
_ENCODERS: Final = frozenset({"base64", "base64offset"})
_WIDE: Final = frozenset({"wide", "utf16", "utf16le", "utf16be"})
_COMPARE: Final = frozenset({"lt", "lte", "gt", "gte"})
_PARTS: Final = frozenset({"minute", "hour", "day", "week", "month", "year"})
_ALONE: Final = frozenset({"re", "cidr", "exists", "fieldref", *_COMPARE, *_PARTS})
_TRANSFORMS: Final = frozenset({*_TEXT, *_ENCODERS, *_WIDE, "windash", "cased"})
_FLAGS: Final = frozenset({"i", "m", "s", "ignorecase", "multiline", "dotall"})
_ONE_OF: Final = (_TEXT, _ENCODERS, _WIDE, _COMPARE, _PARTS)
_WITH_FIELDREF: Final = frozenset({*_TEXT, "cased"})
_NEEDS_FIELD: Final = frozenset({"exists", "fieldref", *_COMPARE, *_PARTS})


def check(detection: object) -> list[str]:
    """Everything wrong with modifiers and the shape of values anywhere in a `detection` section."""
    problems: list[str] = []
    if isinstance(detection, dict):
        for key, value in detection.items():
            problems += _item(key, value)
            problems += check(value)
    elif isinstance(detection, list):
        for item in detection:
            problems += check(item)
    return problems


def _item(key: object, value: object) -> list[str]:
    if not isinstance(key, str):
        return [f"{key}: names are text: put them in quotes"]
    field, *names = key.split("|")
    problems = _values(value, names)
    if names:
        problems += _reasons(set(names), names)
        if not field and set(names) & _NEEDS_FIELD:
            problems.append(f"`{min(set(names) & _NEEDS_FIELD)}` needs a field")
    return [f"{key}: {reason}" for reason in problems]


def _values(value: object, names: Sequence[str]) -> list[str]:
    out = []
    values = value if isinstance(value, list) else [value]
    if not values:
        out.append("the list has no values")
    if isinstance(value, list) and any(one is None for one in value):
        out.append("null cannot be part of a list of values: give it a selection of its own")
    if "all" in names and len(values) == 1 and not isinstance(value, dict):
        out.append("`all` needs a list of values")
    if "exists" in names and len(values) > 1:
        out.append("`exists` takes one value, true or false")
    parts = _PARTS.intersection(names)
    if parts and any(isinstance(one, float) for one in values):
        out.append(f"`{min(parts)}` takes whole numbers")
    return out


def _reasons(found: set[str], names: Sequence[str]) -> list[str]:
    out = []
    if len(found) != len(names):
        out.append("a modifier stands twice")
    for group in _ONE_OF:
        if len(found & group) > 1:
            out.append(f"only one of {', '.join(sorted(found & group))} can be used")
    alone = found & _ALONE
    others = found & _TRANSFORMS - (_WITH_FIELDREF if alone == {"fieldref"} else frozenset())
    if alone and others:
        out.append(f"`{min(alone)}` cannot be combined with {', '.join(sorted(others))}")
    if len(alone) > 1:
        out.append(f"{', '.join(sorted(alone))} exclude each other")
    if "neq" in found and found & _COMPARE:
        out.append(f"neq, {', '.join(sorted(found & _COMPARE))} exclude each other")
    if found & _FLAGS and "re" not in found:
        out.append("i, m and s are flags of `re`")
    return out
