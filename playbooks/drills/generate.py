"""Writes a drill: logs of ordinary days with attacks hidden in the last one, and the answer key beside them.

Streaming: half an hour of the drill at a time, so memory does not grow with the number of records. The same seed gives the same bytes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import BinaryIO, Final

from playbooks.drills.attacks import SCENARIOS, Attack
from playbooks.drills.base import Event, local_day, source_of
from playbooks.drills.key import KeyStep, write_key
from playbooks.drills.ordinary import ACTIVITIES, PERIODIC
from playbooks.drills.world import World, build

_SLOT: Final = 1800


@dataclass(frozen=True)
class Plan:
    """What to generate."""

    seed: int
    start: float
    """First local midnight, seconds since the epoch."""
    days: int
    events: int
    """About how many records in all (within a few per cent)."""
    scenarios: tuple[str, ...]
    """Names out of SCENARIOS; empty = ordinary days only."""
    reserved: bool = False
    """Draw from the variants that are kept for the final measurement."""


@dataclass(frozen=True)
class Made:
    """What was generated."""

    world: World
    records: Mapping[str, int]
    """By source."""
    attacks: tuple[Attack, ...]
    steps: int


class Writer:
    """Sorted events into one file per device, records of silenced sources left out."""

    def __init__(self, folder: Path, silences: Sequence[tuple[str, float, float]]) -> None:
        self.folder = folder
        self.silences = silences
        self.records: Counter[str] = Counter()
        self._waiting: dict[str, list[Event]] = {}
        self._files: dict[str, BinaryIO] = {}

    def add(self, events: Iterable[Event]) -> None:
        """Events in any order, none older than what was flushed."""
        for event in events:
            self._waiting.setdefault(event[1], []).append(event)

    def flush(self, until: float) -> None:
        """Write what happened before `until`."""
        for file, events in self._waiting.items():
            events.sort()
            cut = next((n for n, e in enumerate(events) if e[0] >= until), len(events)) if events and events[-1][0] >= until else len(events)
            ready = [e for e in events[:cut] if not self._silent(e)]
            if ready:
                self._open(file).write(b"\n".join([e[2] for e in ready]) + b"\n")
                self.records[source_of(file)] += len(ready)
            del events[:cut]

    def close(self) -> None:
        """Close the files; what lies after the last day was never written."""
        for handle in self._files.values():
            handle.close()

    def _silent(self, event: Event) -> bool:
        return any(source == source_of(event[1]) and start <= event[0] < end for source, start, end in self.silences)

    def _open(self, file: str) -> BinaryIO:
        if file not in self._files:
            path = self.folder / file
            path.parent.mkdir(parents=True, exist_ok=True)
            self._files[file] = path.open("wb", buffering=1 << 20)
        return self._files[file]


def generate(plan: Plan, folder: Path, progress: Callable[[float], None] = lambda _: None) -> Made:
    """Logs into `folder`/logs, the answer key into `folder`/key.jsonl; `progress` hears the part done (0..1)."""
    world = build(plan.seed, plan.start, plan.days)
    attacks = tuple(SCENARIOS[name](world, Random(f"{plan.seed}/{name}/{plan.reserved}"), plan.reserved) for name in plan.scenarios)  # noqa: S311
    writer = Writer(folder / "logs", [s for a in attacks for s in a.silences])
    for attack in attacks:
        writer.add(event for step in attack.steps for event in step.events)
        writer.add(attack.noise)
    _ordinary(world, plan, writer, progress)
    writer.close()
    steps = [KeyStep.of(attack.name, step) for attack in attacks for step in attack.steps]
    write_key(folder / "key.jsonl", steps)
    return Made(world, dict(writer.records), attacks, len(steps))


def _ordinary(world: World, plan: Plan, writer: Writer, progress: Callable[[float], None]) -> None:
    slots = [world.start + n * _SLOT for n in range(int((world.end - world.start) // _SLOT))]
    rng = {name: Random(f"{plan.seed}/{name}") for name in ("periodic", *ACTIVITIES)}  # noqa: S311
    weights = {name: _weights(world, name, slots) for name in ACTIVITIES}
    budget = max(0, plan.events - _periodic_size(world, plan.seed))
    parts = {name: float(world.ordinary["share"][name]["part"]) for name in ACTIVITIES}
    due, made, sessions = dict.fromkeys(ACTIVITIES, 0.0), Counter[str](), Counter[str]()
    for number, slot in enumerate(slots):
        writer.add(_periodic(world, rng["periodic"], slot))
        for name, activity in ACTIVITIES.items():
            due[name] += budget * parts[name] / sum(parts.values()) * weights[name][number]
            while due[name] - made[name] > 0.5 * (made[name] / sessions[name] if sessions[name] else 1):
                events = activity(world, rng[name], slot + rng[name].random() * _SLOT)
                made[name] += len(events)
                sessions[name] += 1
                writer.add(events)
        writer.flush(slot + _SLOT)
        progress((number + 1) / len(slots))


def _weights(world: World, name: str, slots: list[float]) -> list[float]:
    """Which part of an activity falls into each slot: hour of the day, weekend, month-end, thinner days before the last one."""
    share = world.ordinary["share"][name]
    rhythm = share["rhythm"]
    hours, weekend, month_end = (world.ordinary[key][rhythm] for key in ("rhythm", "weekend", "month_end"))
    raw = []
    for slot in slots:
        day = local_day(slot)
        weight = float(hours[day.tm_hour])
        weight *= weekend if day.tm_wday >= 5 else month_end if day.tm_mday >= 28 else 1
        raw.append(weight * (float(world.ordinary["thin"]) if share["bulk"] and slot < world.last_day else 1))
    return [w / sum(raw) for w in raw]


def _periodic(world: World, rng: Random, slot: float) -> list[Event]:
    events: list[Event] = []
    for every, office, activity in PERIODIC:
        first = -(-(slot - world.start) // every) * every + world.start
        while first < slot + _SLOT:
            day = local_day(first)
            if not office or (day.tm_wday < 5 and 7 <= day.tm_hour < 17):
                events += activity(world, rng, first)
            first += every
    return events


def _periodic_size(world: World, seed: int) -> int:
    """About how many records the periodic activities write: measured on one office hour."""
    rng, hour = Random(f"{seed}/size"), world.start + 10 * 3600  # noqa: S311
    return sum(len(_periodic(world, rng, hour + n * _SLOT)) for n in range(2)) * world.days * 24


def source_ids(world: World) -> list[str]:
    """All sources of the province."""
    fixed = ["fw-thdl", "ids-thdl", "web-dvc", "web-cong", "sso", "lgsp", "win-may-tram"]
    return fixed + [s.source for s in world.servers.values()]
