"""The engine against the interpreter of `reference.py`: random expressions, random events, and many of both at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

import match
from domain.event import SEP, TableBatch, table_of
from domain.query import FALSE, TRUE, And, Expr, Not, Or, Test, all_of, glob_escape
from match import Entry, Matcher
from tests.match.reference import elements, holds, text

TEXTS = ("user.name", "message", "unmapped.k", "event.action", "thapcanh.parser")
LISTS = ("event.category", "related.ip")
NUMBERS = ("source.port",)
OTHERS = ("event.risk_score", "file.code_signature.signed", "@timestamp", "source.ip")
FIELDS = (*TEXTS, *LISTS, *NUMBERS, *OTHERS, "not.there")

ADDRESSES = (
    "10.0.0.1", "10.255.0.9", "192.168.1.77", "::ffff:10.0.0.1", "::ffff:0a00:0001", "2001:db8::1", "2001:DB8:0:0::ff", "fe80::1", "::1", "::",
    "0.0.0.0", "10.0.0", "10.0.0.256", "010.0.0.1", "[2001:db8::1]",
)  # fmt: skip
NETS = (
    "10.0.0.0/8", "10.0.0.1/32", "0.0.0.0/0", "::/0", "2001:db8::/32", "2001:db8::1/128", "::ffff:10.0.0.0/104", "fe80::/10", "192.168.1.64/26",
)  # fmt: skip
SPELLED = (
    "",
    "0",
    "22",
    "22.0",
    "-7",
    "+7",
    "4688",
    "04688",
    "1e3",
    "0x10",
    ".5",
    "5.",
    "nan",
    "inf",
    " 22",
    "9007199254740993",
    "true",
    "TRUE",
    "False",
)
WORDS = (
    "a",
    "ab",
    "abab",
    "Abc",
    "cmd.exe",
    "C:\\Windows\\",
    "/a\nb",
    "Đỗ Văn",
    "đỗ",
    "ĐỖ VĂN ÁNH",
    "Straße",
    "İstanbul",
    "ΟΔΟΣ",
    "ς",
    "👍x",
    "a*b?c\\d",
)
alphabet = st.sampled_from("aAbB.*?\\ %-/\nđĐỗỐéÉßİςΣ👍\x00\x0b0")
known = st.sampled_from(WORDS + SPELLED)


def changed(word: str) -> st.SearchStrategy[str]:
    """A word of the pool in another case, or a part of it: needles that have something to hit."""
    cuts = st.integers(0, len(word)).flatmap(lambda a: st.integers(a, len(word)).map(lambda b: word[a:b]))
    return st.sampled_from((word, word.upper(), word.lower(), word.title())) | cuts


words = (
    known.flatmap(changed) | known | st.text(alphabet, max_size=6) | st.lists(st.sampled_from(WORDS), min_size=2, max_size=3).map("".join)
)
integers = st.sampled_from((0, 1, 22, -7, 4688, 65535, 2**40, 2**53, 2**53 + 1, 2**62))
floats = st.sampled_from((0.5, -1.25, 22.0, 4688.0, 0.1))
times = st.integers(0, 4_000_000).map(lambda n: datetime(2025, 12, 28, tzinfo=UTC) + timedelta(seconds=n))

events = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(TEXTS, known | words),
        "event.category": st.lists(words.filter(lambda w: SEP not in w), min_size=1, max_size=4),
        "related.ip": st.lists(st.sampled_from(ADDRESSES), min_size=1, max_size=3),
        **dict.fromkeys(NUMBERS, integers),
        "event.risk_score": floats,
        "file.code_signature.signed": st.booleans(),
        "@timestamp": times,
        "source.ip": st.sampled_from(ADDRESSES),
    },
)
fields = st.sampled_from(FIELDS) | st.sampled_from(("user.name", "message", "event.category"))
anywhere = fields | st.none()


def some(values: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(values, min_size=1, max_size=4).map(tuple)


pieces = st.lists(st.sampled_from(("*", "?", "\\*", "\\?", "\\\\", "a", "Ab", "đỗ", "\\x", " ", ".", "[", "\n", "22")), max_size=6).map(
    "".join
)
patterns = st.sampled_from(
    (
        "a",
        "^a",
        "b$",
        "^$",
        "(?i)abc",
        "(?i)đỗ",
        "[0-9]{2,}",
        "a.b",
        "(?s)a.b",
        "a|^c",
        "\\\\",
        "\\.exe$",
        "^.{3}$",
        "(?m)^b",
        ".*",
        "a+b+",
        "^(?:ab)*$",
    )
)
orders = st.builds(Test, fields, st.sampled_from(("lt", "lte", "gt", "gte")), some(integers | floats))
nets = st.builds(Test, st.sampled_from(("source.ip", "related.ip", "user.name")), st.just("cidr"), some(st.sampled_from(NETS)))
parts = st.builds(
    Test, st.just("@timestamp"), st.sampled_from(("minute", "hour", "day", "week", "month", "year")), some(st.integers(0, 59) | st.just(2026))
)  # fmt: skip
presence = st.builds(Test, fields, st.just("null")) | st.builds(Test, fields, st.just("exists"), st.tuples(st.booleans()))
pairs = st.builds(
    Test, st.sampled_from(TEXTS + LISTS + NUMBERS), st.sampled_from(("fieldref", "fieldref_startswith", "fieldref_endswith", "fieldref_contains")),
    some(st.sampled_from((*TEXTS, *LISTS, *NUMBERS, "not.there"))), st.booleans(),
)  # fmt: skip
rigid = orders | nets | parts | presence | pairs | st.builds(Test, anywhere, st.just("re"), some(patterns))


def about(rows: Sequence[Mapping[str, Any]]) -> st.SearchStrategy[Test]:
    """One test, as often as not about what the events hold: its values are theirs, changed or cut."""
    held = sorted({text(value, cased=True) for event in rows for name in event for value in elements(event, name)}) or [""]
    needles = st.sampled_from(held).flatmap(changed) | st.sampled_from(held) | words
    globs = pieces | needles.map(glob_escape) | st.tuples(pieces, needles.map(glob_escape), pieces).map("".join)
    return (
        st.builds(Test, anywhere, st.sampled_from(("contains", "startswith", "endswith")), some(needles), st.booleans())
        | st.builds(Test, fields, st.just("eq"), some(needles | st.just("")), st.booleans())
        | st.builds(Test, fields, st.just("eq"), some(needles | integers | floats | st.booleans()), st.booleans())
        | st.builds(Test, anywhere, st.just("like"), some(globs.filter(well_formed)), st.booleans())
        | st.builds(Test, anywhere, st.just("fold"), some(st.sampled_from(("do", "ĐỖ VĂN", "anh", "a", "22", "", "É"))))
        | rigid
    )


def well_formed(pattern: str) -> bool:
    """A pattern that ends in a lone backslash is nobody's."""
    return (len(pattern) - len(pattern.rstrip("\\"))) % 2 == 0


