"""The cluster engine when our own processes die, pause and race: the state afterwards is the one without the accident."""

from __future__ import annotations

import os
import signal
import time
from datetime import date, timedelta

import pytest

from domain.errors import ConflictError
from domain.raw import Checkpoint
from store.base import Counts, DeadLetter, Delivery
from tests.servers import places
from tests.store.broken import check, finish, new, scanned, start
from tests.store.contract import found
from tests.store.events import T0, delivery, events

APPEND = "store.events.append(delivery(events(40, 40), position=80))"
COMMIT = 'store.coordination.commit_scan("sigma", 0, 80, [new("0a"), new("0b")], T0, {"round": 0})'


@pytest.fixture
def run(opensearch_url, index_prefix):
    """Code in a process of its own with the same store."""
    return lambda code, **env: start(opensearch_url, index_prefix, code, **env)


def killed(process):
    code, _, err = finish(process)
    assert code == -signal.SIGKILL, err
    return process


@pytest.mark.parametrize("point", ["in-bulk", "before-commit", "after-commit"])
def test_killed_while_appending(cluster_store, run, opensearch_url, index_prefix, point):
    cluster_store.events.append(delivery(events(0, 40), position=40))
    many = "import store.opensearch.documents as d; d.MOST = 10\n"  # several requests
    killed(run(many + APPEND, SOC_FAULT=point))
    stored = point == "after-commit"
    assert cluster_store.events.head() == (80 if stored else 40)
    assert cluster_store.events.checkpoint("web1", "s1").position == (80 if stored else 40)
    assert scanned(cluster_store) == list(range(80 if stored else 40))
    if not stored:
        assert "were never committed: their collector died" in cluster_store.events.verify()[0]
        assert finish(run(APPEND))[0] == 0
    check(opensearch_url, index_prefix, committed=False)


@pytest.mark.parametrize("point", ["before-scan-commit", "after-scan-commit"])
def test_killed_while_committing_a_scan(cluster_store, run, opensearch_url, index_prefix, point):
    cluster_store.events.append(delivery(events(0, 80), position=80))
    killed(run(COMMIT, SOC_FAULT=point))
    assert cluster_store.coordination.cursor("sigma") == (0 if point.startswith("before") else 80)
    code, out, err = finish(run(f"print({COMMIT})"))
    assert (code, out.strip()) == (0, str(point.startswith("before"))), err
    check(opensearch_url, index_prefix)


def test_killed_while_retaining(cluster_store, run):
    for days in (30, 0):
        cluster_store.events.append(delivery(events(days, 5, at=T0 - timedelta(days=days))))
    killed(run("from datetime import date\nstore.events.retain(date(2026, 11, 10))", SOC_FAULT="after-retire"))
    assert sorted(found(cluster_store)) in ([0, 1, 2, 3, 4], [0, 1, 2, 3, 4, 30, 31, 32, 33, 34])
    assert cluster_store.events.retain(date(2026, 11, 10)).rows == 0
    assert sorted(found(cluster_store)) == [0, 1, 2, 3, 4]
    assert cluster_store.events.verify() == []
    cluster_store.events.append(delivery(events(40, 5, at=T0 - timedelta(days=30))))
    assert sorted(found(cluster_store)) == [0, 1, 2, 3, 4, 40, 41, 42, 43, 44]
    assert cluster_store.events.verify() == []


def test_killed_while_replaying(cluster_store, run):
    letter = DeadLetter("web1", "s1", 7, "too long", b"record 7", "nginx", T0)
    cluster_store.events.append(Delivery({}, counts=[Counts("web1", received=1, rejected={"too long": 1})], dead=[letter]))
    ((number, _),) = cluster_store.events.dead_letters()
    code = f"""
from store.base import Counts, Delivery
store.events.append(Delivery({{"nginx": [events(7, 1)]}}, counts=[Counts("web1", stored=1)], replayed=[{number}]))"""
    killed(run(code, SOC_FAULT="before-commit"))
    assert [n for n, _ in cluster_store.events.dead_letters()] == [number]
    killed(run(code, SOC_FAULT="after-commit"))
    assert (found(cluster_store), list(cluster_store.events.dead_letters()), cluster_store.events.verify()) == ([7], [], [])
    code, _, err = finish(run(code))
    assert code != 0
    assert "replayed by somebody else" in err
    assert found(cluster_store) == [7]


