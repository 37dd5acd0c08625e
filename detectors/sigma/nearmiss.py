"""Why one test does not hold for one value: what came closest, and what is different.

A test may have thousands of values (lists of hashes, names of tools): only the few that come closest to what was seen are worth showing.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from domain.query import Test
from domain.text import lower
from match.ops import network, text_of

CLOSEST: Final = 3
"""Values of a test that are told."""
_LONG: Final = 4_000
"""Characters of a value that are compared."""
_ALIKE: Final = 0.4
"""Share of the pieces of what is wanted that the value must hold to count as close."""
_PIECE: Final = 3
_COMMON: Final = 4
"""Characters in common worth telling."""
_NUMBERS: Final = ("lt", "lte", "gt", "gte")
_TIMES: Final = ("minute", "hour", "day", "week", "month", "year")
_TEXTS: Final = ("eq", "contains", "startswith", "endswith", "fold")


@dataclass(frozen=True)
class Miss:
    """The difference."""

    why: str
    """absent, present, case, longer (begins with it), before (ends with it), inside, part (is a part of it), close, far, low, high,
    no_number, outside, no_address, piece, pattern, other_field, other_absent, time."""
    wanted: tuple[str, ...] = ()
    """What the test asks for, the closest first, at most CLOSEST."""
    seen: str = ""
    """The element of the value that came closest."""
    common: str = ""
    """What both have in common; for `piece` the part of the pattern that is missing, for `other_field` the value of the other field."""
    amount: float = 0
    """low, high: how far from the limit; outside: leading bits in common with the nearest network."""


def miss(test: Test, elements: Sequence[str], others: Sequence[str | None] = ()) -> Miss:
    """Why `test` does not hold for a field with these elements (none = the event lacks it). `others`: values of fields it refers to."""
    if not elements:
        return Miss("absent", _first(test))
    if test.op in ("exists", "null"):
        return Miss("present", (), elements[0])
    if test.op.startswith("fieldref"):
        found = next((o for o in others if o is not None), None)
        return Miss("other_absent" if found is None else "other_field", _first(test), elements[0], found or "")
    if test.op in _NUMBERS:
        return _number(test, elements)
    if test.op == "cidr":
        return _network(test, elements)
    if test.op in _TIMES:
        return Miss("time", _first(test), elements[0])
    if test.op in ("re", "like"):
        return _pattern(test, elements)
    return _text(test, elements)


def held(test: Test, elements: Sequence[str]) -> tuple[str, ...]:
    """The value of a test that holds, first of at most CLOSEST; without a quick answer its first values."""
    if test.op not in _TEXTS or len(test.values) < 2:
        return _first(test)
    fold = (lambda text: text) if test.cased else lower
    folded = [fold(e) for e in elements]
    for value in map(text_of, test.values):
        if any(_says(test.op, element, fold(value)) for element in folded):
            return (value,)
    return _first(test)


def _says(op: str, text: str, word: str) -> bool:
    if op == "eq":
        return text == word
    return text.startswith(word) if op == "startswith" else text.endswith(word) if op == "endswith" else word in text


def _first(test: Test) -> tuple[str, ...]:
    return tuple(text_of(v) for v in test.values[:CLOSEST])


def _text(test: Test, elements: Sequence[str]) -> Miss:
    """The pair of element and value that is most alike, and how they differ."""
    folded = [lower(e[:_LONG]) for e in elements]
    pieces = [_pieces(f) for f in folded]
    best: list[tuple[float, int, str]] = []
    for value in map(text_of, test.values):
        scores = [_likeness(f, p, lower(value)) for f, p in zip(folded, pieces, strict=True)]
        place = max(range(len(scores)), key=scores.__getitem__)
        best.append((scores[place], place, value))
    best.sort(key=lambda b: -b[0])
    score, place, value = best[0]
    close = tuple(v for s, _, v in best[:CLOSEST] if s >= min(score, _ALIKE)) or (value,)
    text, word = folded[place], lower(value)
    why = _relation(test.op, text, word) if test.cased or text != word else "close"
    if why in ("case", "longer", "before", "inside", "part"):
        return Miss(why, close, elements[place], value if why != "part" else elements[place])
    found = SequenceMatcher(None, text, word, autojunk=False).find_longest_match()
    common = elements[place][found.a : found.a + found.size]
    alike = score >= _ALIKE and len(common) >= _COMMON
    return Miss("close", close, elements[place], common) if alike else Miss("far", close, elements[place])


def _relation(op: str, text: str, word: str) -> str:
    """How a value that does not do stands to what is wanted, both in lower case."""
    if _says(op, text, word):
        return "case"
    if op not in ("contains", "fold") and word and word in text:
        return "longer" if text.startswith(word) else "before" if text.endswith(word) else "inside"
    return "part" if len(text) >= _COMMON and text in word else ""


def _pieces(text: str) -> set[str]:
    return {text[i : i + _PIECE] for i in range(len(text) - _PIECE + 1)}


def _likeness(text: str, pieces: set[str], word: str) -> float:
    """0 to 1: share of the wanted word's pieces that the text holds; more when one holds the other."""
    if word and word in text:
        return 1.0
    wanted = _pieces(word)
    share = len(wanted & pieces) / len(wanted) if wanted else 0.0
    return max(share, 0.9 * len(text) / len(word)) if len(text) >= _COMMON and text in word else 0.9 * share


