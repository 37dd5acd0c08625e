"""Time is handed in: nobody but `SystemClock` asks the machine, so that `--now` replays any run."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol
from zoneinfo import ZoneInfo

LOCAL = ZoneInfo("Asia/Ho_Chi_Minh")
"""The zone in which people read times."""


class Clock(Protocol):
    """Gives the present instant, in UTC."""

    def now(self) -> datetime:
        """An aware datetime in UTC."""


@dataclass(frozen=True)
class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The present."""
        return datetime.now(UTC)


@dataclass(frozen=True)
class FixedClock:
    """A clock that stands still: `--now`, tests, the demo."""

    at: datetime

    def now(self) -> datetime:
        """The instant it was set to, in UTC."""
        return self.at.astimezone(UTC)


def iso_local(at: datetime) -> str:
    """ISO 8601 with the offset of Asia/Ho_Chi_Minh, to the millisecond: how JSON output shows times."""
    return at.astimezone(LOCAL).isoformat(timespec="milliseconds")


def show_local(at: datetime) -> str:
    """`24/11/2026 08:15:03`: how people read times."""
    return at.astimezone(LOCAL).strftime("%d/%m/%Y %H:%M:%S")
