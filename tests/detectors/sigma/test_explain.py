"""Reasons of an alert: the terms that held, with the part of the value that made them hold."""

from __future__ import annotations

import pytest

from detectors.sigma.explain import reasons
from domain.event import table_of
from domain.query import And, Expr, Not, Or, Test

LONG = "x" * 3000 + " Invoke-Mimikatz -DumpCreds " + "y" * 3000


def found(expr: Expr, **fields: str) -> list[tuple[str, str, str]]:
    table = table_of([{name.replace("__", "."): value for name, value in fields.items()}])
    return [(r.field, r.value, r.expected) for r in reasons(expr, table)]


def test_only_terms_that_hold_and_are_asked_for() -> None:
    expr = And((
        Or((Test("user.name", "eq", ("an", "binh")), Test("user.name", "eq", ("chi",)))), Not(Test("user.domain", "eq", ("x",))),
        Test("process.name", "endswith", ("cmd.exe", "sh")),
    ))  # fmt: skip
    assert found(expr, user__name="Binh", process__name="bash") == [
        ("user.name", "Binh", "eq: binh"),
        ("process.name", "bash", "endswith: sh"),
    ]


@pytest.mark.parametrize(
    "test",
    [
        Test("process.command_line", "contains", ("rubeus", "mimikatz")), Test("process.command_line", "re", ("(?i)invoke-m[a-z]+katz",)),
        Test("process.command_line", "contains", ("mimikatz",), cased=False),
    ],
)  # fmt: skip
def test_a_long_value_is_shown_where_it_matched(test: Test) -> None:
    ((_, value, _),) = found(test, process__command_line=LONG)
    assert "Invoke-Mimikatz" in value
    assert value.startswith("…")
    assert len(value) < 230


def test_a_match_at_the_end_is_shown() -> None:
    ((_, value, expected),) = found(
        Test("process.executable", "endswith", ("\\evil.exe",)), process__executable="C:\\" + "a" * 500 + "\\evil.exe"
    )
    assert (value[-9:], expected) == ("\\evil.exe", "endswith: \\evil.exe")


def test_hostile_values_do_nothing() -> None:
    ((_, value, _),) = found(Test("user.name", "contains", ("an",)), user__name="an\x1b[31m\u202e")
    assert value == "an‹U+001B›[31m‹U+202E›"
