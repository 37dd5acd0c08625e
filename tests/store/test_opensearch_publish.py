"""Documents for dashboards on a real server: replaced as a whole, the mapping follows the dictionary, refusals in words."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest

from domain.errors import StoreError
from domain.published import published
from store.opensearch.client import Cluster, connect
from store.opensearch.publish import BATCH, publish

AT = datetime(2026, 11, 24, 1, 2, 3, tzinfo=UTC)


@pytest.fixture
def cluster(opensearch_url: str) -> Iterator[Cluster]:
    opened = connect(opensearch_url)
    yield opened
    opened.close()


def _all(cluster: Cluster, index: str) -> dict[str, Any]:
    cluster.call("POST", f"/{index}/_refresh")
    hits = cluster.call("POST", f"/{index}/_search", {"size": 10_000})["hits"]["hits"]
    return {hit["_id"]: hit["_source"] for hit in hits}


def test_a_document_is_replaced_as_a_whole(cluster: Cluster, index_prefix: str) -> None:
    first: dict[str, dict[str, object]] = {"a": {"id": "a", "last": AT, "verdict": "benign", "unit.name": ["Sở Y tế"]}, "b": {"id": "b"}}
    assert publish(cluster, index_prefix, "alerts", first) == 2
    assert publish(cluster, index_prefix, "alerts", {"a": {"id": "a", "last": AT, "verdict": "", "count": 0, "open": False}}) == 0
    expected = {"a": {"id": "a", "last": "2026-11-24T01:02:03+00:00", "count": 0, "open": False}, "b": {"id": "b"}}
    assert _all(cluster, f"{index_prefix}-alerts") == expected


def test_nothing_to_say_makes_the_index_all_the_same(cluster: Cluster, index_prefix: str) -> None:
    assert publish(cluster, index_prefix, "sources", {}) == 0
    assert _all(cluster, f"{index_prefix}-sources") == {}


def test_more_documents_than_one_request_takes(cluster: Cluster, index_prefix: str) -> None:
    assert publish(cluster, index_prefix, "alerts", {f"a{n}": {"id": f"a{n}", "count": n} for n in range(BATCH + 1)}) == BATCH + 1
    assert len(_all(cluster, f"{index_prefix}-alerts")) == BATCH + 1


def test_several_at_once(cluster: Cluster, index_prefix: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(
            pool.map(lambda n: publish(cluster, index_prefix, "alerts", {"a": {"id": "a", "count": n}, f"b{n}": {"id": f"b{n}"}}), range(4))
        )
    assert sorted(_all(cluster, f"{index_prefix}-alerts")) == ["a", "b0", "b1", "b2", "b3"]


def test_a_new_field_is_added_to_the_index(cluster: Cluster, index_prefix: str) -> None:
    cluster.call("PUT", f"/{index_prefix}-sources", {"mappings": {"dynamic": False, "properties": {"source": {"type": "keyword"}}}})
    publish(cluster, index_prefix, "sources", {"s": {"source": "s", "received": 3}})
    cluster.call("POST", f"/{index_prefix}-sources/_refresh")
    figures = {"size": 0, "aggs": {"n": {"sum": {"field": "received"}}}}
    assert cluster.call("POST", f"/{index_prefix}-sources/_search", figures)["aggregations"]["n"]["value"] == 3


def test_a_field_of_another_type_is_refused_with_the_way_out(cluster: Cluster, index_prefix: str) -> None:
    index = f"{index_prefix}-alerts"
    cluster.call("PUT", f"/{index}", {"mappings": {"properties": {"rule": {"properties": {"level": {"type": "long"}}}}}})
    with pytest.raises(StoreError) as caught:
        publish(cluster, index_prefix, "alerts", {"a": {"id": "a"}})
    said = f"{cluster.where}/{index}: the index was made with other types of rule.level (delete this index (it holds copies only), then: soc store publish)"
    assert str(caught.value) == said
    assert _all(cluster, index) == {}


def test_a_document_that_is_refused_is_told(cluster: Cluster, index_prefix: str) -> None:
    with pytest.raises(StoreError, match="1 documents were refused: failed to parse field \\[count\\] of type \\[long\\]"):
        publish(cluster, index_prefix, "alerts", {"a": {"id": "a", "count": "many"}})


def test_a_full_disk_is_told_at_once(cluster: Cluster, index_prefix: str) -> None:
    """The block that the flood-stage watermark sets."""
    publish(cluster, index_prefix, "alerts", {})
    cluster.call("PUT", f"/{index_prefix}-alerts/_settings", {"index.blocks.read_only_allow_delete": True})
    with pytest.raises(StoreError, match=r"the index takes nothing: .*read-only.* make room, then soc store publish"):
        publish(cluster, index_prefix, "alerts", {"a": {"id": "a"}})
    cluster.call("PUT", f"/{index_prefix}-alerts/_settings", {"index.blocks.read_only_allow_delete": None})
    assert publish(cluster, index_prefix, "alerts", {"a": {"id": "a"}}) == 1


def test_hostile_values_are_kept_as_they_are(cluster: Cluster, index_prefix: str) -> None:
    entities = ['ip="}\n{"delete":{}}', "user=" + "😀" * 9_000, "a.b.c\x00\x1b[31m"]
    publish(cluster, index_prefix, "alerts", {"a": {"id": "a", "entities": entities}})
    assert _all(cluster, f"{index_prefix}-alerts") == {"a": {"id": "a", "entities": entities}}


def test_only_what_the_dictionary_names(cluster: Cluster, index_prefix: str) -> None:
    with pytest.raises(ValueError, match=", ".join(published())):
        publish(cluster, index_prefix, "anything", {})
