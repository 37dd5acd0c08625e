"""A cluster that is not ours alone: other stores, templates and limits of others, hardened settings, queries of any size."""

from __future__ import annotations

import orjson
import pytest
from opensearchpy.exceptions import TransportError

from domain.errors import StoreError
from domain.grammar import parse
from domain.query import Query
from store import open_store
from store.base import NewRecord
from store.opensearch.client import connect
from store.opensearch.compile import bounds
from store.opensearch.upkeep import adopt
from tests.store.contract import found
from tests.store.events import T0, delivery, events, numbers


@pytest.fixture
def store(cluster_store):
    return cluster_store


@pytest.fixture
def neighbour(opensearch_url, index_prefix):
    """A store whose name begins with ours."""
    store = open_store(opensearch_url, {"index_prefix": f"{index_prefix}-test"})
    yield store
    store.close()


def test_stores_of_which_one_is_named_as_the_other_begins(store, neighbour, plain_opensearch, index_prefix):
    store.events.append(delivery(events(0, 5)))
    alone = store.about()
    neighbour.events.append(delivery(events(5, 7)))
    neighbour.events.append(delivery(events(20, 4, at=T0.replace(year=2025)), position=1))
    plain_opensearch.call("PUT", f"/{index_prefix}-test-records/_settings", {"index.blocks.write": True})
    assert [t for t in store.about().troubles if t not in alone.troubles] == []
    assert any(t.kind == "read_only" for t in neighbour.about().troubles)
    plain_opensearch.call("PUT", f"/{index_prefix}-test-records/_settings", {"index.blocks.write": None})
    assert store.events.retain(T0.date().replace(month=12)).rows == 5
    assert sorted(found(neighbour)) == [*range(5, 12), *range(20, 24)]
    assert found(store) == []
    assert store.events.verify() == neighbour.events.verify() == []


def test_a_snapshot_holds_one_store_only(store, neighbour, plain_opensearch, index_prefix):
    store.events.append(delivery(events(0, 5)))
    neighbour.events.append(delivery(events(5, 7)))
    plain_opensearch.call("PUT", f"/_snapshot/{index_prefix}", {"type": "fs", "settings": {"location": index_prefix}})
    store.snapshot(index_prefix, "one")
    told = plain_opensearch.call("GET", f"/_snapshot/{index_prefix}/one")["snapshots"][0]["indices"]
    assert any(name.startswith(f"{index_prefix}-events-") for name in told)
    assert [name for name in told if name.startswith(f"{index_prefix}-test-")] == []
    plain_opensearch.call("DELETE", f"/_snapshot/{index_prefix}/one")
    plain_opensearch.call("DELETE", f"/_snapshot/{index_prefix}")


def test_a_template_of_others_changes_nothing(store, plain_opensearch, index_prefix):
    pipeline, template = f"/_ingest/pipeline/{index_prefix}", f"/_index_template/{index_prefix}-theirs"
    plain_opensearch.call("PUT", pipeline, {"processors": [{"remove": {"field": "user.name", "ignore_missing": True}}]})
    settings = {
        "number_of_replicas": 1, "default_pipeline": index_prefix, "index.mapping.total_fields.limit": 7, "index.max_result_window": 50
    }  # fmt: skip
    user = {"properties": {"name": {"type": "text"}}}
    theirs = {"settings": settings, "mappings": {"dynamic": "strict", "properties": {"user": user, "number": {"type": "keyword"}}}}
    plain_opensearch.call("PUT", template, {"index_patterns": [f"{index_prefix}*"], "priority": 500, "template": theirs})
    try:
        store.events.append(delivery(events(0, 300)))
    finally:
        plain_opensearch.call("DELETE", template)
    assert store.events.count(Query(parse("user.name:NGUYỄN*"))) == 100
    assert sum(chunk.rows for chunk in store.events.scan(0)) == 300
    assert store.events.verify() == []
    for name in (f"{index_prefix}-events-*", f"{index_prefix}-deliveries"):
        (there,) = plain_opensearch.call("GET", f"/{name}/_settings").values()
        assert there["settings"]["index"]["default_pipeline"] == "_none"
        assert there["settings"]["index"]["number_of_replicas"] == "0"


