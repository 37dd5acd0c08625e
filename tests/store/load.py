"""Writers and a scanner in processes of their own, at work while a test or a benchmark breaks something; afterwards, what came of it.

with Load(url, prefix) as load:
    ...  # break something, mend it
load.result()
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from domain.errors import ConflictError, StoreError
from domain.raw import Checkpoint
from store import open_store
from store.base import Counts, Delivery, NewRecord, Store
from tests.store.contract import found
from tests.store.events import T0, events, ids

ROOT = Path(__file__).resolve().parents[2]
BATCH = 50
_APART = 1_000_000
"""Numbers of one writer's events begin so far behind those of the one before."""


@dataclass
class Result:
    """What happened to the events."""

    given: int = 0
    """Delivered by the writers, as they believe."""
    stored: int = 0
    lost: int = 0
    doubled: int = 0
    """Seen twice by a scan, or found twice."""
    pause: float = 0.0
    """Longest time between two steps of one process, in seconds."""
    messages: list[str] = field(default_factory=list)
    """Errors that reached the processes, each once; they went on by themselves."""
    wrong: list[str] = field(default_factory=list)
    """What `verify` says, and processes that ended."""


class Load:
    """Runs from `with` to its end."""

    def __init__(self, url: str, prefix: str, writers: int = 2) -> None:
        self._url, self._prefix = url, prefix
        self._folder = tempfile.TemporaryDirectory()
        self._roles = [*(f"writer{n}" for n in range(writers)), "scanner"]
        self._running: dict[str, subprocess.Popen[str]] = {}
        self._done: dict[str, dict[str, Any]] = {}
        self._wrong: list[str] = []

    def __enter__(self) -> Self:
        for role in self._roles:
            words = [sys.executable, "-m", "tests.store.load", role, self._url, self._prefix, self._folder.name]
            self._running[role] = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        end = time.monotonic() + 60
        while not all((Path(self._folder.name) / role).exists() for role in self._roles) and time.monotonic() < end:
            time.sleep(0.05)
        return self

    def __exit__(self, *_: object) -> None:
        (Path(self._folder.name) / "stop").touch()
        for role, process in self._running.items():
            try:
                out, err = process.communicate(timeout=240)
            except subprocess.TimeoutExpired:
                process.kill()
                out, err = process.communicate()
                self._wrong.append(f"{role} hangs")
            if process.returncode:
                self._wrong.append(f"{role} ended: {err.strip()[-500:]}")
            else:
                self._done[role] = json.loads(out)
        self._folder.cleanup()

    def result(self) -> Result:
        """Counted by a store that knows nothing of what happened."""
        store = open_store(self._url, {"index_prefix": self._prefix})
        given = {
            _APART * n + i for n, role in enumerate(self._roles[:-1]) for i in range(self._done.get(role, {"steps": 0})["steps"] * BATCH)
        }
        once = sorted(n for chunk in store.events.scan(0) for n in ids(chunk))
        searched = found(store)
        seen = self._done.get("scanner", {"seen": []})["seen"]
        out = Result(len(given), len(set(once)))
        out.lost = len(given - set(once)) + len(given - set(searched)) + len(given - set(seen))
        out.doubled = sum(len(found) - len(set(found)) for found in (once, searched, seen)) + len(set(once) - given)
        out.pause = max((d["pause"] for d in self._done.values()), default=0.0)
        out.messages = list(dict.fromkeys(m for d in self._done.values() for m in d["messages"]))
        out.wrong = [*self._wrong, *store.events.verify(), *_alerts(store, self._done.get("scanner", {"steps": 0})["steps"])]
        store.close()
        return out


def _alerts(store: Store, steps: int) -> list[str]:
    there = [record.key for record in store.records.find("alert")]
    return [] if len(there) == len(set(there)) == steps else [f"{len(there)} alerts of {steps} scans, {len(set(there))} different ones"]


def _write(store: Store, number: int, step: int) -> bool:
    """The next batch of one stream, as a collector delivers it."""
    source, at = f"web{number}", step * BATCH
    before = store.events.checkpoint(source, "s")
    if before is not None and before.position >= at + BATCH:
        return True  # stored, although we were told that it was not
    table = events(_APART * number + at, BATCH, source=source)
    places = [[Checkpoint(source, "s", at + n * BATCH)] for n in (0, 1)]
    counts = [Counts(source, BATCH, BATCH, last_event=T0, at=T0)]
    store.events.append(Delivery({"nginx": [table]}, checkpoints=places[1], began=places[0], counts=counts))
    return True


def _scan(store: Store, seen: list[int], last: bool) -> bool:
    """From cursor to head."""
    start, head = store.coordination.cursor("sigma"), store.events.head()
    if start == head:
        return False
    new = [n for chunk in store.events.scan(start, head) for n in ids(chunk)]
    if not store.coordination.commit_scan("sigma", start, head, [NewRecord("alert", str(start), "opened", {})], T0, {"to": head}):
        raise AssertionError("nobody else scans")
    seen += new
    return True


def _main(role: str, url: str, prefix: str, folder: str) -> None:
    store = open_store(url, {"index_prefix": prefix})
    steps, pause, messages, seen = 0, 0.0, [], list[int]()
    stop, begun = Path(folder) / "stop", time.monotonic()
    while True:
        ending = stop.exists()
        alone = ending and all(_ended(folder, n) for n in range(9))  # asked before the head: nothing comes after it then
        try:
            if role == "scanner":
                before = store.coordination.cursor("sigma")
                went = _scan(store, seen, ending)
            else:
                went = _write(store, int(role.removeprefix("writer")), steps)
        except ConflictError as error:
            messages.append(f"{role}: {error}")
            if ending:
                break
            continue
        except StoreError as error:
            messages.append(f"{role.rstrip('0123456789')}: {error}")
            if role == "scanner" and store.coordination.cursor("sigma") != before:
                raise  # it stands, but we were told that it does not: what was seen would be lost
            continue
        steps += went
        pause = max(pause, time.monotonic() - begun)
        begun = time.monotonic()
        (Path(folder) / role).touch()
        if ending and (role != "scanner" or (not went and alone)):
            break
        time.sleep(0.02)
    (Path(folder) / f"{role}.ended").touch()
    print(json.dumps({"steps": steps, "pause": pause, "messages": messages, "seen": seen}))  # noqa: T201
    store.close()


def _ended(folder: str, number: int) -> bool:
    return not (Path(folder) / f"writer{number}").exists() or (Path(folder) / f"writer{number}.ended").exists()


if __name__ == "__main__":
    _main(*sys.argv[1:])
