"""Times, durations and names as Vietnamese documents print them."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from domain.clock import LOCAL
from domain.document import UNKNOWN
from reports.text import vi


def day_text(day: date) -> str:
    """`16/11/2026`."""
    return day.strftime("%d/%m/%Y")


def clock_text(at: datetime) -> str:
    """`08 giờ 15 phút ngày 16/11/2026`."""
    local = at.astimezone(LOCAL)
    return vi("clock", hour=f"{local:%H}", minute=f"{local:%M}", day=day_text(local.date()))


def moment(at: datetime | None) -> str:
    """`16/11/2026 08:15:03`, for tables; a dash when there is none."""
    return at.astimezone(LOCAL).strftime("%d/%m/%Y %H:%M:%S") if at else UNKNOWN


def span(start: datetime | None, end: datetime | None) -> str:
    """From – to, for tables; the day once when it is the same, one moment when both are."""
    first, last = moment(start), moment(end)
    if first == last:
        return first
    return f"{first} – {last[11:] if first[:10] == last[:10] else last}"


def duration(length: timedelta) -> str:
    """`2 ngày 03 giờ 10 phút`; at least a minute."""
    minutes = max(1, round(length.total_seconds() / 60))
    days, rest = divmod(minutes, 1440)
    hours, minutes = divmod(rest, 60)
    parts = [vi("days", n=days)] * bool(days) + [vi("hours", n=hours)] * bool(hours) + [vi("minutes", n=minutes)] * bool(minutes)
    return " ".join(parts)


def level(name: str) -> str:
    """A severity in words."""
    return vi(f"level_{name}")
