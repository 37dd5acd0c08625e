"""Clusters that sources read: whose connection, and what goes wrong there in the words of a source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, unquote

import pyarrow.compute as pc

from collectors.shard import Unreadable
from domain.clock import show_local
from domain.errors import LackingError, SourceError, StoreError
from domain.i18n import t
from domain.raw import Checkpoint, RawBatch, event_ids
from store.prefix import index_prefix

if TYPE_CHECKING:
    from jobs.config import Source
    from jobs.runtime import Runtime
    from store.opensearch.client import Cluster

PATIENCE: Final = 5.0
"""Seconds for which a cluster of others is tried; the next pull tries again."""
ROWS: Final = 50_000
"""Documents of a delivery, about: pages are small, and what they become is held in memory until then."""
EVIDENCE: Final = "evidence"
"""Stream of the events that a scan in place has copied: stored so far; state `from` = the scan's cursor when the last of them were."""
_WAYS: Final = ("user", "password", "api_key", "ca", "client_cert", "client_key")


class Reader:
    """A cluster, only read."""

    def __init__(self, cluster: Cluster, source: str) -> None:
        self._cluster = cluster
        self._source = source

    def call(self, method: str, path: str, body: object = None, params: dict[str, Any] | None = None, *, missing: bool = False) -> Any:
        """The answer. LackingError names the privilege, Unreadable what an index refused, SourceError that the cluster is away."""
        from store.opensearch.client import Lacking, Refused

        try:
            return self._cluster.call(method, path, body, params, missing=missing, patience=PATIENCE)
        except Lacking as error:
            what = f"{error.what} on {_index(path)}"
            raise LackingError(what, where=self._source, hint="docs/indices.md: the role for reading") from None
        except Refused as error:
            raise Unreadable(f"{_index(path)}: {error.reason or error.kind}", where=self._source) from None
        except StoreError as error:
            raise SourceError(f"{error.where}: {error.what}", where=self._source, hint="soc config check") from None

    def uuid(self, index: str) -> str:
        """The index's own id, which a reader is told only in the answer to a question that no shard understands."""
        from store.opensearch.client import Refused

        try:
            self._cluster.call(
                "POST", f"/{quote(index, safe='')}/_search", {"size": 0, "query": {"range": {"_seq_no": {"gt": "?"}}}}, patience=PATIENCE
            )
        except Refused as error:
            causes = (error.info.get("error") or {}).get("root_cause") or [{}]
            found = str(causes[0].get("index_uuid") or "")
            return "" if found == "_na_" else found
        except StoreError as error:
            raise SourceError(f"{error.where}: {error.what}", where=self._source) from None
        return ""


def _index(path: str) -> str:
    return unquote(path.split("/")[1])


def connect(runtime: Runtime, source: Source) -> tuple[Reader, str]:
    """The cluster of a source, and the prefix of our own indices there (never read as somebody else's)."""
    from store.opensearch.client import connect as open_cluster

    prefix = index_prefix(runtime.config.store)
    if source.url:
        return Reader(open_cluster(source.url, {way: getattr(source, way) for way in _WAYS}), source.id), prefix
    return Reader(open_cluster(runtime.store_url, runtime.config.store), source.id), prefix


def cursor(source: str) -> str:
    """Name of the cursor of a source that is scanned where it lies."""
    return f"sigma@{source}"


def places(source: str, state: Mapping[str, Any]) -> Sequence[Checkpoint]:
    """Where such a scan goes on in every shard, from the state of its cursor."""
    return [Checkpoint(source, name, position, inner) for name, (position, inner) in state.get("streams", {}).items()]


def seen(state: Mapping[str, Any]) -> dict[str, Any]:
    """The newest event that such a scan has read, and when documents last came."""
    names = {"last_event": "newest", "last_delivery": "at"}
    return {ours: _at(state["seen"][name]) for ours, name in names.items() if state.get("seen")}


def _at(micros: int) -> datetime:
    return datetime.fromtimestamp(micros / 1_000_000, UTC)


def notes(streams: Sequence[Checkpoint]) -> tuple[str, ...]:
    """What happened to the indices behind these streams, oldest first."""
    found: list[tuple[int, str]] = []
    for checkpoint in streams:
        state: Mapping[str, Any] = checkpoint.state
        for note in state.get("notes", ()):
            values = {"index": state["index"], "shard": state["shard"], "position": note.get("position", 0)}
            text = t(f"indices.{note['what']}", **values)
            found.append((note["at"], t("indices.note", text=text, at=show_local(_at(note["at"])))))
    return tuple(text for _, text in sorted(found))


def fresh(runtime: Runtime, batch: RawBatch, known: Sequence[Checkpoint]) -> RawBatch:
    """A batch without the records that the store holds already.

    Asked only where an older state of an index is read again, and for a source that was scanned in place before: it left evidence.
    """
    if not len(batch.records) or not (batch.overlap or any(c.stream == EVIDENCE for c in known)):
        return batch
    ids = event_ids(batch.source, batch.stream, batch.positions, batch.records)
    stored = runtime.store.events.fetch([i.hex() for i in ids.to_pylist()])
    if not stored.num_rows:
        return batch
    new = pc.invert(pc.is_in(ids, stored["event.id"].combine_chunks().cast(ids.type)))
    kept = new.to_numpy(zero_copy_only=False)
    return replace(
        batch, records=batch.records.filter(new), positions=batch.positions[kept], arrivals=batch.arrivals[kept],
        duplicates=batch.duplicates + int((~kept).sum()),
    )  # fmt: skip
