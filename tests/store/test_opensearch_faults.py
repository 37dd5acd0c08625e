"""The cluster engine when what lies between breaks: a real server behind a proxy that drops, delays, cuts and lies."""

from __future__ import annotations

import itertools
import time
import uuid
from contextlib import ExitStack

import pytest

from domain.errors import StoreError
from store import open_store
from store.base import Counts, Delivery
from store.opensearch import client, write
from tests.servers.proxy import ANSWERS, Busy, Cut, Drop, DropAnswer, Garbage, Proxy, Says, Silence, Slow, answer
from tests.store.broken import REQUESTS, check, new, work
from tests.store.contract import found
from tests.store.events import T0, delivery, events


@pytest.fixture(scope="module")
def proxy(opensearch_url):
    with Proxy(opensearch_url) as between:
        yield between


@pytest.fixture
def store(proxy, index_prefix):
    """A store that is reached through the proxy."""
    store = open_store(proxy.url, {"index_prefix": index_prefix})
    yield store
    store.close()


@pytest.fixture
def impatient(monkeypatch):
    """Gives up after a second: for faults that last."""
    monkeypatch.setattr(client, "PATIENCE", 1.0)
    monkeypatch.setattr(client, "FIRST_PATIENCE", 1.0)
    monkeypatch.setattr(write, "PATIENCE", 1.0)


EVERYWHERE = {
    "dropped before": Drop(), "reset before": Drop(reset=True), "dropped after": DropAnswer(), "reset after": DropAnswer(reset=True),
    "cut": Cut(), "garbage": Garbage(), **{name: Says(what) for name, what in ANSWERS}, "502 although done": Says(ANSWERS[1][1], done=True),
}  # fmt: skip


FIRST = ("template", "index", "mapping")
"""Requests of a store that is new."""


@pytest.fixture(scope="module")
def rounds(plain_opensearch, proxy):
    """One store for many rounds."""
    prefix = f"t{uuid.uuid4().hex[:12]}"
    store = open_store(proxy.url, {"index_prefix": prefix})
    yield store, prefix, itertools.count()
    store.close()
    plain_opensearch.forget(prefix)


@pytest.mark.parametrize("fault", EVERYWHERE.values(), ids=EVERYWHERE)
def test_a_fault_of_any_request_passes(proxy, rounds, opensearch_url, fault):
    """Every kind of request is hit, and hit again when it is repeated."""
    store, prefix, numbered = rounds
    number = next(numbered)
    with ExitStack() as faults:
        rules = {
            name: faults.enter_context(proxy.fault(pattern, fault, times=2)) for name, pattern in REQUESTS.items() if name not in FIRST
        }
        work(store, number)
    assert [name for name, rule in rules.items() if not rule.used] == []
    check(opensearch_url, prefix, number + 1)


@pytest.mark.parametrize("fault", ["dropped after", "empty object 200", "503"])
def test_a_fault_while_a_store_is_made_passes(proxy, store, opensearch_url, index_prefix, fault):
    with ExitStack() as faults:
        rules = [faults.enter_context(proxy.fault(REQUESTS[name], EVERYWHERE[fault], times=2)) for name in FIRST]
        work(store)
    assert all(rule.used for rule in rules)
    check(opensearch_url, index_prefix)


def test_silence_and_a_slow_line_pass(proxy, store, opensearch_url, index_prefix):
    with (
        proxy.fault("_bulk", Silence(0.5)),
        proxy.fault("deliveries/_create", Silence(0.3, late=True)),
        proxy.fault("_mget", Slow(2000), 4),
    ):
        work(store)
    check(opensearch_url, index_prefix)


def test_a_node_that_hangs_is_left_for_another(proxy, opensearch_url, index_prefix, monkeypatch):
    """It keeps its connections and answers nothing."""
    monkeypatch.setattr(client, "FIRST_TIMEOUT", 0.4)
    store = open_store(f"{proxy.url},{opensearch_url}", {"index_prefix": index_prefix})
    with proxy.fault("", Silence(20), times=1000) as hung:
        begun = time.monotonic()
        work(store)
        assert time.monotonic() - begun < 10
        assert hung.used
    store.close()
    check(opensearch_url, index_prefix)


def test_a_storm_of_full_queues_passes_item_by_item(proxy, store, opensearch_url, index_prefix):
    with proxy.fault("_bulk", Busy(2), times=4) as storm:
        work(store)
    assert storm.used == 4
    check(opensearch_url, index_prefix)


