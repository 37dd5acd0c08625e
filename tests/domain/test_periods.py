"""Administrative periods: cut-offs of NĐ 09/2019, the calendar, weeks, ranges."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import UsageError
from domain.periods import last_full, parse, previous


@pytest.mark.parametrize(
    ("text", "style", "first", "last"),
    [
        ("2026-Q3", "nd09", "2026-06-15", "2026-09-14"),
        ("2026-Q3", "calendar", "2026-07-01", "2026-09-30"),
        ("2026-Q1", "nd09", "2025-12-15", "2026-03-14"),
        ("2026-01", "nd09", "2025-12-15", "2026-01-14"),
        ("2026-02", "calendar", "2026-02-01", "2026-02-28"),
        ("2026-H1", "nd09", "2025-12-15", "2026-06-14"),
        ("2026-H2", "calendar", "2026-07-01", "2026-12-31"),
        ("2026", "nd09", "2025-12-15", "2026-12-14"),
        ("2026", "calendar", "2026-01-01", "2026-12-31"),
        ("2026-W47", "nd09", "2026-11-16", "2026-11-22"),
        ("2026-W53", "nd09", "2026-12-28", "2027-01-03"),
        ("2026-11-24", "nd09", "2026-11-24", "2026-11-24"),
        ("2026-01-15..2026-02-14", "nd09", "2026-01-15", "2026-02-14"),
    ],
)
def test_periods(text: str, style: str, first: str, last: str) -> None:
    period = parse(text, style)
    assert (period.first.isoformat(), period.last.isoformat()) == (first, last)


def test_the_window_is_local_midnight_to_local_midnight() -> None:
    window = parse("2026-W47").window
    assert (window.start, window.end) == (datetime(2026, 11, 15, 17, tzinfo=UTC), datetime(2026, 11, 22, 17, tzinfo=UTC))


@pytest.mark.parametrize(
    "text",
    ["2026-W54", "2027-W53", "2026-13", "2026-Q5", "2026-H3", "2026-02-30", "tuần 47", "", "..", "0001", "9999", "2026-01-01..x"],
)
def test_what_is_no_period_says_what_is(text: str) -> None:
    with pytest.raises(UsageError, match="2026-W47"):
        parse(text)


def test_a_range_that_runs_backwards_is_turned_round_in_the_hint() -> None:
    with pytest.raises(UsageError) as error:
        parse("2026-02-01..2026-01-01")
    assert error.value.hint == "2026-01-01..2026-02-01"


@pytest.mark.parametrize(
    ("kind", "now", "name"),
    [
        ("week", "2026-11-24T08:00+07:00", "2026-W47"),
        ("week", "2026-11-23T00:30+07:00", "2026-W47"),
        ("week", "2026-11-22T23:30+07:00", "2026-W46"),
        ("month", "2026-11-15T00:10+07:00", "2026-11"),
        ("month", "2026-11-14T23:50+07:00", "2026-10"),
        ("year", "2026-12-15T08:00+07:00", "2026"),
        ("day", "2026-11-24T08:00+07:00", "2026-11-23"),
    ],
)
def test_the_last_whole_period(kind: str, now: str, name: str) -> None:
    assert last_full(kind, datetime.fromisoformat(now)).name == name  # type: ignore[arg-type]


@pytest.mark.parametrize("style", ["nd09", "calendar"])
@pytest.mark.parametrize("text", ["2026-W01", "2026-01", "2026-Q1", "2026-H1", "2026", "2024-03", "2026-03-01", "2026-03-01..2026-03-17"])
def test_the_period_before_ends_the_day_before(text: str, style: str) -> None:
    period = parse(text, style)
    earlier = previous(period, style)
    assert (period.first - earlier.last).days == 1
    assert earlier.kind == period.kind


@given(st.dates(date(2000, 1, 1), date(2100, 1, 1)))
def test_twelve_months_make_the_year_without_gap(day: date) -> None:
    months = [parse(f"{day.year}-{m:02d}") for m in range(1, 13)]
    year = parse(str(day.year))
    assert sum(len(m.days) for m in months) == len(year.days)
    assert (months[0].first, months[-1].last) == (year.first, year.last)
