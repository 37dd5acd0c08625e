"""The cluster in figures, and what is wrong with it: for `soc store info` and `soc doctor`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from store.base import About, Trouble
from store.opensearch.client import GONE, Cluster, Lacking
from store.prefix import ours

_FULL: Final = 85
"""Percent of a node's disk from which OpenSearch places no new shards there (its low watermark)."""


def about(cluster: Cluster, prefix: str) -> About:
    """What the user may not ask is left out."""
    version = _asked(cluster, "/").get("version", {}).get("number", "")
    sizes = _asked(cluster, f"/{ours(prefix)}/_stats/store", GONE).get("_all", {}).get("total", {}).get("store", {})
    return About(f"OpenSearch {version}".strip(), int(sizes.get("size_in_bytes", 0)), tuple(_troubles(cluster, prefix)))


def _troubles(cluster: Cluster, prefix: str) -> Iterator[Trouble]:
    health = _asked(cluster, f"/_cluster/health/{ours(prefix)}", GONE)
    missing = int(health.get("unassigned_shards", 0))
    if health.get("status") == "red":
        yield Trouble("shards", {"n": missing}, grave=True)
    elif health.get("status") == "yellow":
        yield Trouble("replicas", {"n": missing})
    blocks = _asked(cluster, f"/{ours(prefix)}/_settings/index.blocks.*", GONE)
    closed = sorted(name for name, there in blocks.items() if "true" in str(there.get("settings", {})))
    if closed:
        yield Trouble("read_only", {"n": len(closed), "first": closed[0]}, grave=True)
    for node in _asked(cluster, "/_nodes/stats/fs").get("nodes", {}).values():
        total = node.get("fs", {}).get("total", {})
        used = 100 - round(100 * total.get("available_in_bytes", 0) / max(1, total.get("total_in_bytes", 0)))
        if total and used >= _FULL:
            yield Trouble("disk", {"node": node.get("name", ""), "used": used}, grave=used >= 95)


def _asked(cluster: Cluster, path: str, params: Mapping[str, str] | None = None) -> dict[str, Any]:
    try:
        answer = cluster.call("GET", path, params=params, missing=True)
    except Lacking:
        return {}
    return answer if isinstance(answer, dict) else {}
