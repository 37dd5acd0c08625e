"""Checks of `Field|modifier: value` that say why the loader does not take it: each item is built alone, so each problem has its place."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from sigma.exceptions import SigmaError, SigmaRegularExpressionError
from sigma.modifiers import modifier_mapping
from sigma.rule import SigmaDetectionItem

from detectors.sigma.cells import Cell
from detectors.sigma.combine import check
from detectors.sigma.express import Unfilled, Unsupported, value
from detectors.sigma.lint.base import Document, Finding, Item, suggestion

_OFTEN: Final[Mapping[str, str]] = {
    "equals": "no modifier at all", "eq": "no modifier at all", "not": "neq, or not in the condition", "regex": "re", "match": "re",
    "nocase": "re|i", "icontains": "contains", "like": "contains", "in": "a list of values", "wildcard": "* in the value",
    "any": "a list of values", "base64_offset": "base64offset", "ends_with": "endswith", "starts_with": "startswith", "ne": "neq",
}  # fmt: skip
"""What people write who come from other tools."""
_USUAL: Final = "contains, startswith, endswith, all, re, cidr, exists, windash, base64offset, fieldref, cased, gt, lt, neq, expand"


def unknown_modifier(document: Document) -> Iterator[Finding]:
    """Modifiers that do not exist."""
    for item in document.items:
        for name in item.modifiers:
            if name not in modifier_mapping:
                hint = _OFTEN.get(name.lower()) or suggestion(name, modifier_mapping) or _USUAL
                yield _modifier(item, name), {"name": name, "hint": hint}


def _modifier(item: Item, name: str) -> Cell:
    return item.key.at(str(item.key.value).find(f"|{name}") + 1)


def modifier_combination(document: Document) -> Iterator[Finding]:
    """Modifiers that cannot stand together, `all` with one value."""
    for item in document.items:
        for problem in check({str(item.key.value): item.body.value}) if item.values else ():
            reason = problem.removeprefix(f"{item.key.value}: ")
            yield item.key.at(max(0, str(item.key.value).find("|"))), {"key": item.key.value, "reason": reason}


def name_not_text(document: Document) -> Iterator[Finding]:
    """Names of selections and fields are text: `true`, dates and 4688 without quotes are not."""
    for name in [*(name for name, _ in document.selections), *(item.key for item in document.items)]:
        if not isinstance(name.value, str):
            yield name, {"name": name.source or name.value}


def modifier_value(document: Document) -> Iterator[Finding]:
    """Values that a modifier cannot take: text for `gt`, a number for `cidr`, wildcards for `base64`."""
    for item, cell, error in _refused(document):
        if not isinstance(error, (Unsupported, SigmaRegularExpressionError)):
            yield cell, {"key": item.key.value, "found": cell.value, "reason": _sentence(error)}


def invalid_regex(document: Document) -> Iterator[Finding]:
    """Regular expressions that RE2 does not take."""
    for item, cell, error in _refused(document):
        if isinstance(error, (Unsupported, SigmaRegularExpressionError)):
            yield cell, {"key": item.key.value, "reason": _sentence(error)}


def _refused(document: Document) -> Iterator[tuple[Item, Cell, Exception]]:
    for item in document.items:
        if all(name in modifier_mapping for name in item.modifiers) and not check({item.key.value: item.body.value}):
            for cell in item.values:
                error = _tried(item, cell.value)
                if error is not None:
                    yield item, cell, error


def _tried(item: Item, one: Any) -> Exception | None:
    """Why one value alone is not taken."""
    if isinstance(one, (dict, list)):
        return None
    try:
        built = SigmaDetectionItem.from_mapping("|".join([item.field, *item.modifiers]), one)
        for part in built.value:
            value(built.field, part)
    except Unfilled:
        return None
    except (SigmaError, Unsupported) as error:
        return error
    except Exception as error:  # noqa: BLE001  pySigma raises plain errors on odd values; each is a finding
        return error
    return None


def _sentence(error: Exception) -> str:
    text = re.sub(r" in None$| in rule .*$", "", (str(error).splitlines() or [type(error).__name__])[0])
    return re.sub(r"Modifier Sigma(\w+?)Modifier incompatible to value type of", r"\1 cannot take", text)
