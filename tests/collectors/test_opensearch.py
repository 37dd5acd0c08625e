"""Pulling from indices that others write, on a real server: each version of a document once, whatever happens to the index."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any

import orjson
import pytest

from collectors import sequence
from domain.errors import SourceError
from domain.raw import event_ids
from tests.collectors.foreign import NOW, Follower, bulk, numbered
from tests.servers.cluster import Cluster


@pytest.fixture
def server(plain_opensearch: Cluster) -> Cluster:
    return plain_opensearch


def make(server: Cluster, index: str, shards: int = 2, **settings: Any) -> None:
    server.call("PUT", index, {"settings": {"number_of_shards": shards, "number_of_replicas": 0, **settings}})


def test_once_and_only_once(server: Cluster, index_prefix: str) -> None:
    index = f"{index_prefix}-logs"
    make(server, index)
    follower = Follower(server.url, f"{index_prefix}-*")
    assert follower.pull() == []
    bulk(server.url, index, numbered(0, 30))
    assert len(follower.pull()) == 30
    assert follower.pull() == []
    bulk(server.url, index, numbered(30, 7_030))  # more than a page
    assert len(follower.pull()) == 7_000
    assert follower.numbers() == list(range(7_030))
    assert {c.stream: c.position for c in follower.kept.values()} == Counter(stream for stream, _, _ in follower.read)


def test_what_four_write_beside_many_pulls_is_read_once_each(server: Cluster, index_prefix: str) -> None:
    index = f"{index_prefix}-busy"
    make(server, index, refresh_interval="20ms")
    follower, step = Follower(server.url, index), 2_400

    def write(writer: int) -> None:
        for start in range(writer * step, (writer + 1) * step, 60):
            bulk(server.url, index, [{"n": n} for n in range(start, start + 60)], refresh=start % 7 == 0)

    writers = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for writer in writers:
        writer.start()
    pulls = 0
    while any(writer.is_alive() for writer in writers):
        follower.pull()
        pulls += 1
    server.call("POST", f"{index}/_refresh")
    follower.pull()
    assert follower.numbers() == list(range(4 * step))
    assert pulls > 10


def test_a_number_that_appears_late_is_read_late(server: Cluster, index_prefix: str) -> None:
    """What is missing below the cursor is asked for again. The document stands in for an operation that became visible late."""
    index = f"{index_prefix}-late"
    make(server, index, 1)
    bulk(server.url, index, numbered(0, 10))
    follower = Follower(server.url, index)
    follower.pull()
    (kept,) = follower.kept.values()
    progress = sequence.Progress.load(kept)
    assert progress is not None
    progress.holes.append(sequence.Hole(3, 5, sequence.OLD))  # as if 3 and 4 had not been visible at that pull
    follower.kept = {kept.stream: progress.save("theirs")}
    assert [d["n"] for d in follower.pull()] == [3, 4]
    assert follower.pull() == []


def test_an_update_is_another_event_and_a_deletion_none(server: Cluster, index_prefix: str) -> None:
    index = f"{index_prefix}-changed"
    make(server, index, 1)
    bulk(server.url, index, numbered(0, 5))
    follower = Follower(server.url, index)
    follower.pull()
    bulk(server.url, index, [{"_id": "d4", "n": 4, "text": "changed"}])  # the newest anchor itself
    server.call("DELETE", f"{index}/_doc/d1?refresh=true")
    assert [d["text"] for d in follower.pull()] == ["changed"]
    bulk(server.url, index, numbered(5, 7))
    assert [d["n"] for d in follower.pull()] == [5, 6]
    assert follower.notes() == []


def test_events_keep_their_ids_when_documents_are_read_again(server: Cluster, index_prefix: str) -> None:
    index = f"{index_prefix}-ids"
    make(server, index)
    bulk(server.url, index, numbered(0, 40))
    first, second = Follower(server.url, index), Follower(server.url, index, now=NOW.replace(hour=5))
    first.pull()
    second.pull()
    assert first.read == second.read

    def ids(follower: Follower) -> set[bytes]:
        import numpy as np
        import pyarrow as pa

        return {
            event_ids("theirs", stream, np.array([position]), pa.array([orjson.dumps(document)]))[0].as_py()
            for stream, position, document in follower.read
        }

    assert ids(first) == ids(second)
    assert len(ids(first)) == 40


def test_rolled_over_aliases_and_data_streams(server: Cluster, index_prefix: str) -> None:
    make(server, f"{index_prefix}-000001")
    server.call(
        "POST",
        "_aliases",
        {"actions": [{"add": {"index": f"{index_prefix}-000001", "alias": f"{index_prefix}-write", "is_write_index": True}}]},
    )
    bulk(server.url, f"{index_prefix}-write", numbered(0, 3))
    follower = Follower(server.url, f"{index_prefix}-write")
    assert len(follower.pull()) == 3
    server.call("POST", f"{index_prefix}-write/_rollover")
    bulk(server.url, f"{index_prefix}-write", numbered(3, 8))
    assert [d["n"] for d in sorted(follower.pull(), key=lambda d: d["n"])] == [3, 4, 5, 6, 7]
    server.call("PUT", f"_index_template/{index_prefix}-ds", {"index_patterns": [f"ds-{index_prefix}"], "data_stream": {}, "priority": 500})
    try:
        bulk(server.url, f"ds-{index_prefix}", [{"n": n, "@timestamp": "2026-11-24T01:00:00Z"} for n in range(4)])
        stream = Follower(server.url, f"ds-{index_prefix}")
        assert len(stream.pull()) == 4
        server.call("POST", f"ds-{index_prefix}/_rollover")
        bulk(server.url, f"ds-{index_prefix}", [{"n": n, "@timestamp": "2026-11-24T01:00:00Z"} for n in range(4, 6)])
        assert len(stream.pull()) == 2
        assert stream.numbers() == list(range(6))
    finally:
        server.call("DELETE", f"_data_stream/ds-{index_prefix}")


def test_a_deleted_index_is_told_and_remembered(server: Cluster, index_prefix: str, caplog: pytest.LogCaptureFixture) -> None:
    index = f"{index_prefix}-gone"
    make(server, index, 1)
    bulk(server.url, index, numbered(0, 3))
    follower = Follower(server.url, f"{index_prefix}-*")
    follower.pull()
    server.call("DELETE", index)
    assert follower.pull() == []
    assert follower.notes() == ["deleted"]
    follower.pull()
    assert follower.notes() == ["deleted"]
    assert len(follower.kept) == 1
    assert index in caplog.text
    follower.pull(minutes=401 * 24 * 60)
    assert follower.kept == {}


@pytest.mark.parametrize("same_ids", [True, False])
def test_an_index_created_anew_starts_a_new_generation(server: Cluster, index_prefix: str, same_ids: bool) -> None:
    """Even with the same ids at the same numbers, if the documents are others."""
    index = f"{index_prefix}-again"
    make(server, index)
    bulk(server.url, index, numbered(0, 20))
    follower = Follower(server.url, index)
    follower.pull()
    server.call("DELETE", index)
    make(server, index, 3)
    bulk(server.url, index, [{"_id": f"d{n}" if same_ids else f"x{n}", "n": n + 100} for n in range(25)])
    assert sorted(d["n"] for d in follower.pull()) == list(range(100, 125))
    assert set(follower.notes()) == {"recreated"}
    assert {stream.partition("/")[0] for stream in follower.kept} >= {f"{index}#2"}
    assert follower.pull() == []
    assert not {f"{index}#1/0", f"{index}#1/1"} & set(follower.kept)  # the old generation is forgotten
    bulk(server.url, index, [{"n": 200}])
    assert [d["n"] for d in follower.pull()] == [200]


def test_an_index_created_anew_with_fewer_shards(server: Cluster, index_prefix: str) -> None:
    index = f"{index_prefix}-small"
    make(server, index, 3)
    bulk(server.url, index, numbered(0, 30))
    follower = Follower(server.url, index)
    follower.pull()
    server.call("DELETE", index)
    make(server, index, 1)
    bulk(server.url, index, numbered(100, 110))
    assert sorted(d["n"] for d in follower.pull()) == list(range(100, 110))
    assert sorted(follower.notes()) == ["recreated", "smaller", "smaller"]
    assert follower.pull() == []


@pytest.fixture
def snapshots(server: Cluster, index_prefix: str) -> Any:
    """Take and restore snapshots of one index."""
    where = {"type": "fs", "settings": {"location": str(server.folder / "repo" / index_prefix)}}
    server.call("PUT", f"_snapshot/{index_prefix}", where)
    path = f"_snapshot/{index_prefix}/one"

    def take(index: str) -> None:
        server.call("PUT", f"{path}?wait_for_completion=true", {"indices": index, "include_global_state": False})

    def restore(index: str) -> None:
        server.call("POST", f"{path}/_restore?wait_for_completion=true", {"indices": index, "include_global_state": False})

    yield take, restore
    server.call("DELETE", path)
    server.call("DELETE", f"_snapshot/{index_prefix}")


def test_a_restored_index_is_read_on(server: Cluster, index_prefix: str, snapshots: Any) -> None:
    take, restore = snapshots
    index = f"{index_prefix}-back"
    make(server, index, 1)
    bulk(server.url, index, numbered(0, 10))
    follower = Follower(server.url, index)
    follower.pull()
    take(index)
    server.call("DELETE", index)
    follower.pull()
    restore(index)
    assert follower.pull() == []
    bulk(server.url, index, numbered(10, 12))
    assert [d["n"] for d in follower.pull()] == [10, 11]
    assert follower.notes() == ["deleted", "returned"]


@pytest.mark.parametrize("in_place", [True, False])
def test_an_older_snapshot_is_read_on_from_what_both_share(server: Cluster, index_prefix: str, snapshots: Any, in_place: bool) -> None:
    take, restore = snapshots
    index = f"{index_prefix}-older"
    make(server, index, 1)
    bulk(server.url, index, numbered(0, 10))
    follower = Follower(server.url, index)
    follower.pull()
    bulk(server.url, index, numbered(10, 15))
    take(index)
    bulk(server.url, index, numbered(15, 20))
    follower.pull()
    server.call("POST" if in_place else "DELETE", f"{index}/_close" if in_place else index)
    restore(index)
    bulk(server.url, index, [{"n": n} for n in range(100, 110)])
    again = follower.pull()
    (kept,) = follower.kept.values()
    assert [d["n"] for d in again if d["n"] >= 100] == list(range(100, 110))
    assert sorted(d["n"] for d in again if d["n"] < 100) == list(range(10, 15))  # these have the ids they had: the store knows them
    assert follower.notes() == ["rewound" if in_place else "restored"]
    assert follower.pull() == []
    assert kept.stream == f"{index}#1/0"


def test_documents_that_decoders_refuse_are_read(server: Cluster, index_prefix: str) -> None:
    index = f"{index_prefix}-odd"
    server.call("PUT", index, {"mappings": {"dynamic": False}})
    bulk(server.url, index, [{"n": 1, "s": "a\ud800b"}, {"n": 2, "s": "fine", "big": 123456789012345678901234567890}])
    assert [d["s"] for d in Follower(server.url, index).pull()] == ["a\ufffdb", "fine"]


def test_older_documents_are_passed_over_at_first_sight_only(server: Cluster, index_prefix: str) -> None:
    index = f"{index_prefix}-since"
    make(server, index, 1)
    old = [{"n": n, "@timestamp": "2025-01-01T00:00:00Z"} for n in range(5)]
    bulk(server.url, index, [*old, {"n": 5, "@timestamp": "2026-11-24T00:00:00Z"}])
    follower = Follower(server.url, index, since="7d")
    assert [d["n"] for d in follower.pull()] == [5]
    bulk(server.url, index, [{"n": 6, "@timestamp": "2025-01-01T00:00:00Z"}])
    assert [d["n"] for d in follower.pull()] == [6]


def test_since_reads_everything_where_documents_tell_no_time(server: Cluster, index_prefix: str) -> None:
    index = f"{index_prefix}-timeless"
    make(server, index, 1)
    bulk(server.url, index, [{"n": n} for n in range(3)])
    assert len(Follower(server.url, index, since="7d").pull()) == 3


def test_an_index_that_keeps_no_documents_is_told(server: Cluster, index_prefix: str) -> None:
    index = f"{index_prefix}-empty"
    server.call("PUT", index, {"mappings": {"_source": {"enabled": False}}})
    bulk(server.url, index, numbered(0, 1))
    with pytest.raises(SourceError, match=rf"{index}: its documents are not kept \(_source is switched off\)"):
        Follower(server.url, index).pull()


def test_an_index_that_cannot_be_read_stops_no_other(server: Cluster, index_prefix: str) -> None:
    for name in ("a", "b"):
        make(server, f"{index_prefix}-{name}", 1)
        bulk(server.url, f"{index_prefix}-{name}", [{"n": 1, "index": name}])
    follower = Follower(server.url, f"{index_prefix}-a,{index_prefix}-b")
    server.call("POST", f"{index_prefix}-a/_close")
    assert [d["index"] for d in follower.pull()] == ["b"]
    server.call("POST", f"{index_prefix}-a/_open?wait_for_active_shards=1")
    assert [d["index"] for d in follower.pull()] == ["a"]


def test_a_cluster_that_is_away_is_a_source_error() -> None:
    with pytest.raises(SourceError, match=r"theirs: http://127\.0\.0\.1:9: the cluster cannot be reached: connection refused"):
        Follower("http://127.0.0.1:9", "x-*").pull()
