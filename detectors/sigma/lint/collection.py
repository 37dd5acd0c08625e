"""Checks across files: what stands twice, and what is named and does not exist."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Final, TypeAlias

from detectors.sigma.cells import Cell
from detectors.sigma.correlation_check import link
from detectors.sigma.filters import WANTED
from detectors.sigma.lint.base import Collection, Document, listed, suggestion
from detectors.sigma.lint.logic import fed, held
from detectors.sigma.model import Other
from detectors.sigma.refs import reference
from detectors.sigma.route import Blind

LONG: Final = 7 * 86400
"""Seconds from which a timespan is long."""
Found: TypeAlias = Iterator[tuple[Document, Cell, Mapping[str, object]]]


def _same(collection: Collection, key: str) -> Iterator[list[Document]]:
    """Documents that are taken and say the same of a key, at least two, in the order in which they are loaded."""
    groups: dict[object, list[Document]] = defaultdict(list)
    for document in collection.documents:
        value = document.data.get(key)
        if value and not isinstance(value, (dict, list)) and not document.refusal:
            groups[str(value)].append(document)
    return (group for group in groups.values() if len(group) > 1)


def duplicate_id(collection: Collection) -> Found:
    """Two rules with one id in one folder of rules: the last one counts, the others are not loaded."""
    for group in _same(collection, "id"):
        for document in group[:-1]:
            if any(collection.roots.get(later.file) == collection.roots.get(document.file) for later in group[group.index(document) + 1 :]):
                yield document, document.top("id"), {"id": document.data["id"], "winner": group[-1].file}


def overridden(collection: Collection) -> Found:
    """A rule of a later folder stands in the place of this one."""
    for group in _same(collection, "id"):
        last = group[-1]
        for document in group[:-1]:
            if all(collection.roots.get(later.file) != collection.roots.get(document.file) for later in group[group.index(document) + 1 :]):
                yield document, document.top("id"), {"id": document.data["id"], "winner": last.file}


def duplicate_name(collection: Collection) -> Found:
    """Two rules with one name: a correlation that names it counts both."""
    yield from _repeated(collection, "name")


def duplicate_title(collection: Collection) -> Found:
    """Two rules with one title: nobody can tell their alerts apart."""
    yield from _repeated(collection, "title")


def _repeated(collection: Collection, key: str) -> Found:
    for group in _same(collection, key):
        if len({str(document.data.get("id")) for document in group}) > 1:
            for document in group[1:]:
                yield document, document.top(key), {"found": document.data[key], "other": group[0].file}


def duplicate_filename(collection: Collection) -> Found:
    """Two files with one name in one folder of rules."""
    seen: dict[tuple[str, str], Document] = {}
    for document in collection.documents:
        key = (collection.roots.get(document.file, ""), PurePath(document.file).name)
        first = seen.setdefault(key, document)
        if first.file != document.file and document.number == 0:
            yield document, document.cell, {"name": key[1], "other": first.file}


def _names(collection: Collection) -> dict[str, Document]:
    return {str(d.data[key]): d for d in collection.documents if d.kind != "filter" for key in ("id", "name") if d.data.get(key)}


def _named(document: Document) -> list[Cell]:
    """The cells in which a correlation or filter names rules."""
    rules = (document.cell.get(document.kind) or document.cell).get("rules")
    cells = [] if rules is None else list(rules.items) if isinstance(rules.value, list) else [rules]
    return [cell for cell in cells if isinstance(cell.value, str) and not (document.kind == "filter" and cell.value.lower() == "any")]


def correlation_link(collection: Collection) -> Found:
    """What is wrong among the rules that a correlation names; rules that are not there are told by `unknown_rule`."""
    names = _names(collection)
    for document, path, reason in _faults(collection):
        if "there is no rule" not in reason or (path[1] == "condition" and path[-1] not in names):
            yield document, document.cell.find(path), {"reason": re.sub("^correlation:? ", "", reason)}


def unknown_rule(collection: Collection) -> Found:
    """A correlation of rules that are not there never fires, a filter of such rules hides nothing."""
    names = _names(collection)
    for document in collection.documents:
        spec = document.data.get("correlation")
        named = _named(document) if document.kind == "filter" or isinstance(spec, dict) else []
        for cell in named:
            if cell.value not in names and cell.value not in collection.elsewhere:
                hint = suggestion(cell.value, [*names, *collection.elsewhere]) or "soc rules list"
                yield document, cell, {"name": cell.value, "hint": hint}


def _faults(collection: Collection) -> Iterator[tuple[Document, tuple[str, ...], str]]:
    others = {id(d.cell.value): d for d in collection.documents if d.kind == "correlation" and not d.refusal}
    rules = [(reference(d.data).id, str(d.data.get("name") or "")) for d in collection.documents if d.kind == "rule" and not d.refusal]
    linked = link([Other("correlation", d.data, d.file) for d in others.values()], [*rules, *((name, "") for name in collection.elsewhere)])
    for other, fault in linked.faults:
        yield others[id(other.data)], fault.path, fault.reason


def filter_elsewhere(collection: Collection) -> Found:
    """A filter that names a rule of another log source, or a correlation, does not apply to it."""
    names = _names(collection)
    for document in collection.documents:
        source = document.source
        for cell in _named(document) if document.kind == "filter" and source else ():
            rule = names.get(cell.value)
            other = rule.source if rule else None
            if rule and source and not (other and all(not a or a == b for a, b in zip(_parts(source), _parts(other), strict=True))):
                yield document, cell, {"name": cell.value, "source": source, "other": other or rule.kind}


def _parts(source: object) -> tuple[str, ...]:
    return tuple(getattr(source, key) for key in ("product", "category", "service"))


def loud_base(collection: Collection) -> Found:
    """A rule that only feeds correlations gives no alert of its own, whatever its level says."""
    names = _names(collection)
    told: set[int] = set()
    for document in collection.documents:
        spec = document.data.get("correlation")
        for cell in _named(document) if isinstance(spec, dict) and not spec.get("generate") else ():
            rule = names.get(cell.value)
            if rule and rule.kind == "rule" and id(rule) not in told and rule.text("level") in ("medium", "high", "critical"):
                told.add(id(rule))
                yield rule, rule.top("level"), {"level": rule.text("level"), "correlation": document.text("title") or document.file}


def group_by_unheld(collection: Collection) -> Found:
    """A correlation groups by a field that no event of one of its rules holds: those events belong to no group."""
    names = _names(collection)
    for document in collection.documents:
        spec = document.cell.get("correlation")
        group = spec.get("group-by") if spec else None
        for field in group.items if group else ():
            bases = [cell.value for cell in _named(document) if cell.value in names]
            lacking = [name for name in bases if not _holds(names[name], _alias(document, field, name))]
            if lacking:
                yield document, field, {"field": field.value, "rules": listed(lacking)}


def _alias(document: Document, field: Cell, rule: str) -> str:
    aliases = document.data["correlation"].get("aliases")
    found = aliases.get(field.value) if isinstance(aliases, dict) else None
    return str(found.get(rule, field.value)) if isinstance(found, dict) else str(field.value)


def _holds(rule: Document, name: str) -> bool:
    source = rule.source
    if source is None or rule.kind != "rule" or not fed(source)[0]:
        return True
    if held(source):
        return name in held(source) or "." in name
    for feed in fed(source)[0]:
        try:
            feed.map.name(name)
        except Blind:
            continue
        return True
    return False


def filter_unowned(collection: Collection) -> Found:
    """A filter says who answers for it, why, and until when."""
    for document in collection.documents:
        lacking = [key for key in WANTED if not document.data.get(key)] if document.kind == "filter" else []
        if lacking:
            yield document, document.cell.key("title") or document.cell, {"keys": listed(lacking)}


def long_timespan(collection: Collection) -> Found:
    """Every hit is remembered for the whole timespan."""
    for document in collection.documents:
        spec = document.cell.get("correlation")
        span = spec.get("timespan") if spec else None
        seconds = _seconds(str(span.value)) if span else 0
        if span and seconds > LONG:
            yield document, span, {"timespan": span.value, "days": LONG // 86400}


def _seconds(text: str) -> int:
    found = re.fullmatch(r"(\d{1,9})([hdwMy])", text)
    return int(found[1]) * {"h": 3600, "d": 86400, "w": 604800, "M": 2629746, "y": 31556952}[found[2]] if found else 0
