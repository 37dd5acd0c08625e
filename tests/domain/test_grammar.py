"""The query language: what is read, how it is written again, and errors that point at the place."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import UsageError
from domain.grammar import canonical, parse, show
from domain.query import FALSE, TRUE, And, Not, Or, Test, fields_of

FOLD = "fold"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("source.ip:10.1.2.3", Test("source.ip", "eq", ("10.1.2.3",)), id="field:value"),
        pytest.param("event.code:4688", Test("event.code", "eq", ("4688",)), id="numbers stay text"),
        pytest.param("user.name:*", Test("user.name", "exists", (True,)), id="present"),
        pytest.param("url.path:/admin*", Test("url.path", "startswith", ("/admin",)), id="wildcard at the end"),
        pytest.param("url.path:*.php", Test("url.path", "endswith", (".php",)), id="wildcard in front"),
        pytest.param("url.path:*login*", Test("url.path", "contains", ("login",)), id="wildcards on both sides"),
        pytest.param("user.name:adm?n", Test("user.name", "like", ("adm?n",)), id="one character"),
        pytest.param("url.path:/a*b", Test("url.path", "like", ("/a*b",)), id="wildcard inside"),
        pytest.param(r"url.path:a\*b", Test("url.path", "eq", ("a*b",)), id="escaped wildcard is text"),
        pytest.param(r"process.name:C:\Temp\x", Test("process.name", "eq", ("C:\\Temp\\x",)), id="backslash is text"),
        pytest.param(r"process.name:C:\Temp\\*", Test("process.name", "startswith", ("C:\\Temp\\",)), id="backslash, then wildcard"),
        pytest.param("process.name|contains:cmd", Test("process.name", "contains", ("cmd",)), id="contains"),
        pytest.param("user.name|cased|startswith:Adm", Test("user.name", "startswith", ("Adm",), cased=True), id="cased"),
        pytest.param("source.ip|cidr:2001:db8::/32", Test("source.ip", "cidr", ("2001:db8::/32",)), id="network v6"),
        pytest.param("source.ip:2001:DB8:0::1", Test("source.ip", "eq", ("2001:db8::1",)), id="v6 address as stored"),
        pytest.param('source.ip:"2001:DB8:0::1"', Test("source.ip", "eq", ("2001:DB8:0::1",)), id="quoted address as written"),
        pytest.param("http.response.bytes|gte:1000", Test("http.response.bytes", "gte", (1000,)), id="number compared"),
        pytest.param(r'url.query|re:"(?i)a\s+(b|c)"', Test("url.query", "re", (r"(?i)a\s+(b|c)",)), id="regex"),
        pytest.param("user.name|exists:false", Test("user.name", "exists", (False,)), id="absent"),
        pytest.param('user.name:(root or "Nguyễn Văn A", b)', Test("user.name", "eq", ("root", "Nguyễn Văn A", "b")), id="list"),
        pytest.param("user.name:a or user.name:b", Test("user.name", "eq", ("a", "b")), id="alternatives become a list"),
        pytest.param("*|contains:whoami", Test(None, "contains", ("whoami",)), id="any field"),
        pytest.param("mimikatz", Test(None, FOLD, ("mimikatz",)), id="bare word"),
        pytest.param('"đăng nhập"', Test(None, FOLD, ("đăng nhập",)), id="phrase"),
        pytest.param("2001:db8::1", Test(None, FOLD, ("2001:db8::1",)), id="bare v6 address"),
        pytest.param("fe80::1", Test(None, FOLD, ("fe80::1",)), id="bare v6 address that looks like a field"),
        pytest.param("net*user", Test(None, "like", ("*net*user*",)), id="bare pattern"),
        pytest.param("", TRUE, id="empty"),
        pytest.param("*", TRUE, id="everything"),
        pytest.param("not *", FALSE, id="nothing"),
    ],
)
def test_terms(text, expected):
    assert parse(text) == expected


A, B, C = (Test(None, FOLD, (x,)) for x in "abc")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a b", And((A, B))),
        ("a AND b", And((A, B))),
        ("a or b and c", Or((A, And((B, C))))),
        ("(a or user.name:b) and c", And((Or((A, Test("user.name", "eq", ("b",)))), C))),
        ("not a b", And((Not(A), B))),
        ("not (a b)", Not(And((A, B)))),
        ("not not a", A),
        ("a not b", And((A, Not(B)))),
    ],
)
def test_operators(text, expected):
    assert parse(text) == expected


@pytest.mark.parametrize(
    ("text", "column", "what"),
    [
        ("usr.name:x", 1, "unknown field usr.name"),
        ("user.name|contians:x", 10, "unknown modifier contians"),
        ("user.name|contains|re:x", 1, "modifiers contains and re do not go together"),
        ("(a or b", 1, "this parenthesis is never closed"),
        ("a )", 3, "this closing parenthesis has no opening one"),
        ("user.name:", 11, "a value is missing after the colon"),
        ('a "abc', 3, "this quote is never closed (a backslash before the closing quote must be doubled)"),
        ("a and", 6, "a term is missing here: field:value, a word, or a phrase in quotes"),
        ("or b", 1, "a term is missing here: field:value, a word, or a phrase in quotes"),
        ("user.name:(a and b)", 14, "in a list, values are joined by or: field:(a or b); field:(…) takes no and, not"),
        ("user.name:(a or b", 18, "in a list, values are joined by or: field:(a or b); field:(…) takes no and, not"),
        ("source.ip|cidr:300.1.1.1", 16, "not a network: 10.0.0.0/8, 2001:db8::/32"),
        ("http.response.bytes|gt:abc", 24, "not a number"),
        ("@timestamp|gt:2026", 15, "times are compared with --since and --until"),
        ("user.name|exists:maybe", 18, "|exists: takes true or false"),
        ("(" * 60 + "a" + ")" * 60, 51, "parentheses are nested deeper than 50"),
    ],
)
def test_errors_point_at_the_place(text, column, what):
    with pytest.raises(UsageError) as caught:
        parse(text)
    first, line, caret = caught.value.what.split("\n")
    assert first == f"query, column {column}: {what}"
    assert caret.strip() == "^"
    assert line[len(caret) - 1 :] == text[column - 1 :][:40]


def test_suggestions():
    with pytest.raises(UsageError) as caught:
        parse("user.nam:x")
    assert "did you mean user.name" in caught.value.hint
    with pytest.raises(UsageError) as caught:
        parse(r"C:\Windows")
    assert caught.value.hint.endswith(r'for the text itself write it in quotes: "C:\Windows"')


def test_regular_expression_is_checked_as_it_will_run():
    assert parse(r'user.name|re:"\pL+\z"').values == (r"\pL+\z",)
    with pytest.raises(UsageError, match="not a regular expression"):
        parse('user.name|re:"(?=look)"')


def test_long_query_is_shown_around_the_place():
    with pytest.raises(UsageError) as caught:
        parse("a " * 500 + ")")
    _, line, caret = caught.value.what.split("\n")
    assert len(line) < 120
    assert line[len(caret) - 1] == ")"


def test_show_is_readable():
    text = r'source.ip:10.1.2.3 and not event.outcome:success and process.executable:C:\Windows\cmd.exe and (đăng or user.name:"a b")'
    assert show(parse(text)) == text
    assert show(Test("event.code", "eq", (4688, "4689"))) == "event.code:(4688 or 4689)"
    assert show(Test("http.request.method", "exists", (True,))) == "http.request.method:*"


NAMES = st.sampled_from([None, "user.name", "source.ip", "url.query", "winlog.event_data.a b", 'unmapped.x"y\\z', "event.code"])
TEXTS = st.text(alphabet=st.sampled_from(list("ab*?\\\"' (),:|.đĂ\tand0")), max_size=8)
VALUES = st.one_of(TEXTS, st.integers(-5, 5000), st.booleans(), st.floats(-1e3, 1e3))
OPS = st.sampled_from(
    ["eq", "contains", "startswith", "endswith", "like", "fold", "lt", "gte", "hour", "fieldref", "fieldref_contains", "exists"]
)
LEAVES = st.one_of(
    st.builds(Test, NAMES, OPS, st.lists(VALUES, max_size=3).map(tuple), st.booleans()), st.builds(lambda n: Test(n, "null"), NAMES)
)
TREES = st.recursive(
    LEAVES,
    lambda c: st.one_of(
        st.builds(Not, c),
        st.lists(c, max_size=3).map(lambda x: And(tuple(x))),
        st.lists(c, max_size=3).map(lambda x: Or(tuple(x))),
    ),
    max_leaves=6,
)


@given(TREES)
def test_what_is_shown_is_read_as_the_same(expr):
    assert parse(show(expr)) == canonical(expr)


@given(TREES)
def test_canonical_is_stable(expr):
    assert canonical(canonical(expr)) == canonical(expr)


@given(st.text(alphabet=st.sampled_from(list("ab*?\\\"' (),:|.đ\tandor0")), max_size=30))
def test_any_text_is_read_or_refused(text):
    try:
        expr = parse(text)
    except UsageError as error:
        assert len(error.what.split("\n")) == 3
        return
    assert parse(show(expr)) == expr
    assert fields_of(expr) <= {"*"}


@given(st.text(alphabet=st.sampled_from(list("ab\"'\\ .")), min_size=1, max_size=8))
def test_regular_expressions_survive(text):
    import re

    import pyarrow as pa
    import pyarrow.compute as pc

    shown = show(Test("url.query", "re", (re.escape(text),)))
    (pattern,) = parse(shown).values
    assert pc.match_substring_regex(pa.array([text]), f"^(?:{pattern})$").to_pylist() == [True]
