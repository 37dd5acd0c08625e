"""What logs hold that an index does not like: kept exactly, found, counted; what cannot be taken goes to the dead letters."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from domain.query import Query
from store.base import Counts, Delivery
from tests.store.contract import found
from tests.store.events import T0, delivery, events, identity

FAR = [
    datetime(1601, 1, 1, tzinfo=UTC),
    datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
    datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC),
]


@pytest.fixture
def store(cluster_store):
    return cluster_store


def row(store, number=0):
    return store.events.fetch([identity(number).hex()]).to_pylist()[0]


def test_times_of_broken_clocks(store, plain_opensearch, index_prefix):
    """They lie in the index of a day near their arrival: no thousand indices."""
    for n, at in enumerate(FAR):
        table = events(n, 1, event__ingested=T0, file__mtime=at)
        store.events.append(delivery(table.set_column(table.column_names.index("@timestamp"), "@timestamp", [[at]]), position=n + 1))
    assert found(store) == [2, 1, 0]
    assert [row(store, n)["@timestamp"] for n in range(3)] == FAR
    assert sorted(plain_opensearch.call("GET", f"{index_prefix}-events-*")) == [
        f"{index_prefix}-events-nginx-{day}" for day in ("2025.10.20", "2026.11.25")
    ]
    assert [(c.first_seq, c.rows) for c in store.events.scan(0)] == [(1, 3)]
    assert store.events.verify() == []


@pytest.mark.parametrize("size", [40_000, 5_000_000])
def test_long_values(store, size):
    """Beyond what a term may be: found all the same."""
    long = "á" * (size // 2 - 6) + "needle"
    store.events.append(delivery(events(0, 3, process__command_line=[long, "short"], event__original=[long.encode(), b"x"]), position=3))
    assert found(store, "process.command_line|endswith:needle") == [2, 0]
    assert found(store, "process.command_line|re:needle$") == [2, 0]
    assert found(store, "needle") == [2, 0]
    assert row(store)["process.command_line"] == long
    assert row(store)["event.original"] == long.encode()
    assert sum(c.rows for c in store.events.scan(0)) == 3
    assert store.events.verify() == []


def test_many_long_values_among_short_ones(store):
    """Requests are cut by what they hold, not by how many events."""
    store.events.append(delivery(events(0, 400, message=["x"]), position=400))
    big = "y" * 3_000_000
    store.events.append(delivery(events(400, 400, message=[*(["x"] * 380), *([big] * 20)]), position=800))
    assert store.events.head() == 800
    assert store.events.ledger()[0].rejected == {}
    assert store.events.verify() == []


NAMES = [
    "unmapped.a b", "unmapped.", "unmapped.a..b", "unmapped..", "unmapped.a.b.c.d", "unmapped.đặc biệt", 'unmapped."quoted"', "unmapped.a\nb",
    "unmapped.*", "winlog.event_data.a b", "winlog.event_data.", "winlog.event_data.a.b", "winlog.event_data.a", "winlog.event_data._id",
    "winlog.event_data.Tên", "winlog.event_data." + "n" * 3000, "winlog.event_data.Image",
]  # fmt: skip


def test_hostile_field_names(store):
    more = {name.replace(".", "__"): f"value {n}" for n, name in enumerate(NAMES)}
    table = events(0, 2, **more)
    store.events.append(delivery(table, position=2))
    assert store.events.ledger()[0].rejected == {}
    held = row(store)
    assert {name: held.get(name) for name in NAMES} == {name: f"value {n}" for n, name in enumerate(NAMES)}
    assert found(store, "winlog.event_data.Image|endswith:16") == [1, 0]
    assert found(store, '"value 11"') == [1, 0]
    assert {"unmapped.a b", "winlog.event_data.a.b"} <= set(next(iter(store.events.scan(0))).fields())
    assert store.events.verify() == []


@pytest.mark.parametrize("space", ["unmapped", "winlog.event_data"])
def test_ten_thousand_field_names(store, space):
    more = {f"{space}.f{n}".replace(".", "__"): "v" for n in range(10_000)}
    store.events.append(delivery(events(0, 2, **more), position=2))
    store.events.append(delivery(events(2, 2), position=4))
    assert store.events.ledger()[0].rejected == {}
    assert len(row(store)) > 10_000
    assert found(store, f"{space}.f9999:V") == [1, 0]
    assert store.events.verify() == []


def test_bytes_that_are_no_text(store):
    raw = [b"\xff\xfe\x00\xc3(", b"\x00", "lone \ud800".encode("utf-8", "surrogatepass")]
    store.events.append(
        delivery(events(0, 3, event__original=raw, user__name=["a\x00b", "\x1b[31m", "\u202eroot"], message="\x00\x01"), position=3)
    )
    assert [row(store, n)["event.original"] for n in range(3)] == raw
    assert [row(store, n)["user.name"] for n in range(3)] == ["a\x00b", "\x1b[31m", "\u202eroot"]
    assert found(store, "user.name|startswith:a") == [0]
    assert store.events.verify() == []


def test_values_of_a_wrong_kind_for_their_field(store, tmp_store):
    """Addresses that are none: kept, and found as text, as the embedded engine does it."""
    for engine in (store, tmp_store):
        engine.events.append(delivery(events(0, 3, source__ip=["fe80::1%eth0", "not an address", "999.1.1.1"]), position=3))
    assert found(store, 'source.ip:"not an address"') == [1]
    assert found(store, "source.ip:999.1.1.1") == [2]
    assert found(store, "source.ip|cidr:fe80::/10") == found(tmp_store, "source.ip|cidr:fe80::/10")
    assert store.events.ledger()[0].rejected == {}


def test_what_the_cluster_refuses_goes_to_the_dead_letters_and_comes_back(store, plain_opensearch, index_prefix):
    """Somebody has given a field another type in today's index; the reason is kept; it is mended, and the letters are replayed."""
    store.events.append(delivery(events(0, 1), position=1))
    index = f"{index_prefix}-events-nginx-2026.11.24"
    plain_opensearch.call(
        "PUT", f"{index}/_mapping", {"properties": {"winlog": {"properties": {"event_data": {"properties": {"Port": {"type": "long"}}}}}}}
    )
    store.events.append(delivery(events(1, 3, winlog__event_data__Port=["80", "http", "443"]), position=4))
    (status,) = store.events.ledger()
    assert (status.received, status.stored, dict(status.rejected)) == (4, 3, {"the cluster refused it: mapper_parsing_exception": 1})
    assert sorted(found(store)) == [0, 1, 3]
    letters = dict(store.events.dead_letters())
    assert [letter.raw for letter in letters.values()] == [b"record 2"]
    assert store.events.verify() == []
    plain_opensearch.call("PUT", f"{index}/_mapping", {"properties": {}})
    replay = Delivery({"nginx": [events(2, 1, winlog__event_data__Port="8080")]}, counts=[Counts("web1", stored=1)], replayed=list(letters))
    store.events.append(replay)
    assert sorted(found(store)) == [0, 1, 2, 3]
    assert list(store.events.dead_letters()) == []
    assert store.events.verify() == []


