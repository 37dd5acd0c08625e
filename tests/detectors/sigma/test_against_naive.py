"""Whole rules, made at random, against the interpreter of `naive.py`."""

from __future__ import annotations

import base64
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.sigma.verify import verify
from tests.detectors.sigma.naive import holds, text

FIELDS = ("f", "g", "h")
pieces = st.lists(st.sampled_from(("a", "B", "\\", "\\\\", "*", "?", "-", "/", " ", "đ", "Ỗ", ".", "5", "\u2013", "x-y")), max_size=5).map(
    "".join
)
plain = st.lists(st.sampled_from(("a", "B", "\\", "*", "?", "-", "/", " ", "Đ", "ỗ", ".", "5", "\u2014", "x-y")), max_size=6).map("".join)
numbers = st.sampled_from((0, 1, 5, -5, 55, 1.5, 5.0))
scalars = plain | plain | numbers | st.booleans() | st.none()
values = scalars | st.lists(scalars, max_size=3)
events = st.dictionaries(st.sampled_from(FIELDS), values | st.dictionaries(st.sampled_from(("a", "f")), values, max_size=2), max_size=3)
TEXT = (
    "",
    "|contains",
    "|startswith",
    "|endswith",
    "|cased",
    "|contains|cased",
    "|cased|endswith",
    "|windash",
    "|windash|contains",
    "|neq",
    "|contains|neq",
    "|cased|windash|startswith",
)


def items(held: list[str]) -> st.SearchStrategy[tuple[str, Any]]:
    """Modifiers with values that they take, often those that the events hold."""
    words = pieces | st.sampled_from(held or ["a"]) | st.sampled_from(held or ["a"]).map(str.swapcase)
    literal = st.sampled_from([h for h in held if not set(h) & set("*?\\")] or ["a"]).filter(bool)
    coded = literal | st.just("aB")
    return st.one_of(
        st.tuples(st.sampled_from(TEXT), words | st.lists(words, min_size=1, max_size=3)),
        st.tuples(st.sampled_from(("", "|contains", "|startswith", "|neq", "|cased")), numbers | st.booleans()),
        st.tuples(st.sampled_from(("|all", "|contains|all", "|all|startswith", "|windash|contains|all", "|contains|all|neq")), st.lists(words, min_size=2, max_size=3)),
        st.tuples(st.sampled_from(("", "|neq")), st.none()),
        st.tuples(st.just("|exists"), st.booleans()),
        st.tuples(st.sampled_from(("|lt", "|lte", "|gt", "|gte")), numbers),
        st.tuples(st.sampled_from(("|re", "|re|i", "|re|neq")), st.sampled_from(("^a", "[0-9]+", "b-?x", "^.?$", "đ", "a.*b", "\\\\"))),
        st.tuples(st.sampled_from(("|fieldref", "|fieldref|neq")), st.sampled_from(FIELDS)),
        st.tuples(st.just("|base64offset|contains"), coded),
    )  # fmt: skip


@st.composite
def situations(draw: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A detection and events near to it."""
    found = draw(st.lists(events, min_size=1, max_size=6))
    held = sorted(
        {
            text(e)
            for event in found
            for value in event.values()
            for e in (value if isinstance(value, list) else [value])
            if isinstance(e, (str, int))
        }
    )
    one = items(held)
    maps = st.dictionaries(st.sampled_from(FIELDS), one, min_size=1, max_size=2).map(
        lambda d: {f"{n}{mod}": value for n, (mod, value) in d.items()}
    )
    keywords = st.lists(st.sampled_from(held or ["a"]) | pieces, min_size=1, max_size=2)
    body = maps | st.lists(maps, min_size=1, max_size=2) | keywords | st.lists(maps | pieces, min_size=1, max_size=2)
    condition = draw(
        st.sampled_from(
            (
                "x",
                "not x",
                "x and y_1",
                "x or y_1 and not y_2",
                "not (x or y_1)",
                "1 of y_*",
                "all of y_* or x",
                "x and not 1 of y_*",
                "1 of them",
                "all of them",
            )
        )
    )
    if draw(st.integers(0, 5)) == 0:
        coded = base64.b64encode(("x" * draw(st.integers(0, 2)) + draw(st.sampled_from(held or ["a"]))).encode()).decode()
        found.append({"f": coded, "g": coded})
    return {"x": draw(body), "y_1": draw(body), "y_2": draw(body), "_z": ["a"], "condition": condition}, found


@settings(max_examples=200)
@given(situations())
def test_rules_mean_what_the_naive_interpreter_says(situation: tuple[dict[str, Any], list[dict[str, Any]]]) -> None:
    detection, found = situation
    rule = {"title": "Made", "logsource": {"category": "test"}, "detection": detection}
    out = verify([{"id": n, "rule": rule, "event": event, "expected": holds(detection, event)} for n, event in enumerate(found)], None)
    assert out.failures == []
