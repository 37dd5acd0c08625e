"""What pySigma 1.5 gets wrong or lacks, mended in one place, each with a test.

- `windash` expands only `-` and `/`: the three Unicode dashes in a value are taken for `-` first.
- `utf16le` is missing, `utf16` writes the byte-order mark in UTF-8, `wide` takes ASCII only, `base64offset` counts characters for bytes.
- Illegal combinations of modifiers pass: they are refused here.
- Python's `re` decides whether a regular expression is valid: ours run in RE2 (checked in `express`).
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Sequence
from typing import Any, Final

from sigma import modifiers
from sigma.exceptions import SigmaValueError
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


class Encoded(SigmaString):
    """Text that an encoder has turned into bytes, for the base64 modifier after it."""

    encoded: bytes = b""


class _Encoder(modifiers.SigmaValueModifier[SigmaString, SigmaString]):
    codec = "utf-16-le"
    mark = b""

    def modify(self, val: SigmaString) -> SigmaString:
        """The text as bytes; wildcards cannot be encoded."""
        out = Encoded()
        out.s, out.original = list(val.s), val.original
        out.encoded = self.mark + _bytes(val, self.source).decode().encode(self.codec)
        return out


class Wide(_Encoder):
    """UTF-16 little-endian without byte-order mark: `wide` and `utf16le`."""


class Utf16Be(_Encoder):
    """UTF-16 big-endian without byte-order mark."""

    codec = "utf-16-be"


class Utf16(_Encoder):
    """UTF-16 little-endian after its byte-order mark."""

    mark = b"\xff\xfe"


def _bytes(val: SigmaString, source: Any) -> bytes:
    if isinstance(val, Encoded) and val.encoded:
        return val.encoded
    if val.contains_special():
        raise SigmaValueError("strings with wildcards cannot be encoded", source=source)
    return "".join(part for part in val.s if isinstance(part, str)).encode()


class Base64(modifiers.SigmaValueModifier[SigmaString, SigmaString]):
    """The bytes in base64."""

    def modify(self, val: SigmaString) -> SigmaString:
        """One value."""
        return SigmaString.from_str(b64encode(_bytes(val, self.source)).decode())


class Base64Offset(modifiers.SigmaValueModifier[SigmaString, SigmaExpansion]):
    """What the bytes look like inside a longer base64 text, at each of the three offsets; lengths are counted in bytes."""

    def modify(self, val: SigmaString) -> SigmaExpansion:
        """Three values, any of which counts."""
        raw = _bytes(val, self.source)
        parts = [b64encode(b" " * i + raw)[(0, 2, 3)[i] : (None, -3, -2)[(len(raw) + i) % 3]].decode() for i in range(3)]
        return SigmaExpansion([SigmaString.from_str(part) for part in parts])


def install() -> None:
    """Put the mended modifiers in pySigma's registry. Safe to call twice."""
    ours: dict[str, type[modifiers.SigmaModifier[Any, Any]]] = {
        "windash": WindowsDash, "wide": Wide, "utf16le": Wide, "utf16be": Utf16Be, "utf16": Utf16,
        "base64": Base64, "base64offset": Base64Offset,
    }  # fmt: skip
    modifiers.modifier_mapping.update(ours)
    modifiers.reverse_modifier_mapping.update({found.__name__: name for name, found in ours.items()})


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
