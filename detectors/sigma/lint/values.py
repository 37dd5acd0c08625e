"""Checks of values: what they compare is seldom what their author meant."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

from detectors.sigma.cells import Cell
from detectors.sigma.lint.base import Document, Finding, Item

_OPEN_ENDS: Final = {"contains": ("*", "*"), "startswith": ("", "*"), "endswith": ("*", "")}
_COMMAND: Final = ("CommandLine", "ParentCommandLine", "ScriptBlockText", "Payload", "process.command_line")
_IMAGE: Final = ("Image", "ParentImage", "SourceImage", "TargetImage", "process.executable", "process.parent.executable")
_ADDRESS: Final = re.compile(r"(?:10|127|192\.168|172\.\d{1,3}|169\.254|fe80|fc00|fd00)[.:](?:\d{1,3}\.)?\**")
_FLAG: Final = re.compile(r"(?:^|\s)[-/\u2013\u2014\u2015][A-Za-z]\w*")
_HIVE: Final = re.compile(r"HKEY_[A-Z_]+|HKCU(?=\\)", re.IGNORECASE)
_INVISIBLE: Final = re.compile("[\u00a0\u00ad\u200b\u200c\u200e\u200f\u2028-\u202e\u2060\ufeff]")
_SHORT: Final = 2
_MANY: Final = 300
"""Beyond so many values of one field nobody compares each with each."""


def _matched(document: Document, *not_with: str) -> Iterator[tuple[Item, Cell, str]]:
    """Text values that are compared as text: no regular expressions, addresses, names of fields."""
    for item in document.items:
        if not item.has("re", "cidr", "fieldref", "exists", *not_with):
            for cell, text in item.texts:
                yield item, cell, text


def _wild(text: str) -> Sequence[tuple[int, str]]:
    """(offset, * or ?) of the characters that are wildcards, not escaped."""
    if "*" not in text and "?" not in text:
        return ()
    out, place = [], 0
    while place < len(text):
        if text[place] == "\\" and text[place + 1 : place + 2] in ("\\", "*", "?"):
            place += 2
            continue
        if text[place] in "*?":
            out.append((place, text[place]))
        place += 1
    return out


def number_as_text(document: Document) -> Iterator[Finding]:
    """`'5'` where 5 would do: numbers compare with text and with numbers."""
    for item, cell, text in _matched(document):
        if item.field and not item.modifiers and item.field != "EventID" and re.fullmatch(r"-?[1-9]\d*|0", text, re.ASCII):
            yield cell, {"found": text}


def eventid_as_text(document: Document) -> Iterator[Finding]:
    """Event ids in quotes."""
    for item, cell, text in _matched(document):
        if item.field == "EventID" and text.isdecimal():
            yield cell, {"found": text}


def control_character(document: Document) -> Iterator[Finding]:
    """Double quotes make a tab of a backslash and t, as in a path to a folder named temp."""
    for item in document.items:
        for cell, text in item.texts:
            found = next((c for c in text.rstrip("\n") if ord(c) < 32), None)
            if found and cell.style not in ("|", ">"):
                yield cell.at(text.index(found)), {"code": f"0x{ord(found):02x}"}


def invisible_character(document: Document) -> Iterator[Finding]:
    """No-break spaces, zero-width characters, direction marks: copied from a web page, and never in a log."""
    for item in document.items:
        found = next(((cell, m) for cell, text in item.texts if (m := _INVISIBLE.search(text)) and "\\" not in cell.source), None)
        if found:
            yield found[0].at(found[1].start()), {"code": f"U+{ord(found[1][0]):04X}"}


def double_wildcard(document: Document) -> Iterator[Finding]:
    """`**` says no more than `*`."""
    for _, cell, text in _matched(document):
        places = [place for place, sign in _wild(text) if sign == "*"]
        if any(b - a == 1 for a, b in pairwise(places)):
            yield cell, {"found": text}


def escaped_wildcard(document: Document) -> Iterator[Finding]:
    """A backslash before a star makes it an ordinary star, not a folder and anything in it."""
    for item, cell, text in _matched(document, "expand"):
        found = re.search(r"(?<!\\)\\\*", text)
        if found and "\\" in text[: found.start()] and _WIN_PATH.search(text):
            yield cell.at(found.end() - 2), {"found": text, "field": item.field}


_WIN_PATH: Final = re.compile(r"^[A-Za-z%*]:\\|^\\|\\\w+\\", re.ASCII)


def wildcard_for_modifier(document: Document) -> Iterator[Finding]:
    """`'*text*'` where `contains` says it."""
    for item in document.items:
        if item.modifiers or not item.field or not item.values:
            continue
        kinds = {_modifier_for(cell.value) for cell in item.values}
        if len(kinds) == 1 and (kind := kinds.pop()):
            yield item.values[0], {"field": item.field, "modifier": kind}


def _modifier_for(text: object) -> str:
    if not isinstance(text, str) or len(text) < _SHORT:
        return ""
    wild = _wild(text)
    ends = [place for place, sign in wild if sign == "*" and place in (0, len(text) - 1)]
    if len(ends) != len(wild) or not ends:
        return ""
    return "contains" if len(ends) == 2 else "endswith" if ends == [0] else "startswith"


def redundant_wildcard(document: Document) -> Iterator[Finding]:
    """`contains: '*text*'`: the stars are there already."""
    for item, cell, text in _matched(document):
        for name, (left, right) in _OPEN_ENDS.items():
            wild = dict(_wild(text))
            before = left and wild.get(0) == "*"
            if item.has(name) and len(text) > 1 and (before or (right and wild.get(len(text) - 1) == "*")):
                yield cell if before else cell.at(len(text) - 1), {"modifier": name, "found": text}
                break


def keyword_wildcard(document: Document) -> Iterator[Finding]:
    """Keywords are looked for anywhere: stars at their ends say nothing."""
    for item, cell, text in _matched(document):
        wild = dict(_wild(text))
        if not item.field and not item.modifiers and len(text) > 1 and "*" in (wild.get(0), wild.get(len(text) - 1)):
            yield cell, {"found": text}


def inner_wildcard(document: Document) -> Iterator[Finding]:
    """`contains: 'a*b'` is a pattern to try on every value; two values with `all` cost nothing."""
    for item, cell, text in _matched(document):
        inner = [place for place, sign in _wild(text) if sign == "*" and 0 < place < len(text) - 1]
        if item.has("contains") and inner:
            yield cell.at(inner[0]), {"found": text}


def short_value(document: Document) -> Iterator[Finding]:
    """One very short text, and nothing else, that a command line is to contain: nearly every one does."""
    alone = Counter(item.selection for item in document.items)
    for item in document.items:
        texts = [text for _, text in item.texts]
        short = len(item.values) == 1 == len(texts) and len(texts[0].strip()) <= _SHORT and alone[item.selection] == 1
        if short and item.has("contains") and item.field in _COMMAND:
            yield item.values[0], {"field": item.field, "found": texts[0]}


def duplicate_value(document: Document) -> Iterator[Finding]:
    """The same value twice in a list; case makes no difference unless `cased`."""
    for item in document.items:
        seen: dict[object, Cell] = {}
        folds = not item.has("re", "cased", "base64", "base64offset")
        for cell in item.values:
            value = cell.value.lower() if isinstance(cell.value, str) and folds else cell.value
            key = (type(value), str(value))
            if key in seen:
                yield cell, {"found": cell.value, "first": seen[key].line}
            seen.setdefault(key, cell)


def covered_value(document: Document) -> Iterator[Finding]:
    """`contains: [abc, abcd]`: what contains the second contains the first."""
    inside = {"contains": str.__contains__, "startswith": str.startswith, "endswith": str.endswith}
    for item in document.items:
        name = next((name for name in inside if item.has(name)), "")
        texts = [(cell, text.lower()) for cell, text in item.texts]
        if len(item.modifiers) != 1 or not name or not 1 < len(texts) <= _MANY:
            continue
        for cell, text in texts:
            shorter = next((t for _, t in texts if len(t) < len(text) and inside[name](text, t) and not _wild(t)), None)
            if shorter:
                yield cell, {"found": text, "shorter": shorter}


def padded_value(document: Document) -> Iterator[Finding]:
    """A blank at the end of a whole value."""
    for item, cell, text in _matched(document):
        if item.field and not item.modifiers and text != text.strip() and text.strip():
            yield cell, {"field": item.field, "found": f"'{text}'"}


def empty_text(document: Document) -> Iterator[Finding]:
    """`''` is a value; a missing field is `null`."""
    for item, cell, text in _matched(document):
        if not text and item.field and not item.modifiers and not any(c.value is None for c in item.values):
            yield cell, {"field": item.field}


def empty_values(document: Document) -> Iterator[Finding]:
    """`field: []` is taken as null."""
    for item in document.items:
        if item.listed and not item.values and item.field:
            yield item.key, {"field": item.field}


def open_image(document: Document) -> Iterator[Finding]:
    """`Image|endswith: 'cmd.exe'` is met by `xcmd.exe` too."""
    for item, cell, text in _matched(document):
        if item.has("endswith") and item.field in _IMAGE and re.fullmatch(r"[\w.-]+\.\w+", text, re.ASCII):
            yield cell, {"field": item.field, "found": text}


def unexpanded_variable(document: Document) -> Iterator[Finding]:
    """Paths in logs have their variables filled in."""
    for item, cell, text in _matched(document, "expand"):
        found = re.search(r"%\w+%", text, re.ASCII)
        if found and (item.field in _IMAGE or item.field in ("TargetFilename", "ImageLoaded")):
            yield cell.at(found.start()), {"field": item.field, "found": found[0]}


def registry_hive(document: Document) -> Iterator[Finding]:
    """Sysmon writes HKLM, HKU and HKCR, and HKU with the SID for HKCU."""
    for item, cell, text in _matched(document):
        found = _HIVE.search(text)
        if found and item.field == "TargetObject":
            yield cell.at(found.start()), {"found": found[0]}


def address_prefix(document: Document) -> Iterator[Finding]:
    """`startswith: '10.'` where `cidr` says it, for IPv6 and mapped addresses too."""
    for item, cell, text in _matched(document):
        if _ADDRESS.fullmatch(text) and (item.has("startswith") or text.endswith("*")):
            yield cell, {"field": item.field, "found": text}


def windash_missing(document: Document) -> Iterator[Finding]:
    """Options of Windows programs may begin with - or /, and with dashes that look alike."""
    if not document.source or document.source.product != "windows":
        return
    for item in document.items:
        if item.field in _COMMAND[:2] and item.has("contains", "endswith", "startswith") and not item.has("windash", "re"):
            flagged = next((cell for cell, text in item.texts if _FLAG.match(text)), None)
            if flagged:
                yield flagged, {"field": item.field, "found": flagged.value}


def base64_without_offset(document: Document) -> Iterator[Finding]:
    """`base64|contains` finds the text only at one of three places."""
    for item in document.items:
        if item.has("base64") and item.has("contains"):
            yield item.key, {"key": item.key.value}


def offset_without_contains(document: Document) -> Iterator[Finding]:
    """What `base64offset` makes stands inside a longer text."""
    for item in document.items:
        if item.has("base64offset") and not item.has("contains"):
            yield item.key, {"key": item.key.value}


def all_of_equals(document: Document) -> Iterator[Finding]:
    """`field|all: [a, b]`: one value cannot equal two texts."""
    for item in document.items:
        if item.field and set(item.modifiers) == {"all"} and not any(_wild(text) for _, text in item.texts):
            yield item.key, {"field": item.field}
