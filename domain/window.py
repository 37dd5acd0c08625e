"""Periods of time: half-open windows of instants."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class TimeWindow:
    """[start, end): aware datetimes in UTC."""

    start: datetime
    end: datetime

    def __contains__(self, at: datetime) -> bool:
        return self.start <= at < self.end

    @property
    def micros(self) -> tuple[int, int]:
        """Both ends in microseconds since the epoch."""
        return micros(self.start), micros(self.end)


def micros(at: datetime) -> int:
    """Microseconds since the epoch."""
    return round(at.timestamp() * 1_000_000)
