"""RecordNovelty: by what fraction of its past range does a value break its record? Online, explainable, plain JSON state.

Five views of log(1 + value): its distance from the median of the last 24 and of the last 144 points, from the median of the same time
of day over seven days, the mean of six of those, the mean level of twelve points. Each view keeps the largest and smallest ever seen.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from dataclasses import dataclass, field
from typing import Any, Final

SHORT: Final = 24
LONG: Final = 144
DAYS: Final = 7
FLOOR: Final = 0.01
"""A past range smaller than this counts as this."""


@dataclass
class RecordNovelty:
    """One series of evenly spaced points."""

    per_day: int
    """Points of a day."""
    ring: list[float] = field(default_factory=list)
    """The last days, oldest first."""
    slot: list[float] = field(default_factory=list)
    """The last six distances from the time of day."""
    ranges: list[list[float]] = field(default_factory=list)
    """[smallest, largest] of each view."""
    points: int = 0
    _short: list[float] = field(default_factory=list, repr=False)
    _long: list[float] = field(default_factory=list, repr=False)

    def __post_init__(self) -> None:
        self._short, self._long = sorted(self.ring[-SHORT:]), sorted(self.ring[-LONG:])

    def score(self, value: float) -> tuple[float, int]:
        """How far the value would break the record of its most surprised view, and which view; 0 = no record is broken."""
        return max(((self._breaks(view, i), i) for i, view in enumerate(self._views(math.log1p(value)))), default=(0.0, 0))

    def push(self, value: float) -> None:
        """Learn the next point."""
        level = math.log1p(value)
        views = self._views(level)
        for i, view in enumerate(views):
            if i == len(self.ranges):
                self.ranges.append([view, view])
            else:
                self.ranges[i] = [min(self.ranges[i][0], view), max(self.ranges[i][1], view)]
        self.slot = [*self.slot[-5:], views[2]]
        self._remember(level)
        self.points += 1

    def to_json(self) -> dict[str, Any]:
        """For the model's state."""
        return {
            "per_day": self.per_day, "ring": [round(v, 3) for v in self.ring], "slot": [round(v, 3) for v in self.slot],
            "ranges": self.ranges, "points": self.points,
        }  # fmt: skip

    def _breaks(self, view: float, i: int) -> float:
        if i >= len(self.ranges):
            return 0.0
        low, high = self.ranges[i]
        return max(0.0, view - high) / max(high - low, FLOOR)

    def _views(self, level: float) -> list[float]:
        if not self.ring:
            return [0.0, 0.0, 0.0, 0.0, level]
        same = sorted(self.ring[-self.per_day * d] for d in range(1, DAYS + 1) if self.per_day * d <= len(self.ring))
        of_day = level - (_median(same) if same else _median(self._long))
        slot = [*self.slot[-5:], of_day]
        last = [*self.ring[-11:], level]
        return [level - _median(self._short), level - _median(self._long), of_day, sum(slot) / len(slot), sum(last) / len(last)]

    def _remember(self, level: float) -> None:
        level = round(level, 3)
        for window, size in ((self._short, SHORT), (self._long, LONG)):
            if len(window) == size:
                del window[bisect_left(window, round(self.ring[-size], 3))]
            insort(window, level)
        self.ring.append(level)
        del self.ring[: -max(LONG, DAYS * self.per_day)]


def _median(ordered: list[float]) -> float:
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
