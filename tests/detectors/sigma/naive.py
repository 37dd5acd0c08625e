"""Sigma without any library: a rule's `detection` against one event, straight from the specification. Tests compare the engine with it."""

from __future__ import annotations

import base64
import itertools
import re
from collections.abc import Iterator, Mapping
from typing import Any

from domain.text import lower

STAR, ANY = object(), object()


def holds(detection: Mapping[str, Any], event: Mapping[str, Any]) -> bool:
    """The condition, by Python's own `and`, `or`, `not`."""
    names = [name for name in detection if name != "condition"]
    words = []
    tokens = re.findall(r"[()]|[^\s()]+", detection["condition"])
    while tokens:
        word = tokens.pop(0)
        if tokens and tokens[0] == "of":
            pattern = tokens[1].replace("them", "*")
            tokens = tokens[2:]
            chosen = [n for n in names if re.fullmatch(pattern.replace("*", ".*"), n) and not n.startswith("_")]
            word = f"{'all' if word == 'all' else 'any'}({[selection(detection[n], event) for n in chosen]})"
        elif word in names:
            word = str(selection(detection[word], event))
        words.append(word)
    return bool(eval(" ".join(words)))


def selection(body: Any, event: Mapping[str, Any]) -> bool:
    """A map is all of its items, a list any of its parts, a text a keyword."""
    if isinstance(body, dict):
        return all(item(key, value, event) for key, value in body.items())
    if isinstance(body, list):
        return any(selection(part, event) for part in body)
    return item("", body, event)


def item(key: str, value: Any, event: Mapping[str, Any]) -> bool:
    """One `field|modifiers: value`."""
    field, *mods = key.split("|")
    values = value if isinstance(value, list) else [value]
    answers = [one(field, mods, single, event) for single in values]
    found = all(answers) if "all" in mods else any(answers)
    return found != ("neq" in mods)


def one(field: str, mods: list[str], value: Any, event: Mapping[str, Any]) -> bool:
    """One value of one item."""
    if "exists" in mods:
        return (field in event) == value
    if value is None:
        return event.get(field) is None or None in flat(event[field])
    elements = list(leaves(event)) if not field else [e for e in flat(event.get(field)) if e is not None and not isinstance(e, dict)]
    if "fieldref" in mods:
        others = [text(e) for e in flat(event.get(value)) if e is not None and not isinstance(e, dict)]
        return any(lower(text(e)) == lower(other) for e in elements for other in others)
    if "re" in mods:
        return any(re.search(value, text(e), re.IGNORECASE if "i" in mods else 0) for e in elements)
    for mod, compare in (("lt", float.__lt__), ("lte", float.__le__), ("gt", float.__gt__), ("gte", float.__ge__)):
        if mod in mods:
            return any(compare(float(text(e)), float(value)) for e in elements if re.fullmatch(r"-?\d+(\.\d+)?", text(e)))
    return any(fits(pattern, text(e), cased="cased" in mods) for pattern in patterns(field, mods, value) for e in elements)


def flat(value: Any) -> list[Any]:
    """The values of a field."""
    return [e for inner in value for e in flat(inner)] if isinstance(value, list) else [value]


def leaves(value: Any) -> Iterator[Any]:
    """Values in maps and lists, nulls left out."""
    if isinstance(value, dict):
        for inner in value.values():
            yield from leaves(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from leaves(inner)
    elif value is not None:
        yield value


def text(value: Any) -> str:
    """Booleans as true and false, whole fractions without their point."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def patterns(field: str, mods: list[str], value: Any) -> Iterator[list[Any]]:
    """A value as lists of characters and wildcards."""
    parts = parsed(value) if isinstance(value, str) else list(text(value))
    variants = [parts]
    if "windash" in mods:
        spots = [n for n, c in enumerate(parts) if c in ("-", "/") and option(parts, n)]
        variants = []
        for dashes in itertools.product("-/\u2013\u2014\u2015", repeat=len(spots)):
            copy = list(parts)
            for spot, dash in zip(spots, dashes, strict=True):
                copy[spot] = dash
            variants.append(copy)
    if "base64offset" in mods:
        raw = "".join(parts).encode()
        around = [(b"\0" * n + raw, n) for n in range(3)]
        variants = [list(piece) for padded, n in around for piece in [stable(padded, n)] if piece]
    for variant in variants:
        begins = "contains" in mods or "endswith" in mods or not field
        ends = "contains" in mods or "startswith" in mods or not field
        yield [*([STAR] if begins else []), *variant, *([STAR] if ends else [])]


def option(parts: list[Any], at: int) -> bool:
    """A dash that begins a word and does not stand within one."""
    before = at > 0 and isinstance(parts[at - 1], str) and bool(re.match(r"\w", parts[at - 1]))
    return not before and at + 1 < len(parts) and isinstance(parts[at + 1], str) and bool(re.match(r"\w", parts[at + 1]))


def stable(padded: bytes, offset: int) -> str:
    """The characters of a base64 text that depend on nothing but the value: those whose six bits all come from it."""
    bits = len(padded) * 8
    encoded = base64.b64encode(padded).decode()
    return "".join(c for n, c in enumerate(encoded) if n * 6 >= offset * 8 and n * 6 + 6 <= bits)


def parsed(value: str) -> list[Any]:
    """Characters; a star or question mark that no backslash escapes is a wildcard; a backslash escapes those and itself."""
    out: list[Any] = []
    at = 0
    while at < len(value):
        if value[at] == "\\" and value[at + 1 : at + 2] in ("*", "?", "\\") and at + 1 < len(value):
            out.append(value[at + 1])
            at += 2
        else:
            out.append({"*": STAR, "?": ANY}.get(value[at], value[at]))
            at += 1
    return out


def fits(pattern: list[Any], value: str, *, cased: bool) -> bool:
    """Whether the whole value fits."""
    parts = [part if not isinstance(part, str) or cased else lower(part) for part in pattern]
    value = value if cased else lower(value)
    reach = {0}
    for part in parts:
        if part is STAR:
            reach = set(range(min(reach), len(value) + 1)) if reach else reach
        else:
            reach = {n + 1 for n in reach if n < len(value) and (part is ANY or value[n] == part)}
    return len(value) in reach
