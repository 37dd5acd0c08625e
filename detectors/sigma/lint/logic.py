"""Checks of what a rule can see: its log source, its fields, what it says of an event that has none of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

from detectors.sigma.lint.base import Document, Finding, Item, suggestion
from detectors.sigma.model import LogSource
from detectors.sigma.route import Blind, Feed, feeds
from domain.query import And, Expr, Not, Test, fields_of

_HELD: Final = Path(__file__).with_name("held.yml")
_GENERIC: Final = {
    ("sysmon", 1): "process_creation", ("sysmon", 2): "file_change", ("sysmon", 3): "network_connection", ("sysmon", 6): "driver_load",
    ("sysmon", 7): "image_load", ("sysmon", 8): "create_remote_thread", ("sysmon", 9): "raw_access_thread",
    ("sysmon", 10): "process_access", ("sysmon", 11): "file_event", ("sysmon", 12): "registry_event", ("sysmon", 13): "registry_set",
    ("sysmon", 14): "registry_rename", ("sysmon", 15): "create_stream_hash", ("sysmon", 17): "pipe_created",
    ("sysmon", 18): "pipe_created", ("sysmon", 19): "wmi_event", ("sysmon", 20): "wmi_event", ("sysmon", 21): "wmi_event",
    ("sysmon", 22): "dns_query", ("sysmon", 23): "file_delete", ("security", 4688): "process_creation",
}  # fmt: skip
"""Service and event id of Windows -> the category that says the same for every source of such events."""


@cache
def _held() -> dict[str, Any]:
    found = yaml.safe_load(_HELD.read_text(encoding="utf-8"))
    return dict(found)


@cache
def held(source: LogSource) -> frozenset[str]:
    """Every field that events of a log source can hold, as rules name them; empty where that is not known."""
    if source.product != "windows" or source.category not in _held()["windows"]:
        return frozenset()
    return frozenset([*_held()["every"], *_held()["windows"][source.category]])


@cache
def fed(source: LogSource) -> tuple[Sequence[Feed], str]:
    """What can feed a log source, or why nothing does, in English."""
    try:
        return feeds(source), ""
    except Blind as error:
        return (), str(error)


def unrouted(document: Document) -> Iterator[Finding]:
    """A log source that no parser of ours feeds: the rule is BLIND."""
    source = document.source
    if source and document.kind != "correlation" and fed(source)[1]:
        yield document.top("logsource"), {"source": source, "reason": fed(source)[1]}


def unfilled_placeholder(document: Document) -> Iterator[Finding]:
    """A placeholder without values: the rule is BLIND."""
    if document.unfilled:
        wanted = f"%{document.unfilled}%"
        place = next((cell for item in document.items for cell, text in item.texts if wanted in text), document.cell)
        yield place, {"name": document.unfilled}


def specific_logsource(document: Document) -> Iterator[Finding]:
    """`service: sysmon` with an event id, where a category takes in every source of such events."""
    source = document.source
    for item in document.items:
        for cell in item.values if source and source.product == "windows" and not source.category and item.field == "EventID" else ():
            category = _GENERIC.get((source.service, int(cell.value) if str(cell.value).isdecimal() else -1)) if source else None
            if category:
                yield cell, {"id": cell.value, "category": category}


def negation_only(document: Document) -> Iterator[Finding]:
    """The condition holds for an event that has none of the fields: every event of the log source that lacks them is an alert."""
    if document.kind == "rule" and document.expr is not None and holds_of_nothing(document.expr):
        yield document.conditions[0] if document.conditions else document.cell, {}


def holds_of_nothing(expr: Expr) -> bool:
    """Whether an expression holds for an event without any field."""
    if isinstance(expr, Test):
        return expr.op == "null" or (expr.op == "exists" and not expr.values[0])
    if isinstance(expr, Not):
        return not holds_of_nothing(expr.child)
    return (all if isinstance(expr, And) else any)(holds_of_nothing(child) for child in expr.children)


def negative_fields(expr: Expr, *, negated: bool = False) -> tuple[set[str], set[str]]:
    """Fields that must match, and fields that must not."""
    if isinstance(expr, Not):
        return negative_fields(expr.child, negated=not negated)
    if isinstance(expr, Test):
        absence = expr.op == "null" or (expr.op == "exists" and not expr.values[0])
        own = fields_of(expr) - {"*"}
        return (set(), own) if negated != absence else (own, set())
    asked, denied = set[str](), set[str]()
    for child in expr.children:
        a, d = negative_fields(child, negated=negated)
        asked |= a
        denied |= d
    return asked, denied


def unheld_field(document: Document) -> Iterator[Finding]:
    """A field that no event of the log source holds: a test of it never holds."""
    for item, hint in _unheld(document):
        if document.expr is None or item.field in negative_fields(document.expr)[0]:
            yield item.key, {"field": item.field, "source": document.source, "hint": hint or "docs/fields.md"}


def unheld_negated(document: Document) -> Iterator[Finding]:
    """A field that is only excluded, and that no event holds: nothing is ever excluded."""
    for item, hint in _unheld(document):
        if document.expr is not None and item.field not in negative_fields(document.expr)[0]:
            yield item.key, {"field": item.field, "source": document.source, "hint": hint or "docs/fields.md"}


def _unheld(document: Document) -> Iterator[tuple[Item, str]]:
    source = document.source
    if source is None or not fed(source)[0]:
        return
    known = held(source)
    seen: set[str] = set()
    for item in document.items:
        if item.field and item.field not in seen and not _can_hold(source, known, item.field):
            yield item, suggestion(item.field, (known or _names(source)) - {item.field})
        seen.add(item.field)


def _can_hold(source: LogSource, known: frozenset[str], name: str) -> bool:
    if known:
        return name in known or "." in name
    for feed in fed(source)[0]:
        try:
            feed.map.name(name)
        except Blind:
            continue
        return True
    return False


@cache
def _names(source: LogSource) -> frozenset[str]:
    """Names that the maps of a log source know."""
    return frozenset(name for feed in fed(source)[0] for name in feed.map.names())


def field_case(document: Document) -> Iterator[Finding]:
    """One field with two spellings: names of fields are case-sensitive."""
    seen: dict[str, str] = {}
    for item in document.items:
        first = seen.setdefault(item.field.lower(), item.field)
        if first != item.field:
            yield item.key, {"field": item.field, "other": first}


def field_spelling(document: Document) -> Iterator[Finding]:
    """A field of the channels Security and System that is written otherwise in events: names of fields are case-sensitive."""
    source = document.source
    if source is None or source.product != "windows" or source.service not in ("security", "system"):
        return
    for item in document.items:
        known = _spelling().get(item.field.lower(), item.field)
        if known != item.field:
            yield item.key, {"field": item.field, "known": known}


@cache
def _spelling() -> dict[str, str]:
    return {name.lower(): name for name in [*_held()["every"], *_held()["named"]]}
