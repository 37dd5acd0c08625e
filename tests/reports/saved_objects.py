"""What OpenSearch Dashboards asks of saved objects, checked without it: `problems`, and the query that it would send: `body`.

The rules are those of the import (unique ids, references, migration versions) and of the visualization editors (which aggregations a
kind takes, in which place), as the sources of Dashboards state them: src/plugins/vis_type_{vislib,table,metric}, src/core/server/saved_objects.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

MIGRATIONS: Final = {"index-pattern": (7, 6, 0), "visualization": (7, 10, 0), "search": (7, 9, 3), "dashboard": (7, 9, 3)}
"""Newest migration that Dashboards knows; anything newer is refused."""
_OWN: Final = {"title", "description", "version", "kibanaSavedObjectMeta"}
ATTRIBUTES: Final = {
    "index-pattern": {"title", "timeFieldName", "fields", "fieldFormatMap"},
    "visualization": {*_OWN, "visState", "uiStateJSON", "savedSearchRefName"},
    "search": {*_OWN, "columns", "sort", "hits"},
    "dashboard": {*_OWN, "panelsJSON", "optionsJSON", "timeRestore", "timeFrom", "timeTo", "refreshInterval", "hits"},
}
"""What the index of Dashboards has fields for: its mapping is strict, anything else makes the import fail."""
METRICS: Final = {
    "count": set(),
    "sum": {"number"},
    "max": {"number", "date"},
    "cardinality": {"string", "number", "date", "boolean", "ip"},
}
BUCKETS: Final = {"terms": {"string", "number", "date", "boolean", "ip"}, "date_histogram": {"date"}, "filters": set()}
"""Aggregation -> types of fields that it takes; empty = it takes no field."""
_XY: Final = {"metric": (1, 99), "segment": (0, 1), "group": (0, 3), "split": (0, 1)}
SCHEMAS: Final[Mapping[str, Mapping[str, tuple[int, int]]]] = {
    "histogram": _XY, "line": _XY, "horizontal_bar": _XY,
    "pie": {"metric": (1, 1), "segment": (0, 99), "split": (0, 1)},
    "heatmap": {"metric": (1, 1), "segment": (0, 1), "group": (0, 1), "split": (0, 1)},
    "table": {"metric": (1, 99), "bucket": (0, 99), "split": (0, 1)},
    "metric": {"metric": (1, 99), "group": (0, 1)},
}  # fmt: skip
"""Kind of visualization -> place -> how many aggregations, at least and at most."""
ONLY: Final = {"pie": {"sum", "count", "cardinality"}, "heatmap": {"count", "sum", "max", "cardinality"}}
"""Metrics that a kind takes, where it does not take all."""
_TERM: Final = re.compile(r"(not )?([\w@.]+)(?::| (>=|<=|>|<) )([\w.\-]+)")

Object = dict[str, Any]
Field = Mapping[str, Any]


def read(text: bytes) -> list[Object]:
    """The objects of an NDJSON file."""
    return [json.loads(line) for line in text.splitlines() if line.strip()]


def problems(objects: Iterable[Object]) -> list[str]:
    """Everything that is wrong; empty = Dashboards should take it."""
    known = {(o["type"], o["id"]): o for o in objects}
    out = [f"{len(list(objects)) - len(known)} ids are given twice"] if len(known) != len(list(objects)) else []
    for item in objects:
        checks = {"index-pattern": _pattern, "visualization": _visualization, "search": _search, "dashboard": _dashboard}
        found = [*_frame(item, known), *(checks[item["type"]](item, known) if item["type"] in checks else ["of a type nobody knows"])]
        out += [f"{item['type']} {item['id']}: {one}" for one in found]
    return out


def fields_of(item: Object, known: Mapping[tuple[str, str], Object]) -> dict[str, Field]:
    """The fields of the index pattern that an object refers to."""
    pattern = next((r["id"] for r in item["references"] if r["type"] == "index-pattern"), "")
    there = known.get(("index-pattern", pattern))
    return {f["name"]: f for f in json.loads(there["attributes"]["fields"])} if there else {}


def _frame(item: Object, known: Mapping[tuple[str, str], Object]) -> Iterator[str]:
    title = item["attributes"].get("title", "")
    if not title or title.startswith("dashboards."):
        yield "has no title"
    at = tuple(int(n) for n in item["migrationVersion"].get(item["type"], "0.0.0").split("."))
    if set(item["migrationVersion"]) != {item["type"]} or at != MIGRATIONS.get(item["type"]):
        yield f"migrationVersion {item['migrationVersion']}"
    if more := set(item["attributes"]) - ATTRIBUTES.get(item["type"], set()):
        yield f"attributes that Dashboards has no field for: {sorted(more)}"
    names = [r["name"] for r in item["references"]]
    if len(set(names)) != len(names):
        yield "two references have one name"
    yield from (f"refers to {r['type']} {r['id']}, which is not there" for r in item["references"] if (r["type"], r["id"]) not in known)
    used = re.findall(r'(?:indexRefName|panelRefName)\\*": ?\\*"([^"\\]+)', json.dumps(item["attributes"]))
    if sorted(used) != sorted(names):
        yield f"references {sorted(names)}, but its attributes name {sorted(used)}"


def _pattern(item: Object, _: Mapping[tuple[str, str], Object]) -> Iterator[str]:
    fields = {f["name"]: f for f in json.loads(item["attributes"]["fields"])}
    if len(fields) != len(json.loads(item["attributes"]["fields"])):
        yield "a field is listed twice"
    time = item["attributes"].get("timeFieldName")
    if time and fields.get(time, {}).get("type") != "date":
        yield f"the time field {time} is no date"
    yield from (f"formats {name}, which is not there" for name in json.loads(item["attributes"]["fieldFormatMap"]) if name not in fields)


def _visualization(item: Object, known: Mapping[tuple[str, str], Object]) -> Iterator[str]:
    state, fields = json.loads(item["attributes"]["visState"]), fields_of(item, known)
    json.loads(item["attributes"]["uiStateJSON"])
    yield from _asked(item, fields)
    if state["title"] != item["attributes"]["title"]:
        yield "two titles"
    places = SCHEMAS.get(state["type"])
    if places is None:
        yield f"a visualization of type {state['type']}"
        return
    ids = [a["id"] for a in state["aggs"]]
    if len(set(ids)) != len(ids):
        yield "two aggregations have one id"
    for place, (least, most) in places.items():
        count = sum(a["schema"] == place for a in state["aggs"])
        if not least <= count <= most:
            yield f"{count} aggregations as {place}: {least} to {most}"
    time = known["index-pattern", item["references"][0]["id"]]["attributes"].get("timeFieldName") if fields else None
    for one in state["aggs"]:
        yield from (f"aggregation {one['id']}: {text}" for text in _aggregation(one, state, fields, places))
        if one["params"].get("interval") == "auto" and one["params"]["field"] != time:
            yield f"aggregation {one['id']}: the interval is `auto` only for the time field {time}"
    figures = {a["id"] for a in state["aggs"] if a["schema"] == "metric"}
    axes = {a["id"] for a in state["params"].get("valueAxes", [])}
    for series in state["params"].get("seriesParams", []):
        if series["data"]["id"] not in figures or series["valueAxis"] not in axes:
            yield f"draws series {series['data']['id']} on {series['valueAxis']}"


def _aggregation(one: Object, state: Object, fields: Mapping[str, Field], places: Mapping[str, tuple[int, int]]) -> Iterator[str]:
    params, kinds = one["params"], METRICS if one["schema"] == "metric" else BUCKETS
    if one["schema"] not in places or one["type"] not in kinds:
        yield f"{one['type']} as {one['schema']} of {state['type']}"
        return
    if one["schema"] == "metric" and one["type"] not in ONLY.get(state["type"], set(METRICS)):
        yield f"{state['type']} shows no {one['type']}"
    takes = kinds[one["type"]]
    if bool(takes) != ("field" in params):
        yield f"{one['type']} with field {params.get('field')}"
    elif takes:
        field = fields.get(params["field"])
        if field is None or not field["aggregatable"] or field["type"] not in takes:
            yield f"{one['type']} of {params['field']}: {field and (field['type'], field['aggregatable'])}"
    if one["type"] == "terms" and params["orderBy"] not in {"_key", *(a["id"] for a in state["aggs"] if a["schema"] == "metric")}:
        yield f"ordered by {params['orderBy']}"
    for part in params.get("filters", []):
        yield from _query(part["input"], fields)
    labels = [part["label"] for part in params.get("filters", [])]
    if len(set(labels)) != len(labels) or "" in labels:
        yield f"filters called {labels}"


def _asked(item: Object, fields: Mapping[str, Field]) -> Iterator[str]:
    source = json.loads(item["attributes"]["kibanaSavedObjectMeta"]["searchSourceJSON"])
    if set(source) - {"query", "filter", "indexRefName"} or source["filter"] != []:
        yield f"searchSourceJSON {source}"
    yield from _query(source["query"], fields)


def _query(query: Mapping[str, str], fields: Mapping[str, Field]) -> Iterator[str]:
    if query["language"] != "kuery":
        yield f"query language {query['language']}"
    try:
        terms = list(_terms(query["query"]))
    except ValueError as error:
        yield str(error)
        return
    for name, comparison, _, _ in terms:
        field = fields.get(name)
        if field is None or not field["searchable"] or (comparison and field["type"] not in ("number", "date")):
            yield f"query on {name}: {field and (field['type'], field['searchable'])}"


def _search(item: Object, known: Mapping[tuple[str, str], Object]) -> Iterator[str]:
    fields = fields_of(item, known)
    yield from _asked(item, fields)
    yield from (f"column {name} is not there" for name in item["attributes"]["columns"] if name not in fields)
    for name, way in item["attributes"]["sort"]:
        if way not in ("asc", "desc") or not fields.get(name, {}).get("aggregatable"):
            yield f"sorted by {name} {way}"


def _dashboard(item: Object, known: Mapping[tuple[str, str], Object]) -> Iterator[str]:
    attributes = item["attributes"]
    panels = json.loads(attributes["panelsJSON"])
    json.loads(attributes["optionsJSON"])
    shown = [known[r["type"], r["id"]] for r in item["references"] if (r["type"], r["id"]) in known]
    for fields in [fields_of(panel, known) for panel in shown] if _asks(item) else [{}]:  # its query goes to the index of every panel
        yield from _asked(item, fields)
    if attributes["timeRestore"] and not (attributes.get("timeFrom") and attributes.get("timeTo")):
        yield "restores no time range"
    if len({p["panelIndex"] for p in panels}) != len(panels):
        yield "two panels have one index"
    taken: dict[tuple[int, int], str] = {}
    for panel in panels:
        grid = panel["gridData"]
        if grid["i"] != panel["panelIndex"] or min(grid["w"], grid["h"]) < 1 or min(grid["x"], grid["y"]) < 0 or grid["x"] + grid["w"] > 48:
            yield f"panel {panel['panelIndex']} lies outside: {grid}"
        for cell in ((x, y) for x in range(grid["x"], grid["x"] + grid["w"]) for y in range(grid["y"], grid["y"] + grid["h"])):
            if taken.setdefault(cell, panel["panelIndex"]) != panel["panelIndex"]:
                yield f"panels {taken[cell]} and {panel['panelIndex']} overlap"
                break


def _terms(query: str) -> Iterator[tuple[str, str, str, bool]]:
    """(field, comparison or "", value, negated) of the part of DQL that is used here: terms joined by `and` or by `or`. ValueError for more."""
    words = re.split(r" (and|or) ", query) if query else []
    if len(set(words[1::2])) > 1:
        raise ValueError(f"query mixes and, or: {query}")
    for word in words[::2]:
        found = _TERM.fullmatch(word)
        if found is None:
            raise ValueError(f"query not understood: {query}")
        yield found[2], found[3] or "", found[4], bool(found[1])


def dsl(query: str) -> Object:
    """A DQL query as Dashboards sends it."""
    compare = {">=": "gte", "<=": "lte", ">": "gt", "<": "lt"}
    terms: list[Object] = []
    for name, sign, value, negated in _terms(query):
        literal = {"true": True, "false": False}.get(value, value)
        term: Object = {"range": {name: {compare[sign]: value}}} if sign else {"match": {name: literal}}
        terms.append({"bool": {"must_not": [term]}} if negated else term)
    if not terms:
        return {"match_all": {}}
    return {"bool": {"should": terms, "minimum_should_match": 1}} if " or " in query else {"bool": {"filter": terms}}


def _asks(item: Object) -> str:
    """The query of an object."""
    return str(json.loads(item["attributes"]["kibanaSavedObjectMeta"]["searchSourceJSON"])["query"]["query"])


def body(item: Object, known: Mapping[tuple[str, str], Object], times: tuple[str, str], board: Object) -> Object:
    """The search that Dashboards sends for a visualization or a saved search on a dashboard, for a time range."""
    pattern = known["index-pattern", item["references"][0]["id"]]["attributes"]
    time = pattern.get("timeFieldName")
    window = [{"range": {time: {"gte": times[0], "lte": times[1]}}}] if time else []
    query = {"bool": {"filter": [dsl(_asks(item)), dsl(_asks(board)), *window]}}
    if item["type"] == "search":
        return {"query": query, "size": 50, "sort": [{name: {"order": way}} for name, way in item["attributes"]["sort"]]}
    state = json.loads(item["attributes"]["visState"])
    figures = [a for a in state["aggs"] if a["schema"] == "metric"]
    return {"query": query, "size": 0, "aggs": _nested([a for a in state["aggs"] if a["schema"] != "metric"], figures)}


def _nested(splits: list[Object], figures: list[Object]) -> Object:
    out: Object = {a["id"]: {a["type"]: {"field": a["params"]["field"]}} for a in figures if a["type"] != "count"}
    if splits:
        first = splits[0]
        out[first["id"]] = {**_bucket(first, {a["id"]: a["type"] for a in figures}), "aggs": _nested(splits[1:], figures)}
    return out


def _bucket(one: Object, figures: Mapping[str, str]) -> Object:
    params = one["params"]
    if one["type"] == "filters":
        return {"filters": {"filters": {part["label"]: dsl(part["input"]["query"]) for part in params["filters"]}}}
    if one["type"] == "date_histogram":
        zone = "Asia/Ho_Chi_Minh"
        return {
            "date_histogram": {
                "field": params["field"],
                "fixed_interval": "3h",
                "time_zone": zone,
                "min_doc_count": params["min_doc_count"],
            }
        }
    by = "_count" if figures.get(params["orderBy"]) == "count" else params["orderBy"]
    more = {"missing": "__missing__"} if params["missingBucket"] else {}
    return {"terms": {"field": params["field"], "size": params["size"], "order": {by: params["order"]}, **more}}