def test_a_storm_that_lasts_stores_nothing_and_says_so(proxy, store, opensearch_url, index_prefix, impatient):
    with proxy.fault("_bulk", Busy(2), times=1000), pytest.raises(StoreError) as told:
        work(store)
    assert told.value.exit_code == 6
    assert str(told.value).startswith(f"{proxy.url}/{index_prefix}-events-nginx-2026.11.24: the cluster does not take ")
    assert "rejected execution" in str(told.value)
    assert "they are read again by the next collection" in str(told.value)
    assert store.events.head() == 0
    assert "events of delivery" in store.events.verify()[0]
    work(store)
    check(opensearch_url, index_prefix)


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (429, "too busy or has lost nodes (429 circuit_breaking_exception): Data too large"),
        (503, "too busy or has lost nodes (503 cluster_manager_not_discovered_exception)"),
        (502, "too busy or has lost nodes (502 "),
        (200, "what answers here is no OpenSearch, or not all of it: Unknown mimetype"),
        (404, "what answers here is no OpenSearch, or not all of it: {'message': 'no Route matched"),
    ],
)  # fmt: skip
def test_what_lasts_is_told(proxy, store, opensearch_url, index_prefix, impatient, status, said):
    store.events.append(delivery(events(0, 40), position=40))
    what = next(m for _, m in ANSWERS if f" {status} " in m.first)
    begun = time.monotonic()
    with proxy.fault("", Says(what), times=1000), pytest.raises(StoreError) as told:
        store.events.append(delivery(events(40, 40), position=80))
    assert time.monotonic() - begun < 4
    assert said in str(told.value)
    store.events.append(delivery(events(40, 40), position=80))
    check(opensearch_url, index_prefix, committed=False)


def test_an_answer_lost_for_good_stores_once(proxy, store, opensearch_url, index_prefix, impatient):
    """The log entry stands, the writer never hears so: the next try finds it out."""
    store.events.append(delivery(events(0, 40), position=40))
    with proxy.fault("deliveries/_create", DropAnswer(), times=1000), pytest.raises(StoreError, match="cannot be reached"):
        store.events.append(delivery(events(40, 40), position=80))
    assert store.events.head() == 80
    check(opensearch_url, index_prefix, committed=False)


def test_a_scan_whose_end_was_not_heard_keeps_its_state(proxy, store, opensearch_url, index_prefix, impatient):
    store.events.append(delivery(events(0, 80), position=80))
    with proxy.fault("records/_create", DropAnswer(), times=1000), pytest.raises(StoreError):
        store.coordination.commit_scan("sigma", 0, 80, [new("0a"), new("0b")], T0, {"round": 0})
    assert not store.coordination.commit_scan("sigma", 0, 80, [new("0a"), new("0b")], T0, {"round": 9})
    check(opensearch_url, index_prefix)


def test_a_request_too_large_is_sent_in_parts(proxy, store, opensearch_url, index_prefix):
    limit = Says(answer(413, b"<html>413 Request Entity Too Large</html>", "text/html"))
    with proxy.fault("_bulk", limit, times=3) as refused:
        work(store)
    assert refused.used == 3
    check(opensearch_url, index_prefix)


def test_one_event_too_large_goes_to_the_dead_letters(proxy, store):
    with proxy.fault("-events-.*_bulk", Says(answer(413, b"")), times=1000):
        store.events.append(delivery(events(0, 1), position=1))
    (status,) = store.events.ledger()
    assert (status.stored, dict(status.rejected)) == (0, {"the cluster refused it: too_large": 1})
    ((number, letter),) = store.events.dead_letters()
    assert letter.raw == b"record 0"
    store.events.append(Delivery({"nginx": [events(0, 1)]}, counts=[Counts("web1", stored=1)], replayed=[number]))
    assert (found(store), list(store.events.dead_letters()), store.events.verify()) == ([0], [], [])


def test_no_room_for_another_index_is_no_dead_letter(proxy, store):
    """The limit of shards is reached, the index is closed: all events are refused, none of them is at fault."""
    full = "this action would add [2] total shards, but this cluster currently has [1000]/[1000] maximum shards open"
    error = {"type": "validation_exception", "reason": full}
    refused = pytest.raises(StoreError, match=r"the index takes nothing: this action would add \[2\] total shards")
    with proxy.fault("-events-.*_bulk", Busy(1, error, 400), times=2), refused:
        store.events.append(delivery(events(0, 4), position=4))
    assert list(store.events.dead_letters()) == []
    assert store.events.head() == 0
