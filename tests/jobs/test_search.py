"""What a search asks for, near an event, over time, as events arrive; times as people write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from domain.errors import UsageError
from domain.grammar import parse
from domain.query import Query
from domain.window import TimeWindow, duration, moment
from jobs.search import Asked, columns, follow, histogram, query, resolve
from tests.store.events import T0, delivery, events, identity, numbers

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("24h", NOW - timedelta(hours=24)),
        ("2w", NOW - timedelta(days=14)),
        ("now", NOW),
        ("2026-11-24", datetime(2026, 11, 23, 17, tzinfo=UTC)),
        ("2026-11-24T08:15", datetime(2026, 11, 24, 1, 15, tzinfo=UTC)),
        ("2026-11-24T08:15:00Z", datetime(2026, 11, 24, 8, 15, tzinfo=UTC)),
    ],
)
def test_moments(text, expected):
    assert moment(text, NOW) == expected


@pytest.mark.parametrize("text", ["yesterday", "24", "2026-13-01", "0h", "-5m", "9999999d", ""])
def test_what_is_no_moment(text):
    with pytest.raises(UsageError, match="not a"):
        moment(text, NOW)


@pytest.mark.parametrize(("text", "expected"), [("90s", 90), ("5m", 300), ("1h", 3600), ("1D", 86400)])
def test_durations(text, expected):
    assert duration(text).total_seconds() == expected


def test_a_query_from_the_command_line(tmp_store):
    asked = Asked("user.name:root", since="24h", until="1h", limit=5, fields="user.name, source.ip")
    window = TimeWindow(NOW - timedelta(hours=24), NOW - timedelta(hours=1))
    assert query(asked, tmp_store.events, NOW) == Query(parse("user.name:root"), window, limit=5, fields=("user.name", "source.ip"))


def test_ids_in_a_query_are_looked_up_as_ids(tmp_store):
    asked = query(Asked(f"event.id:{identity(7).hex()} user.name:root"), tmp_store.events, NOW)
    assert asked == Query(parse("user.name:root"), ids=(identity(7).hex(),))
    asked = query(Asked(f"event.id:{identity(7).hex()} or user.name:root"), tmp_store.events, NOW)
    assert asked.ids == ()


def test_times_in_the_wrong_order(tmp_store):
    with pytest.raises(UsageError, match="--until 2d is not after --since 1d"):
        query(Asked(since="1d", until="2d"), tmp_store.events, NOW)


def test_unknown_fields_are_named():
    with pytest.raises(UsageError) as caught:
        columns("user.name,usr.name")
    assert caught.value.what == "unknown field usr.name"
    assert "user.name" in caught.value.hint


def test_around_an_event(tmp_store):
    tmp_store.events.append(delivery(events(0x10_0000, 100, step=60)))
    tmp_store.events.append(delivery(events(500, 1, at=T0 + timedelta(seconds=630)), parser="sshd"))
    asked = query(Asked(around=identity(0x10_000A).hex(), within="1m"), tmp_store.events, NOW)
    found = [n for table in tmp_store.events.search(asked) for n in numbers(table)]
    assert found == [0x10_0009, 0x10_000A, 500, 0x10_000B]


def test_ids_may_be_shortened(tmp_store):
    first = bytes.fromhex("abcdef" + "0" * 26)
    second = bytes.fromhex("abcd0f" + "0" * 26)
    tmp_store.events.append(delivery(events(0, 2, event__id=[first, second])))
    assert resolve(tmp_store.events, "abcde") == first.hex()
    assert resolve(tmp_store.events, second.hex().upper()) == second.hex()
    for text, what in (
        ("abcd", "several events begin with abcd"),
        ("abc0", "no event with an id that begins"),
        ("xyz", "not the id of an event"),
    ):
        with pytest.raises(UsageError, match=what):
            resolve(tmp_store.events, text)


def test_histogram_chooses_its_width(tmp_store):
    tmp_store.events.append(delivery(events(0, 60, step=60)))
    step, table = histogram(tmp_store.events, Query())
    assert step == "1m"
    assert table["count"].to_pylist() == [1] * 60
    assert table["bucket"].to_pylist() == sorted(table["bucket"].to_pylist())
    step, table = histogram(tmp_store.events, Query(window=TimeWindow(NOW - timedelta(days=30), NOW)))
    assert (step, table["count"].to_pylist()) == ("1d", [60])
    assert histogram(tmp_store.events, Query(parse("nothing")))[1].num_rows == 0


def test_follow_gives_what_arrives(tmp_store):
    tmp_store.events.append(delivery(events(0, 5)))
    tables = follow(tmp_store.events, Query(parse("user.name:root")), every=0.01)
    import threading

    timer = threading.Timer(0.1, lambda: tmp_store.events.append(delivery(events(6, 6))))
    timer.start()
    assert numbers(next(tables)) == [6, 9]
    timer.join()
