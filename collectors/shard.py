"""One shard of an index that others write: pages of documents by sequence number, each page proving that the index is still the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Protocol
from urllib.parse import quote

import orjson

from collectors.sequence import Anchor, Document, Progress
from domain.errors import SourceError

SIZE: Final = 500
"""Documents of the first page."""
_MOST: Final = 2_000
_LEAST: Final = 50
_BYTES: Final = 16 << 20
"""A page is made so large, about."""


class Unreadable(SourceError):
    """The cluster answered that this index cannot be read (closed, gone, a shard not assigned); others may."""


class Cluster(Protocol):
    """What is needed of a connection. SourceError when it cannot be reached or a privilege is lacking, Unreadable for one index."""

    def call(self, method: str, path: str, body: object = None, params: dict[str, Any] | None = None, *, missing: bool = False) -> Any:
        """The parsed answer; None for a 404 when `missing` is allowed."""

    def uuid(self, index: str) -> str:
        """What tells an index from another of the same name; "" when the cluster does not say."""


class Shard:
    """Reads one shard of one index, on its primary where there is one: copies show new documents at different moments."""

    def __init__(self, cluster: Cluster, index: str, number: int) -> None:
        self.cluster = cluster
        self.index = index
        self.number = number
        self._size = SIZE

    def page(self, progress: Progress) -> tuple[bool, list[Document], bool]:
        """(proved, documents that were not read yet, whether there may be more).

        Not proved: the newest anchor is not where it was; the documents must not be used.
        """
        anchor = progress.anchors[0] if progress.anchors else None
        wanted: list[dict[str, Any]] = [{"range": {"_seq_no": {"gte": h.start, "lt": h.stop}}} for h in progress.holes]
        wanted.append({"range": {"_seq_no": {"gte": progress.next}}})
        if anchor is not None:
            wanted.append({"term": {"_seq_no": anchor.seq}})
        found = self._cautiously({"bool": {"should": wanted}})
        full = len(found) > self._size
        self._resize(found)
        if anchor is None:
            return True, found, full
        proof = next((d for d in found if d.seq == anchor.seq), None)
        return proof is not None and proof.anchor == anchor, [d for d in found if d.seq != anchor.seq], full

    def _cautiously(self, query: object) -> list[Document]:
        """A page; a small one where the cluster has no memory for a large one."""
        try:
            return self.search(query, self._size + 1)
        except SourceError as error:
            if self._size == _LEAST or "circuit_breaking" not in str(error):
                raise
        self._size = _LEAST
        return self.search(query, self._size + 1)

    def held(self, anchors: Sequence[Anchor]) -> dict[int, Anchor]:
        """What stands at the numbers of these anchors now."""
        found = self.search({"terms": {"_seq_no": [a.seq for a in anchors]}}, len(anchors)) if anchors else []
        return {d.seq: d.anchor for d in found}

    def newest(self) -> int:
        """The highest number that is visible; -1 when the shard is empty."""
        found = self.search({"match_all": {}}, 1, "desc")
        return found[0].seq if found else -1

    def since(self, start: str) -> int:
        """The lowest number of a document from `start` (ISO 8601) on; one above all when all are older, 0 when none has a time."""
        found = self.search({"range": {"@timestamp": {"gte": start}}}, 1)
        if not found and not self.search({"exists": {"field": "@timestamp"}}, 1):
            return 0
        return found[0].seq if found else self.newest() + 1

    def search(self, query: object, size: int, order: str = "asc") -> list[Document]:
        """Documents in the order of their sequence numbers. Unreadable when the shard does not answer completely."""
        body = {"size": size, "query": query, "sort": [{"_seq_no": {"order": order, "unmapped_type": "long"}}]}
        body |= {"seq_no_primary_term": True, "track_total_hits": False}
        params = {"preference": f"_shards:{self.number}|_primary_first", "allow_partial_search_results": "false"}
        answer = self.cluster.call("POST", f"/{quote(self.index, safe='')}/_search", body, params)
        if answer["_shards"]["total"] == 0:
            raise NoShard(f"{self.index} has no shard {self.number}")
        if answer["timed_out"] or answer["_shards"]["failed"]:
            raise Unreadable(f"{self.index}: shard {self.number} did not answer completely")
        return [_document(hit) for hit in answer["hits"]["hits"]]

    def _resize(self, found: Sequence[Document]) -> None:
        if found:
            mean = sum(len(d.raw) for d in found) / len(found)
            self._size = int(min(_MOST, max(_LEAST, _BYTES / mean)))


def _document(hit: dict[str, Any]) -> Document:
    source = hit.get("_source")
    if source is None:
        raise Unreadable(f"{hit['_index']}: its documents are not kept (_source is switched off)")
    return Document(hit["_seq_no"], hit["_id"], orjson.dumps(source), source.get("@timestamp", source.get("timestamp")))


class NoShard(Exception):
    """The index has fewer shards than it had."""
