"""Writes a drill: logs of ordinary days with attacks hidden in the last one, and the answer key beside them.

Streaming: at most half an hour of the drill at a time, so memory stays flat. The same seed gives the same bytes.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from random import Random
from typing import BinaryIO, Final

from playbooks.drills.attacks import SCENARIOS, Attack
from playbooks.drills.base import Event, local_day, source_of
from playbooks.drills.key import KeyStep, write_key
from playbooks.drills.ordinary import ACTIVITIES, PERIODIC
from playbooks.drills.world import World, build

_SLOTS: Final = (1800, 900, 600, 300, 120, 60, 30)
"""Seconds that are generated at a time: shorter for more records, so that memory stays flat."""
_AT_ONCE: Final = 8_000
"""Records of a slot, about."""


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


class _Writer:
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
            events.sort(key=itemgetter(0))
            cut = bisect_left(events, until, key=itemgetter(0))
            ready = [e[2] for e in events[:cut] if not self._silent(e)]
            if ready:
                self._write(file, ready)
            del events[:cut]

    def close(self) -> None:
        """Close the files; what lies after the last day was never written."""
        for handle in self._files.values():
            handle.close()

    def _write(self, file: str, lines: list[bytes]) -> None:
        handle = self._open(file)
        handle.write(b"\n".join(lines) + b"\n")
        handle.flush()
        self.records[source_of(file)] += len(lines)

    def _silent(self, event: Event) -> bool:
        return any(source == source_of(event[1]) and start <= event[0] < end for source, start, end in self.silences)

    def _open(self, file: str) -> BinaryIO:
        if file not in self._files:
            path = self.folder / file
            path.parent.mkdir(parents=True, exist_ok=True)
            self._files[file] = path.open("wb", buffering=1 << 20)
        return self._files[file]


class Drill:
    """One drill being written: `stream` yields the instants up to which the logs are complete."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        self.plan, self.folder = plan, folder
        self.world = build(plan.seed, plan.start, plan.days)
        self.attacks: tuple[Attack, ...] = tuple(
            SCENARIOS[name](self.world, _random(f"{plan.seed}/{name}/{plan.reserved}"), plan.reserved) for name in plan.scenarios
        )
        self.steps = [KeyStep.of(attack.name, step) for attack in self.attacks for step in attack.steps]
        self._writer = _Writer(folder / "logs", [s for a in self.attacks for s in a.silences])

    @property
    def records(self) -> Mapping[str, int]:
        """Records written so far, by source."""
        return self._writer.records

    def stream(self) -> Iterator[float]:
        """Write slot after slot (half an hour or less) into `folder`/logs; the key lies in `folder`/key.jsonl from the start."""
        write_key(self.folder / "key.jsonl", self.steps)
        for attack in self.attacks:
            self._writer.add(event for step in attack.steps for event in step.events)
            self._writer.add(attack.noise)
        try:
            yield from self._ordinary()
        finally:
            self._writer.close()

    def _ordinary(self) -> Iterator[float]:
        world, plan = self.world, self.plan
        length = _slot_length(plan)
        slots = [world.start + n * length for n in range(int((world.end - world.start) // length))]
        pools = {name: _Pool(world, plan.seed, name, slots) for name in ACTIVITIES}
        budget = max(0, plan.events - _periodic_size(world, plan.seed))
        parts = {name: float(world.ordinary["share"][name]["part"]) for name in ACTIVITIES}
        clockwork = _random(f"{plan.seed}/periodic")
        for number, slot in enumerate(slots):
            self._writer.add(_periodic(world, clockwork, slot, length))
            for name, pool in pools.items():
                self._writer.add(pool.draw(number, (slot, length), budget * parts[name] / sum(parts.values())))
            self._writer.flush(slot + length)
            yield slot + length


def _slot_length(plan: Plan) -> int:
    """The longest slot that holds few enough records."""
    rate = plan.events / (plan.days * 86400)
    return next((s for s in _SLOTS if rate * s <= _AT_ONCE), _SLOTS[-1])


class _Pool:
    """Sessions of one activity, started so that its records keep to its share of the day's rhythm."""

    def __init__(self, world: World, seed: int, name: str, slots: list[float]) -> None:
        self.world, self.activity, self.rng = world, ACTIVITIES[name], _random(f"{seed}/{name}")
        self.weights = _weights(world, name, slots)
        self.due, self.made, self.sessions = 0.0, 0, 0

    def draw(self, number: int, slot: tuple[float, int], total: float) -> Iterator[Event]:
        """The events of the sessions that begin in this slot."""
        self.due += total * self.weights[number]
        while self.due - self.made > 0.5 * (self.made / self.sessions if self.sessions else 1):
            events = self.activity(self.world, self.rng, slot[0] + self.rng.random() * slot[1])
            self.made += len(events)
            self.sessions += 1
            yield from events


def _random(seed: str) -> Random:
    return Random(seed)


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


def _periodic(world: World, rng: Random, slot: float, length: int) -> list[Event]:
    events: list[Event] = []
    for every, office, activity in PERIODIC:
        first = -(-(slot - world.start) // every) * every + world.start
        while first < slot + length:
            day = local_day(first)
            if not office or (day.tm_wday < 5 and 7 <= day.tm_hour < 17):
                events += activity(world, rng, first)
            first += every
    return events


def _periodic_size(world: World, seed: int) -> int:
    """About how many records the periodic activities write: measured on one office hour."""
    rng, hour = _random(f"{seed}/size"), world.start + 10 * 3600
    return len(_periodic(world, rng, hour, 3600)) * world.days * 24
