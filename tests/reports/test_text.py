"""Long words break where they may, and stay what they are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.text import breakable

BREAK = "\u200b"


@pytest.mark.parametrize(
    ("text", "broken"),
    [
        ("203.0.113.254 ngắn", "203.0.113.254 ngắn"),
        ("SC-20261117-023d8f", "SC-|20261117-|023d8f"),
        ("2001:db8:20:10::20", "2001:db8|:20:10::|20"),
        ("0123456789abcdef01234567", "01234567|89abcdef|01234567"),
        ("/cgi-bin/a.php?x=0123456789012345678", "/|cgi-|bin/|a.php?x=|01234567|89012345|678"),
    ],
)
def test_breaks(text: str, broken: str) -> None:
    assert breakable(text, 16, 8).replace(BREAK, "|") == broken


@given(st.text(max_size=200))
def test_nothing_but_breaks_is_added(text: str) -> None:
    text = text.replace(BREAK, "")
    assert breakable(text, 16, 8).replace(BREAK, "") == text
