"""Checks of what a rule says about itself: who reads the alert at night has nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePath
from typing import Final

from detectors.sigma.lint.base import Document, Finding
from detectors.sigma.lint.structure import day

_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_TITLE: Final = 110
_DESCRIPTION: Final = 16
_FILE: Final = (10, 90)


def _missing(document: Document, key: str) -> Iterator[Finding]:
    if not document.data.get(key):
        yield document.cell.key(key) or document.cell.key("title") or document.cell, {}


def missing_id(document: Document) -> Iterator[Finding]:
    """Without an id a rule is another one after every change."""
    if not document.data.get("id") and not document.data.get("name"):
        yield document.cell.key("id") or document.cell.key("title") or document.cell, {}


def id_not_uuid(document: Document) -> Iterator[Finding]:
    """Sigma recommends UUIDs."""
    found = document.cell.get("id")
    if found and found.value and not _UUID.fullmatch(str(found.value)):
        yield found, {"found": found.value}


def missing_level(document: Document) -> Iterator[Finding]:
    """Without a level it is taken as medium."""
    if document.kind != "filter":
        yield from _missing(document, "level")


def missing_description(document: Document) -> Iterator[Finding]:
    """What happened, in a sentence."""
    yield from _missing(document, "description")


def missing_author(document: Document) -> Iterator[Finding]:
    """Whom to ask."""
    if document.kind != "filter":
        yield from _missing(document, "author")


def missing_date(document: Document) -> Iterator[Finding]:
    """When it was written."""
    if document.kind != "filter":
        yield from _missing(document, "date")


def missing_status(document: Document) -> Iterator[Finding]:
    """How much it has been tried."""
    if document.kind != "filter":
        yield from _missing(document, "status")


def missing_tags(document: Document) -> Iterator[Finding]:
    """Without ATT&CK tags the rule covers nothing on any map."""
    if document.kind != "filter":
        yield from _missing(document, "tags")


def missing_falsepositives(document: Document) -> Iterator[Finding]:
    """What looks alike and is harmless."""
    if document.kind != "filter" and document.text("level") != "informational":
        yield from _missing(document, "falsepositives")


def title_style(document: Document) -> Iterator[Finding]:
    """A title is a line of a table."""
    title = document.text("title")
    if len(title) > _TITLE or title.endswith(".") or title[:1].islower() or title != title.strip():
        yield document.top("title"), {"n": len(title), "limit": _TITLE}


def description_style(document: Document) -> Iterator[Finding]:
    """A description says more than the title."""
    text = document.text("description").strip()
    if text and (len(text) < _DESCRIPTION or text.rstrip(".").lower() == document.text("title").lower()):
        yield document.top("description"), {}


def modified_before_date(document: Document) -> Iterator[Finding]:
    """A rule cannot be changed before it is written."""
    written, changed = day(document.data.get("date")), day(document.data.get("modified"))
    if written and changed and changed < written:
        yield document.top("modified"), {"date": written, "modified": changed}


def duplicate_reference(document: Document) -> Iterator[Finding]:
    """The same reference twice."""
    yield from _twice(document, "references")


def duplicate_tag(document: Document) -> Iterator[Finding]:
    """The same tag twice."""
    yield from _twice(document, "tags")


def _twice(document: Document, key: str) -> Iterator[Finding]:
    seen: dict[str, int] = {}
    for cell in document.strings(key):
        if cell.value in seen:
            yield cell, {"found": cell.value, "first": seen[cell.value]}
        seen.setdefault(cell.value, cell.line)


def reference_form(document: Document) -> Iterator[Finding]:
    """A reference is an address that can be opened."""
    for cell in document.strings("references"):
        if not re.match(r"https?://\S+$", cell.value):
            yield cell, {"found": cell.value}


def filename_form(document: Document) -> Iterator[Finding]:
    """Names of files as the public rule set has them."""
    name = PurePath(document.file).name
    if document.number == 0 and not (_FILE[0] <= len(name) <= _FILE[1] and re.fullmatch(r"[a-z0-9_]+\.ya?ml", name)):
        yield document.cell, {"name": name}


def retired(document: Document) -> Iterator[Finding]:
    """A rule that its author has given up."""
    if document.text("status").lower() in ("deprecated", "unsupported"):
        yield document.top("status"), {"status": document.text("status")}


def related_to_itself(document: Document) -> Iterator[Finding]:
    """`related` that names the rule's own id."""
    related = document.cell.get("related")
    for item in related.items if related else ():
        other = item.get("id")
        if other and other.value == document.data.get("id"):
            yield other, {}


def informational_correlation(document: Document) -> Iterator[Finding]:
    """A correlation of level informational alerts nobody."""
    if document.kind == "correlation" and document.text("level") == "informational":
        yield document.top("level"), {}
