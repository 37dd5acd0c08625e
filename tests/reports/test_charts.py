"""Drawings: gaps instead of zeros, text that cannot break out, readable without colour."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.document import Chart, Series
from reports import charts

NS = "{http://www.w3.org/2000/svg}"
DAYS = ("T2", "T3", "T4", "T5")


def _draw(kind: str, *series: Series, title: str = "Tên", labels: tuple[str, ...] = DAYS) -> ET.Element:
    return ET.fromstring(charts.svg(Chart(kind, title, "Mô tả", labels, series, "sự kiện")))  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["lines", "bars", "heat"])
def test_title_and_description_are_there_for_readers_who_cannot_see(kind: str) -> None:
    root = _draw(kind, Series("a", (1, 2, None, 0)))
    assert (root.findtext(f"{NS}title"), root.findtext(f"{NS}desc")) == ("Tên", "Mô tả")


def test_a_line_is_broken_where_nothing_is_known() -> None:
    root = _draw("lines", Series("a", (5, None, 3, 4)))
    assert [len(p.get("points", "").split()) for p in root.iter(f"{NS}polyline")] == [1, 2]


def test_a_bar_that_is_not_known_is_a_dash_and_zero_is_a_zero() -> None:
    texts = [t.text for t in _draw("bars", Series("a", (5, None, 0, 4))).iter(f"{NS}text")]
    assert texts.count("–") == 1
    assert "5" in texts


def test_series_differ_without_colour() -> None:
    lines = _draw("lines", Series("a", (1, 2, 3, 4)), Series("b", (4, 3, 2, 1)))
    assert len({p.get("stroke-dasharray") for p in lines.iter(f"{NS}polyline")}) == 2
    bars = _draw("bars", Series("a", (1, 2, 3, 4)), Series("b", (4, 3, 2, 1)))
    assert {"#3a3a3a", "url(#c-1)"} <= {r.get("fill") for r in bars.iter(f"{NS}rect")}


def test_text_cannot_become_markup() -> None:
    root = _draw("bars", Series("<script>x</script>", (1, 2, 3, 4)), title='"><svg onload=alert(1)>\u202e')
    ours = ("svg", "title", "desc", "defs", "pattern", "rect", "text", "line", "polyline", "circle")
    assert {e.tag for e in root.iter()} <= {f"{NS}{n}" for n in ours}
    assert root.findtext(f"{NS}title") == '"><svg onload=alert(1)>‹U+202E›'


def test_labels_are_thinned_out() -> None:
    labels = tuple(f"{i:02d}/11" for i in range(90))
    texts = [t.text for t in _draw("bars", Series("a", tuple(range(90))), labels=labels).iter(f"{NS}text")]
    assert 5 <= sum(t in labels for t in texts) <= 15


@given(st.floats(0, 1e12, allow_nan=False))
def test_the_axis_reaches_the_highest_value_in_few_steps(highest: float) -> None:
    marks = charts.scale(highest)
    assert marks[0] == 0
    assert marks[-1] >= highest * 0.999999
    assert 2 <= len(marks) <= 6
    assert list(marks) == sorted(set(marks))
