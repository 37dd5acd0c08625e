"""How events lie in an index: the template made from the field dictionary, its version, and what may not be indexed."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson

from domain import fields
from domain.errors import StoreError
from store.opensearch.client import ALWAYS, GONE, Cluster, Refused

AT, DELIVERY, ORDINAL = "thapcanh.at", "thapcanh.delivery", "thapcanh.ordinal"
UNINDEXED, RAW = "thapcanh.unindexed", "thapcanh.raw"
OWN: Final = frozenset({AT, DELIVERY, ORDINAL, UNINDEXED, RAW})
"""Fields of the engine, not of the event."""
PLAIN: Final = frozenset({"unmapped", "json", "kv"})
"""Name spaces whose names come from the logs: kept, never indexed (an attacker could make a mapping of any size)."""
_WORD: Final = re.compile(r"[A-Za-z0-9_@-]{1,100}")
_LIMIT: Final = 12_000
"""Fields of one index; what comes on top is kept, not indexed."""
_ENGINE: Final[Mapping[str, Mapping[str, object]]] = {
    AT: {"type": "long"}, DELIVERY: {"type": "keyword"}, ORDINAL: {"type": "long"}, UNINDEXED: {"type": "keyword"},
    RAW: {"type": "binary"},
}  # fmt: skip


def indexed(name: str) -> bool:
    """Whether a field is in the index at all: names that a log made up are not."""
    entry = fields.dictionary().get(name)
    if entry is not None and not entry.open:
        return True
    parent = _open_parent(name)
    return parent is not None and parent not in PLAIN and _WORD.fullmatch(name[len(parent) + 1 :]) is not None


def template(prefix: str, settings: Mapping[str, object]) -> dict[str, Any]:
    """The index template of events."""
    return {
        "index_patterns": [f"{prefix}-events-*"],
        "priority": 200,
        "template": {
            "settings": {
                **ALWAYS, "number_of_shards": 1, "refresh_interval": "30s", "codec": "best_compression",
                "mapping": {"total_fields": {"limit": _LIMIT}, "depth": {"limit": 40}},
                "analysis": {"normalizer": {"lower": {"type": "custom", "filter": ["lowercase"]}}}, **settings,
            },
            "mappings": {**mappings(), "_meta": {"dictionary": version()}},
        },
        "_meta": {"dictionary": version()},
    }  # fmt: skip


def mappings() -> dict[str, Any]:
    """The mapping: every field of the dictionary, open name spaces by a dynamic template."""
    out: dict[str, Any] = {
        "dynamic": False, "date_detection": False, "numeric_detection": False, "properties": {},
        "dynamic_templates": [{"text": {"match_mapping_type": "string", "mapping": dict(fields.OPENSEARCH["keyword"])}}],
    }  # fmt: skip
    for name, entry in fields.dictionary().items():
        if entry.open:
            _object(out, name).update({"type": "object", **({"enabled": False} if name in PLAIN else {"dynamic": True})})
        else:
            _leaf(out, name, fields.OPENSEARCH[entry.type])
    for name, kind in _ENGINE.items():
        _leaf(out, name, kind)
    return out


def version() -> str:
    """Changes when the mapping changes."""
    return hashlib.blake2b(orjson.dumps(mappings(), option=orjson.OPT_SORT_KEYS), digest_size=8).hexdigest()


def install(cluster: Cluster, prefix: str, settings: Mapping[str, object]) -> None:
    """The template as this version needs it. New fields are added to it and to the indices that are there.

    StoreError when a field is there with another type: nothing is changed then.
    """
    name = f"{prefix}-events"
    found = cluster.call("GET", f"/_index_template/{name}", missing=True)
    there = found["index_templates"][0]["index_template"] if found and found.get("index_templates") else {}
    if there.get("_meta", {}).get("dictionary") == version():
        return
    new = template(prefix, settings)
    old = there.get("template", {}).get("mappings", {})
    wrong = sorted(f"{field} is {was}, this version needs {now}" for field, was, now in _conflicts(old, new["template"]["mappings"]))
    if wrong:
        raise StoreError(
            f"the index template {name} was made from another dictionary: {'; '.join(wrong[:5])}; nothing was changed", where=cluster.where,
            hint="use the version of soc that wrote it, or copy the store to another prefix: soc store copy; [store] index_prefix",
        )  # fmt: skip
    new["template"]["mappings"]["properties"] = _merged(old.get("properties", {}), new["template"]["mappings"]["properties"])
    if there:  # the indices first: when that fails, the next run does it again
        more = {"properties": new["template"]["mappings"]["properties"]}
        cluster.call("PUT", f"/{prefix}-events-*/_mapping", more, GONE, missing=True)
    cluster.call("PUT", f"/_index_template/{name}", new)


def fit(cluster: Cluster, prefix: str, index: str, settings: Mapping[str, object]) -> None:
    """Before the first event is written to an index: it is ours. It is made as a whole, so that templates of others change nothing.

    StoreError when somebody made the index otherwise: searches and scans of it would be wrong.
    """
    asked = {"filter_path": "*.mappings._meta"}
    found = cluster.call("GET", f"/{index}/_mapping", None, asked, missing=True)
    if found is None:
        install(cluster, prefix, settings)
        _make(cluster, prefix, index, settings)
        found = cluster.call("GET", f"/{index}/_mapping", None, asked, missing=True) or {}
    if any(version() == there["mappings"]["_meta"].get("dictionary") for there in found.values()):
        return
    for there in (cluster.call("GET", f"/{index}/_mapping", missing=True) or {}).values():
        _mend(cluster, index, there["mappings"])


def _make(cluster: Cluster, prefix: str, index: str, settings: Mapping[str, object]) -> None:
    try:
        cluster.call("PUT", f"/{index}", template(prefix, settings)["template"])
    except Refused as error:
        if error.kind != "resource_already_exists_exception":
            raise


def _mend(cluster: Cluster, index: str, old: Mapping[str, Any]) -> None:
    """Fields that an index lacks are added to it."""
    new = mappings()
    wrong = sorted(f"{field} is {was}, not {now}" for field, was, now in _conflicts(old, new))
    missing = dict(_leaves(new)).keys() - dict(_leaves(old)).keys()
    try:
        if missing and not wrong:
            more = {"properties": _merged(old.get("properties", {}), new["properties"]), "dynamic": False}
            cluster.call("PUT", f"/{index}/_mapping", more)
    except Refused as error:
        if error.status != 400:
            raise
        wrong = [error.reason]
    if wrong:
        raise StoreError(
            f"this index was not made from our template: {'; '.join(wrong[:5])}; nothing was stored", where=f"{cluster.where}/{index}",
            hint="copy what is in it to another name (_reindex) and delete it, then run it again: it is made as it should be",
        )  # fmt: skip


def _open_parent(name: str) -> str | None:
    known, prefix = fields.dictionary(), name
    while "." in prefix:
        prefix = prefix.rpartition(".")[0]
        if prefix in known and known[prefix].open:
            return prefix
    return None


def _object(root: dict[str, Any], name: str) -> dict[str, Any]:
    """The object of a dotted name, made with those above it."""
    at = root
    for word in name.split("."):
        at = at.setdefault("properties", {}).setdefault(word, {})
    return at


def _leaf(root: dict[str, Any], name: str, kind: Mapping[str, object]) -> None:
    parent, _, word = name.rpartition(".")
    (_object(root, parent) if parent else root).setdefault("properties", {})[word] = dict(kind)


def _leaves(mapping: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for word, entry in mapping.get("properties", {}).items():
        name = f"{prefix}{word}"
        if "type" in entry and entry["type"] != "object":
            yield name, entry
        else:
            yield from _leaves(entry, f"{name}.")


def _conflicts(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """(field, type it has, type that is needed)."""
    known = dict(_leaves(old))
    above = {name[:at] for name in known for at, letter in enumerate(name) if letter == "."}
    for name, entry in _leaves(new):
        was = known.get(name)
        if was is not None and (was["type"], was.get("normalizer")) != (entry["type"], entry.get("normalizer")):
            same = was["type"] == entry["type"]
            yield name, f"{was['type']}{' without our normalizer' if same else ''}", str(entry["type"])
        elif was is None and name in above:
            yield name, "object", str(entry["type"])
        for part in (name[:at] for at, letter in enumerate(name) if letter == "."):
            if part in known:
                yield part, str(known[part]["type"]), "object"


def _merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Both; what stands in `new` counts. Fields of a later version stay."""
    out = dict(old)
    for word, entry in new.items():
        both = word in old and "properties" in entry and "properties" in old[word]
        out[word] = {**entry, "properties": _merged(old[word]["properties"], entry["properties"])} if both else entry
    return out
