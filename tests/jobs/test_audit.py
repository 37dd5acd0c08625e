"""The audit chain: what tampering looks like."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from domain.errors import UsageError
from jobs.audit import Entry, entries, latest, note, verify
from tests.store.events import T0


def fill(store, count=4):
    return [
        note(store.records, Entry(0, T0 + timedelta(hours=i), "lan", "alert.verdict", f"a{i}", {"lý do": "đúng", "n": i}))
        for i in range(count)
    ]


def change(store, sql):
    with store._db.write() as tx:
        tx.execute(sql)


def test_entries_are_chained(tmp_store):
    noted = fill(tmp_store)
    assert list(entries(tmp_store.records)) == noted
    assert [e.number for e in noted] == [1, 2, 3, 4]
    assert [e.before for e in noted] == ["", *(e.hash for e in noted[:-1])]
    found = verify(tmp_store.records, f"3:{noted[2].hash}")
    assert (found.entries, found.head, found.problems) == (4, noted[-1].hash, ())


@pytest.mark.parametrize(
    ("sql", "problems"),
    [
        ("UPDATE records SET body = replace(body, 'đúng', 'sai') WHERE version = 2", ("entry 2 was changed",)),
        ("UPDATE records SET actor = 'minh' WHERE version = 3", ("entry 3 was changed",)),
        ("UPDATE records SET at = at + 1 WHERE version = 1", ("entry 1 was changed",)),
        ("DELETE FROM records WHERE version = 2", ("entry 2 is missing, 3 follows", "entry 3 does not continue the chain")),
        ("DELETE FROM records WHERE version > 2", ("the log ends at entry 2, entry 4 was noted: entries were cut off",)),
    ],
)
def test_tampering_is_found(tmp_store, sql, problems):
    noted = fill(tmp_store)
    change(tmp_store, sql)
    assert verify(tmp_store.records, f"4:{noted[-1].hash}").problems == problems


def test_a_chain_made_anew_is_not_the_one_that_was_noted(tmp_store):
    noted = fill(tmp_store)
    change(tmp_store, "DELETE FROM records")
    for entry in noted:
        note(tmp_store.records, Entry(0, entry.at, entry.actor, entry.action, entry.target, {}))
    assert verify(tmp_store.records).problems == ()
    assert verify(tmp_store.records, f"4:{noted[-1].hash}").problems == ("entry 4 is not the one that was noted",)


def test_writers_at_once_make_one_chain(tmp_store):
    threads = [threading.Thread(target=fill, args=(tmp_store, 5)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = verify(tmp_store.records)
    assert (found.entries, found.problems) == (20, ())


def test_the_latest_entries(tmp_store):
    fill(tmp_store)
    now = T0 + timedelta(hours=3, minutes=30)
    assert [e.target for e in latest(tmp_store.records, "", "", 2, now)] == ["a2", "a3"]
    assert [e.target for e in latest(tmp_store.records, "2h", "1h", 0, now)] == ["a2"]


def test_a_note_that_is_none(tmp_store):
    with pytest.raises(UsageError, match="NUMBER:HASH"):
        verify(tmp_store.records, "4")
