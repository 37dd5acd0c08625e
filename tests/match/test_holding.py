"""The search for words in columns never passes over a value that holds one."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.event import encode
from match.folded import ODD, Words
from match.holding import held, narrowed

PIECES = st.one_of(st.none(), st.sampled_from(["", "x", "ab", "abcd", "cdx", "xab", "CDA", "xabđcdx", "ABCD\u212a"]))
WORDS = st.sampled_from(["xabcdx", "abcd", "bc", "cd", "xx", "dxx", "aabcdxc", "b"])


@settings(max_examples=300, deadline=None)
@given(st.lists(PIECES, min_size=1, max_size=6), st.lists(WORDS, min_size=1, max_size=4), st.booleans())
def test_values_that_hold_a_word_are_kept(texts: list[str | None], words: list[str], sliced: bool) -> None:
    array = pa.array(["abcd", *texts], pa.string()).slice(1) if sliced else pa.array(texts, pa.string())
    column = encode(array)
    left = None if column is None else narrowed(column, Words(words))
    for row, text in enumerate(texts):
        if any(word in (text or "").lower() for word in words):
            assert left is not None
            assert left.values[int(left.codes[row])].as_py() == text


@pytest.mark.parametrize("letter", ODD)
def test_letters_that_become_ascii_are_not_passed_over(letter: str) -> None:
    column = encode(pa.array(["none", f"x{letter}y"]))
    assert column is not None
    left = narrowed(column, Words(["word"]))
    assert left is not None
    assert left.codes.tolist() == [-1, 0]


def test_numbers_and_times_are_searched_as_text() -> None:
    column = encode(pa.array([None, 1_000_000, 2_000_000], pa.timestamp("us", "UTC")))
    assert column is not None
    left = narrowed(column, Words(["t00:00:02"]))
    assert left is not None
    assert left.codes.tolist() == [-1, -1, 0]


def test_only_rows_that_hold_something_are_left() -> None:
    first, second = encode(pa.array([None, "a", None, "b"])), encode(pa.array([None, None, None, "c"]))
    assert first is not None
    assert second is not None
    rows, batch = held({"one": first, "two": second}, 4)
    assert (rows.tolist(), batch.rows, list(batch.fields())) == ([1, 3], 2, ["one", "two"])
    two = batch.column("two", np.array([1], np.int32))
    assert two is not None
    assert two.values.take(pa.array(two.codes)).to_pylist() == ["c"]
    assert batch.column("three") is None
