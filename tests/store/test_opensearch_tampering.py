"""The cluster engine when people change the cluster behind its back: blocked, closed, deleted, made otherwise."""

from __future__ import annotations

import time

import pytest

from domain.errors import StoreError
from store import open_store
from tests.store.broken import check, new, scanned, work
from tests.store.contract import found
from tests.store.events import T0, delivery, events, identity, numbers


def go_on(store, kind):
    """What needs an index of that kind."""
    if kind == "records":
        assert store.coordination.commit_scan("sigma", 0, 80, [new("0a"), new("0b")], T0, {"round": 0})
    else:
        store.events.append(delivery(events(40, 40), position=80))


@pytest.mark.parametrize(
    ("block", "said"),
    [
        ("write", "the index is read-only: index [{index}] blocked by: [FORBIDDEN/8/index write (api)];"),
        ("read_only_allow_delete", "a disk of the cluster is too full, its indices are read-only: index [{index}] blocked by: "),
    ],
)
@pytest.mark.parametrize("kind", ["events-nginx-2026.11.24", "deliveries", "records"])
def test_a_blocked_index_is_told_at_once_and_goes_on_when_it_is_lifted(cluster_store, plain_opensearch, index_prefix, block, said, kind):
    store, index = cluster_store, f"{index_prefix}-{kind}"
    store.events.append(delivery(events(0, 40), position=40))
    plain_opensearch.call("PUT", f"{index}/_settings", {f"index.blocks.{block}": True})
    begun = time.monotonic()
    with pytest.raises(StoreError) as told:
        go_on(store, kind)
    assert time.monotonic() - begun < 5
    assert said.format(index=index) in str(told.value)
    assert "run it again" in told.value.hint
    plain_opensearch.call("PUT", f"{index}/_settings", {f"index.blocks.{block}": None})
    for step in (kind, "events" if kind == "records" else "records"):
        go_on(store, step)
    check(plain_opensearch.url, index_prefix)


def test_a_closed_index_is_told(cluster_store, plain_opensearch, index_prefix):
    cluster_store.events.append(delivery(events(0, 4), position=4))
    plain_opensearch.call("POST", f"{index_prefix}-events-nginx-2026.11.24/_close")
    with pytest.raises(StoreError, match="the index takes nothing: closed"):
        cluster_store.events.append(delivery(events(4, 4), position=8))
    assert list(cluster_store.events.dead_letters()) == []


def test_an_index_made_by_hand_is_refused_with_the_way_out(cluster_store, plain_opensearch, index_prefix):
    index = f"{index_prefix}-events-nginx-2026.11.24"
    plain_opensearch.call("POST", f"{index}/_doc?refresh=true", {"user": {"name": "root"}, "@timestamp": "2026-11-24"})
    with pytest.raises(StoreError) as told:
        cluster_store.events.append(delivery(events(0, 4), position=4))
    assert f"{index}: this index was not made from our template: " in str(told.value)
    assert "user.name is text, not keyword" in str(told.value)
    assert "copy what is in it to another name (_reindex) and delete it, then run it again" in told.value.hint
    assert cluster_store.events.head() == 0
    plain_opensearch.call("DELETE", index)
    cluster_store.events.append(delivery(events(0, 4), position=4))
    assert found(cluster_store, "user.name:ROOT") == [3, 0]
    assert cluster_store.events.verify() == []


def test_a_template_deleted_behind_our_back_is_made_again(cluster_store, plain_opensearch, index_prefix):
    cluster_store.events.append(delivery(events(0, 4), position=4))
    plain_opensearch.call("DELETE", f"_index_template/{index_prefix}-events")
    cluster_store.events.append(delivery(events(4, 4), parser="sshd", position=8))
    assert sorted(found(cluster_store, "user.name:ROOT")) == [0, 3, 4, 7]
    made = plain_opensearch.call("GET", f"{index_prefix}-events-sshd-2026.11.24/_mapping")
    assert next(iter(made.values()))["mappings"]["properties"]["user"]["properties"]["name"]["normalizer"] == "lower"


