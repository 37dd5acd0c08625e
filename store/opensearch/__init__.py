"""The cluster engine: events as documents in daily indices, and two logs that say which of them are the store (ARCHITECTURE.md)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from domain.errors import ConfigError
from store.base import About, Coordination, EventStore, RecordStore
from store.opensearch.client import connect
from store.opensearch.records import ClusterCoordination, ClusterRecords
from store.prefix import index_prefix


class ClusterStore:
    """A store in a cluster. Any number of processes may have it open, all of them reading and writing."""

    def __init__(self, url: str, options: Mapping[str, Any]) -> None:
        self._cluster = connect(url, options)
        self._prefix = index_prefix(options)
        records = ClusterRecords(self._cluster, self._prefix)
        self.records: RecordStore = records
        self.coordination: Coordination = ClusterCoordination(self._cluster, self._prefix, records)
        self.url = self._cluster.where
        self._options = options

    @cached_property
    def events(self) -> EventStore:
        """Loaded when asked for: a list of alerts needs no evaluator."""
        from store.opensearch.events import ClusterEvents

        return ClusterEvents(self._cluster, self._prefix, _settings(self._options))

    def about(self) -> About:
        """Size and health of the cluster."""
        from store.opensearch.about import about

        return about(self._cluster, self._prefix)

    def snapshot(self, repository: str, name: str) -> str:
        """A native snapshot of all our indices; waits until it is complete."""
        from store.opensearch.upkeep import snapshot

        return snapshot(self._cluster, self._prefix, repository, name)

    def publish(self, name: str, documents: Mapping[str, Mapping[str, object]]) -> int:
        """Lay out documents for dashboards; how many were new there."""
        from store.opensearch import publish

        return publish.publish(self._cluster, self._prefix, name, documents)

    def close(self) -> None:
        """Release the connections."""
        self._cluster.close()


def _settings(options: Mapping[str, Any]) -> dict[str, object]:
    """Settings of event indices that the configuration names."""
    shards = options.get("shards")
    if shards is not None and (not isinstance(shards, int) or shards < 1):
        raise ConfigError(f"store.shards {shards}: a number, the parts of each daily index", hint="soc config check")
    return {"number_of_shards": shards} if shards else {}
