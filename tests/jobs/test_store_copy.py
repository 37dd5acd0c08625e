"""Copying stores: the same events, records, ledger and state on the other side, again and again."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from domain.errors import StoreError, UsageError
from domain.raw import Checkpoint
from jobs import audit, store_copy, store_copy_events
from jobs.store_copy import check_stores, copy_stores
from jobs.store_copy_events import phases
from store import open_store
from store.base import NewRecord
from tests.jobs.stores import DAY, NOTE, assert_same, fill, grow
from tests.store.events import T0, delivery, events, numbers


def test_everything_arrives_once(tmp_store, target):
    fill(tmp_store)
    done = copy_stores(tmp_store, target, NOTE)
    assert (done.events, done.dead, done.again) == (282, 3, 0)
    assert_same(done, tmp_store, target)
    assert [r.body for r in target.records.read("alert", "a1")] == [{"title": "Đăng nhập", "n": 1.5}, {}]
    assert [r.at for r in target.records.read("alert", "a1")] == [T0, T0 + DAY]
    assert target.coordination.state("sigma") == {"open": {"k": [1, 2]}}
    assert target.coordination.cursor("job.scan") == 1_795_000_000
    assert "publish" not in target.coordination.cursors()
    assert target.events.checkpoint("pull", "p") == Checkpoint("pull", "p", 4, {"page": "z"})
    assert [e.action for e in audit.entries(target.records)] == ["store.copy"]


def test_what_waits_behind_a_cursor_waits_in_the_copy(tmp_store, target):
    fill(tmp_store)
    copy_stores(tmp_store, target, NOTE)
    for name in ("sigma", "follow"):
        waiting = [
            sorted(n for chunk in store.events.scan(store.coordination.cursor(name)) for n in numbers(chunk.table()))
            for store in (tmp_store, target)
        ]
        assert waiting[0] == waiting[1] != []


def test_again_brings_only_what_is_new(tmp_store, target):
    fill(tmp_store)
    copy_stores(tmp_store, target, NOTE)
    grow(tmp_store)
    done = copy_stores(tmp_store, target, NOTE)
    assert (done.events, done.records, done.dead) == (31, 2, 1)
    assert_same(done, tmp_store, target)
    assert sorted(letter.position for _, letter in target.events.dead_letters()) == [1, 6, 7]
    assert target.events.checkpoint("web1", "old") is None
    assert [h.name for h in target.events.holds()] == ["SC-2"]
    idle = copy_stores(tmp_store, target, NOTE)
    assert (idle.events, idle.records, idle.dead) == (0, 1, 0)
    assert idle.comparison.same


def test_there_and_back_is_the_same_store(tmp_store, target, tmp_path):
    fill(tmp_store)
    there = copy_stores(tmp_store, target, NOTE)
    third = open_store(f"file:{tmp_path / 'third'}")
    back = copy_stores(target, third, NOTE)
    assert back.comparison.same
    assert back.comparison.events_hash == there.comparison.events_hash
    assert back.comparison.days == there.comparison.days
    third.close()


def test_what_retention_removed_before_and_after(tmp_store, target):
    fill(tmp_store)
    tmp_store.events.release("SC-1")
    gone = tmp_store.events.retain(date(2026, 11, 21)).rows
    assert gone == 14
    assert_same(copy_stores(tmp_store, target, NOTE), tmp_store, target)
    later = tmp_store.events.retain(date(2026, 11, 24)).rows
    done = copy_stores(tmp_store, target, NOTE)
    assert done.comparison.same
    assert sum(done.comparison.kept.values()) == later == 21
    assert list(target.events.verify()) == []


def test_a_backup_forgets_what_the_store_has_forgotten(tmp_store, other):
    fill(tmp_store)
    copy_stores(tmp_store, other, NOTE)
    tmp_store.events.release("SC-1")
    tmp_store.events.retain(date(2026, 11, 24))
    done = copy_stores(tmp_store, other, NOTE, store_copy.Order(before=date(2026, 11, 24)))
    assert done.removed == 35
    assert done.comparison.kept == {}
    assert_same(done, tmp_store, other)
    assert_same(copy_stores(tmp_store, other, NOTE), tmp_store, other)


@pytest.mark.parametrize(("rows", "step"), [(1, 1000), (50, 30), (50, 70)])
def test_deliveries_and_phases_of_any_size(tmp_store, other, monkeypatch, rows, step):
    monkeypatch.setattr(store_copy_events, "ROWS", rows)
    monkeypatch.setattr(store_copy_events, "STEP", step)
    fill(tmp_store)
    assert_same(copy_stores(tmp_store, other, NOTE), tmp_store, other)


def test_where_phases_end():
    assert phases(0, 10, []) == [10]
    assert phases(10, 10, [4]) == []
    assert phases(3, 10, [2, 5, 5, 10, 12]) == [5, 10]
    assert phases(0, 3_200_000, []) == [1_000_000, 2_000_000, 3_000_000, 3_200_000]
    assert phases(5, 2_250_000, [2_000_000, 2_100_000]) == [1_000_005, *range(2_000_000, 2_250_001, 50_000)]


def test_a_cursor_that_moves_within_what_was_copied(tmp_store, other):
    """It stands at the last place that parts the same events, and says how many will be looked at again."""
    fill(tmp_store)
    copy_stores(tmp_store, other, NOTE)
    tmp_store.coordination.commit_scan("sigma", 150, 200, [], T0 + DAY, {})
    done = copy_stores(tmp_store, other, NOTE)
    assert done.again == 50
    assert done.comparison.differences == []


def test_a_target_with_a_life_of_its_own_is_refused(tmp_store, other):
    other.events.append(delivery(events(0, 5)))
    fill(tmp_store)
    with pytest.raises(StoreError, match=r"the target is not empty and no copy: 5 events, 1 log sources; nothing was changed"):
        copy_stores(tmp_store, other, NOTE)
    assert other.events.head() == 5


def test_a_copy_that_went_into_service_is_refused(tmp_store, target):
    fill(tmp_store)
    copy_stores(tmp_store, target, NOTE)
    target.records.append([NewRecord("alert", "a9", "opened", {})], T0)
    with pytest.raises(StoreError, match=r"written to since it was copied \(\+1 events or records\)"):
        copy_stores(tmp_store, target, NOTE)


def test_a_copy_of_another_store_is_refused(tmp_store, other, tmp_path):
    fill(tmp_store)
    copy_stores(tmp_store, other, NOTE)
    third = open_store(f"file:{tmp_path / 'third'}")
    third.events.append(delivery(events(0, 500)))
    with pytest.raises(StoreError, match="the target is a copy of another store"):
        copy_stores(third, other, NOTE)
    third.close()


def test_a_copy_of_a_copy_leaves_the_first_as_it_is(tmp_store, other, tmp_path):
    """A backup goes on being one after somebody has restored it, which the restored store notes."""
    fill(tmp_store)
    copy_stores(tmp_store, other, NOTE)
    restored, third = open_store(f"file:{tmp_path / 'restored'}"), open_store(f"file:{tmp_path / 'third'}")
    done = copy_stores(other, restored, replace(NOTE, action=store_copy.RESTORE))
    assert [(e.action, e.target) for e in audit.entries(restored.records)] == [("store.copy", "there"), ("store.restore", other.url)]
    assert audit.verify(restored.records).problems == ()
    assert done.comparison.same
    assert check_stores(other, restored).comparison.same
    copy_stores(other, third, NOTE)
    assert_same(copy_stores(tmp_store, other, NOTE), tmp_store, other)
    with pytest.raises(StoreError, match=r"written to since it was copied \(\+1 events or records\)"):
        copy_stores(other, restored, NOTE)
    restored.close()
    third.close()


def test_a_store_into_itself_is_refused(tmp_store):
    with pytest.raises(UsageError, match="source and target are the same store"):
        copy_stores(tmp_store, tmp_store, NOTE)