def test_a_template_of_an_older_dictionary_gets_the_new_fields(cluster_store, plain_opensearch, index_prefix):
    """The indices that are there get them as well; fields of a newer one stay."""
    cluster_store.events.append(delivery(events(0, 4), position=4))
    name, index = f"_index_template/{index_prefix}-events", f"{index_prefix}-events-nginx-2026.11.24"
    old = plain_opensearch.call("GET", name)["index_templates"][0]["index_template"]
    del old["template"]["mappings"]["properties"]["url"]
    old["template"]["mappings"]["properties"]["later"] = {"type": "keyword"}
    old["_meta"]["dictionary"] = old["template"]["mappings"]["_meta"]["dictionary"] = "another"
    plain_opensearch.call("PUT", name, old)
    plain_opensearch.call("DELETE", index)
    plain_opensearch.call("PUT", index)
    open_and_append(plain_opensearch.url, f"{index_prefix}", events(4, 4), 8)
    properties = plain_opensearch.call("GET", name)["index_templates"][0]["index_template"]["template"]["mappings"]["properties"]
    assert {"url", "later"} <= properties.keys()
    assert "url" in plain_opensearch.call("GET", f"{index}/_mapping")[index]["mappings"]["properties"]


def test_a_template_of_another_type_is_refused(cluster_store, plain_opensearch, index_prefix):
    cluster_store.events.append(delivery(events(0, 4), position=4))
    name = f"_index_template/{index_prefix}-events"
    old = plain_opensearch.call("GET", name)["index_templates"][0]["index_template"]
    old["template"]["mappings"]["properties"]["user"] = {"type": "long"}
    old["_meta"]["dictionary"] = "another"
    plain_opensearch.call("PUT", name, old)
    with pytest.raises(
        StoreError, match=r"was made from another dictionary: user is long, this version needs object.*; nothing was changed"
    ):
        open_and_append(plain_opensearch.url, index_prefix, events(4, 4), 8)


def test_made_up_names_beyond_the_limit_are_kept_not_indexed(cluster_store, plain_opensearch, index_prefix):
    cluster_store.events.append(delivery(events(0, 1), position=1))
    index = f"{index_prefix}-events-nginx-2026.11.24"
    full = plain_opensearch.call("GET", f"{index}/_field_caps?fields=*")["fields"]
    plain_opensearch.call("PUT", f"{index}/_settings", {"index.mapping.total_fields.limit": len(full) + 40})
    more = {f"winlog__event_data__x{n}": f"v{n}" for n in range(200)}
    cluster_store.events.append(delivery(events(1, 3, **more), position=4))
    cluster_store.events.append(delivery(events(4, 1), position=5))
    assert list(cluster_store.events.dead_letters()) == []
    assert found(cluster_store, "winlog.event_data.x7:V7") == [3, 2, 1]
    assert found(cluster_store, "winlog.event_data.x199:v199") == [3, 2, 1]
    assert cluster_store.events.verify() == []


@pytest.mark.parametrize("fresh", [True, False], ids=["another process", "this process"])
def test_a_deleted_log_is_no_empty_store(cluster_store, plain_opensearch, index_prefix, fresh):
    work(cluster_store)
    plain_opensearch.call("DELETE", f"{index_prefix}-deliveries")
    store = open_store(plain_opensearch.url, {"index_prefix": index_prefix}) if fresh else cluster_store
    for attempt in (
        lambda: store.events.append(delivery(events(80, 4), position=84)),
        store.events.head,
        lambda: found(store),
        store.events.verify,
    ):
        with pytest.raises(StoreError) as told:
            attempt()
        assert "the log " in told.value.what
        assert f"{index_prefix}-deliveries" in told.value.where
        assert "restore the index from a snapshot" in told.value.hint