def exprs_about(rows: Sequence[Mapping[str, Any]]) -> st.SearchStrategy[Expr]:
    """A tree of such tests."""
    return st.recursive(
        about(rows) | st.sampled_from((TRUE, FALSE)),
        lambda child: (
            st.builds(Not, child)
            | st.builds(And, st.lists(child, max_size=4).map(tuple))
            | st.builds(Or, st.lists(child, max_size=4).map(tuple))
        ),
        max_leaves=10,
    )


batches = st.lists(events, min_size=1, max_size=14)


def batch_of(rows: Sequence[Mapping[str, Any]]) -> TableBatch:
    return TableBatch(table_of(rows))


def expected(expr: Expr, rows: Sequence[Mapping[str, Any]]) -> list[int]:
    return [number for number, event in enumerate(rows) if holds(expr, event)]


@settings(max_examples=300)
@given(batches.flatmap(lambda rows: st.tuples(st.just(rows), st.lists(about(rows), min_size=1, max_size=6))))
def test_every_operator(case: tuple[list[dict[str, Any]], list[Test]]) -> None:
    rows, tests = case
    batch = batch_of(rows)
    for test in tests:
        assert match.rows(test, batch).tolist() == expected(test, rows), test
        assert match.rows(Not(test), batch).tolist() == expected(Not(test), rows), test


@settings(max_examples=120)
@given(batches.flatmap(lambda rows: st.tuples(st.just(rows), exprs_about(rows))))
def test_every_expression(case: tuple[list[dict[str, Any]], Expr]) -> None:
    rows, expr = case
    assert match.rows(expr, batch_of(rows)).tolist() == expected(expr, rows)


def many(batches_of_rows: list[list[dict[str, Any]]]) -> st.SearchStrategy[tuple[list[list[dict[str, Any]]], list[tuple[Expr, Expr]]]]:
    """Batches with rules (route, body) about them."""
    body = exprs_about([event for rows in batches_of_rows for event in rows])
    return st.tuples(st.just(batches_of_rows), st.lists(st.tuples(body, body), min_size=1, max_size=8))


@settings(max_examples=50)
@given(st.lists(batches, min_size=1, max_size=3).flatmap(many))
def test_many_rules_over_many_batches(case: tuple[list[list[dict[str, Any]]], list[tuple[Expr, Expr]]]) -> None:
    """One matcher for all batches: nothing of one rule, route or batch shows in another's answer."""
    batches_of_rows, rules = case
    shared = [route for route, _ in rules[: len(rules) // 2]]
    entries = [Entry(number, shared[number % len(shared)] if shared else route, body) for number, (route, body) in enumerate(rules)]
    matcher = Matcher(entries)
    for rows in batches_of_rows:
        found = {key: list(hits) for key, hits in matcher.run(batch_of(rows))}
        wanted = {entry.key: expected(all_of(entry.route, entry.body), rows) for entry in entries}
        assert found == {key: hits for key, hits in wanted.items() if hits}


@settings(max_examples=20)
@given(batches.flatmap(lambda rows: st.tuples(st.just(rows), st.lists(exprs_about(rows), min_size=1, max_size=5))), st.integers(20, 80))
def test_repeated_rows_answer_alike(case: tuple[list[dict[str, Any]], list[Expr]], copies: int) -> None:
    """Large batches of few distinct values take other ways through the engine than small ones."""
    rows, bodies = case
    batch = batch_of(rows * copies)
    for body in bodies:
        wanted = expected(body, rows)
        assert match.rows(body, batch).tolist() == [at * len(rows) + n for at in range(copies) for n in wanted]
