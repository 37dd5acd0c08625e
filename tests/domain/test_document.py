"""Texts of documents: capitals, dates, figures; every text of a block reached."""

from __future__ import annotations

import unicodedata
from datetime import date

import pytest

from domain.document import Chart, Column, Series, Table, caps, long_date, map_text, number_text, roman


def test_capitals_are_vietnamese_and_composed() -> None:
    decomposed = unicodedata.normalize("NFD", "Ủy ban nhân dân tỉnh Tây Ninh")
    assert caps(decomposed) == "ỦY BAN NHÂN DÂN TỈNH TÂY NINH"


@pytest.mark.parametrize(
    ("day", "text"),
    [
        (date(2026, 2, 5), "Tây Ninh, ngày 05 tháng 02 năm 2026"),
        (date(2026, 1, 31), "Tây Ninh, ngày 31 tháng 01 năm 2026"),
        (date(2026, 3, 9), "Tây Ninh, ngày 09 tháng 3 năm 2026"),
        (date(2026, 12, 10), "Tây Ninh, ngày 10 tháng 12 năm 2026"),
    ],
)
def test_leading_zeros_of_days_and_of_months_one_and_two(day: date, text: str) -> None:
    assert long_date(day, "Tây Ninh") == text


@pytest.mark.parametrize(("value", "digits", "text"), [(1234567, 0, "1.234.567"), (93.46, 1, "93,5"), (0, 0, "0"), (None, 0, "–")])
def test_figures_as_vietnamese_write_them(value: float | None, digits: int, text: str) -> None:
    assert number_text(value, digits) == text


def test_roman_numbers() -> None:
    assert [roman(n) for n in (1, 4, 9, 14, 39)] == ["I", "IV", "IX", "XIV", "XXXIX"]


def test_every_text_of_a_block_is_reached_and_figures_stay() -> None:
    table = map_text(Table((Column("a", 2),), (("b", "c"),), caption="d", empty="e"), str.upper)
    assert (table.columns[0].title, table.columns[0].width, table.rows, table.caption, table.empty) == ("A", 2, (("B", "C"),), "D", "E")
    chart = map_text(Chart("bars", "t", "d", ("x",), (Series("s", (1.0, None)),)), str.upper)
    assert chart.series[0] == Series("S", (1.0, None))
