"""The embedded engine when things go wrong: power failure, races between processes, a full disk, foreign and newer formats."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
from datetime import timedelta
from pathlib import Path

import pytest

from domain.errors import StoreError
from store import open_store
from tests.store.contract import found
from tests.store.events import T0, delivery, events

ROOT = Path(__file__).resolve().parents[2]


def start(folder, code, **env):
    """A process of its own with `store` open in `folder`."""
    script = f"""
import sys
import tempfile
from datetime import timedelta
from domain.errors import StoreError
from store import open_store
from store.base import NewRecord
from tests.store.events import T0, delivery, events
store = open_store("file:{folder}")
{code}
store.close()
"""
    return subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, env={**os.environ, **env}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finish(process):
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def files(folder):
    return sorted(folder.glob("events/*/*.parquet"))


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "store"


@pytest.fixture
def store(folder):
    store = open_store(f"file:{folder}")
    yield store
    store.close()


def test_killed_before_the_commit_nothing_is_stored_and_the_orphan_goes(store, folder):
    store.events.append(delivery(events(0, 10), position=10))
    code, _, _ = finish(start(folder, "store.events.append(delivery(events(10, 10), position=20))", SOC_FAULT="before-commit"))
    assert code == -signal.SIGKILL
    assert len(files(folder)) == 2
    assert store.events.head() == 10
    assert store.events.checkpoint("web1", "s1").position == 10
    open_store(f"file:{folder}").close()
    assert len(files(folder)) == 1
    store.events.append(delivery(events(10, 10), position=20))
    assert sorted(found(store)) == list(range(20))
    assert store.events.verify() == []


def test_killed_after_the_commit_everything_is_stored(store, folder):
    code, _, _ = finish(start(folder, "store.events.append(delivery(events(0, 10), position=10))", SOC_FAULT="after-commit"))
    assert code == -signal.SIGKILL
    open_store(f"file:{folder}").close()
    assert (store.events.head(), store.events.checkpoint("web1", "s1").position) == (10, 10)
    assert store.events.verify() == []


def test_killed_while_merging_nothing_changes(store, folder):
    for i in range(3):
        store.events.append(delivery(events(i * 10, 10)))
    code, _, _ = finish(start(folder, "store.events.compact(T0 + timedelta(days=9))", SOC_FAULT="before-swap"))
    assert code == -signal.SIGKILL
    open_store(f"file:{folder}").close()
    assert len(files(folder)) == 3
    assert store.events.verify() == []
    assert store.events.compact(T0 + timedelta(days=9)) == 2


def test_files_of_a_living_writer_are_not_orphans(store, folder):
    process = start(
        folder,
        """
import time
from store import faults
def wait(name):
    if name == "before-commit":
        print("written", flush=True)
        time.sleep(1.5)
faults.point = wait
store.events.append(delivery(events(0, 10)))
""",
    )
    assert process.stdout.readline() == "written\n"
    open_store(f"file:{folder}").close()
    assert len(files(folder)) == 1
    assert store.events.verify() == []
    assert finish(process)[0] == 0
    assert sorted(found(store)) == list(range(10))


def test_processes_append_at_once_and_every_event_has_its_number(store, folder):
    loop = "for i in range(8): store.events.append(delivery(events({n} * 1000 + i * 10, 10), parser='p{n}', source='s{n}'))"
    processes = [start(folder, loop.format(n=n)) for n in (1, 2, 3)]
    assert [finish(p)[0] for p in processes] == [0, 0, 0]
    assert store.events.head() == 240
    spans = [(c.first_seq, c.last_seq) for c in store.events.scan(0)]
    assert spans == [(i * 10 + 1, i * 10 + 10) for i in range(24)]
    assert sum(c.rows for c in store.events.scan(0)) == 240
    assert [p for p in store.events.verify() if "overlap" in p or "events/" in p] == []


def test_of_two_scans_at_once_one_commits(store, folder):
    scan = """
wins = 0
for i in range(0, 200, 10):
    wins += store.coordination.commit_scan("sigma", i, i + 10, [NewRecord("alert", f"a{i}", "opened", {})], T0)
    while store.coordination.cursor("sigma") < i + 10: pass
