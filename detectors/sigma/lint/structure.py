"""Checks of the shape of a document: keys that exist, values of the right type, what must be there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final

from detectors.sigma import correlation, filters
from detectors.sigma.lint.base import Document, Finding, listed, suggestion

LEVELS: Final = ("informational", "low", "medium", "high", "critical")
STATUSES: Final = ("stable", "test", "experimental", "deprecated", "unsupported")
RELATIONS: Final = ("derived", "obsolete", "merged", "renamed", "similar", "correlation")
TYPES: Final[Mapping[str, type]] = {
    "title": str, "id": str, "name": str, "taxonomy": str, "related": list, "status": str, "description": str, "license": str,
    "references": list, "author": str, "date": date, "modified": date, "logsource": dict, "detection": dict, "correlation": dict,
    "filter": dict, "fields": list, "falsepositives": list, "level": str, "tags": list, "scope": list, "simulation": list,
    "regression_tests_path": str,
}  # fmt: skip
"""Top-level keys and the type of their values."""
OWN: Final = ("owner", "reason", "expires")
"""Keys of ours in a filter."""
LOGSOURCE: Final = ("product", "category", "service", "definition")
_NAMES: Final = {str: "text", list: "list", dict: "mapping", date: "date", datetime: "date", bool: "bool", int: "number", float: "number"}
_CUSTOM: Final = re.compile(r"x[-_].+")
_DATE: Final = re.compile(r"[1-3]\d{3}(-[01]\d-[0-3]\d|/[01]?\d/[0-3]?\d)")


def type_name(value: object) -> str:
    """The type of a value: a word of the catalogue."""
    return "lint.word_nothing" if value is None else _word(type(value))


def _word(kind: type) -> str:
    return f"lint.word_{_NAMES[kind]}" if kind in _NAMES else kind.__name__


def allowed(document: Document) -> Sequence[str]:
    """Top-level keys of this kind of document."""
    other = {"rule": ("correlation", "filter"), "correlation": ("logsource", "detection", "filter"), "filter": ("detection", "correlation")}
    keys = [key for key in TYPES if key not in other[document.kind]]
    return [*keys, *OWN] if document.kind == "filter" else keys


def custom_key(document: Document) -> Iterator[Finding]:
    """Top-level keys that mean nothing here. Sigma lets rules have keys of their own: those start with x- or x_."""
    known = allowed(document)
    for key, _ in document.cell:
        if key.value not in known and not _CUSTOM.fullmatch(str(key.value)):
            yield key, {"key": key.value, "hint": suggestion(str(key.value), known) or listed(known)}


def unknown_key(document: Document) -> Iterator[Finding]:
    """Keys of the log source that mean nothing: the rule would run over more than its author meant."""
    for key, _ in document.cell.get("logsource") or ():
        if key.value not in LOGSOURCE:
            yield key, {"key": key.value, "where": "logsource", "hint": suggestion(str(key.value), LOGSOURCE) or listed(LOGSOURCE)}


def missing_key(document: Document) -> Iterator[Finding]:
    """What no rule can be without."""
    needed = ["title"] if document.kind == "correlation" else ["title", "logsource"] + (["detection"] if document.kind == "rule" else [])
    for key in needed:
        if document.data.get(key) is None:
            yield document.cell.key(key) or document.cell, {"key": key}
    section = document.detection
    place = document.cell.key("filter" if document.kind == "filter" else "detection") or document.cell
    condition = section.get("condition") if section else None
    if section and (condition is None or condition.value is None):
        yield section.key("condition") or place, {"key": "condition"}
    if section and not document.selections:
        yield place, {"key": "lint.word_selection"}


def wrong_type(document: Document) -> Iterator[Finding]:
    """Values that are not of the type that their key wants."""
    known = allowed(document)
    for key, value in document.cell:
        wanted = TYPES.get(str(key.value)) if key.value in known else None
        if wanted is date or wanted is None or value.value is None:
            continue
        if not isinstance(value.value, wanted) and not (key.value == "id" and isinstance(value.value, (int, float))):
            yield value, {"key": key.value, "wanted": _word(wanted), "found": type_name(value.value)}
    yield from _inner_types(document)


def _inner_types(document: Document) -> Iterator[Finding]:
    tags = document.cell.get("tags")
    for item in tags.items if tags else ():
        if not isinstance(item.value, str):
            yield item, {"key": "tags", "wanted": "lint.word_text", "found": type_name(item.value)}
    source = document.cell.get("logsource")
    for key, value in source or ():
        if key.value in LOGSOURCE and value.value is not None and not isinstance(value.value, str):
            yield value, {"key": f"logsource.{key.value}", "wanted": "lint.word_text", "found": type_name(value.value)}
    condition = document.detection.get("condition") if document.detection else None
    for cell in (condition.items if isinstance(condition.value, list) else [condition]) if condition else ():
        if (cell.value is not None or cell is not condition) and not isinstance(cell.value, str):
            yield cell, {"key": "condition", "wanted": "lint.word_text", "found": type_name(cell.value)}
    if condition and condition.value == []:
        yield condition, {"key": "condition", "wanted": "lint.word_text", "found": "lint.word_empty_list"}


def empty_logsource(document: Document) -> Iterator[Finding]:
    """A log source that names nothing."""
    found = document.cell.get("logsource")
    if found and isinstance(found.value, dict) and not any(found.value.get(key) is not None for key in LOGSOURCE[:3]):
        yield document.cell.key("logsource") or found, {}


def invalid_level(document: Document) -> Iterator[Finding]:
    """`level` that Sigma does not know."""
    yield from _one_of(document, "level", LEVELS)


def invalid_status(document: Document) -> Iterator[Finding]:
    """`status` that Sigma does not know."""
    yield from _one_of(document, "status", STATUSES)


def _one_of(document: Document, key: str, known: Sequence[str]) -> Iterator[Finding]:
    cell = document.cell.get(key)
    if cell and isinstance(cell.value, str) and cell.value.lower() not in known:
        yield cell, {"found": cell.value, "known": listed(known), "hint": suggestion(cell.value, known) or listed(known)}


def invalid_date(document: Document) -> Iterator[Finding]:
    """`date` and `modified` are yyyy-mm-dd."""
    for key in ("date", "modified"):
        cell = document.cell.get(key)
        if cell and cell.value is not None and not is_date(cell.value):
            yield cell, {"key": key, "found": cell.value}


def is_date(value: Any) -> bool:
    """A date, or text that is one."""
    if isinstance(value, date):
        return True
    if not _DATE.fullmatch(str(value)):
        return False
    try:
        date(*(int(part) for part in re.split("[-/]", str(value))))
    except ValueError:
        return False
    return True


def day(value: Any) -> date | None:
    """The date that a value says."""
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    return date(*(int(part) for part in re.split("[-/]", str(value)))) if is_date(value) else None


def invalid_related(document: Document) -> Iterator[Finding]:
    """`related` is a list of `id` (UUID) and `type`."""
    related = document.cell.get("related")
    for item in related.items if related else ():
        kind, other = item.get("type"), item.get("id")
        if not isinstance(item.value, dict) or not kind or not other:
            yield item, {"found": item.value, "known": listed(RELATIONS)}
        elif str(kind.value).lower() not in RELATIONS:
            yield kind, {"found": kind.value, "known": listed(RELATIONS)}
        elif not isinstance(other.value, str) or not re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", other.value):
            yield other, {"found": other.value, "known": listed(RELATIONS)}


def title_limit(document: Document) -> Iterator[Finding]:
    """Sigma allows 256 characters."""
    if len(document.text("title")) > 256:
        yield document.top("title"), {"n": len(document.text("title"))}


def empty_name(document: Document) -> Iterator[Finding]:
    """`name` and `taxonomy` may be missing, but not empty."""
    for key in ("name", "taxonomy"):
        cell = document.cell.get(key)
        if cell and cell.value == "":
            yield cell, {"key": key}


def tag_without_namespace(document: Document) -> Iterator[Finding]:
    """A tag is `namespace.name`."""
    for cell in document.strings("tags"):
        if "." not in cell.value:
            yield cell, {"tag": cell.value}


def empty_selection(document: Document) -> Iterator[Finding]:
    """A selection, or an element of one, that holds nothing."""
    for name, body in document.selections:
        for part in (body, *body.items):
            if part.value in ({}, []) or (part.value is None and part is body):
                yield name if part is body else part, {"name": name.value}


def nested_value(document: Document) -> Iterator[Finding]:
    """Values are text, numbers, true, false, null and lists of those; fields of fields are written with dots."""
    for item in document.items:
        for value in item.values:
            if isinstance(value.value, (dict, list)):
                yield value, {"field": item.field or item.selection, "found": type_name(value.value)}


def filter_fault(document: Document) -> Iterator[Finding]:
    """What a filter lacks beside what every rule needs."""
    if document.kind == "filter" and document.detection:
        for reason in filters.faults(document.data, document.data.get("filter")):
            key = next((k for k in ("rules", "condition", "expires") if reason.startswith(k) or f" {k}" in reason[:20]), "")
            inner = document.detection.get(key) if document.detection else None
            if not reason.startswith("title"):
                yield inner or document.cell.get(key) or document.cell.key("filter") or document.cell, {"reason": reason}


def correlation_fault(document: Document) -> Iterator[Finding]:
    """What a correlation says that cannot be; whether the rules exist that it names is another check."""
    if document.kind == "correlation" and isinstance(document.data["correlation"], (dict, type(None))):
        try:
            correlation.read(document.data)
        except correlation.WrongError as error:
            for fault in error.faults:
                if fault.path != ("level",):  # told of every document
                    yield document.cell.find(fault.path), {"reason": re.sub("^correlation:? ", "", fault.reason)}
