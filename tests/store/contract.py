"""What every store must do: imported by the test module of each engine, which provides the fixture `store`."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from domain.errors import ConflictError
from domain.grammar import parse
from domain.query import Query
from domain.raw import Checkpoint
from domain.window import TimeWindow
from store.base import Counts, DeadLetter, Delivery, Hold, NewRecord
from tests.store.events import T0, delivery, events, identity, ids, numbers


def found(store, text="*", **more):
    return [n for table in store.events.search(Query(parse(text), **more)) for n in numbers(table)]


def test_an_empty_store(store):
    assert store.events.head() == 0
    assert list(store.events.scan(0)) == []
    assert list(store.events.chunks()) == []
    assert found(store) == []
    assert store.events.count(Query()) == 0
    assert store.events.fetch([identity(1).hex()]).num_rows == 0
    assert store.events.coverage() == {}
    assert store.events.ledger() == []
    assert store.events.aggregate(Query(), ["user.name"], "1h").num_rows == 0
    assert store.events.verify() == []
    assert store.coordination.cursor("sigma") == 0
    assert store.coordination.state("sigma") == {}


def test_events_are_numbered_in_the_order_of_acceptance(store):
    assert store.events.append(delivery(events(0, 30))) == 30
    assert store.events.append(delivery(events(30, 5), parser="sshd")) == 35
    assert store.events.head() == 35
    assert [(c.partition, c.first_seq, c.last_seq, c.rows) for c in store.events.scan(0)] == [("nginx", 1, 30, 30), ("sshd", 31, 35, 5)]


def test_every_scan_sees_the_events_after_its_cursor_once(store):
    for i in range(6):
        store.events.append(delivery(events(i * 10, 10, at=T0 - timedelta(hours=i), event__code=["b", "a"])))
    seen = []
    for start, end in ((0, 7), (7, 8), (8, 33), (33, 60)):
        seen += [n for c in store.events.scan(start, end) for n in ids(c)]
    assert sorted(seen) == list(range(60))
    assert list(store.events.scan(60)) == []
    assert sum(c.rows for c in store.events.scan(0, partitions=["other"])) == 0


def test_a_scan_is_one_snapshot(store):
    store.events.append(delivery(events(0, 10)))
    store.events.append(delivery(events(10, 10)))
    scan = store.events.scan(0)
    first = next(scan)
    store.events.append(delivery(events(20, 10)))
    assert sum(c.rows for c in scan) + first.rows == 20


def test_a_chunk_gives_columns_as_dictionaries(store):
    store.events.append(delivery(events(0, 6, host__ip="10.1.1.1\x1efe80::1")))
    chunk = next(iter(store.events.scan(0)))
    user = chunk.column("user.name")
    assert sorted(user.values.to_pylist()) == ["Nguyễn Văn Ánh", "root", "www-data"]
    assert [user.values[int(c)].as_py() for c in user.codes[:3]] == ["root", "Nguyễn Văn Ánh", "www-data"]
    some = chunk.column("user.name", np.array([1, 4], dtype=np.int32))
    assert [some.values[int(c)].as_py() for c in some.codes] == ["Nguyễn Văn Ánh", "Nguyễn Văn Ánh"]
    assert chunk.column("host.ip").multi
    assert chunk.column("process.name") is None
    assert "process.name" not in chunk.fields()
    assert chunk.column("http.response.status_code").values.to_pylist() == [200, 201, 202, 203, 204]
    part = chunk.table([4, 2], ["event.original", "user.name"])
    assert part.to_pylist() == [
        {"event.original": b"record 4", "user.name": "Nguyễn Văn Ánh"},
        {"event.original": b"record 2", "user.name": "www-data"},
    ]


def test_missing_values_are_missing(store):
    store.events.append(delivery(events(0, 4, process__name=["sh", None])))
    chunk = next(iter(store.events.scan(0)))
    assert (chunk.column("process.name").codes >= 0).tolist() == [True, False, True, False]
    assert found(store, "not process.name:*") == [3, 1]


def test_original_bytes_are_kept_exactly(store):
    raw = bytes(range(256))
    store.events.append(delivery(events(0, 2, event__original=[raw, b""])))
    assert store.events.fetch([identity(0).hex()])["event.original"].to_pylist() == [raw]


def test_search_is_in_time_order_over_all_deliveries(store):
    store.events.append(delivery(events(0, 5, at=T0, step=10)))
    store.events.append(delivery(events(5, 5, at=T0 + timedelta(seconds=5), step=10), parser="sshd"))
    store.events.append(delivery(events(10, 2, at=T0 - timedelta(days=3))))
    assert found(store) == [9, 4, 8, 3, 7, 2, 6, 1, 5, 0, 11, 10]
    assert found(store, newest_first=False) == [10, 11, 0, 5, 1, 6, 2, 7, 3, 8, 4, 9]
    assert found(store, limit=3) == [9, 4, 8]
    assert found(store, newest_first=False, limit=3) == [10, 11, 0]
    assert found(store, window=TimeWindow(T0 + timedelta(seconds=10), T0 + timedelta(seconds=20))) == [6, 1]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("user.name:ROOT", [3, 0]),
        ("source.ip|cidr:2001:db8::/32", [5, 3, 1]),
        ("source.ip:2001:DB8:0:0::1 and user.name:root", [3]),
        ("http.response.status_code|gte:203", [4, 3]),
        ("nguyen van anh", [4, 1]),
        ('"VĂN ÁNH"', [4, 1]),
        ("user.name:(root or www*)", [5, 3, 2, 0]),
        ("user.name|re:^w", [5, 2]),
        ("nothing", []),
    ],
)
def test_search_by_the_query_language(store, text, expected):
    store.events.append(delivery(events(0, 6)))
    assert found(store, text) == expected
    assert store.events.count(Query(parse(text))) == len(expected)


def test_search_gives_the_columns_asked_for(store):
    store.events.append(delivery(events(0, 2)))
    (table,) = store.events.search(Query(fields=("user.name", "process.name")))
    assert table.to_pylist() == [{"user.name": "Nguyễn Văn Ánh", "process.name": None}, {"user.name": "root", "process.name": None}]


def test_search_by_id_and_fetch(store):
    store.events.append(delivery(events(0, 50)))
    store.events.append(delivery(events(50, 50, at=T0 - timedelta(days=1))))
    wanted = [identity(n).hex() for n in (3, 77, 4, 3, 1000)]
    assert numbers(store.events.fetch(wanted)) == [77, 3, 4]
    assert found(store, ids=(identity(3).hex(), identity(4).hex()), limit=1) == [4]
    assert store.events.fetch(["not an id"]).num_rows == 0


def test_ids_that_begin_so(store):
    store.events.append(delivery(events(0, 50)))
    start = identity(3).hex()
    assert list(store.events.starting(start[:-1], limit=3)) == [identity(n).hex() for n in range(3)]
    assert list(store.events.starting(start)) == [start]
    assert list(store.events.starting("ff")) == []


def test_a_store_says_how_large_it_is(store):
    store.events.append(delivery(events(0, 50)))
    assert store.about().bytes > 200
    assert store.about().engine


def test_aggregate_by_fields_and_local_days(store):
    store.events.append(delivery(events(0, 4, at=datetime(2026, 11, 23, 16, 59, 58, tzinfo=UTC))))
    store.events.append(delivery(events(4, 1, user__name="root")))
    table = store.events.aggregate(Query(), ["user.name"], "1d")
    midnight = datetime(2026, 11, 23, 17, tzinfo=UTC)
    rows = {(r["user.name"], r["bucket"]): r["count"] for r in table.to_pylist()}
    assert rows == {
        ("root", midnight): 2,
        ("root", midnight - timedelta(days=1)): 1,
        ("Nguyễn Văn Ánh", midnight - timedelta(days=1)): 1,
        ("www-data", midnight): 1,
    }
    assert table["count"].to_pylist() == [2, 1, 1, 1]
    assert table.column_names == ["user.name", "bucket", "count", "first", "last"]
    only = store.events.aggregate(Query(parse("user.name:root")), ["user.name"]).to_pylist()
    assert [(r["count"], r["last"] - r["first"]) for r in only] == [(3, T0 - datetime(2026, 11, 23, 16, 59, 58, tzinfo=UTC))]


def test_aggregate_counts_each_of_several_values_and_missing_ones(store):
    store.events.append(delivery(events(0, 3, host__ip=["a\x1eb", "b", None])))
    rows = store.events.aggregate(Query(), ["host.ip"]).to_pylist()
    assert [(r["host.ip"], r["count"]) for r in rows] == [("b", 2), ("a", 1), (None, 1)]


def test_coverage_counts_fields_by_dataset(store):
    store.events.append(delivery(events(0, 4, process__name=["sh", None])))
    store.events.append(delivery(events(4, 2, event__dataset="other.log"), parser="sshd"))
    seen = store.events.coverage()
    assert {d: n[""] for d, n in seen.items()} == {"test.log": 4, "other.log": 2}
    assert (seen["test.log"]["process.name"], seen["test.log"]["user.name"]) == (2, 4)
    assert "process.name" not in seen["other.log"]
    assert store.events.coverage(TimeWindow(T0 - timedelta(days=9), T0 - timedelta(days=8))) == {}


def test_checkpoints_move_with_the_events(store):
    store.events.append(delivery(events(0, 2), position=20))
    store.events.append(Delivery({}, checkpoints=[Checkpoint("web1", "s2", 5)]))
    assert store.events.checkpoint("web1", "s1") == Checkpoint("web1", "s1", 20, {"line": 20})
    assert [c.stream for c in store.events.checkpoints("web1")] == ["s1", "s2"]
    assert store.events.checkpoint("web1", "s3") is None


def test_a_collector_that_lost_the_race_stores_nothing(store):
    store.events.append(delivery(events(0, 5), position=50))
    with pytest.raises(ConflictError, match="up to position 50"):
        store.events.append(delivery(events(0, 3), position=30))
    with pytest.raises(ConflictError, match="up to position 50, this delivery begins at 0"):
        store.events.append(delivery(events(0, 7), position=70, began=[Checkpoint("web1", "s1", 0)]))
    assert store.events.head() == 5
    assert store.events.ledger()[0].stored == 5
    assert store.events.verify() == []


def test_ledger_and_dead_letters_keep_the_equation(store):
    letter = DeadLetter("web1", "s1", 7, "too long", b"\xff" * 9, "nginx", T0)
    store.events.append(delivery(events(0, 4, event__kind=["event", "pipeline_error"])))
    store.events.append(Delivery({}, counts=[Counts("web1", received=3, rejected={"too long": 1}, duplicates=2)], dead=[letter]))
    (status,) = store.events.ledger()
    assert (status.received, status.stored, status.unparsed, dict(status.rejected), status.duplicates) == (7, 4, 2, {"too long": 1}, 2)
    assert (status.last_event, status.last_delivery) == (T0, T0)
    ((number, kept),) = store.events.dead_letters()
    assert kept == letter
    assert list(store.events.dead_letters("other")) == []
    assert store.events.verify() == []
    replay = Delivery({"nginx": [events(90, 1)]}, counts=[Counts("web1", stored=1)], replayed=[number])
    store.events.append(replay)
    (status,) = store.events.ledger()
    assert (status.received, status.stored, dict(status.rejected)) == (7, 5, {})
    assert list(store.events.dead_letters()) == []
    assert store.events.verify() == []
    with pytest.raises(ConflictError, match="replayed by somebody else"):
        store.events.append(replay)
    assert store.events.head() == 5


def test_verify_recounts_the_ledger(store):
    store.events.append(Delivery({"nginx": [events(0, 4)]}, counts=[Counts("web1", received=5, stored=5)]))
    assert store.events.verify() == ["ledger web1: stored 5, the segments hold 4"]


def test_what_was_retired_before_counts_as_stored(store):
    counts = Counts("web1", received=9, stored=9, unparsed=1)
    store.events.append(Delivery({"nginx": [events(0, 4)]}, counts=[counts], retired={"web1": (5, 1)}))
    assert store.events.verify() == []


def test_retention_removes_whole_days_but_not_what_is_held(store):
    for days in (30, 20, 10, 0):
        store.events.append(delivery(events(days * 10, 5, at=T0 - timedelta(days=days))))
    store.events.hold(Hold("INC-7", TimeWindow(T0 - timedelta(days=21), T0 - timedelta(days=19))))
    done = store.events.retain(date(2026, 11, 10))
    assert done.rows == 5
    assert dict(done.kept) == {"INC-7": 5}
    assert sorted(found(store)) == [0, 1, 2, 3, 4, 100, 101, 102, 103, 104, 200, 201, 202, 203, 204]
    assert store.events.coverage()["test.log"][""] == 15
    assert store.events.verify() == []
    assert [h.name for h in store.events.holds()] == ["INC-7"]
    assert store.events.release("INC-7")
    assert not store.events.release("INC-7")
    assert store.events.retain(date(2026, 11, 10)).rows == 5
    assert store.events.head() == 20
    assert store.events.verify() == []


def test_a_hold_may_name_parsers_only(store):
    store.events.append(delivery(events(0, 2, at=T0 - timedelta(days=9))))
    store.events.append(delivery(events(2, 2, at=T0 - timedelta(days=9)), parser="sshd"))
    store.events.hold(Hold("doc 12", partitions=("sshd",)))
    store.events.retain(date(2026, 11, 24))
    assert sorted(found(store)) == [2, 3]


# --- records and coordination ------------------------------------------------------------------------------------------------


def new(stream, key, kind="opened", **body):
    return NewRecord(stream, key, kind, body, "lan")


def test_records_are_numbered_by_key_and_over_all(store):
    first = store.records.append([new("alert", "a", n=1), new("alert", "b")], T0)
    second = store.records.append([new("alert", "a", "ack"), new("incident", "a")], T0 + timedelta(microseconds=1))
    assert [(r.version, r.seq) for r in (*first, *second)] == [(1, 1), (1, 2), (2, 3), (1, 4)]
    assert [r.type for r in store.records.read("alert", "a")] == ["opened", "ack"]
    opened = store.records.read("alert", "a")[0]
    assert (opened.at, opened.actor, opened.body) == (T0, "lan", {"n": 1})
    assert store.records.read("alert", "zz") == []
    assert [r.seq for r in store.records.find("alert")] == [1, 2, 3]
    assert [r.seq for r in store.records.find("alert", after=1, keys=["a"])] == [3]
    assert [r.seq for r in store.records.find("alert", keys=[str(i) for i in range(2000)] + ["b"])] == [2]


def test_every_stream_is_found_at_once(store):
    store.records.append([new("alert", "a"), new("incident", "i"), new("alert", "b")], T0)
    assert [(r.stream, r.key, r.seq) for r in store.records.find("")] == [("alert", "a", 1), ("incident", "i", 2), ("alert", "b", 3)]
    assert [r.key for r in store.records.find("", after=1, keys=["b", "i"])] == ["i", "b"]


def test_a_record_of_another_store_keeps_its_time(store):
    old, new = store.records.append([NewRecord("run", "1", "step", {}, at=T0 - timedelta(days=9)), NewRecord("run", "1", "step", {})], T0)
    assert [r.at for r in store.records.read("run", "1")] == [old.at, new.at] == [T0 - timedelta(days=9), T0]


def test_many_records_are_found_page_by_page(store):
    store.records.append([new("alert", str(i)) for i in range(2500)], T0)
    found_ = store.records.find("alert")
    next(found_)
    store.records.append([new("alert", "late")], T0)
    assert sum(1 for _ in found_) == 2499


def test_expected_version_is_compared_before_anything_is_stored(store):
    store.records.append([new("alert", "a")], T0, {("alert", "a"): 0})
    with pytest.raises(ConflictError, match="alert a has version 1, not 0"):
        store.records.append([new("alert", "b"), new("alert", "a")], T0, {("alert", "a"): 0})
    assert [r.key for r in store.records.find("alert")] == ["a"]


def test_leases(store):
    take = store.coordination.lease
    assert take("scan", "one", 60, T0)
    assert not take("scan", "two", 60, T0 + timedelta(seconds=59))
    assert take("scan", "one", 60, T0 + timedelta(seconds=59))
    assert not take("scan", "two", 60, T0 + timedelta(seconds=100))
    assert take("scan", "two", 60, T0 + timedelta(seconds=119))
    store.coordination.release("scan", "one")
    assert not take("scan", "one", 60, T0 + timedelta(seconds=120))
    store.coordination.release("scan", "two")
    assert take("scan", "one", 60, T0 + timedelta(seconds=120))


def test_a_lease_of_a_clock_that_ran_ahead_blocks_nobody(store):
    take = store.coordination.lease
    assert take("collect:fw", "killed", 60, T0 + timedelta(days=900))
    assert take("collect:fw", "two", 60, T0)
    assert not take("collect:fw", "three", 60, T0 + timedelta(seconds=59))
    assert not take("collect:fw", "three", 60, T0 - timedelta(minutes=30))


def test_a_scan_is_committed_once(store):
    commit = store.coordination.commit_scan
    assert commit("sigma", 0, 10, [new("alert", "a")], T0, {"buffer": [1]})
    assert not commit("sigma", 0, 12, [new("alert", "b")], T0, {"buffer": []})
    assert (store.coordination.cursor("sigma"), store.coordination.state("sigma")) == (10, {"buffer": [1]})
    with pytest.raises(ConflictError):
        commit("sigma", 10, 20, [new("alert", "a", "hits")], T0, expect={("alert", "a"): 9})
    assert store.coordination.cursor("sigma") == 10
    assert store.coordination.cursors() == {"sigma": 10}
    assert commit("sigma", 10, 20, [], T0)
    assert store.coordination.state("sigma") == {"buffer": [1]}
    assert [r.key for r in store.records.find("alert")] == ["a"]
