"""Checks of tags. ATT&CK names come from our own catalogue: pySigma's validators would fetch them from the network."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from detectors.sigma.lint.base import Document, Finding, listed, suggestion
from domain.attack import attack, name_of

_FORM: Final = re.compile(r"[a-z0-9_-]+\.[a-z0-9_.-]+")
_PATTERNS: Final[Mapping[str, tuple[re.Pattern[str], str]]] = {
    "attack": (re.compile(r"[a-z].*"), "attack.execution, attack.t1059.001, attack.g0016"),
    "car": (re.compile(r"\d{4}-\d{2}-\d{3}"), "car.2016-04-005"),
    "cve": (re.compile(r"\d{4}-\d{4,}"), "cve.2021-44228"),
    "d3fend": (re.compile(r"d3-[a-z0-9-]+|[a-z-]+"), "d3fend.d3-ch"),
    "detection": (re.compile(r"dfir|emerging-threats|threat-hunting"), "detection.dfir, .emerging-threats, .threat-hunting"),
    "stp": (re.compile(r"[1-5][auk]?"), "stp.3k"),
    "tlp": (re.compile(r"white|clear|green|amber|amber-strict|red"), "tlp.clear, tlp.green, tlp.amber, tlp.amber-strict, tlp.red"),
}
_OTHER: Final = re.compile(r"(?:[gsmc]|ds|dc|an|det|ta)\d{4}")
"""Groups, software, mitigations, campaigns, data sources, analytics: only their form is known here."""


def tag_form(document: Document) -> Iterator[Finding]:
    """`namespace.name` in small letters."""
    for cell in document.strings("tags"):
        if "." in cell.value and not _FORM.fullmatch(cell.value):
            yield cell, {"tag": cell.value}


def tag_namespace(document: Document) -> Iterator[Finding]:
    """Name spaces that Sigma does not know."""
    for cell in document.strings("tags"):
        space = cell.value.partition(".")[0]
        if "." in cell.value and space not in _PATTERNS:
            yield cell, {"namespace": space, "hint": suggestion(space, _PATTERNS) or listed(_PATTERNS)}


def tag_pattern(document: Document) -> Iterator[Finding]:
    """Names that do not look like those of their name space."""
    for cell in document.strings("tags"):
        space, _, name = cell.value.partition(".")
        if space in _PATTERNS and _FORM.fullmatch(cell.value) and not _PATTERNS[space][0].fullmatch(name):
            yield cell, {"tag": cell.value, "example": _PATTERNS[space][1]}


def attack_tag(document: Document) -> Iterator[Finding]:
    """Tactics and techniques that ATT&CK does not have."""
    known = attack()
    for cell in document.strings("tags"):
        name = name_of(cell.value)
        if name and not _OTHER.fullmatch(name) and name not in known.tactics and name not in known.techniques and name not in known.retired:
            yield cell, {"tag": cell.value, "version": known.version, "hint": _tag(suggestion(name, [*known.tactics, *known.techniques]))}


def retired_tag(document: Document) -> Iterator[Finding]:
    """Names that a newer ATT&CK has replaced."""
    known = attack()
    for cell in document.strings("tags"):
        if name_of(cell.value) in known.retired:
            yield cell, {"tag": cell.value, "version": known.version, "hint": _tag(known.retired[name_of(cell.value)])}


def _tag(name: str) -> str:
    return f"attack.{name.replace('_', '-')}" if name else "https://attack.mitre.org"
