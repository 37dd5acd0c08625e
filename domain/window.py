"""Periods of time: half-open windows of instants."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from domain.clock import LOCAL
from domain.errors import UsageError

_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


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


def duration(text: str) -> timedelta:
    """`90s`, `5m`, `24h`, `7d`, `2w`. UsageError otherwise."""
    match = re.fullmatch(r"([0-9]{1,6})([smhdw])", text.strip().lower())
    if match is None or int(match[1]) == 0:
        raise UsageError(f"not a length of time: {text[:60]}", hint="a number and s, m, h, d or w: 90s, 5m, 24h, 7d, 2w")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def moment(text: str, now: datetime) -> datetime:
    """An instant in UTC: ISO 8601 (without offset: local time; a date: local midnight), `now`, or `24h`, `7d` = so long before `now`."""
    short = text.strip()
    if short.lower() == "now":
        return now.astimezone(UTC)
    if re.fullmatch(r"[0-9]+[a-zA-Z]", short):
        return now.astimezone(UTC) - duration(short)
    try:
        at = datetime.fromisoformat(short)
        return (at if at.tzinfo else at.replace(tzinfo=LOCAL)).astimezone(UTC)
    except (ValueError, OverflowError):
        hint = "ISO 8601 (2026-11-24, 2026-11-24T08:15, 2026-11-24T08:15:00+07:00) or a length of time before now (24h, 7d)"
        raise UsageError(f"not a time: {short[:60]}", hint=hint) from None
