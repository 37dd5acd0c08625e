"""Checks of a file before it is a rule: size, encoding, YAML."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final

import yaml

from detectors.sigma.cells import Cell, compose
from detectors.sigma.lint.base import Finding, Source
from detectors.sigma.lint.structure import type_name

MAX_FILE: Final = 1 << 20
"""Bytes; a larger rule file is refused."""
_BOM: Final = b"\xef\xbb\xbf"


@lru_cache(maxsize=4)
def read(content: bytes) -> tuple[list[Cell], Exception | None]:
    """The documents of a file, and why there are none when it is no YAML."""
    try:
        return compose(content.decode("utf-8-sig", "replace")), None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        return [], error


def unreadable(source: Source) -> Iterator[Finding]:
    """Files that the system does not give."""
    if source.unread:
        yield Cell(""), {"reason": source.unread}


def too_large(source: Source) -> Iterator[Finding]:
    """Files beyond the limit."""
    if len(source.content) > MAX_FILE:
        yield Cell(""), {"n": len(source.content), "limit": MAX_FILE}


def not_utf8(source: Source) -> Iterator[Finding]:
    """Bytes that are not UTF-8."""
    try:
        source.content.decode("utf-8")
    except UnicodeDecodeError as error:
        before = source.content[: error.start]
        last = before.rfind(b"\n")
        column = len(before[last + 1 :].decode("utf-8", "replace")) + 1
        yield Cell("", before.count(b"\n") + 1, column), {"byte": f"0x{source.content[error.start]:02x}"}


def yaml_tab(source: Source) -> Iterator[Finding]:
    """A tab where YAML wants spaces."""
    place, problem = _problem(source)
    if problem and _character(source, place) == "\t":
        yield place, {}


def yaml_syntax(source: Source) -> Iterator[Finding]:
    """What is not YAML."""
    place, problem = _problem(source)
    if problem and _character(source, place) != "\t":
        yield place, {"reason": problem}


def _problem(source: Source) -> tuple[Cell, str]:
    error = read(source.content)[1]
    if error is None or len(source.content) > MAX_FILE:
        return Cell(""), ""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    reason = getattr(error, "problem", None) or (str(error).splitlines() or [type(error).__name__])[0]
    return (Cell("", mark.line + 1, mark.column + 1) if mark else Cell("")), str(reason)


def _character(source: Source, place: Cell) -> str:
    """What stands at a place."""
    lines = source.content.decode("utf-8-sig", "replace").splitlines()
    line = lines[place.line - 1] if place.line <= len(lines) else ""
    return line[place.column - 1 : place.column]


def empty_file(source: Source) -> Iterator[Finding]:
    """Files without a document."""
    documents, error = read(source.content)
    if error is None and not documents and not source.unread:
        yield Cell(""), {}


def not_a_mapping(source: Source) -> Iterator[Finding]:
    """Documents that are a list or a plain value."""
    for document in read(source.content)[0]:
        if not isinstance(document.value, dict):
            yield document, {"found": type_name(document.value)}


def action_document(source: Source) -> Iterator[Finding]:
    """`action: global` of old collections."""
    for document in read(source.content)[0]:
        key = document.key("action")
        if key and document.value.get("action") in ("global", "repeat", "reset"):
            yield key, {"action": document.value["action"]}


def duplicate_key(source: Source) -> Iterator[Finding]:
    """A key twice in one mapping: YAML would keep the last one and say nothing."""
    for document in read(source.content)[0]:
        yield from _duplicates(document)


def _duplicates(cell: Cell) -> Iterator[Finding]:
    seen: dict[str, Cell] = {}
    for key, value in cell:
        name = f"{type(key.value).__name__} {key.value}"
        if name in seen:
            yield key, {"key": key.value, "first": seen[name].line}
        seen.setdefault(name, key)
        yield from _duplicates(value)
    for item in cell.items:
        yield from _duplicates(item)


def usable(content: bytes) -> list[dict[str, Any] | None]:
    """The documents of a file that something is wrong with; None for those that cannot be used."""
    source = Source("", content)
    if len(content) > MAX_FILE or any(not_utf8(source)) or any(action_document(source)):
        return []
    return [None if not isinstance(cell.value, dict) or any(_duplicates(cell)) else cell.value for cell in read(content)[0]]


def byte_order_mark(source: Source) -> Iterator[Finding]:
    """A byte-order mark, which some tools take for text."""
    if source.content.startswith(_BOM):
        yield Cell(""), {}


def carriage_returns(source: Source) -> Iterator[Finding]:
    """Line ends of Windows, which end up inside block texts of other tools."""
    place = source.content.find(b"\r\n")
    if place >= 0:
        yield Cell("", source.content.count(b"\n", 0, place) + 1, place - source.content.rfind(b"\n", 0, place)), {}


def skip_comments(text: str) -> Iterator[tuple[int, int, list[str], str]]:
    """(line, column, codes, reason) of each `# lint: skip=code,code reason`."""
    for number, line in enumerate(text.splitlines(), 1):
        found = _SKIP.search(line) if "lint:" in line else None
        if found:
            yield number, found.start() + 1, found[1].split(","), found[2].strip()


_SKIP: Final = re.compile(r"#\s*lint:\s*skip=([\w,-]+)(.*)")
