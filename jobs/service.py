"""`soc run`: the receivers and the schedule, each in a process of its own; ends cleanly on SIGTERM.

Two services on one store do no harm: runs are claimed (`jobs.schedule`), and who does not get one waits for the next.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from domain.errors import StoreError
from jobs import schedule
from jobs.runtime import Runtime

RECEIVERS: Final = ("collect", "run")
"""Words after `soc` that receive logs."""
TICK: Final = 1.0
"""Seconds between looks at the schedule."""
PATIENCE: Final = 20.0
"""Seconds that a child has to end after SIGTERM."""
BACKOFF: Final = 60.0
"""Receivers that keep ending are started again after at most so many seconds."""


@dataclass
class Child:
    """A process of ours."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    began: datetime
    start: float = field(default_factory=time.monotonic)
    due: datetime | None = None
    """None: the receivers."""

    @property
    def seconds(self) -> float:
        """How long it has run."""
        return time.monotonic() - self.start

    def end(self) -> None:
        """Ask it, then make it; nothing when it has ended."""
        if self.process.poll() is None:
            _signal(self.process, signal.SIGTERM)
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            _signal(self.process, signal.SIGKILL)
            self.process.wait()

    def said(self) -> str:
        """The last lines it wrote."""
        try:
            return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-5:])
        except OSError:
            return ""


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return


class Service:
    """The schedule and the receivers of one configuration."""

    def __init__(self, runtime: Runtime, tell: Callable[[str, dict[str, object]], None]) -> None:
        """`tell(key, values)` is told what happens."""
        self.runtime = runtime
        self.tell = tell
        self.jobs = schedule.planned(runtime.config)
        self.receivers = RECEIVERS if schedule.receives(runtime.config) else ()
        self.running: dict[str, Child] = {}
        self.stop = threading.Event()
        self._again = (0.0, 1.0)
        self._complained = ""

    def run(self) -> None:
        """Until SIGTERM or SIGINT; children are ended before it returns."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.stop.set())
        self.tell("started", {"jobs": ", ".join(f"{name} ({cron})" for name, cron in self.jobs.items())})
        notify("READY=1")
        while not self.stop.is_set():
            self.tick()
            notify("WATCHDOG=1")
            self.stop.wait(TICK)
        notify("STOPPING=1")
        self.end()
        self.tell("stopped", {})

    def tick(self) -> None:
        """Collect what has ended, start what is due."""
        try:
            for child in list(self.running.values()):
                self._look_after(child)
            self._receive()
            for name, cron in self.jobs.items():
                self._start_due(name, cron)
            self._complained = ""
        except (StoreError, OSError) as error:
            if str(error) != self._complained:
                self.tell("store", {"error": str(error)})
            self._complained = str(error)

    def end(self) -> None:
        """End every child and note how far it came."""
        for child in self.running.values():
            _signal(child.process, signal.SIGTERM)
        for child in list(self.running.values()):
            child.end()
            try:
                self._ended(child)
            except StoreError as error:
                self.tell("store", {"error": str(error)})

    def _start_due(self, name: str, cron: str) -> None:
        now = self.runtime.clock.now()
        due = schedule.due_at(cron, now)
        job = schedule.job(name)
        if due is None or name in self.running:
            return
        if schedule.claim(self.runtime.store.coordination, name, due, now, job.limit):
            self.running[name] = self._start(name, job.arguments(due), due)

    def _receive(self) -> None:
        at, wait = self._again
        if self.receivers and "receivers" not in self.running and time.monotonic() >= at:
            self.running["receivers"] = self._start("receivers", self.receivers, None)
            self._again = (time.monotonic() + wait, min(BACKOFF, wait * 2))

    def _start(self, name: str, arguments: Sequence[str], due: datetime | None) -> Child:
        folder = self.runtime.state_dir / "log"
        folder.mkdir(parents=True, exist_ok=True)
        log = folder / f"{name}.log"
        words = schedule.command(self.runtime, arguments)
        with log.open("wb") as out:
            process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)
        self.tell("running", {"job": name})
        return Child(name, process, log, self.runtime.clock.now(), due=due)

    def _look_after(self, child: Child) -> None:
        if child.process.poll() is not None:
            self._ended(child)
        elif child.due is not None and child.seconds > schedule.job(child.name).limit:
            self.tell("limit", {"job": child.name, "seconds": round(child.seconds)})
            child.end()
            self._ended(child)
        elif child.due is None and child.seconds > BACKOFF:
            self._again = (0.0, 1.0)

    def _ended(self, child: Child) -> None:
        del self.running[child.name]
        code = child.process.returncode
        said = child.said() if code and not self.stop.is_set() else ""
        told = {"job": child.name, "code": code, "seconds": round(child.seconds, 1), "said": said, "log": str(child.log)}
        self.tell("failed" if said else "done", told)
        if child.due is not None:
            ran = schedule.Ran(child.due.isoformat(), child.began.isoformat(), round(child.seconds, 2), code, said)
            schedule.finish(self.runtime.store.coordination, child.name, ran, self.runtime.clock.now())


def notify(state: str) -> None:
    """Tell systemd (sd_notify); nothing when it did not start us."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
        try:
            out.connect("\0" + address[1:] if address.startswith("@") else address)
            out.send(state.encode())
        except OSError:
            return


def run_now(runtime: Runtime, name: str) -> schedule.Ran:
    """One run of a job outside the schedule; its output goes where ours goes. It waits for nobody and claims nothing."""
    job, began, start = schedule.job(name), runtime.clock.now(), time.monotonic()
    due = schedule.due_at(runtime.config.schedule.get(name, "off"), began) or began
    words = schedule.command(runtime, job.arguments(due))
    try:
        code = subprocess.run(words, stdin=subprocess.DEVNULL, timeout=job.limit, check=False).returncode
    except subprocess.TimeoutExpired:
        code = -signal.SIGKILL
    return schedule.Ran(due.isoformat(), began.isoformat(), round(time.monotonic() - start, 2), code)