print(wins)
"""
    results = [finish(p) for p in [start(folder, scan), start(folder, scan)]]
    assert sum(int(out) for _, out, _ in results) == 20
    assert [r.version for r in store.records.find("alert")] == [1] * 20
    assert store.coordination.cursor("sigma") == 200


def test_compaction_in_one_process_and_scans_in_another(store, folder):
    for i in range(12):
        store.events.append(delivery(events(i * 10, 10)))
    scan = "for _ in range(15): print(sum(len(c.ids()) for c in store.events.scan(0)))"
    process = start(folder, scan)
    for i in range(12, 20):
        store.events.append(delivery(events(i * 10, 10)))
        store.events.compact(T0 + timedelta(days=9))
    code, out, err = finish(process)
    assert (code, err) == (0, "")
    assert all(int(n) % 10 == 0 and int(n) >= 120 for n in out.split())
    assert sorted(found(store)) == list(range(200))
    assert store.events.verify() == []


def test_a_full_disk_stores_nothing_and_says_so(store, folder):
    store.events.append(delivery(events(0, 10), position=10))
    code, out, err = finish(start(
        folder,
        """
import os, resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
big = delivery(events(10, 3000, event__original=[os.urandom(400) for _ in range(3000)]), position=20)
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
try:
    store.events.append(big)
except StoreError as error:
    print(error.exit_code, error.what, error.hint, sep="|")
os._exit(0)
""",
    ))  # fmt: skip
    assert code == 0, err
    exit_code, what, hint = out.strip().split("|")
    assert exit_code == "6"
    assert what == "a segment cannot be written: File too large; nothing was stored"
    assert "free space" in hint
    assert len(files(folder)) == 1
    assert (store.events.head(), store.events.checkpoint("web1", "s1").position) == (10, 10)
    assert store.events.verify() == []


@pytest.mark.parametrize("filled", [False, True])
def test_a_folder_that_cannot_be_written(filled):
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "store"
        folder.mkdir()
        if filled:
            open_store(f"file:{folder}").close()
        Path(place).chmod(0o755)
        folder.chmod(0o555)
        before = sorted(folder.rglob("*"))
        code = f"""
import os, sys
sys.path.insert(0, {str(ROOT)!r})
import store.local
from domain.errors import StoreError
from store import open_store
if os.geteuid() == 0:
    os.setgid(65534); os.setuid(65534)
try:
    open_store("file:{folder}")
except StoreError as error:
    print(error.exit_code, error.what, sep="|")
"""
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd="/")
        assert sorted(folder.rglob("*")) == before
    expected = "6|the store cannot be written: " if filled else "6|the store's folder cannot be made: Permission denied"
    assert done.stdout.strip().startswith(expected), (done.stdout, done.stderr)


def test_a_file_in_the_place_of_the_folder(folder):
    folder.write_text("x")
    with pytest.raises(StoreError, match="the store must be a folder, this is a file"):
        open_store(f"file:{folder}")


def test_a_newer_format_is_refused_unchanged(store, folder):
    store.close()
    with sqlite3.connect(folder / "catalog.sqlite") as db:
        db.execute("PRAGMA user_version = 99")
    before = (folder / "catalog.sqlite").read_bytes()
    with pytest.raises(StoreError) as caught:
        open_store(f"file:{folder}")
    assert caught.value.what == "the store has format 99, this version of soc reads up to 1; nothing was changed"
    assert caught.value.hint == "use the version of soc that wrote it, or a newer one"
    assert (folder / "catalog.sqlite").read_bytes() == before


def test_a_database_of_another_program_is_refused(folder):
    folder.mkdir()
    with sqlite3.connect(folder / "catalog.sqlite") as db:
        db.execute("CREATE TABLE theirs (x)")
        db.execute("PRAGMA user_version = 1")
    with pytest.raises(StoreError, match="this SQLite file belongs to another program"):
        open_store(f"file:{folder}")


def test_a_catalog_that_is_none(folder):
    folder.mkdir()
    (folder / "catalog.sqlite").write_bytes(b"not a database, but long enough to be looked at" * 100)
    with pytest.raises(StoreError, match="the catalog is damaged"):
        open_store(f"file:{folder}")


def test_a_locked_store_says_so(store, folder, monkeypatch):
    monkeypatch.setattr("store.local.db.WAIT_SECONDS", 0.1)
    impatient = open_store(f"file:{folder}")
    with sqlite3.connect(folder / "catalog.sqlite", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="another process has kept the store locked"):
            impatient.events.append(delivery(events(0, 1)))
        other.execute("ROLLBACK")
    assert files(folder) == []
    impatient.events.append(delivery(events(0, 1)))
    impatient.close()