def test_half_a_surrogate_pair_in_json_is_stored(soc_here, opensearch_url, index_prefix, tmp_path):
    """As loggers write them that cut strings: `\\ud83d` alone. From file to search, through the command line."""
    lines = [{"@timestamp": "2026-11-24T01:00:00Z", "user": {"name": "a"}, "message": "m1"}]
    text = (
        json.dumps(lines[0])[:-1]
        + ', "x": "\\ud83d", "k\\udc00": "v"}\n'
        + '{"broken": "\n'
        + '{"@timestamp": "2026-11-24T01:00:01Z", "message": "m2 \\u0000"}\n'
    )
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "x.json").write_text(text, encoding="utf-8")
    (tmp_path / "soc.toml").write_text(f'[store]\nurl = "{opensearch_url}"\nindex_prefix = "{index_prefix}"\n', encoding="utf-8")
    done = soc_here("collect", "once", "--path", str(tmp_path / "logs"))
    assert (done.returncode, "stored 3 events" in done.stderr) == (0, True), done.stderr
    done = soc_here("--json", "search", "m1 or m2", "--since", "2026-11-01", "--until", "2026-12-01")
    assert done.returncode == 0
    assert [json.loads(line)["message"] for line in done.stdout.splitlines()] == ["m2 \x00", "m1"]


def test_an_empty_batch_and_events_without_anything(store):
    store.events.append(delivery(events(0, 2).slice(0, 0)))
    store.events.append(
        delivery(events(0, 2).select(["event.id", "@timestamp", "event.ingested", "event.original", "event.kind"]), position=2)
    )
    assert found(store) == [1, 0]
    assert store.events.count(Query()) == 2
    assert timedelta(0) <= row(store, 1)["@timestamp"] - T0 <= timedelta(seconds=1)
