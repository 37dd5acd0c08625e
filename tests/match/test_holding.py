"""The keyword search over a store never passes over a row that holds a word."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from match.holding import ODD, Texts

PIECES = st.one_of(st.none(), st.sampled_from(["", "x", "ab", "abcd", "cdx", "xab", "CDA"]))
WORDS = st.sampled_from(["xabcdx", "abcd", "bc", "cd", "xx", "dxx", "aabcdxc", "b"])


@settings(max_examples=300, deadline=None)
@given(st.integers(1, 4).flatmap(lambda n: st.lists(st.lists(PIECES, min_size=n, max_size=n), min_size=1, max_size=3)),
       st.lists(WORDS, min_size=1, max_size=4), st.booleans())  # fmt: skip
def test_matches_across_values_hide_none_within(columns: list[list[str | None]], words: list[str], coded: bool) -> None:
    arrays = [pa.array(column, pa.string()) for column in columns]
    found = Texts([a.dictionary_encode() for a in arrays] if coded else arrays, len(columns[0])).holding(words)
    for number in range(len(columns[0])):
        held = any(word in (column[number] or "").lower() for column in columns for word in words)
        assert found[number] or not held


@pytest.mark.parametrize("letter", ODD)
def test_letters_that_become_ascii_are_not_passed_over(letter: str) -> None:
    assert Texts([pa.array(["none", f"x{letter}y"])], 2).holding(["word"]).tolist() == [False, True]


def test_no_other_letters_become_ascii() -> None:
    letters = pa.array([chr(n) for n in range(0x80, 0x110000) if not 0xD800 <= n < 0xE000])
    becoming = pc.match_substring_regex(pc.utf8_lower(letters), "[ -~]")
    assert sorted(letters.filter(becoming).to_pylist()) == sorted(ODD)
