"""Copying stores: the same events, records, ledger and state on the other side, whatever happens on the way, again and again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from domain.errors import ConflictError, StoreError, UsageError
from domain.raw import Checkpoint
from domain.window import TimeWindow
from jobs import audit, store_copy, store_copy_events
from jobs.store_copy import Ends, check_stores, copy, copy_stores
from jobs.store_copy_events import phases
from jobs.store_hash import canonical
from store import open_store
from store.base import Counts, DeadLetter, Delivery, Hold, NewRecord
from tests.store.events import T0, delivery, events, identity, numbers

ROOT = Path(__file__).resolve().parents[2]
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


@pytest.fixture
def other(tmp_path):
    store = open_store(f"file:{tmp_path / 'other'}")
    yield store
    store.close()


@pytest.fixture(params=["embedded", "cluster"])
def target(request):
    """An empty store of either engine."""
    return request.getfixturevalue({"embedded": "other", "cluster": "cluster_store"}[request.param])


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


KILLED = """
import json, sys
from collectors import faults
from jobs import audit, store_copy_events, store_copy_state
from jobs.store_copy import Order, copy_stores
from store import open_store
from store.opensearch import client
from tests.store.events import T0
call = client.Cluster.call
def dying(*args, **more):
    faults.point("call")
    return call(*args, **more)
