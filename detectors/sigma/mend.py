"""What pySigma 1.5 gets wrong or lacks, mended in one place, each with a test (tests/detectors/sigma/conformance/).

- `windash` expands only `-` and `/`: the three Unicode dashes in a value are taken for them; it forgets `cased`.
- `utf16le` is missing, `utf16` writes the byte-order mark in UTF-8, `wide` takes ASCII only, `base64offset` counts characters for bytes
  and gives an empty text for one byte, which is everywhere; `base64` of an escaped wildcard holds the backslash; all forget `cased`.
- `contains`, `startswith`, `endswith` and `cased` refuse numbers, though the specification lets them stand on all types.
- `re` is refused after `all` and `neq`, and Python decides whether a pattern is valid: ours run in RE2 (`regex`).
- `fieldref` forgets `cased`. Whole numbers above 2**53 are rounded. A date without quotes is no value.
- Placeholders are filled after all modifiers, so that `base64` or `cidr` cannot follow `expand`, and under `all` each of their values
  is wanted (`expand`).
- Combinations that mean nothing pass (`combine`), and conditions are misread (`condition`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final

from sigma import modifiers, types
from sigma.exceptions import SigmaTypeError, SigmaValueError
from sigma.types import (
    SigmaBool,
    SigmaCasedString,
    SigmaCIDRExpression,
    SigmaExpansion,
    SigmaFieldReference,
    SigmaNumber,
    SigmaRegularExpression,
    SigmaString,
)

from detectors.sigma.encode import Base64, Base64Offset, Encoded, EncodedCased, Utf16, Utf16Be, Utf16Le
from detectors.sigma.expand import Expand
from detectors.sigma.express import CasedReference
from detectors.sigma.strings import Pattern, blank, combined, text, whole

_DASH: Final = re.compile(r"\B[-/\u2013\u2014\u2015](?=\w)")
_DASHES: Final = "-/\u2013\u2014\u2015"
_LISTS: Final = (modifiers.SigmaAllModifier, modifiers.SigmaNegateModifier)

Text = SigmaString | SigmaNumber | SigmaBool
Wide = Text | SigmaRegularExpression | SigmaFieldReference


class Exact(SigmaNumber):
    """Whole numbers as they are."""

    def __post_init__(self, init_number: Any) -> None:
        super().__post_init__(init_number)
        if isinstance(init_number, int):
            self.number = init_number


class Contains(modifiers.SigmaContainsModifier):
    """Text, numbers and booleans."""

    def modify(self, val: Wide) -> Any:
        """One value."""
        return super().modify(text(val) if isinstance(val, (SigmaNumber, SigmaBool)) else val)


class StartsWith(modifiers.SigmaStartswithModifier):
    """Text, numbers and booleans."""

    def modify(self, val: Wide) -> Any:
        """One value."""
        return super().modify(text(val) if isinstance(val, (SigmaNumber, SigmaBool)) else val)


class EndsWith(modifiers.SigmaEndswithModifier):
    """Text, numbers and booleans."""

    def modify(self, val: Wide) -> Any:
        """One value."""
        return super().modify(text(val) if isinstance(val, (SigmaNumber, SigmaBool)) else val)


class Cased(modifiers.SigmaValueModifier[Any, Any]):
    """Text, encoded text, numbers, and references to fields."""

    def modify(self, val: SigmaString | SigmaNumber | SigmaBool | SigmaFieldReference) -> Any:
        """One value."""
        if isinstance(val, SigmaFieldReference):
            return CasedReference(val.field, val.starts_with, val.ends_with)
        if isinstance(val, Encoded):
            out = EncodedCased()
            out.s, out.original, out.encoded = val.s, val.original, val.encoded
            return out
        return SigmaCasedString.from_sigma_string(text(val))


class WindowsDash(modifiers.SigmaValueModifier[SigmaString, SigmaExpansion]):
    """All five dashes alike, on both sides: one that stands before a word and not within it becomes each of them."""

    def modify(self, val: SigmaString) -> SigmaExpansion:
        """Every combination."""
        choices: list[Sequence[Any]] = []
        for part in val.s:
            if isinstance(part, str):
                pieces = _DASH.split(part)
                for number, piece in enumerate(pieces):
                    choices += [(piece,)] if number == 0 else [_DASHES, (piece,)]
            else:
                choices.append((part,))
        return SigmaExpansion(list(combined(val, choices, self.source)))


class Regex(modifiers.SigmaValueModifier[SigmaString, SigmaRegularExpression]):
    """Raw text as a regular expression."""

    def modify(self, val: SigmaString) -> SigmaRegularExpression:
        """One value, as it is written."""
        if any(name not in _LISTS for name in self.applied_modifiers):
            raise SigmaValueError("re stands first: it takes the value as it is written", source=self.source)
        return Pattern(val.original)


class Cidr(modifiers.SigmaValueModifier[Any, Any]):
    """A network."""

    def modify(self, val: SigmaString) -> SigmaString | SigmaCIDRExpression:
        """One value."""
        return val if blank(val) else SigmaCIDRExpression(whole(val, "cidr", self.source), source=self.source)


class FieldReference(modifiers.SigmaValueModifier[Any, Any]):
    """The name of another field."""

    def modify(self, val: SigmaString) -> SigmaString | SigmaFieldReference:
        """One value."""
        if blank(val):
            return val
        name = whole(val, "fieldref", self.source)
        if not name:
            raise SigmaValueError("fieldref names no field", source=self.source)
        return CasedReference(name) if isinstance(val, SigmaCasedString) else SigmaFieldReference(name)


class Exists(modifiers.SigmaExistsModifier):
    """Also after `all` and `neq`, which change no value."""

    def modify(self, val: SigmaBool) -> types.SigmaExists:
        """One value."""
        if self.detection_item.field is None or not isinstance(val, SigmaBool):
            raise SigmaTypeError("exists needs a field and true or false", source=self.source)
        return types.SigmaExists(val.boolean)


def _day(value: date) -> SigmaString:
    """A date without quotes is the text that was written; of a time YAML does not tell how it was."""
    if type(value) is not date:
        raise SigmaTypeError(f"a time without quotes: {value}")
    return SigmaString.from_str(value.isoformat())


OURS: Final[Mapping[str, type[modifiers.SigmaModifier[Any, Any]]]] = {
    "contains": Contains, "startswith": StartsWith, "endswith": EndsWith, "cased": Cased, "windash": WindowsDash, "expand": Expand,
    "wide": Utf16Le, "utf16le": Utf16Le, "utf16be": Utf16Be, "utf16": Utf16, "base64": Base64, "base64offset": Base64Offset,
    "re": Regex, "cidr": Cidr, "fieldref": FieldReference, "exists": Exists,
}  # fmt: skip


def _apply(self: modifiers.SigmaModifier[Any, Any], val: Any) -> list[Any]:
    """A modifier on one value, with a reason that people understand when it does not take it."""
    if isinstance(val, SigmaExpansion):
        return [SigmaExpansion([one for inner in val.values for one in self.apply(inner)])]
    if not self.type_check(val):
        name = modifiers.reverse_modifier_mapping.get(type(self).__name__, type(self).__name__)
        raise SigmaTypeError(f"`{name}` cannot take {_shown(val)}", source=self.source)
    out = self.modify(val)
    return out if isinstance(out, list) else [out]


def _shown(val: object) -> str:
    if isinstance(val, SigmaString):
        return f"the text '{val}'"
    if isinstance(val, (SigmaNumber, SigmaBool)):
        return str(val).lower()
    return "null" if isinstance(val, types.SigmaNull) else f"what {type(val).__name__.removeprefix('Sigma')} is"


def install() -> None:
    """Put the mended modifiers and numbers in pySigma's registries. Safe to call twice."""
    modifiers.SigmaModifier.apply = _apply  # type: ignore[method-assign]
    modifiers.modifier_mapping.update(OURS)
    modifiers.reverse_modifier_mapping.update({found.__name__: name for name, found in OURS.items()})
    types.type_map.update({int: Exact, date: _day})  # type: ignore[dict-item]
