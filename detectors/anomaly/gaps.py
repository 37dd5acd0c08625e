"""How long is silence normal? Longest gaps by class of hour, learnt from what was heard. Pure; plain JSON state."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from detectors.anomaly.activity import SLOT, Heard
from detectors.anomaly.base import DAY, HOUR, MINUTE, at
from domain.clock import LOCAL

LEARN: Final = 7 * DAY
"""History needed before a silence that nobody promised to avoid is spoken of."""
FLOOR: Final = HOUR
"""No learnt silence shorter than this."""
TIMES: Final = 3
"""A silence stands out when it is so many times the longest of its class of hour."""
MATTERS: Final = FLOOR // TIMES
"""Shorter gaps change nothing."""
STEADY: Final = 2 * HOUR
"""A host is watched only when it was never silent longer than this: work stations are switched off."""
LIVE: Final = 3 * DAY
"""What arrives later than this after it happened is imported history, not a live source."""


@dataclass
class Habit:
    """What is known of one source, or of one host within a source."""

    since: int
    """First event, microseconds."""
    last: int
    """Newest event."""
    arrived: int
    """Arrival of the newest event."""
    exercise: bool = False
    records: dict[str, list[int]] = field(default_factory=dict)
    """Class of hour -> [longest gap, when it began]."""
    open: list[int] = field(default_factory=list)
    """A silence that was told: [began, told up to]; empty = none."""

    def to_json(self) -> dict[str, Any]:
        """For the model's state."""
        return dict(self.__dict__)

    def learnt(self, moment: int) -> bool:
        """Whether there is history enough at `moment`."""
        return moment - self.since >= LEARN

    def longest(self, began: int | None = None) -> list[int]:
        """[gap, when it began] of the longest gap of the class of `began` and the two hours around; None = of all. [0, 0] = none."""
        classes = _classes(began) if began is not None else self.records
        return max((self.records[c] for c in classes if c in self.records), default=[0, 0])

    def normal(self, began: int) -> int:
        """How long a silence that began then may last before it stands out, microseconds."""
        return max(FLOOR, TIMES * self.longest(began)[0], self.longest()[0] // 2)

    def learn(self, began: int, gap: int) -> None:
        """Remember a gap that did not stand out."""
        if gap >= MATTERS:
            name = _class(began)
            self.records[name] = max(self.records.get(name, [0, 0]), [gap, began])


def _class(moment: int) -> str:
    """Work day, Friday (before a free day) or weekend, and the local hour."""
    local = at(moment).astimezone(LOCAL)
    return f"{'wwwwfss'[local.weekday()]}{local.hour:02}"


def _classes(moment: int) -> set[str]:
    return {_class(moment + hours * HOUR) for hours in (-2, -1, 0, 1, 2)}


def gaps(habit: Habit | None, heard: Heard, shortest: int) -> Iterator[tuple[int, int]]:
    """(began, ended) of every gap of at least `shortest`, in time order, from the newest event known before; late events fill nothing."""
    slots = heard.slots
    previous = habit.last if habit is not None else int(slots[0]) * SLOT
    fresh = slots[slots > previous // SLOT]
    if not len(fresh):
        return
    starts = [previous // SLOT, *fresh[:-1].tolist()]
    if (int(fresh[0]) - starts[0]) * SLOT >= shortest:
        yield previous, int(fresh[0]) * SLOT
    inner = (fresh[1:] - fresh[:-1]) * SLOT >= shortest
    for began, ended in zip(fresh[:-1][inner].tolist(), fresh[1:][inner].tolist(), strict=True):
        yield int(began) * SLOT, int(ended) * SLOT


def minutes(micros: int) -> int:
    """Whole minutes."""
    return micros // MINUTE
