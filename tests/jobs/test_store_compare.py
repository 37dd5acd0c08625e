"""Comparing stores, and copying, backup and restore as commands."""

from __future__ import annotations

import json

import pytest

from domain.raw import Checkpoint
from jobs import audit, store_copy
from jobs.store_copy import Ends, check_stores, copy, copy_stores
from jobs.store_hash import canonical
from store import open_store
from store.base import Counts, Delivery
from tests.jobs.stores import NOTE, fill
from tests.store.events import T0, delivery, events, identity


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
        (["backup"], 2, "a backup needs either DIR or --snapshot REPOSITORY"),
        (["backup", "--snapshot", "daily/A B"], 2, "REPOSITORY or REPOSITORY/NAME"),
        (["backup", "--snapshot", "daily"], 6, "only a cluster has them"),
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


def test_a_native_snapshot_of_a_cluster(soc_here, tmp_path, plain_opensearch, cluster_store, opensearch_url, index_prefix):
    cluster_store.events.append(delivery(events(0, 5)))
    (tmp_path / "soc.toml").write_text(f'[store]\nurl = "{opensearch_url}"\nindex_prefix = "{index_prefix}"\n', encoding="utf-8")
    plain_opensearch.call("PUT", f"/_snapshot/{index_prefix}", {"type": "fs", "settings": {"location": index_prefix}})
    try:
        taken = soc_here("store", "backup", "--snapshot", index_prefix, "--now", "2026-11-24T08:15:00+07:00", "--json")
        assert taken.returncode == 0, taken.stderr
        assert json.loads(taken.stdout) == {"snapshot": f"{index_prefix}/2026.11.24-011500"}
        assert [e.action for e in audit.entries(cluster_store.records)] == ["store.snapshot"]
        plain_opensearch.call("DELETE", f"/_snapshot/{index_prefix}/2026.11.24-011500")
    finally:
        plain_opensearch.call("DELETE", f"/_snapshot/{index_prefix}")
