"""Copying stores when processes die, when others copy too, when the source goes on working."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from domain.errors import ConflictError
from jobs import store_copy_events
from jobs.store_copy import copy_stores
from tests.jobs.stores import DAY, NOTE, all_numbers, assert_same, fill, grow
from tests.store.events import T0, delivery, events

ROOT = Path(__file__).resolve().parents[2]
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
