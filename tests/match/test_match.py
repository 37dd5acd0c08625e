"""The evaluator: each operator, then random expressions against a naive one, and rules that must not disturb each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import match
from domain.event import SEP, TableBatch, table_of
from domain.query import FALSE, TRUE, And, Expr, Not, Or, Test, all_of, from_json, to_json
from match import Entry, Matcher, rows

EVENTS: Sequence[Mapping[str, object]] = (
    {"message": "Đỗ Văn Ánh failed", "user.name": "ROOT", "source.ip": "10.1.2.3", "event.category": ["web", "network"], "source.port": 22},
    {"user.name": "bob", "source.ip": "::ffff:10.0.0.9", "source.port": 4444, "url.path": "/a\nb", "host.name": "BOB"},
    {"source.ip": "2001:db8::1", "user.name": "root2", "@timestamp": "2026-11-24T08:15:00Z", "file.code_signature.signed": True},
    {"url.path": "", "message": "a*b?c\\d"},
)


def found(expr: Expr) -> list[int]:
    return match.rows(expr, TableBatch(table_of(EVENTS))).tolist()


@pytest.mark.parametrize(
    ("expr", "rows"),
    [
        pytest.param(Test("user.name", "eq", ("root",)), [0], id="eq ignores case"),
        pytest.param(Test("user.name", "eq", ("root",), cased=True), [], id="cased eq"),
        pytest.param(Test("user.name", "startswith", ("ROO",)), [0, 2], id="startswith"),
        pytest.param(Test("user.name", "endswith", ("T2",)), [2], id="endswith"),
        pytest.param(Test("user.name", "eq", ("o",)), [], id="eq of a short literal is the whole value"),
        pytest.param(Test("source.port", "eq", ("2",)), [], id="short literal at both ends is not equality: 22"),
        pytest.param(Test("user.name", "like", ("r??t*",)), [0, 2], id="like"),
        pytest.param(Test("url.path", "like", ("/a*b",)), [1], id="a star crosses line breaks"),
        pytest.param(Test("message", "like", ("a\\*b\\?c\\\\d",)), [3], id="escaped wildcards are literal"),
        pytest.param(Test("user.name", "re", ("^b.b$",)), [1], id="re is case-sensitive"),
        pytest.param(Test("user.name", "re", ("(?i)^ROOT",)), [0, 2], id="re with a flag"),
        pytest.param(Test("source.ip", "cidr", ("10.0.0.0/8",)), [0, 1], id="cidr takes mapped v6"),
        pytest.param(Test("source.ip", "cidr", ("::ffff:10.0.0.0/104",)), [0, 1], id="mapped network"),
        pytest.param(Test("source.ip", "cidr", ("2001:db8::/32",)), [2], id="cidr v6"),
        pytest.param(Test("source.port", "gte", (22,)), [0, 1], id="gte"),
        pytest.param(Test("source.port", "eq", ("22",)), [0], id="text equals number"),
        pytest.param(Test("source.port", "eq", (4444,)), [1], id="number equals number"),
        pytest.param(Test("user.name", "lt", (5,)), [], id="text is no number"),
        pytest.param(Test("url.path", "eq", ("",)), [3], id="empty text is neither null nor missing"),
        pytest.param(Test("url.path", "null"), [0, 2], id="null is missing"),
        pytest.param(Test("user.name", "exists", (False,)), [3], id="absent"),
        pytest.param(Not(Test("nowhere", "eq", ("x",))), [0, 1, 2, 3], id="not of a missing field is true"),
        pytest.param(Test("event.category", "eq", ("network",)), [0], id="any element of a list"),
        pytest.param(Test("event.category", "startswith", ("net",)), [0], id="element start"),
        pytest.param(Test("event.category", "contains", (f"web{SEP}",)), [], id="no match across elements"),
        pytest.param(Test(None, "contains", ("FAILED",)), [0], id="keyword"),
        pytest.param(Test(None, "like", ("*đỗ*ánh*",)), [0], id="keyword with wildcard"),
        pytest.param(Test(None, "fold", ("do van anh",)), [0], id="search folds diacritics"),
        pytest.param(Test("user.name", "fieldref", ("host.name",)), [1], id="fieldref ignores case"),
        pytest.param(Test("@timestamp", "hour", (8,)), [2], id="part of a time stamp"),
        pytest.param(Test("file.code_signature.signed", "eq", ("true",)), [2], id="bool is true or false"),
        pytest.param(all_of(Test("user.name", "exists", (True,)), Not(Test("source.port", "eq", (22,)))), [1, 2], id="and not"),
        pytest.param(TRUE, [0, 1, 2, 3], id="true"),
        pytest.param(FALSE, [], id="false"),
    ],
)
def test_operator(expr: Expr, rows: list[int]) -> None:
    assert found(expr) == rows
    assert found(Not(expr)) == [n for n in range(4) if n not in rows]


WORDS = ("", "a", "ab", "abc", "Bc", "đa", "a b", "10.0.0.1", "x" * 40)
FIELDS = ("user.name", "host.name", "event.category", "unmapped.k")
values = st.sampled_from(WORDS)
events = st.lists(
    st.dictionaries(st.sampled_from(FIELDS), values | st.lists(values, min_size=1, max_size=3), max_size=4), min_size=1, max_size=12
)  # fmt: skip
literal_tests = st.builds(
    Test, st.sampled_from(FIELDS), st.sampled_from(("eq", "contains", "startswith", "endswith")), st.lists(values, min_size=1, max_size=3).map(tuple),
    st.booleans(),
)  # fmt: skip
other_tests = st.builds(Test, st.sampled_from(FIELDS), st.just("null")) | st.builds(
    Test, st.sampled_from(FIELDS), st.just("exists"), st.tuples(st.booleans())
)
exprs = st.recursive(
    literal_tests | other_tests,
    lambda child: (
        st.builds(Not, child)
        | st.builds(And, st.lists(child, max_size=3).map(tuple))
        | st.builds(Or, st.lists(child, max_size=3).map(tuple))
    ),
    max_leaves=8,
)


def naive(expr: Expr, event: Mapping[str, object]) -> bool:
    """The semantics, word for word."""
    if isinstance(expr, Not):
        return not naive(expr.child, event)
    if isinstance(expr, And):
        return all(naive(c, event) for c in expr.children)
    if isinstance(expr, Or):
        return any(naive(c, event) for c in expr.children)
    value = event.get(str(expr.field))
    if expr.op == "null":
        return value is None
    if expr.op == "exists":
        return (value is not None) == expr.values[0]
    elements = [] if value is None else value if isinstance(value, list) else [value]
    lowered = [str(e) if expr.cased else str(e).lower() for e in elements]
    wanted = [str(v) if expr.cased else str(v).lower() for v in expr.values]
    compare = {"eq": str.__eq__, "contains": str.__contains__, "startswith": str.startswith, "endswith": str.endswith}[expr.op]
    return any(compare(e, w) for e in lowered for w in wanted)


def flat(event: Mapping[str, object]) -> dict[str, object]:
    """Only the field that the dictionary calls several-valued keeps a list."""
    return {k: v if k == "event.category" or not isinstance(v, list) else v[0] for k, v in event.items()}


@settings(max_examples=300, deadline=None)
@given(events, exprs)
def test_random_expressions_agree_with_the_naive_evaluator(batch: list[dict[str, object]], expr: Expr) -> None:
    rows = [flat(e) for e in batch]
    got = match.rows(expr, TableBatch(table_of(rows))).tolist()
    assert got == [n for n, e in enumerate(rows) if naive(expr, e)]


@settings(max_examples=100, deadline=None)
@given(events, st.lists(st.tuples(literal_tests, exprs), min_size=2, max_size=6))
def test_each_rule_answers_for_itself(batch: list[dict[str, object]], rules: list[tuple[Test, Expr]]) -> None:
    table = TableBatch(table_of([flat(e) for e in batch]))
    together = {key: rows.tolist() for key, rows in Matcher([Entry(n, r, b) for n, (r, b) in enumerate(rules)]).run(table)}
    for number, (route, body) in enumerate(rules):
        assert together.get(number, []) == match.rows(all_of(route, body), table).tolist()


@given(exprs)
def test_json_form_is_the_same_expression(expr: Expr) -> None:
    assert from_json(to_json(expr)) == expr


def test_a_long_literal_that_repeats_itself() -> None:
    word = "y" * 100_000
    batch = TableBatch(table_of([{"message": word}, {"message": word[:-1]}]))
    assert rows(Test("message", "contains", (word,)), batch).tolist() == [0]
