"""Documents laid out for dashboards: `<prefix>-alerts`, `<prefix>-sources`. A projection that may be deleted and published again.

Each document is replaced as a whole under its id. The mapping is the dictionary of `domain/published.yml`; a field that is added
there is added to the index, one that changed its type there makes the index be refused with the way out.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import orjson

from domain.errors import StoreError
from domain.published import opensearch_properties, published
from domain.text import one_line
from store.opensearch.client import OWN, Cluster, Lacking

Documents = Mapping[str, Mapping[str, object]]
BATCH: Final = 2_000
"""Documents of one request."""
_TRIES: Final = 8
_BLOCKED: Final = "cluster_block_exception"


def publish(cluster: Cluster, prefix: str, name: str, documents: Documents) -> int:
    """Lay out the documents (id -> flat document, times as datetime); how many were new. StoreError when one cannot be stored."""
    if name not in published():
        raise ValueError(f"{name}: {', '.join(published())}")
    index = f"{prefix}-{name}"
    prepare(cluster, index, name)
    ids = list(documents)
    parts = (ids[start : start + BATCH] for start in range(0, len(ids), BATCH))
    return sum(_replace(cluster, index, {key: documents[key] for key in part}) for part in parts)


def prepare(cluster: Cluster, index: str, name: str) -> None:
    """Make the index, or add the fields that are new. StoreError when a field is there with another type."""
    wanted = opensearch_properties(name)
    there = cluster.call("GET", f"/{index}/_mapping", missing=True)
    if there is None:
        try:
            body = {"settings": OWN, "mappings": {"dynamic": False, "properties": wanted}}
            cluster.call("PUT", f"/{index}", body)
        except StoreError as error:
            if getattr(error, "kind", "") != "resource_already_exists_exception":
                raise
        return
    known = dict(_flat(next(iter(there.values()))["mappings"].get("properties", {})))
    wrong = [field for field, shape in wanted.items() if field in known and known[field] != _type(shape)]
    if wrong:
        raise StoreError(
            f"the index was made with other types of {', '.join(sorted(wrong)[:5])}", where=f"{cluster.where}/{index}",
            hint="delete this index (it holds copies only), then: soc store publish",
        )  # fmt: skip
    fresh = {field: shape for field, shape in wanted.items() if field not in known}
    if fresh:
        cluster.call("PUT", f"/{index}/_mapping", {"properties": fresh})


def _replace(cluster: Cluster, index: str, documents: Documents) -> int:
    todo, new = dict(documents), 0
    for attempt in range(_TRIES):
        items = cluster.bulk(_lines(index, todo))
        new += sum(item.get("result") == "created" for item in items)
        refused = [(key, item) for key, item in zip(todo, items, strict=True) if item["status"] >= 300]
        lasting = [item for _, item in refused if item["status"] != 429 or _kind(item) == _BLOCKED]
        if lasting:
            raise _refusal(cluster, index, lasting)
        todo = {key: todo[key] for key, _ in refused}
        if not todo:
            return new
        time.sleep(min(5.0, 0.1 * 2**attempt))
    raise StoreError(
        f"the cluster is too busy: {len(todo)} documents were not taken", where=f"{cluster.where}/{index}", hint="soc store publish"
    )


def _lines(index: str, documents: Documents) -> bytes:
    """NDJSON of one `_bulk` request; empty values are left out."""
    out = []
    for key, document in documents.items():
        out.append(orjson.dumps({"index": {"_index": index, "_id": key}}))
        out.append(orjson.dumps({name: value for name, value in document.items() if value is not None and value not in ("", [], ())}))
    return b"\n".join([*out, b""])


def _refusal(cluster: Cluster, index: str, items: Sequence[Mapping[str, Any]]) -> StoreError:
    told = items[0].get("error") or {}
    reason, where = one_line(str(told.get("reason", told)), 300), f"{cluster.where}/{index}"
    if _kind(items[0]) == "security_exception":
        return Lacking(reason, cluster.access.user, where)
    if _kind(items[0]) == _BLOCKED:
        hint = "a disk of the cluster is full, or somebody made the index read-only: make room, then soc store publish"
        return StoreError(f"the index takes nothing: {reason}", where=where, hint=hint)
    return StoreError(f"{len(items)} documents were refused: {reason}", where=where, hint="soc doctor")


def _kind(item: Mapping[str, Any]) -> str:
    """Type of the error of one item."""
    return str((item.get("error") or {}).get("type", ""))


def _flat(properties: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """(dotted name, type) of every field of a mapping."""
    for name, shape in properties.items():
        if "properties" in shape:
            yield from _flat(shape["properties"], f"{prefix}{name}.")
        if "type" in shape:
            yield f"{prefix}{name}", shape["type"]


def _type(shape: object) -> str:
    return str(shape["type"]) if isinstance(shape, dict) else ""
