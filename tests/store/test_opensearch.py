"""The cluster engine on a real server: the contract of every store, and what is its own: its log, native snapshots."""

from __future__ import annotations

import threading
from datetime import date, timedelta

import pytest

from domain.errors import StoreError
from store import open_store
from store.opensearch import scan
from tests.store.contract import *  # noqa: F403  every test of the contract runs here
from tests.store.contract import found
from tests.store.events import T0, delivery, events, ids


@pytest.fixture
def store(cluster_store):
    return cluster_store


@pytest.fixture
def another(opensearch_url, index_prefix):
    store = open_store(opensearch_url, {"index_prefix": index_prefix})
    yield store
    store.close()


def test_another_process_sees_the_same_at_once(store, another):
    store.events.append(delivery(events(0, 5), position=9))
    assert found(another) == found(store) == [4, 3, 2, 1, 0]
    assert another.events.checkpoints("web1") == store.events.checkpoints("web1")
    another.events.append(delivery(events(5, 2)))
    assert store.events.head() == 7


def test_what_was_read_before_is_a_duplicate_not_an_event(store):
    store.events.append(delivery(events(0, 5)))
    store.events.append(delivery(events(3, 5)))
    (status,) = store.events.ledger()
    assert (status.received, status.stored, status.duplicates) == (10, 8, 2)
    assert sorted(found(store)) == list(range(8))
    assert store.events.head() == 8
    assert store.events.verify() == []
    assert sorted(n for c in store.events.scan(0) for n in ids(c)) == list(range(8))


def test_what_one_detector_has_read_the_next_one_finds_at_hand(store, another, monkeypatch):
    monkeypatch.setattr(scan, "ROWS", 100)
    reads: list[object] = []
    read = scan._hits
    monkeypatch.setattr(scan, "_hits", lambda events, group: reads.append(group) or read(events, group))
    for n, parser in enumerate(("nginx", "sshd", "nginx")):
        table = events(n * 100, 100, host__ip=["10.0.0.1\x1e::1", None], event__risk_score=[1.5, None])
        store.events.append(delivery(table, parser=parser))

    def passed(events):
        return [(c.partition, c.first_seq, c.last_seq, c.table().to_pylist(), c.table().schema) for c in events.scan(0)]

    first = passed(store.events)
    assert [part[:3] for part in first] == [("nginx", 1, 100), ("sshd", 101, 200), ("nginx", 201, 300)]
    assert passed(store.events) == passed(store.events) == first
    assert len(reads) == 3
    monkeypatch.setattr(scan, "KEPT", 1)
    assert passed(another.events) == passed(another.events) == first
    assert len(reads) == 9


def test_a_long_log_is_read_from_its_snapshot(store, opensearch_url, index_prefix):
    for n in range(70):
        store.events.append(delivery(events(n, 1), position=n + 1))
    fresh = open_store(opensearch_url, {"index_prefix": index_prefix})
    assert fresh.events.head() == 70
    assert fresh.events.view._kept >= 64
    assert fresh.events.checkpoint("web1", "s1").position == 70
    fresh.close()


def test_retention_shortens_the_log(store, another, monkeypatch):
    monkeypatch.setattr("store.opensearch.upkeep._KEPT", 1)
    for days in (9, 8, 7, 1, 0):
        store.events.append(delivery(events(days * 10, 2, at=T0 - timedelta(days=days)), position=100 - days))
    assert store.events.retain(date(2026, 11, 20)).rows == 6
    numbers = [n for n in range(1, 9) if store.events.log.entries([n])]
    assert numbers == [1, 4, 5, 6]
    assert another.events.head() == 10
    assert sorted(found(another)) == [0, 1, 10, 11]
    assert another.events.checkpoint("web1", "s1").position == 100
    assert another.events.verify() == store.events.verify() == []
    assert sorted(n for c in another.events.scan(0) for n in ids(c)) == [0, 1, 10, 11]


def test_a_day_that_came_late_after_retention_is_stored_anew(store):
    store.events.append(delivery(events(0, 3, at=T0 - timedelta(days=30))))
    store.events.retain(date(2026, 11, 20))
    store.events.append(delivery(events(3, 2, at=T0 - timedelta(days=30))))
    assert sorted(found(store)) == [3, 4]
    assert store.events.verify() == []
    assert store.events.retain(date(2026, 11, 20)).rows == 2
    assert found(store) == []
    assert store.events.verify() == []


def test_what_a_dead_collector_left_is_taken_in_after_an_hour(store, monkeypatch):
    store.events.append(delivery(events(0, 3), position=3))
    with monkeypatch.context() as patch:
        patch.setattr(store.events.log, "append", lambda *_: (_ for _ in ()).throw(RuntimeError("killed")))
        with pytest.raises(RuntimeError, match="killed"):
            store.events.append(delivery(events(3, 4, at=T0 - timedelta(days=5)), position=7))
    monkeypatch.setattr("store.opensearch.verify._LOOKS", (0.1,))
    assert "4 events of delivery" in store.events.verify()[0]
    store.events.compact(T0)
    store.events.compact(T0 + timedelta(minutes=59))
    assert store.events.head() == 3
    store.events.compact(T0 + timedelta(minutes=61))
    assert (store.events.head(), store.events.ledger()[0].stored, store.events.verify()) == (7, 7, [])
    assert sorted(n for c in store.events.scan(0) for n in ids(c)) == list(range(7))
    store.events.append(delivery(events(3, 4, at=T0 - timedelta(days=5)), position=7))  # the source is read again after all
    assert (store.events.head(), store.events.ledger()[0].duplicates, store.events.verify()) == (7, 4, [])


def test_verify_bears_collectors_at_work(store, another):
    stop = threading.Event()

    def collect():
        number = 0
        while not stop.is_set():
            another.events.append(delivery(events(number, 200, message="x" * 500)))
            number += 200

    thread = threading.Thread(target=collect)
    thread.start()
    try:
        for _ in range(8):
            assert store.events.verify() == []
    finally:
        stop.set()
        thread.join()


def test_native_snapshots(store, plain_opensearch, index_prefix):
    with pytest.raises(StoreError, match="no snapshot repository nowhere"):
        store.snapshot("nowhere", "one")
    store.events.append(delivery(events(0, 5)))
    plain_opensearch.call("PUT", f"/_snapshot/{index_prefix}", {"type": "fs", "settings": {"location": index_prefix}})
    assert store.snapshot(index_prefix, "one") == f"{index_prefix}/one"
    told = plain_opensearch.call("GET", f"/_snapshot/{index_prefix}/one")["snapshots"][0]
    assert any("-deliveries" in name for name in told["indices"])
    assert any("-events-" in name for name in told["indices"])
    plain_opensearch.call("DELETE", f"/_snapshot/{index_prefix}/one")
    plain_opensearch.call("DELETE", f"/_snapshot/{index_prefix}")
