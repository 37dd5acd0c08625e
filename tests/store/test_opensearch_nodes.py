"""Three nodes, one of them dies or hangs while collectors and a scan are at work: nothing is lost, nothing is doubled."""

from __future__ import annotations

import time
import uuid

import pytest

from domain.query import Query
from store import open_store
from tests.store.broken import check, scanned, work
from tests.store.contract import found
from tests.store.events import delivery, events
from tests.store.load import Load


@pytest.fixture
def prefix(three_nodes):
    name = f"t{uuid.uuid4().hex[:12]}"
    yield name
    three_nodes.heal()
    three_nodes.forget(name)


def test_a_node_dies_and_comes_back_while_all_are_at_work(three_nodes, prefix):
    """The one that holds the log, to which everybody writes."""
    with Load(three_nodes.url, prefix) as load:
        three_nodes.wait("green")
        shards = three_nodes.call("GET", f"_cat/shards/{prefix}-deliveries?format=json")
        (holder,) = [row["node"] for row in shards if row["prirep"] == "p"]
        node = next(n for n in three_nodes.nodes if n.name == holder)
        node.kill()
        time.sleep(2)
        node.start()
        three_nodes.wait("green")
    result = load.result()
    assert (result.lost, result.doubled, result.wrong, result.messages) == (0, 0, [], [])
    assert result.given == result.stored > 0
    assert result.pause < 30


def test_a_search_goes_on_when_the_node_with_its_point_in_time_dies(three_nodes, prefix, monkeypatch):
    monkeypatch.setattr("store.opensearch.search.PAGE", 10)
    store = open_store(three_nodes.url, {"index_prefix": prefix})
    store.events.append(delivery(events(0, 80, user__name="root"), position=80))
    three_nodes.wait("green")
    pages = store.events.search(Query())
    first = next(pages)
    shards = three_nodes.call("GET", f"_cat/shards/{prefix}-events*?format=json")
    for name in [row["node"] for row in shards][:1]:
        next(n for n in three_nodes.nodes if n.name == name).kill()
    rest = [n for table in pages for n in table["event.id"].to_pylist()]
    both = [*first["event.id"].to_pylist(), *rest]
    assert [int.from_bytes(i, "big") for i in both] == list(range(79, -1, -1))
    assert sorted(found(store)) == list(range(80))
    store.close()


def test_a_store_is_made_while_a_node_is_away(three_nodes, prefix):
    three_nodes.nodes[0].kill()
    store = open_store(three_nodes.url, {"index_prefix": prefix})
    work(store)
    three_nodes.heal()
    assert scanned(store) == list(range(80))
    store.close()
    check(three_nodes.url, prefix)