def test_four_writers_beside_a_scan(cluster_store, run, opensearch_url, index_prefix):
    """Each in a process of its own; the scan goes from cursor to head again and again."""
    writer = """
for n in range(12):
    first = {first} + 20 * n
    store.events.append(delivery(events(first, 20, source="web{number}"), position=20 * n + 20, source="web{number}"))"""
    writers = [run(writer.format(first=240 * number, number=number)) for number in range(4)]
    seen: list[int] = []
    cursor = rounds = 0
    while any(w.poll() is None for w in writers) or cursor < cluster_store.events.head():
        head = cluster_store.events.head()
        if head > cursor:
            seen += [n for chunk in cluster_store.events.scan(cursor, head) for n in _ids(chunk)]
            assert cluster_store.coordination.commit_scan("sigma", cursor, head, [new(str(head))], T0)
            cursor, rounds = head, rounds + 1
        time.sleep(0.05)
    assert [finish(w)[2] for w in writers] == [""] * 4
    assert sorted(seen) == list(range(960))
    assert rounds > 3
    assert cluster_store.events.verify() == []
    assert [s.stored for s in cluster_store.events.ledger()] == [240] * 4


def test_two_scanners_race(cluster_store, run):
    """Every alert is committed once, whoever wins."""
    cluster_store.events.append(delivery(events(0, 80), position=80))
    scanner = """
won = 0
while (at := store.coordination.cursor("sigma")) < 80:
    won += store.coordination.commit_scan("sigma", at, at + 4, [new(str(at))], T0, {"at": at})
print(won)"""
    scanners = [run(scanner), run(scanner)]
    done = [finish(s) for s in scanners]
    assert [code for code, _, _ in done] == [0, 0], done
    assert sum(int(out) for _, out, _ in done) == 20
    assert [r.key for r in cluster_store.records.find("alert")] == [str(n) for n in range(0, 80, 4)]
    assert cluster_store.coordination.state("sigma") == {"at": 76}


@pytest.mark.parametrize("more", [0, 15], ids=["the same records", "more of the stream"])
def test_a_writer_that_was_paused_finds_its_work_done(cluster_store, run, opensearch_url, index_prefix, more):
    """It stops between its events and the log; another collector reads the same stream; then it goes on."""
    paused = run(
        """
import store.faults as _faults, os, signal
_faults.point = lambda name: os.kill(os.getpid(), signal.SIGSTOP) if name == "before-commit" else None
try:
    store.events.append(delivery(events(0, 40), position=40, began=[Checkpoint("web1", "s1", 0)]))
except ConflictError as error:
    print(error)"""
    )
    _stopped(paused.pid)
    other = delivery(events(0, 40 + more), position=40 + more, began=[Checkpoint("web1", "s1", 0)])
    cluster_store.events.append(other)
    os.kill(paused.pid, signal.SIGCONT)
    code, out, err = finish(paused)
    assert (code, err) == (0, "")
    assert "another collector" in out
    assert scanned(cluster_store) == list(range(40 + more))
    assert cluster_store.events.verify() == []


def test_a_writer_without_checkpoints_that_was_paused(cluster_store, run):
    """Nothing but the documents themselves tells the two that they have the same events."""
    paused = run("""
import store.faults as _faults, os, signal
_faults.point = lambda name: os.kill(os.getpid(), signal.SIGSTOP) if name == "before-commit" else None
store.events.append(delivery(events(0, 40)))""")
    _stopped(paused.pid)
    cluster_store.events.append(delivery(events(0, 40)))
    os.kill(paused.pid, signal.SIGCONT)
    _, _, err = finish(paused)
    assert "another collector has stored these records" in err
    assert scanned(cluster_store) == list(range(40))
    assert cluster_store.events.verify() == []


def test_adopted_while_its_writer_commits(cluster_store, run, monkeypatch):
    """The other order: who adopts is paused, the writer goes on and commits; the events are duplicates then."""
    writer = run("""
import store.faults as _faults, os, signal
_faults.point = lambda name: os.kill(os.getpid(), signal.SIGSTOP) if name == "before-commit" else None
store.events.append(delivery(events(0, 40)))""")
    _stopped(writer.pid)

    def go_on(name):
        if name == "before-commit" and writer.poll() is None:
            os.kill(writer.pid, signal.SIGCONT)
            assert finish(writer)[0] == 0

    monkeypatch.setattr("store.faults.point", go_on)
    cluster_store.events.append(delivery(events(0, 40)))
    assert scanned(cluster_store) == list(range(40))
    assert cluster_store.events.verify() == []
    (status,) = cluster_store.events.ledger()
    assert (status.received, status.stored, status.duplicates) == (80, 40, 40)


def test_a_delivery_that_was_stored_already_is_a_conflict(cluster_store):
    cluster_store.events.append(delivery(events(0, 40), position=40, began=[Checkpoint("web1", "s1", 0)]))
    with pytest.raises(ConflictError, match="this delivery begins at 0"):
        cluster_store.events.append(delivery(events(0, 40), position=40, began=[Checkpoint("web1", "s1", 0)]))
    assert cluster_store.events.verify() == []


def _ids(chunk):
    return [int.from_bytes(i, "big") for i in chunk.ids().to_pylist()]


def _stopped(pid):
    end = time.monotonic() + 60
    while places.state(pid) != "T":
        assert time.monotonic() < end
        time.sleep(0.02)