@pytest.mark.parametrize("fresh", [True, False], ids=["another process", "this process"])
def test_deleted_records_are_no_empty_store(cluster_store, plain_opensearch, index_prefix, fresh):
    work(cluster_store)
    plain_opensearch.call("DELETE", f"{index_prefix}-records")
    store = open_store(plain_opensearch.url, {"index_prefix": index_prefix}) if fresh else cluster_store
    for attempt in (
        lambda: store.coordination.cursor("sigma"), lambda: list(store.records.find("alert")),
        lambda: store.records.append([new("z")], T0), lambda: store.coordination.commit_scan("sigma", 0, 80, [new("a")], T0),
    ):  # fmt: skip
        with pytest.raises(StoreError, match="the log "):
            attempt()


def test_events_and_their_log_deleted_are_missed_by_the_next_scan(cluster_store, plain_opensearch, index_prefix, soc_here, tmp_path):
    """Nothing tells that there was a log, but the cursor."""
    work(cluster_store)
    for index in ("deliveries", "events-nginx-2026.11.24"):
        plain_opensearch.call("DELETE", f"{index_prefix}-{index}")
    (tmp_path / "soc.toml").write_text(f'[store]\nurl = "{plain_opensearch.url}"\nindex_prefix = "{index_prefix}"\n', encoding="utf-8")
    for command in (["scan"], ["scan"]):
        done = soc_here(*command)
        assert done.returncode == 6
        assert (
            "the cursor of sigma stands at event 80, but there are only 0: their log was deleted, or an older one restored" in done.stderr
        )


def test_events_deleted_behind_our_back_are_missed(cluster_store, plain_opensearch, index_prefix):
    work(cluster_store)
    index = f"{index_prefix}-events-nginx-2026.11.24"
    plain_opensearch.call("DELETE", index)
    store = open_store(plain_opensearch.url, {"index_prefix": index_prefix})
    assert [line.partition(" events of delivery")[0] for line in store.events.verify()] == [f"{index}: 0"] * 2
    with pytest.raises(StoreError, match=r"40 of 40 events of delivery .* are not in the index"):
        scanned(store)
    store.events.append(delivery(events(80, 4), position=84))
    assert numbers(store.events.fetch([identity(81).hex()])) == [81]
    assert scanned(store, 80) == [80, 81, 82, 83]


def test_a_lost_snapshot_of_the_log_is_folded_again(cluster_store, plain_opensearch, index_prefix):
    for n in range(70):
        cluster_store.records.append([new(str(n))], T0)
    assert plain_opensearch.call("GET", f"{index_prefix}-records/_doc/view-records")["found"]
    plain_opensearch.call("DELETE", f"{index_prefix}-records/_doc/view-records")
    store = open_store(plain_opensearch.url, {"index_prefix": index_prefix})
    assert store.records.append([new("z")], T0)[0].seq == 71


def test_an_entry_that_died_with_its_node_is_forgotten(cluster_store, plain_opensearch, index_prefix):
    """It was read from a primary that had not told its copies yet; another one stands in its place now."""
    cluster_store.events.append(delivery(events(0, 40), position=40))
    cluster_store.events.append(delivery(events(40, 40), position=80))
    reader = open_store(plain_opensearch.url, {"index_prefix": index_prefix})
    assert reader.events.head() == 80
    plain_opensearch.call("DELETE", f"{index_prefix}-deliveries/_doc/{2:012d}?refresh=true")
    open_and_append(plain_opensearch.url, index_prefix, events(40, 20), 60)
    for store in (reader, cluster_store):
        assert store.events.head() == 60
        assert scanned(store) == list(range(60))
        assert store.events.checkpoint("web1", "s1").position == 60
    reader.close()


def test_leases_deleted_are_taken_anew(cluster_store, plain_opensearch, index_prefix):
    assert cluster_store.coordination.lease("scan", "one", 60, T0)
    plain_opensearch.call("DELETE", f"{index_prefix}-leases")
    assert cluster_store.coordination.lease("scan", "two", 60, T0)
    assert not cluster_store.coordination.lease("scan", "three", 60, T0)


def open_and_append(url, prefix, table, position):
    """As another process does it."""
    store = open_store(url, {"index_prefix": prefix})
    try:
        store.events.append(delivery(table, position=position))
    finally:
        store.close()