def test_indices_are_made_where_writing_makes_none(store, plain_opensearch, index_prefix):
    setting = "action.auto_create_index"
    plain_opensearch.call("PUT", "/_cluster/settings", {"persistent": {setting: f"-{index_prefix}*,+*"}})
    try:
        store.events.append(delivery(events(0, 5)))
    finally:
        plain_opensearch.call("PUT", "/_cluster/settings", {"persistent": {setting: None}})
    assert sorted(found(store)) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    "query",
    [
        " or ".join(f"(user.name:u{n} and source.ip:10.0.{n // 250}.*)" for n in range(700)) + " or user.name:root",
        " and ".join(f"not user.name:*u{n}*" for n in range(1500)),
        " and ".join(f"(user.name:u{n} or not source.ip:10.9.{n % 250}.*)" for n in range(700)) + " and user.name:root",
        "not (" + " or ".join(f"user.name:*u{n} and event.dataset:t*" for n in range(1000)) + ")",
    ],
    ids=["any", "all", "mixed", "none"],
)
def test_a_query_has_more_clauses_than_a_cluster_takes(store, query):
    store.events.append(delivery(events(0, 30)))
    expected = [n for n in reversed(range(30)) if n % 3 == 0 or "root" not in query]
    asked = Query(parse(query))
    assert [n for table in store.events.search(asked) for n in numbers(table)] == expected
    assert store.events.count(asked) == len(expected)
    counted = store.events.aggregate(asked, ["user.name"], "1d")
    assert sum(counted["count"].to_pylist()) == len(expected)


def test_wide_bounds_still_hold_what_fits():
    long = bounds(parse(" and ".join(f"user.name:*u{n}*" for n in range(500))))
    assert len(long.over["bool"]["filter"]) == 200  # each with its `thapcanh.unindexed`
    assert long.under == {"match_none": {}}


def test_what_a_late_collector_wrote_into_a_removed_index_is_nobodys(store, plain_opensearch, index_prefix, monkeypatch):
    store.events.append(delivery(events(0, 3)))
    (index,) = plain_opensearch.call("GET", f"/{index_prefix}-events-*/_settings")
    store.events.retain(T0.date().replace(month=12))
    store.events.append(delivery(events(3, 2)))  # the name is not used again
    late = {"thapcanh.delivery": "late", "thapcanh.ordinal": 0, "@timestamp": T0.isoformat(), "thapcanh.at": 1, "event.id": "ab" * 16}
    plain_opensearch.call("PUT", f"/{index}/_doc/{'ab' * 16}?refresh=true", late)
    monkeypatch.setattr("store.opensearch.upkeep._LEFT_ALONE", T0 - T0)
    assert adopt(store.events, T0) == 0
    store.events.retain(T0.date())
    assert sorted(found(store)) == [3, 4]
    assert list(plain_opensearch.call("GET", f"/{index_prefix}-events-*/_settings")) == [f"{index}.1"]


def test_retention_keeps_the_log_when_its_snapshot_cannot_be_written(store, opensearch_url, index_prefix, monkeypatch):
    monkeypatch.setattr("store.opensearch.upkeep._KEPT", 1)
    for n, year in enumerate((2024, 2024, 2025, 2026, 2026)):
        store.events.append(delivery(events(n * 10, 2, at=T0.replace(year=year)), position=n + 1))
    monkeypatch.setattr(type(store.events.view), "save", lambda _: False)
    assert store.events.retain(T0.date()).rows == 6
    fresh = open_store(opensearch_url, {"index_prefix": index_prefix})
    assert fresh.events.head() == 10
    assert fresh.events.verify() == []
    fresh.close()


@pytest.mark.parametrize(
    ("kind", "status", "why", "setting"),
    [
        ("search_phase_execution_exception", 500, "Query contains too many nested clauses; maxClauseCount is 64", "max_clause_count"),
        ("search_phase_execution_exception", 503, "Trying to create too many buckets. Must be less than or equal to: [9]", "max_buckets"),
    ],
)
def test_a_limit_below_what_is_needed_is_named_at_once(kind, status, why, setting):
    error = TransportError(status, kind, {"error": {"type": kind, "reason": "all shards failed", "caused_by": {"reason": why}}})
    said = connect("http://127.0.0.1:9")._explained(error)
    assert "a limit of this cluster is too low" in str(said)
    assert why in str(said)
    assert setting in said.hint


def test_parts_of_a_large_transaction_stay_within_their_size(store, monkeypatch):
    monkeypatch.setattr("store.opensearch.records._PART", 100_000)
    sizes = []
    put = store.records.put
    monkeypatch.setattr(store.records, "put", lambda body: sizes.append(len(orjson.dumps(body))) or put(body))
    store.records.append([NewRecord("x", f"k{n}", "t", {"v": "y" * 60_000}, "me") for n in range(5)], T0)
    assert len(sizes) == 5
    assert max(sizes) < 100_000
    assert [r.key for r in store.records.find("x")] == ["k0", "k1", "k2", "k3", "k4"]


def test_what_belongs_together_is_named_when_a_part_is_gone(store, plain_opensearch, index_prefix):
    assert store.coordination.commit_scan("sigma", 0, 5, [], T0, {"seen": 5})
    plain_opensearch.call("DELETE", f"/{index_prefix}-state")
    with pytest.raises(StoreError, match="the state of sigma is not there") as told:
        store.coordination.state("sigma")
    assert told.value.hint == f"restore {index_prefix}-records and {index_prefix}-state from the same snapshot"
