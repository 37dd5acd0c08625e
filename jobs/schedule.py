"""What is due, who does it, what came of it. One run per (job, due time), however many services share a store.

The cursor `job.<name>` of the store is the due time (epoch seconds) up to which runs were claimed: moving it is a compare-and-swap,
so one service wins; runs that were missed count as one. The lease of the same name keeps a job from overlapping with itself.
The state beside the cursor holds the last runs.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from cronsim import CronSim

from domain.clock import LOCAL
from domain.errors import UsageError
from jobs.config import Config
from jobs.runtime import Runtime
from store.base import Coordination

KEPT: Final = 50
"""Runs kept for each job."""
SOC: Final = Path(__file__).resolve().parents[1] / "cli.py"


@dataclass(frozen=True)
class Job:
    """Something done on schedule: a `soc` command in a process of its own."""

    name: str
    arguments: Callable[[datetime], tuple[str, ...]]
    """Due time (UTC) -> words after `soc`."""
    limit: float
    """Seconds after which the process is ended."""


@dataclass(frozen=True)
class Ran:
    """One run of a job."""

    due: str
    """ISO 8601, UTC."""
    started: str
    seconds: float
    code: int
    """Exit code; -15 or -9: ended at its limit or with the service."""
    said: str = ""
    """The last lines it wrote, when it failed."""


def _last_week(due: datetime) -> str:
    year, week, _ = (due.astimezone(LOCAL) - timedelta(days=7)).isocalendar()
    return f"{year}-W{week:02d}"


JOBS: Final[dict[str, Job]] = {
    job.name: job
    for job in (
        Job("collect", lambda _: ("collect", "once"), 600),
        Job("scan", lambda _: ("scan",), 1800),
        Job("compact", lambda _: ("store", "compact"), 3600),
        Job("report", lambda due: ("report", "weekly", "--period", _last_week(due)), 1800),
    )
}
"""All jobs there are; `[schedule]` of soc.toml says when."""


def job(name: str) -> Job:
    """The job with this name."""
    if name not in JOBS:
        raise UsageError(f"no such job: {name}", hint=" | ".join(JOBS))
    return JOBS[name]


def receives(config: Config) -> bool:
    """Whether a source listens: then `soc collect run` goes on all the time, and pulls the other sources too."""
    return any(source.listen for source in config.sources)


def planned(config: Config) -> dict[str, str]:
    """Job -> cron expression, of what the schedule has to start."""
    pulls = bool(config.sources) and not receives(config)
    return {name: cron for name, cron in config.schedule.items() if name != "collect" or pulls}


def due_at(cron: str, now: datetime) -> datetime | None:
    """The newest due time at or before now; None when the job is off or never due. UTC in and out."""
    minute = now.astimezone(LOCAL).replace(second=0, microsecond=0)
    return None if cron == "off" else _first(CronSim(cron, minute + timedelta(minutes=1), reverse=True))


def next_at(cron: str, now: datetime) -> datetime | None:
    """The first due time after now; None when the job is off or never due."""
    return None if cron == "off" else _first(CronSim(cron, now.astimezone(LOCAL)))


def _first(times: Iterator[datetime]) -> datetime | None:
    return next((at.astimezone(UTC) for at in times), None)


def claim(coordination: Coordination, name: str, due: datetime, now: datetime, limit: float) -> bool:
    """Take the run that is due; False when it was taken already, or the run before it still goes on.

    A store without history owes nothing that was due more than an hour ago. A run that was taken more than an hour from now was taken
    by a clock that ran ahead: it does not count, or the job would rest until then.
    """
    key, stamp = f"job.{name}", int(due.timestamp())
    taken = coordination.cursor(key)
    ahead = taken > (now + timedelta(hours=1)).timestamp()
    if (taken >= stamp and not ahead) or not coordination.lease(key, holder(), limit + 60, now):
        return False
    if coordination.commit_scan(key, taken, stamp, [], now, coordination.state(key)) and (taken or now - due < timedelta(hours=1)):
        return True
    coordination.release(key, holder())
    return False


def finish(coordination: Coordination, name: str, ran: Ran, now: datetime) -> None:
    """Note how a claimed run ended, and let the next one begin."""
    key = f"job.{name}"
    cursor = coordination.cursor(key)
    coordination.commit_scan(key, cursor, cursor, [], now, {"runs": [*_runs(coordination.state(key)), asdict(ran)][-KEPT:]})
    coordination.release(key, holder())


def history(coordination: Coordination, name: str) -> list[Ran]:
    """The last runs of a job, oldest first."""
    return [Ran(**run) for run in _runs(coordination.state(f"job.{name}"))]


def _runs(state: Mapping[str, object]) -> list[dict[str, Any]]:
    runs = state.get("runs", [])
    return list(runs) if isinstance(runs, list) else []


def holder() -> str:
    """Who claims: this process on this machine."""
    return f"{platform.node()}:{os.getpid()}"


def command(runtime: Runtime, arguments: Sequence[str]) -> list[str]:
    """The command line of a run, with the configuration and store of this one."""
    front = ["--config", str(runtime.config.path)] if runtime.config.path else []
    front += ["--data", runtime.data] if runtime.data else []
    return [sys.executable, str(SOC), *front, *arguments]
