"""How saved objects of OpenSearch Dashboards 2.x and 3.x are written: attributes, references, JSON within JSON. Pure.

`migrationVersion` names the newest migration that Dashboards has for each type; a newer one is refused by the import.
Source: github.com/opensearch-project/OpenSearch-Dashboards, src/plugins/{data,visualizations,discover,dashboard}/server/saved_objects.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

SavedObject = dict[str, Any]
MIGRATIONS: Final = {"index-pattern": "7.6.0", "visualization": "7.10.0", "search": "7.9.3", "dashboard": "7.9.3"}
PANEL_VERSION: Final = "3.0.0"
INDEX_REF: Final = "kibanaSavedObjectMeta.searchSourceJSON.index"
COLUMNS: Final = 48
"""Width of the grid."""
_KINDS: Final = {"long": "number", "double": "number", "boolean": "boolean", "date": "date", "ip": "ip"}
_META: Final = (("_id", "string", True), ("_index", "string", True), ("_score", "number", False), ("_source", "_source", False))


@dataclass(frozen=True)
class Pattern:
    """Which index a panel asks, and its fields."""

    id: str
    title: str
    """Name of the index, with wildcards."""
    time: str
    """Field of the time picker; empty = none: all documents, always."""
    properties: Mapping[str, Mapping[str, object]]
    """The mapping."""
    formats: Mapping[str, Mapping[str, object]]
    """How fields are shown: field -> formatter."""


@dataclass(frozen=True)
class Placed:
    """A panel at its place in the grid."""

    type: str
    """visualization or search."""
    id: str
    x: int
    y: int
    w: int
    h: int


def index_pattern(pattern: Pattern) -> SavedObject:
    """An index pattern with its field list, so that charts draw before anybody has refreshed it."""
    fields = [_field(name, kind, kind, searchable) for name, kind, searchable in _META]
    for name, shape in pattern.properties.items():
        fields.append(_mapped(name, shape))
        inner = shape.get("fields")
        for word, other in inner.items() if isinstance(inner, Mapping) else ():
            fields.append({**_mapped(f"{name}.{word}", other), "subType": {"multi": {"parent": name}}})
    attributes = {"title": pattern.title, "fields": _json(fields), "fieldFormatMap": _json(pattern.formats)}
    if pattern.time:
        attributes["timeFieldName"] = pattern.time
    return _object("index-pattern", pattern.id, attributes, [])


def _mapped(name: str, shape: Mapping[str, object]) -> dict[str, object]:
    kind = str(shape["type"])
    searchable = shape.get("index") is not False
    stored = shape.get("doc_values") is not False and kind != "text"
    return {**_field(name, _KINDS.get(kind, "string"), kind, searchable), "aggregatable": stored, "readFromDocValues": stored}


def _field(name: str, kind: str, mapped: str, searchable: bool) -> dict[str, object]:
    return {
        "name": name, "type": kind, "esTypes": [name if name.startswith("_") and name != "_score" else mapped], "count": 0,
        "scripted": False, "searchable": searchable, "aggregatable": searchable, "readFromDocValues": False,
    }  # fmt: skip


def visualization(
    id_: str, title: str, pattern: Pattern, state: Mapping[str, object], query: str, colors: Mapping[str, str]
) -> SavedObject:  # fmt: skip
    """A classic visualization: `state` = its type, parameters and aggregations; `query` in DQL."""
    attributes = {
        "title": title, "description": "", "version": 1, "visState": _json({"title": title, **state}),
        "uiStateJSON": _json({"vis": {"colors": colors}} if colors else {}), "kibanaSavedObjectMeta": _source(query, index=True),
    }  # fmt: skip
    return _object("visualization", id_, attributes, [_reference(INDEX_REF, "index-pattern", pattern.id)])


def search(id_: str, title: str, pattern: Pattern, query: str, columns: Sequence[str]) -> SavedObject:
    """A saved search: rows of documents, newest first."""
    attributes = {
        "title": title, "description": "", "version": 1, "hits": 0, "columns": list(columns), "sort": [[pattern.time, "desc"]],
        "kibanaSavedObjectMeta": _source(query, index=True),
    }  # fmt: skip
    return _object("search", id_, attributes, [_reference(INDEX_REF, "index-pattern", pattern.id)])


def dashboard(id_: str, told: tuple[str, str], panels: Sequence[Placed], since: str, query: str) -> SavedObject:
    """A dashboard: title and description, panels by reference, the time range and query it opens with, refreshed every five minutes."""
    laid = [
        {
            "version": PANEL_VERSION, "gridData": {"x": p.x, "y": p.y, "w": p.w, "h": p.h, "i": str(n)}, "panelIndex": str(n),
            "embeddableConfig": {}, "panelRefName": f"panel_{n}",
        }
        for n, p in enumerate(panels)
    ]  # fmt: skip
    attributes = {
        "title": told[0], "description": told[1], "version": 1, "hits": 0, "panelsJSON": _json(laid),
        "optionsJSON": _json({"useMargins": True, "hidePanelTitles": False}), "timeRestore": True, "timeFrom": since, "timeTo": "now",
        "refreshInterval": {"pause": False, "value": 300_000}, "kibanaSavedObjectMeta": _source(query, index=False),
    }  # fmt: skip
    return _object("dashboard", id_, attributes, [_reference(f"panel_{n}", p.type, p.id) for n, p in enumerate(panels)])


def rows(laid: Sequence[tuple[int, Sequence[tuple[str, str, int]]]]) -> Iterator[Placed]:
    """Rows of (height, [(type, id, width)]) as places in the grid, from the top left."""
    y = 0
    for height, row in laid:
        x = 0
        for kind, id_, width in row:
            yield Placed(kind, id_, x, y, width, height)
            x += width
        y += height


def _source(query: str, *, index: bool) -> dict[str, str]:
    source: dict[str, object] = {"query": {"query": query, "language": "kuery"}, "filter": []}
    return {"searchSourceJSON": _json({**source, "indexRefName": INDEX_REF} if index else source)}


def _object(kind: str, id_: str, attributes: Mapping[str, object], references: Sequence[Mapping[str, str]]) -> SavedObject:
    return {"type": kind, "id": id_, "attributes": attributes, "references": list(references), "migrationVersion": {kind: MIGRATIONS[kind]}}


def _reference(name: str, kind: str, id_: str) -> dict[str, str]:
    return {"name": name, "type": kind, "id": id_}


def _json(value: object) -> str:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
