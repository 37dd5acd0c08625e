"""Words in much text, whatever their case: nothing is passed over, wherever a piece ends."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from match import folded
from match.folded import ODD, Words, plain_word, safe_word

LETTERS = st.text("abKđ\u212a@[{ \\/", max_size=40)


@settings(max_examples=300, deadline=None)
@given(LETTERS, st.lists(st.text("abk@[\\/ ", min_size=1, max_size=4), min_size=1, max_size=5), st.integers(1, 9))
def test_every_word_is_touched(text: str, words: list[str], piece: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(folded, "_PIECE", piece)
        found = Words(words).find(memoryview(text.encode())).tolist()
    raw = text.encode().lower()
    for word in words:
        at = raw.find(word.encode())
        while at >= 0:
            assert any(start < at + len(word) and end > at for start, end in found)
            at = raw.find(word.encode(), at + 1)


@pytest.mark.parametrize("letter", ODD)
@pytest.mark.parametrize("at", range(10))
def test_an_odd_letter_is_touched_wherever_a_piece_ends(letter: str, at: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(folded, "_PIECE", 4)
        found = Words(["k"]).find(memoryview(("." * at + letter + "....").encode())).tolist()
    assert [at, at + len(letter.encode())] in found


def test_more_words_than_one_automaton_takes() -> None:
    words = [f"word{n:03}" for n in range(200)]
    assert Words(words).find(memoryview(b"..WORD003..word199..")).tolist() == [[2, 9], [11, 18]]


def test_no_other_letters_become_ascii() -> None:
    letters = pa.array([chr(n) for n in range(0x80, 0x110000) if not 0xD800 <= n < 0xE000])
    becoming = pc.match_substring_regex(pc.utf8_lower(letters), "[ -~]")
    assert sorted(letters.filter(becoming).to_pylist()) == sorted(ODD)


@pytest.mark.parametrize(("literal", "plain", "safe"), [
    ("atk/", "atk/", ""), (r"\perfc.dat", r"\perfc.dat", "perfc.dat"), ("đếm-abcde", "m-abcde", "m-abcde"), ("4625", "", ""),
    ("true", "", ""), ("als", "", ""), ("e+20", "", ""), ("1.5e-07", "", ""), ("nan", "", ""), ("event::clear", "event::clear", "event::clear"),
])  # fmt: skip
def test_what_stands_for_a_literal(literal: str, plain: str, safe: str) -> None:
    assert (plain_word(literal), safe_word(literal)) == (plain, safe)
