"""The embedded engine: the contract of every store, and what is its own: layout, compaction."""

from __future__ import annotations

import hashlib
import resource
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from detectors.joined import joined
from domain.errors import StoreError
from domain.query import Query, Test
from match import rows
from store import open_store
from store.base import Counts, Delivery
from tests.store.contract import *  # noqa: F403  every test of the contract runs here
from tests.store.contract import found
from tests.store.events import T0, delivery, events, ids, numbers


@pytest.fixture
def store(tmp_store):
    return tmp_store


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "store"


def files(folder):
    return sorted(folder.glob("events/*/*.parquet"))


def test_more_segments_than_files_may_be_open_are_scanned(store):
    for n in range(300):
        store.events.append(delivery(events(2 * n, 2, message="hello"), parser="nginx"))
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(list(Path("/proc/self/fd").iterdir())) + 280, before[1]))
    try:
        assert sum(len(rows(Test(None, "contains", ("hello",)), chunk)) for chunk in joined(store.events.scan(0))) == 600
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_the_same_folder_opened_again_holds_the_same(store, folder):
    store.events.append(delivery(events(0, 5), position=9))
    again = open_store(f"file:{folder}")
    assert again.url == f"file:{folder}"
    assert sorted(found(again)) == [0, 1, 2, 3, 4]
    again.close()


def test_partition_day_is_utc_and_clamped_to_the_arrival(store, folder):
    wild = [T0, T0 - timedelta(days=5000), T0 + timedelta(days=5000), T0 - timedelta(days=3)]
    table = (
        events(0, 4, event__ingested=T0).drop_columns("@timestamp").append_column("@timestamp", pa.array(wild, pa.timestamp("us", "UTC")))
    )
    store.events.append(delivery(table))
    days = {p.parent.name for p in files(folder)}
    assert days == {"2026-11-24", "2025-10-20", "2026-11-25", "2026-11-21"}
    assert found(store) == [2, 0, 3, 1]
    assert store.events.verify() == []


def test_an_event_without_time_gets_that_of_its_arrival(store):
    table = events(0, 2)
    place = table.schema.get_field_index("@timestamp")
    store.events.append(delivery(table.set_column(place, "@timestamp", pa.nulls(2, pa.timestamp("us", "UTC")))))
    (found_,) = store.events.search(Query())
    assert found_["@timestamp"].to_pylist() == found_["event.ingested"].to_pylist()


def test_segments_hold_only_columns_with_values_clustered_by_code(store, folder):
    store.events.append(delivery(events(0, 6, event__code=["4688", "4624"], process__name=None)))
    (path,) = files(folder)
    table = pq.read_table(path)
    assert "process.name" not in table.column_names
    assert table["event.code"].to_pylist() == ["4624"] * 3 + ["4688"] * 3
    assert numbers(table) == [1, 3, 5, 0, 2, 4]
    assert pa.types.is_dictionary(table.schema.field("user.name").type)
    columns = {c.path_in_schema: c for c in (pq.read_metadata(path).row_group(0).column(i) for i in range(table.num_columns))}
    assert not columns["event.original"].has_dictionary_page
    assert columns["event.original"].compression == "ZSTD"


def test_values_of_the_wrong_type_are_kept_apart(store):
    table = events(0, 2).drop_columns("http.response.status_code").append_column("http.response.status_code", pa.array(["200", "oops"]))
    store.events.append(delivery(table))
    (kept,) = store.events.search(Query(newest_first=False))
    assert kept["unmapped.http.response.status_code"].to_pylist() == ["200", "oops"]


def test_large_deliveries_have_several_row_groups(store):
    n = 250_000
    columns = {
        "event.id": pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), n, [None, pa.py_buffer(b"".join(i.to_bytes(16, "big") for i in range(n)))]),
        "@timestamp": pa.array([T0] * n, pa.timestamp("us", "UTC")), "event.ingested": pa.array([T0] * n, pa.timestamp("us", "UTC")),
        "event.original": pa.array([b"x"] * n, pa.large_binary()), "user.name": pa.array([f"u{i}" for i in range(n)]),
    }  # fmt: skip
    store.events.append(Delivery({"nginx": [pa.table(columns)]}, counts=[Counts("", received=n, stored=n)]))
    chunks = list(store.events.scan(0))
    assert [(c.first_seq, c.last_seq) for c in chunks] == [(1, 125_000), (125_001, 250_000)]
    user = chunks[1].column("user.name")
    assert len(user.values) == 125_000
    assert user.values[int(user.codes[0])].as_py() == "u125000"
    assert found(store, "user.name:u249999") == [249_999]


