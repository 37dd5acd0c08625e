"""A store that has everything, and what makes two stores the same: for tests of copying."""

from __future__ import annotations

from datetime import timedelta

from domain.raw import Checkpoint
from domain.window import TimeWindow
from jobs import audit
from store.base import Counts, DeadLetter, Delivery, Hold, NewRecord
from tests.store.events import T0, delivery, events, numbers

DAY = timedelta(days=1)
NOTE = audit.Entry(0, T0, "admin", "store.copy", "there")
ODD = {
    "event__kind": ["event", "pipeline_error"], "message": ["", "a=1 b", "Đỗ Văn Ánh \x1e hai", None], "event__risk_score": [0.1, -0.0, 1e300, None],
    "process__args": ["a\x1eb", None], "unmapped__x": ["1", "true"], "event__original": [b"\xff\xfe\x00", b"", b"plain"],
    "network__bytes": [2**53 + 1, None],
}  # fmt: skip


def fill(store):
    """Events of days, parsers and sources; merged, retired, odd ones; dead letters; records; cursors of every kind; holds."""
    for i in range(6):
        store.events.append(delivery(events(100 * i, 40, at=T0 + i * DAY / 2, step=60), position=100 * i + 1))
        store.events.append(delivery(events(100 * i + 50, 7, at=T0 - i * DAY, source="ssh", **ODD), parser="sshd", source="ssh"))
    letters = [DeadLetter("web1", "s1", n, "too long", b"x" * n, "nginx", T0) for n in (5, 6, 7)]
    store.events.append(Delivery({}, counts=[Counts("web1", 3, rejected={"too long": 3}, at=T0)], dead=letters))
    store.events.append(Delivery({}, checkpoints=[Checkpoint("web1", "old", 9), Checkpoint("pull", "p", 4, {"page": "z"})]))
    store.records.append([NewRecord("alert", "a1", "opened", {"title": "Đăng nhập", "n": 1.5}), NewRecord("run", "r1", "begun", {})], T0)
    store.records.append([NewRecord("alert", "a1", "ack", {}, "lan")], T0 + DAY)
    store.coordination.commit_scan("sigma", 0, 150, [NewRecord("alert", "a2", "opened", {})], T0 + DAY, {"open": {"k": [1, 2]}})
    store.coordination.commit_scan("follow", 0, 40, [], T0, {})
    store.coordination.commit_scan("job.scan", 0, 1_795_000_000, [], T0, {"runs": []})
    store.coordination.commit_scan("publish", 0, 0, [], T0, {"seq": 4})
    store.events.hold(Hold("SC-1", TimeWindow(T0 - 9 * DAY, T0 - 3 * DAY), ("sshd",)))
    store.events.compact(T0 + 3 * DAY)


def grow(store):
    """More of everything, and some of it gone."""
    store.events.append(delivery(events(900, 30, at=T0 + 4 * DAY), position=2000))
    number, letter = next(iter(store.events.dead_letters()))
    store.events.append(Delivery({"nginx": [events(950, 1)]}, replayed=[number], counts=[Counts("web1", stored=1, at=T0)]))
    store.events.append(Delivery({}, checkpoints=[Checkpoint("web1", "old", -1)], counts=[Counts("web1", 2, duplicates=2, at=T0)]))
    store.events.append(
        Delivery({}, counts=[Counts("new", 1, rejected={"odd": 1}, at=T0)], dead=[DeadLetter("new", "n", 1, "odd", b"", "json", T0)])
    )
    store.coordination.commit_scan("sigma", 150, store.events.head(), [NewRecord("alert", "a1", "closed", {})], T0 + 2 * DAY, {"open": {}})
    store.events.release("SC-1")
    store.events.hold(Hold("SC-2"))
    assert letter.position == 5


def all_numbers(store):
    return sorted(n for chunk in store.events.scan(0) for n in numbers(chunk.table()))


def assert_same(done, source, target):
    found = done.comparison
    assert found.differences == []
    assert found.state_hash
    assert found.events == len(all_numbers(source))
    assert all_numbers(target) == all_numbers(source)
    assert list(target.events.verify()) == list(source.events.verify()) == []
    assert audit.verify(target.records).problems == ()
