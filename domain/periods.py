"""Periods of administrative reports: NĐ 09/2019 cut-offs (15th to 14th) or the calendar; ISO weeks; ranges of days.

A month runs from the 15th of the month before to the 14th; a quarter, half-year and year are made of such months (a year is
15/12 to 14/12). Weeks are ISO weeks, Monday to Sunday, in both styles. Days are days of Asia/Ho_Chi_Minh.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, Literal

from domain.clock import LOCAL
from domain.errors import UsageError
from domain.window import TimeWindow

Kind = Literal["day", "week", "month", "quarter", "half", "year", "range"]
_CUTOFF: Final = 14
"""Last day of an administrative month."""
_YEARS: Final = range(1971, 2200)
_MONTHS: Final = {"month": 1, "quarter": 3, "half": 6, "year": 12}
_SHAPES: Final[tuple[tuple[Kind, str], ...]] = (
    ("day", r"(\d{4})-(\d\d)-(\d\d)"),
    ("week", r"(\d{4})-W(\d\d?)"),
    ("month", r"(\d{4})-(\d\d)"),
    ("quarter", r"(\d{4})-Q(\d)"),
    ("half", r"(\d{4})-H(\d)"),
    ("year", r"(\d{4})()"),
)
ALLOWED: Final = "2026-W47, 2026-11-24, 2026-11, 2026-Q3, 2026-H1, 2026, 2026-01-15..2026-02-14"


@dataclass(frozen=True)
class Period:
    """Whole local days, both ends included."""

    name: str
    """As written on the command line: `2026-Q3`."""
    kind: Kind
    first: date
    last: date

    @property
    def window(self) -> TimeWindow:
        """From local midnight of the first day to local midnight after the last."""
        return TimeWindow(_midnight(self.first), _midnight(self.last + timedelta(days=1)))

    @property
    def days(self) -> tuple[date, ...]:
        """Every day of it."""
        return tuple(self.first + timedelta(days=i) for i in range((self.last - self.first).days + 1))


def parse(text: str, style: str = "nd09") -> Period:
    """`--period`. style: `nd09` (cut-offs) or `calendar`. UsageError (exit 2) on anything else, with what is allowed."""
    if ".." in text:
        return _range(text)
    for kind, shape in _SHAPES:
        match = re.fullmatch(shape, text)
        if match and int(match[1]) in _YEARS:
            try:
                return _make(text, kind, style, *(int(g) for g in match.groups() if g))
            except ValueError:
                break
    raise UsageError(f"--period {text[:60]}: no such period", hint=ALLOWED)


def last_full(kind: Kind, now: datetime, style: str = "nd09") -> Period:
    """The newest period of a kind that ended before today: what a report is about when nobody says."""
    today = now.astimezone(LOCAL).date()
    if kind == "day":
        return _make("", kind, style, *(today - timedelta(days=1)).timetuple()[:3])
    if kind == "week":
        return _make("", kind, style, *(today - timedelta(days=7)).isocalendar()[:2])
    per_year = 12 // _MONTHS[kind]
    candidates = ((today.year + 1 - back // per_year, per_year - back % per_year) for back in range(3 * per_year))
    periods = (_make("", kind, style, *((year,) if kind == "year" else (year, index))) for year, index in candidates)
    return next(p for p in periods if p.last < today)


def previous(period: Period, style: str = "nd09") -> Period:
    """The period of the same kind just before; for a range, as many days."""
    if period.kind == "range":
        length = period.last - period.first
        end = period.first - timedelta(days=1)
        return Period(f"{end - length}..{end}", "range", end - length, end)
    return last_full(period.kind, _midnight(period.first), style)


def _make(name: str, kind: Kind, style: str, year: int, index: int = 0, day: int = 0) -> Period:
    """A period from its numbers; ValueError when there is no such one."""
    if kind == "day":
        first = last = date(year, index, day)
        return Period(name or f"{first}", kind, first, last)
    if kind == "week":
        first = date.fromisocalendar(year, index, 1)
        return Period(name or f"{year}-W{index:02d}", kind, first, first + timedelta(days=6))
    length = _MONTHS[kind]
    index = index or 1
    if not 1 <= index <= 12 // length:
        raise ValueError(name)
    first, last = _span(year, (index - 1) * length + 1, index * length, style)
    mark = {"month": f"-{index:02d}", "quarter": f"-Q{index}", "half": f"-H{index}", "year": ""}[kind]
    return Period(name or f"{year}{mark}", kind, first, last)


def _span(year: int, first_month: int, last_month: int, style: str) -> tuple[date, date]:
    if style == "calendar":
        after = date(year + last_month // 12, last_month % 12 + 1, 1)
        return date(year, first_month, 1), after - timedelta(days=1)
    before = date(year, first_month, 1) - timedelta(days=1)
    return date(before.year, before.month, _CUTOFF + 1), date(year, last_month, _CUTOFF)


def _range(text: str) -> Period:
    start, _, end = text.partition("..")
    try:
        first, last = date.fromisoformat(start), date.fromisoformat(end)
    except ValueError:
        raise UsageError(f"--period {text[:60]}: not two dates", hint=ALLOWED) from None
    if first.year not in _YEARS or last.year not in _YEARS:
        raise UsageError(f"--period {text[:60]}: year out of range", hint=ALLOWED)
    if last < first:
        raise UsageError(f"--period {text[:60]}: ends before it starts", hint=f"{end}..{start}")
    return Period(f"{first}..{last}", "range", first, last)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), LOCAL).astimezone(UTC)
