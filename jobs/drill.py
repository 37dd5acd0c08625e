"""Drills: generate one, play it through the chain as if time passed, check what was found against the answer key."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from domain import titles
from domain.alert import STREAM, Alert
from domain.alert_fold import fold_all
from domain.clock import LOCAL, FixedClock, iso_local
from domain.errors import UsageError
from jobs.collect import collect, configured
from jobs.config import FILE, load
from jobs.runtime import Runtime
from playbooks.drills import key as answers
from playbooks.drills import setup
from playbooks.drills.attacks import SCENARIOS
from playbooks.drills.base import data, variants
from playbooks.drills.generate import Drill, Plan

FIRST_DAY: Final = date(2026, 11, 17)
"""Default start: eight days from here end on Tuesday, 24 November 2026."""
DAYS: Final = 8
EVENTS: Final = 105_000
KEY: Final = "key.jsonl"
_LIMITS: Final = {"days": (1, 60), "events": (1_000, 200_000_000)}


@dataclass(frozen=True)
class Wish:
    """What somebody asks for on the command line."""

    seed: int = 1
    events: int = EVENTS
    days: int = DAYS
    start: date | None = None
    scenarios: tuple[str, ...] = ()
    """Empty = all."""
    reserved: bool = False
    store: str = ""
    """URL of a store that is there; empty = an embedded one in the folder."""


def listing() -> list[dict[str, Any]]:
    """The scenarios: name, title in both languages, in how many ways each can go."""
    rows = []
    for name in SCENARIOS:
        kit = data(name)
        rows.append({"scenario": name, "vi": kit["title_vi"], "en": kit["title_en"], "variants": _choices(variants(name, reserved=False))})
    return rows


def _choices(value: object) -> int:
    """How many alternatives a scenario draws from."""
    if isinstance(value, dict):
        return sum(_choices(v) for v in value.values())
    return len(value) if isinstance(value, list) else 0


def prepare(wish: Wish, folder: Path, *, exercise: bool = False) -> Drill:
    """A drill ready to be written into a new or empty folder, with soc.toml and registers. UsageError when it cannot be."""
    for name in wish.scenarios:
        if name not in SCENARIOS:
            raise UsageError(f"no such scenario: {name}", hint=f"{' | '.join(SCENARIOS)} | all")
    for name, (least, most) in _LIMITS.items():
        if not least <= getattr(wish, name) <= most:
            raise UsageError(f"--{name} {getattr(wish, name)}: from {least} to {most}")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is not an empty folder", hint="name a new folder: soc drill generate DIR")
    start = datetime.combine(wish.start or FIRST_DAY, datetime.min.time(), LOCAL)
    plan = Plan(wish.seed, start.timestamp(), wish.days, wish.events, wish.scenarios or tuple(SCENARIOS), wish.reserved)
    drill = Drill(plan, folder)
    setup.write(drill.world, folder, exercise=exercise, store=wish.store)
    return drill


def clear(folder: Path) -> None:
    """Remove an earlier drill. UsageError when the folder holds anything else."""
    if not folder.exists():
        return
    marks = (FILE, KEY, "logs")
    if not folder.is_dir() or (any(folder.iterdir()) and not all((folder / name).exists() for name in marks)):
        raise UsageError(f"{folder} holds something that is not a drill", hint="name another folder")
    shutil.rmtree(folder)


@dataclass(frozen=True)
class Moment:
    """One look at the drill while it is played."""

    at: datetime
    stored: int
    """Records so far."""
    alerts: int
    """Alerts opened by this scan."""


def play(runtime: Runtime, drill: Drill, every: timedelta) -> Iterator[Moment]:
    """Write the logs and, at each day's end and `every` so often on the last day, collect and scan with the clock of the drill."""
    from jobs.scan import scan

    stored = 0
    for until in drill.stream():
        into = until - drill.world.last_day
        if until < drill.world.last_day and (until - drill.world.start) % 86400:
            continue
        if into > 0 and into % every.total_seconds():
            continue
        at = datetime.fromtimestamp(until, UTC)
        runtime.clock = FixedClock(at)
        stored += sum(o.stored for o in collect(runtime, configured(runtime)))
        yield Moment(at, stored, len(scan(runtime).opened))


def open_folder(folder: Path) -> Runtime:
    """The drill's own store, configured by its soc.toml."""
    return Runtime(load(str(folder / FILE)))


def check(runtime: Runtime, key: Path) -> answers.Result:
    """The answer key against the alerts of the store. ContentError when the key cannot be read."""
    alerts = list(fold_all(runtime.store.records.find(STREAM)).values())
    return answers.check(answers.read_key(key), alerts, runtime.store.events)


def report(result: answers.Result) -> dict[str, Any]:
    """The result as JSON shows it."""
    return {
        "found": [_step(step, seen) for step, seen in result.found],
        "missed": [_step(step, ()) for step in result.missed],
        "outside": [
            {"alert": a.id, "rule": a.rule.id, "title": titles.full(a.rule), "level": a.rule.level, "first": iso_local(a.first)}
            for a in result.outside
        ],
    }


def _step(step: answers.KeyStep, seen: Sequence[Alert]) -> dict[str, Any]:
    """A step; when found: after how many seconds an alert was raised, after how many more somebody took one of its alerts."""
    row: dict[str, Any] = {"attack": step.attack, "step": step.step, "from": iso_local(step.start), "to": iso_local(step.end)}
    if seen:
        first, taken = seen[0], min((a.acked_at for a in seen if a.acked_at), default=None)
        row |= {"detected": iso_local(first.opened_at), "seconds": round((first.opened_at - step.start).total_seconds(), 3)}
        row |= {"taken": iso_local(taken), "taken_seconds": round((taken - first.opened_at).total_seconds(), 3)} if taken else {}
        row |= {"alert": first.id, "rule": first.rule.id, "title": titles.full(first.rule), "alerts": [a.id for a in seen]}
    return row