def test_compaction_changes_files_but_no_answer(store, folder):
    later = T0 + timedelta(days=30)
    for i in range(10):
        store.events.append(delivery(events(i * 10, 10, event__code=["b", "a"]), parser=("nginx", "sshd")[i % 2]))
    before = [found(store), found(store, "user.name:root"), store.events.coverage()]
    spans = [(0, 100), (0, 15), (15, 16), (16, 95), (95, 100)]
    scans = [sorted(n for c in store.events.scan(a, b) for n in ids(c)) for a, b in spans]
    assert store.events.compact(later) == 8
    assert len(files(folder)) == 2
    assert [found(store), found(store, "user.name:root"), store.events.coverage()] == before
    assert [sorted(n for c in store.events.scan(a, b) for n in ids(c)) for a, b in spans] == scans
    assert store.events.verify() == []
    assert store.events.append(delivery(events(100, 1))) == 101
    assert store.events.compact(later) == 1
    assert [n for c in store.events.scan(100) for n in ids(c)] == [100]


def test_compaction_waits_for_cursors_that_are_behind(store, folder):
    for i in range(4):
        store.events.append(delivery(events(i * 10, 10)))
    store.coordination.commit_scan("sigma", 0, 20, [], T0 + timedelta(days=9))
    assert store.events.compact(T0 + timedelta(days=9)) == 1
    assert len(files(folder)) == 3
    assert store.events.compact(T0 + timedelta(days=12)) == 2, "a cursor that stands still for days holds nothing up"


def test_the_growing_day_is_merged_by_size(store, folder):
    for i in range(7):
        store.events.append(delivery(events(i * 10, 10)))
    assert store.events.compact(T0) == 0
    store.events.append(delivery(events(70, 10)))
    assert store.events.compact(T0) == 7


def test_what_is_being_read_outlives_compaction(store, folder):
    for i in range(3):
        store.events.append(delivery(events(i * 10, 10)))
    chunks = list(store.events.scan(0))
    assert store.events.compact(T0 + timedelta(days=9)) == 2
    assert len(files(folder)) == 4
    assert sorted(n for c in chunks for n in ids(c)) == list(range(30))
    del chunks
    store.events.compact(T0 + timedelta(days=9))
    assert len(files(folder)) == 1


@pytest.mark.parametrize("damage", ["cut", "flip", "gone"])
def test_a_damaged_segment_is_named(store, folder, damage):
    store.events.append(delivery(events(0, 2000, step=0.001)))
    (path,) = files(folder)
    data = bytearray(path.read_bytes())
    if damage == "gone":
        path.unlink()
    else:
        data[len(data) // 3] ^= 0xFF
        path.write_bytes(data[: len(data) // 2] if damage == "cut" else data)
    name = str(path.relative_to(folder))
    problems = store.events.verify()
    assert problems[0].startswith(f"{name}: ")
    assert problems[1:] == ["ledger: not recounted, because segments are damaged"]
    with pytest.raises(StoreError, match="a segment cannot be read") as caught:
        list(store.events.search(Query()))
    assert caught.value.where == str(path)
    assert "soc store verify" in caught.value.hint


def test_a_file_that_nobody_wrote_is_reported(store, folder):
    store.events.append(delivery(events(0, 1)))
    (path,) = files(folder)
    path.with_name("nginx-0123456789ab-1.parquet").write_bytes(path.read_bytes())
    assert store.events.verify() == [f"events/{path.parent.name}/nginx-0123456789ab-1.parquet: not part of the store"]


def test_the_catalog_knows_the_digest_of_each_file(store, folder):
    store.events.append(delivery(events(0, 3)))
    (path,) = files(folder)
    assert store._db.all("SELECT sha256 FROM segments") == [(hashlib.sha256(path.read_bytes()).digest(),)]
