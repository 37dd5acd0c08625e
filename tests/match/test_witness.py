"""Witnesses of patterns: what every match holds, or nothing."""

from __future__ import annotations

import pytest
import re2
from hypothesis import example, given
from hypothesis import strategies as st

from match import witness


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("abc", "abc"),
        ("ab", ""),
        (r"\bpowershell\.exe\s+-enc", "powershell.exe"),
        ("(?i)mimikatz", "mimi"),
        ("(?i)invoke", "invo"),
        ("one|other", ""),
        ("(?:long)?short", "short"),
        ("(long)+", "long"),
        ("x{0,3}yyy", "yyy"),
        ("[[:alpha:]]foo", ""),
        (r"foobar(?:\n?\z)", "foobar"),
        (r"\Qa.b\Ecd", ""),
        (r"Đường dẫn", "Đường dẫn"),
        ("(?i)đường", ""),
    ],
)
def test_regex(pattern: str, found: str) -> None:
    assert witness.of_regex(pattern) == found


@pytest.mark.parametrize(
    ("pattern", "found"), [("*\\\\temp\\\\*.exe", "\\temp\\"), ("a?b*cde", "cde"), ("ab\\*cd*", "ab*cd"), ("*", ""), ("a\\\\*bcd", "bcd")]
)
def test_like(pattern: str, found: str) -> None:
    assert witness.of_like(pattern) == found


_PARTS = st.sampled_from(["abc", "K", "s", "x+", "y*", "(?:de|f)", "(gh)?", "[i-k]", ".", r"\.", "{2}", "(?i:LMN)", "é", "$", r"\\"])


@given(st.lists(_PARTS, max_size=8), st.text("abcdefghijklmnKsxyéſ\u212a.\\L", max_size=20), st.booleans())
@example(["(?i:LMN)"], "lmn", False)
@example(["s", "abc"], "ſabc", True)
def test_what_matches_holds_its_witness(parts: list[str], text: str, blind: bool) -> None:
    pattern = ("(?i)" if blind else "") + "".join(parts)
    try:
        found = re2.search(pattern, text)
    except re2.error:
        return
    if found is not None:
        assert witness.of_regex(pattern).lower() in text.lower()


@pytest.mark.parametrize("pattern", ["(", "(?U)a+bcd", r"\pLabc", "a" * 50_000 + "("])
def test_odd_patterns_have_none(pattern: str) -> None:
    assert not witness.of_regex(pattern)
