"""kill -9 in the middle of work, two people at once: no step is lost, none is done twice, evidence stays whole."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from playbooks.evidence import broken_links
from playbooks.journal import case
from store import open_store
from tests.conftest import ROOT
from tests.playbooks.scene import CASE, attack, begin, desk, open_case, steps_of, store_events

WORKER = """
import sys
from pathlib import Path
from playbooks import deeds, runner
from playbooks.deeds import Doing
from store import open_store
from tests.playbooks.scene import CASE, desk, steps_of
folder, actor = Path(sys.argv[1]), sys.argv[2]
store = open_store(f"file:{folder}")
work = desk(store, folder, actor)
print("go", flush=True)
run_id = f"{CASE}.PB04"
for step in steps_of("PB04"):
    if step[0] in "PNGA":
        runner.look(work, run_id, step)
        deeds.done(work, run_id, step, Doing(note="x", accept=True))
    else:
        deeds.skip(work, run_id, step, "x")
print("end", flush=True)
"""


def worker(folder: Path, actor: str) -> subprocess.Popen[str]:
    """Somebody who does the whole playbook, in a process of their own."""
    command = [sys.executable, "-c", WORKER, str(folder), actor]
    return subprocess.Popen(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, text=True)


def prepare(folder: Path) -> None:
    """The attack, its incident, the run."""
    store = open_store(f"file:{folder}")
    store_events(store, attack())
    open_case(store)
    begin(desk(store, folder))
    store.close()


def check(folder: Path) -> None:
    """Every step exactly once; files, records and chain agree."""
    store = open_store(f"file:{folder}")
    kinds = Counter((r.body["step"], r.type) for r in store.records.read("run", f"{CASE}.PB04") if r.type in ("step_done", "step_skipped"))
    assert {step for step, _ in kinds} == set(steps_of("PB04"))
    assert set(kinds.values()) == {1}, kinds
    seen = case(desk(store, folder), CASE)
    assert Counter(s.step for s in seen.incident.steps if s.step) == Counter(steps_of("PB04")), "the incident tells the same"
    assert desk(store, folder).vault(CASE).verify(seen.incident.evidence) == []
    assert list(broken_links(CASE, [r.body for r in seen.records if r.type == "evidence"])) == []
    assert len({e.name for e in seen.incident.evidence}) == len(seen.incident.evidence)
    store.close()


def test_killed_again_and_again(tmp_path: Path) -> None:
    prepare(tmp_path)
    rng = random.Random(7)
    killed = 0
    for _ in range(60):
        process = worker(tmp_path, "lan")
        assert process.stdout is not None
        process.stdout.readline()
        if killed < 8:
            time.sleep(rng.uniform(0.0, 0.25))
            process.send_signal(signal.SIGKILL)
        out = process.communicate(timeout=120)[0]
        if "end" in out:
            break
        killed += 1
    assert killed >= 3, "the test must interrupt the work"
    check(tmp_path)


def test_two_people_at_once(tmp_path: Path) -> None:
    prepare(tmp_path)
    both = [worker(tmp_path, name) for name in ("lan", "hoa")]
    for process in both:
        out = process.communicate(timeout=240)[0]
        assert "end" in out
    check(tmp_path)