def _number(test: Test, elements: Sequence[str]) -> Miss:
    try:
        number = float(elements[0])
    except ValueError:
        return Miss("no_number", _first(test), elements[0])
    limits = sorted((float(v) for v in test.values), key=lambda limit: abs(limit - number))
    wanted = tuple(f"{limit:g}" for limit in limits[:CLOSEST])
    return Miss("low" if test.op.startswith("g") else "high", wanted, elements[0], amount=abs(limits[0] - number))


def _network(test: Test, elements: Sequence[str]) -> Miss:
    """The network that shares most leading bits with the address."""
    best: tuple[int, str, str] | None = None
    for element in elements:
        try:
            address = ipaddress.ip_address(element.partition("%")[0].strip("[] "))
        except ValueError:
            continue
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped
        for text in map(str, test.values):
            net = network(text)
            if net.version == address.version:
                differ = int(address) ^ int(net.network_address)
                found = (min(address.max_prefixlen - differ.bit_length(), net.prefixlen), text, element)
                best = max(best, found) if best else found
    if best is None:
        addresses = any(re.fullmatch(r"[0-9a-fA-F:.%\[\]]+", e) for e in elements)
        return Miss("far" if addresses else "no_address", _first(test), elements[0])
    bits, text, element = best
    return Miss("outside", (text,), element, f"{network(text)[0]}–{network(text)[-1]}", float(bits))


def _pattern(test: Test, elements: Sequence[str]) -> Miss:
    """Whether only the case is wrong; for wildcards the first literal piece, in order, that is missing."""
    patterns = [str(v) for v in test.values]
    if test.op == "re":
        texts = pa.array(elements, pa.string())
        for pattern in patterns:
            if pc.any(pc.match_substring_regex(texts, "(?i)" + pattern)).as_py():
                return Miss("case", (pattern,), elements[0])
        return Miss("pattern", _first(test), elements[0])
    missing = [(_missing(lower(e), lower(p)), e, p) for e in elements for p in patterns]
    (rest, piece), element, pattern = min(missing, key=lambda m: m[0][0])
    if rest == 0:
        return Miss("case" if test.cased else "pattern", (pattern,), element)
    return Miss("piece", (pattern,), element, piece)


def _missing(text: str, pattern: str) -> tuple[int, str]:
    """(literal pieces not found, the first of them) of a wildcard pattern, searched in order."""
    pieces = [re.sub(r"\\([*?\\])", r"\1", p) for p in re.split(r"(?<!\\)[*?]", pattern) if p]
    at = 0
    for number, piece in enumerate(pieces):
        found = text.find(piece, at)
        if found < 0:
            return len(pieces) - number, piece
        at = found + len(piece)
    return 0, ""
