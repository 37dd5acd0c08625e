"""What the fault tests of the cluster engine share: one round of everything a store does, and processes that die."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from store import open_store
from store.base import NewRecord, Store
from tests.store.contract import found
from tests.store.events import T0, delivery, events, ids

ROOT = Path(__file__).resolve().parents[2]

REQUESTS = {
    "bulk": r"POST /\S*_bulk", "log": r"PUT /\S*deliveries/_create/", "records": r"PUT /\S*records/_create/", "lease": r"PUT /\S*leases/_doc",
    "state": r"PUT /\S*state/_doc", "mget": r"POST /\S*_mget", "search": r"POST /\S*_search\b", "refresh": r"POST /\S*_refresh",
    "template": r"PUT /_index_template", "index": r"PUT /[a-z0-9-]+\?? *$", "get": r"GET /\S*_doc", "mapping": r"GET /\S*_mapping",
}  # fmt: skip
"""Kinds of requests that the engine makes -> how to know them."""


def new(key: str, kind: str = "opened", **body: Any) -> NewRecord:
    return NewRecord("alert", key, kind, body, "lan")


def work(store: Store, number: int = 0) -> None:
    """Round `number`: two deliveries of 40 events, a lease, a scan with two alerts and its state, a search."""
    first = 80 * number
    store.events.append(delivery(events(first, 40), position=first + 40))
    store.events.append(delivery(events(first + 40, 40), position=first + 80))
    assert store.coordination.lease("scan", "a", 60, T0)
    assert scanned(store, first) == list(range(first, first + 80))
    made = [new(f"{number}a"), new(f"{number}b")]
    assert store.coordination.commit_scan("sigma", first, first + 80, made, T0, {"round": number})
    assert len(set(found(store, limit=40))) == 40


def scanned(store: Store, after: int = 0) -> list[int]:
    """Numbers of the events after a sequence, sorted; twice when a scan sees them twice."""
    return sorted(n for chunk in store.events.scan(after) for n in ids(chunk))


def check(url: str, prefix: str, rounds: int = 1, *, committed: bool = True) -> None:
    """Nothing lost, nothing doubled: seen by a new process, past every fault."""
    store = open_store(url, {"index_prefix": prefix})
    assert store.events.verify() == []
    assert store.events.head() == 80 * rounds
    assert scanned(store) == list(range(80 * rounds))
    assert sorted(found(store)) == list(range(80 * rounds))
    if committed:
        assert store.coordination.cursor("sigma") == 80 * rounds
        assert store.coordination.state("sigma") == {"round": rounds - 1}
        assert sorted(r.key for r in store.records.find("alert")) == sorted(f"{n}{c}" for n in range(rounds) for c in "ab")
    store.close()


def start(url: str, prefix: str, code: str, **env: str) -> subprocess.Popen[str]:
    """A process of its own that has `store` open."""
    script = f"""
import sys, time
from domain.errors import ConflictError, StoreError
from store import open_store
from store.base import NewRecord
from domain.raw import Checkpoint
from tests.store.events import T0, delivery, events, ids
from tests.store.broken import new
store = open_store("{url}", {{"index_prefix": "{prefix}"}})
{code}
store.close()
"""
    return subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, env={**os.environ, **env}, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err