client.Cluster.call = dying
store_copy_events.ROWS, store_copy_events.STEP, store_copy_state.RECORDS = 30, 90, 2
a, b = (open_store(url, options) for url, options in json.loads(sys.argv[1]))
copy_stores(a, b, audit.Entry(0, T0, "admin", "store.copy", "there"), Order(quick=True))
"""


def killed(source, target, fault):
    """Exit code of a copy in a process of its own that meets a fault. Stores as (URL, options)."""
    words = [sys.executable, "-c", KILLED, json.dumps([source, target])]
    return subprocess.run(words, cwd=ROOT, env={**os.environ, "SOC_FAULT": fault}, check=False).returncode


def folders(tmp_path):
    return (f"file:{tmp_path / 'store'}", {}), (f"file:{tmp_path / 'other'}", {})


@pytest.mark.parametrize(
    "faults",
    [
        ["copied", "copied:2", "before-commit", "after-commit", "copied:3"],
        ["copied-state", "copied-records:2", "copied-records", "copied-state", "copied-cursor"],
        ["before-scan-commit", "after-scan-commit", "copied:4", "before-scan-commit", "copied-cursor:2"],
    ],
    ids=["events", "records and state", "scans"],
)
def test_killed_anywhere_and_run_again(tmp_store, other, tmp_path, faults):
    fill(tmp_store)
    codes = [killed(*folders(tmp_path), fault) for fault in faults]
    assert codes == [-signal.SIGKILL] * len(faults)
    tmp_store.events.compact(T0 + 30 * DAY)
    done = copy_stores(tmp_store, other, NOTE)
    assert_same(done, tmp_store, other)
    assert done.events < 282


@pytest.mark.parametrize("into", [True, False], ids=["into", "out of"])
def test_killed_between_any_two_requests_to_a_cluster(tmp_store, other, cluster_store, opensearch_url, index_prefix, tmp_path, into):
    cluster = opensearch_url, {"index_prefix": index_prefix}
    if into:
        ends, source, target = (folders(tmp_path)[0], cluster), tmp_store, cluster_store
        fill(source)
    else:
        ends, source, target = (cluster, folders(tmp_path)[1]), cluster_store, other
        fill(tmp_store)
        copy_stores(tmp_store, cluster_store, NOTE)
    codes = [killed(*ends, f"call:{number}") for number in (12, 19, 26, 33, 40, 30)]
    assert codes[:3] == [-signal.SIGKILL] * 3
    done = copy_stores(source, target, NOTE)
    assert_same(done, source, target)


def test_a_cursor_that_moves_while_a_phase_is_broken_off(tmp_store, other, tmp_path):
    """The phase keeps its end: nothing is doubled, and nothing that waits for a scan is passed over."""
    tmp_store.events.append(delivery(events(0, 50)))
    tmp_store.events.append(delivery(events(50, 30), parser="sshd"))
    assert killed(*folders(tmp_path), "copied") == -signal.SIGKILL
    tmp_store.coordination.commit_scan("sigma", 0, 20, [], T0, {})
    done = copy_stores(tmp_store, other, NOTE)
    assert all_numbers(other) == list(range(80))
    assert done.again == 20
    assert other.coordination.cursor("sigma") == 0


def test_a_source_that_goes_on_growing(tmp_store, target, monkeypatch):
    """What comes while copying is brought by the next run; the copy is of one moment."""
    fill(tmp_store)
    run = store_copy_events.EventCopy.run

    def growing(self, head, cursors):
        mark = run(self, head, cursors)
        if tmp_store.events.head() == 282:
            grow(tmp_store)
        return mark

    monkeypatch.setattr(store_copy_events.EventCopy, "run", growing)
    done = copy_stores(tmp_store, target, NOTE)
    assert done.comparison.differences == []
    assert done.events == 282 + 31  # a dead letter was replayed before it was copied, so the moment was taken anew
    monkeypatch.undo()
    assert_same(copy_stores(tmp_store, target, NOTE), tmp_store, target)


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


def test_two_copies_at_once_do_no_harm(tmp_store, other, monkeypatch):
    fill(tmp_store)
    copy_stores(tmp_store, other, NOTE)
    grow(tmp_store)
    run = store_copy_events.EventCopy.run

    def overtaken(self, head, cursors):
        monkeypatch.undo()
        copy_stores(tmp_store, other, NOTE)
        return run(self, head, cursors)

    monkeypatch.setattr(store_copy_events.EventCopy, "run", overtaken)
    with pytest.raises(ConflictError, match="another copy into this store is running; it was left alone"):
        copy_stores(tmp_store, other, NOTE)
    assert_same(copy_stores(tmp_store, other, NOTE), tmp_store, other)


def test_a_store_into_itself_is_refused(tmp_store):
    with pytest.raises(UsageError, match="source and target are the same store"):
        copy_stores(tmp_store, tmp_store, NOTE)


def test_comparing_finds_every_kind_of_difference(tmp_store, target):
    fill(tmp_store)
    copy_stores(tmp_store, target, NOTE)
    target.coordination.commit_scan("follow", target.coordination.cursor("follow"), 40, [], T0, {"changed": 1})
    target.events.append(Delivery({}, checkpoints=[Checkpoint("pull", "p", 5)], counts=[Counts("web1", 1, duplicates=1, at=T0)]))
    target.events.release("SC-1")
    found = check_stores(tmp_store, target).comparison
    assert {d.what for d in found.differences} == {"ledger", "checkpoints", "holds", "cursor"}


def test_comparing_two_stores_that_are_no_copies(tmp_store, other):
    tmp_store.events.append(delivery(events(0, 5)))
    other.events.append(delivery(events(0, 4)))
    other.events.append(delivery(events(4, 1, user__name="nobody")))
    found = check_stores(tmp_store, other).comparison
    assert [(d.what, d.where, d.source[:2], d.target[:2]) for d in found.differences] == [("events", "nginx 2026-11-24", "5 ", "5 ")]
    assert tmp_store.records.read("audit", "chain") == []


def test_the_canonical_form_tells_apart_what_differs():
    base = {"event__original": b"x", "message": "ab"}
    forms = [
        canonical(events(1, 1, **case))[0].as_py()
        for case in (base, {**base, "message": "a"}, {**base, "message": None}, {**base, "message": ""}, {**base, "event__code": "ab"},
                     {"event__original": b"x7:message=2:ab", "message": None}, {**base, "event__risk_score": 1.0}, {**base, "event__risk_score": 1.5})
    ]  # fmt: skip
    assert len(set(forms)) == len(forms)
    assert canonical(events(1, 1, **base, event__risk_score=0.0)) == canonical(events(1, 1, event__risk_score=-0.0, **base))


def test_backup_and_restore_on_the_command_line(soc_here, tmp_path):
    store = open_store(f"file:{tmp_path / 'data'}")
    fill(store)
    store.close()
    proof = tmp_path / "data" / "evidence" / "SC-1" / "log.json"
    proof.parent.mkdir(parents=True)
    proof.write_bytes(b"proof")
    made = soc_here("store", "backup", "safe", "--data", "data", "--json")
    assert made.returncode == 0, made.stderr
    assert '"events":282' in made.stdout
    assert "Source and target hold the same" in made.stderr
    assert "1 of 1 files of evidence and rule packs copied" in made.stderr
    assert soc_here("store", "verify", "--data", "safe").returncode == 0
    back = soc_here("store", "restore", "safe", "--data", "fresh")
    assert back.returncode == 0, back.stderr
    assert (tmp_path / "fresh" / "evidence" / "SC-1" / "log.json").read_bytes() == b"proof"
    assert soc_here("store", "restore", "safe", "--data", "fresh", "--verify").returncode == 0
    (tmp_path / "fresh" / "evidence" / "SC-1" / "log.json").write_bytes(b"prooF")
    changed = soc_here("store", "restore", "safe", "--data", "fresh", "--verify")
    assert changed.returncode == 1
    assert "evidence/SC-1/log.json" in changed.stdout
    assert "store.copy" not in soc_here("collect", "status", "--data", "fresh").stdout
    assert soc_here("search", "*", "--data", "fresh", "--json").stdout.count("\n") == soc_here(
        "search", "*", "--data", "data", "--json"
    ).stdout.count("\n")


def test_a_difference_is_exit_1(soc_here, tmp_path):
    for name, count in (("a", 3), ("b", 4)):
        store = open_store(f"file:{tmp_path / name}")
        store.events.append(delivery(events(0, count)))
        store.close()
    found = soc_here("store", "copy", "--from", "file:a", "--to", "file:b", "--verify")
    assert found.returncode == 1
    assert "nginx 2026-11-24" in found.stdout
    assert "2 differences; the copy is not to be relied on" in found.stderr


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["restore", "nowhere"], 6, "there is no store"),
        (["copy", "--from", "file:nowhere"], 6, "there is no store"),
        (["copy", "--to", "file:papers"], 2, "the folder holds other files and no store"),
        (["copy", "--to", "elsewhere"], 3, "store.url elsewhere"),
        (["copy"], 2, "source and target are the same store"),
        (["copy", "--to-config", "none.toml"], 3, "no such configuration file"),
        (["copy", "--to", "https://soc:secret@host:9200"], 2, "no user or password in a URL"),
    ],
)  # fmt: skip
def test_what_cannot_be_copied_is_said(soc_here, tmp_path, words, code, said):
    open_store(f"file:{tmp_path / 'data'}").close()
    (tmp_path / "papers").mkdir()
    (tmp_path / "papers" / "a.txt").write_text("x")
    found = soc_here("store", *words, "--data", "data")
    assert said in found.stderr
    assert found.returncode == code
    assert "secret" not in found.stderr
    assert not (tmp_path / "nowhere").exists()


def test_ends_from_configurations(tmp_path, monkeypatch):
    from domain.clock import FixedClock
    from jobs.runtime import Runtime

    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "soc.toml").write_text('[store]\nurl = "file:data"\n', encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    store = open_store(f"file:{tmp_path / 'old' / 'data'}")
    store.events.append(delivery(events(1, 3)))
    runtime = Runtime.open(clock=FixedClock(T0))
    done = copy(runtime, Ends(source_config="old/soc.toml", target_config="new/soc.toml"))
    assert (done.source, done.target) == (f"file:{tmp_path}/old/data", f"file:{tmp_path}/new/data")
    assert done.comparison.same
    assert identity(1)  # same ids on both sides
    store.close()
    assert store_copy.SOURCE == "store.copy"
