"""Why a test fails: the closest of what is wanted, and the difference."""

from __future__ import annotations

import time

import pytest

from detectors.sigma.nearmiss import held, miss
from domain.query import Op, Test, Value


def why(
    op: Op, wanted: Value | tuple[Value, ...], *seen: str, cased: bool = False, others: tuple[str | None, ...] = ()
) -> tuple[str, str, str]:
    values = wanted if isinstance(wanted, tuple) else (wanted,)
    found = miss(Test("f", op, values, cased), seen, others)
    return found.why, found.wanted[0] if found.wanted else "", found.common


@pytest.mark.parametrize(
    ("op", "wanted", "seen", "expected"),
    [
        ("eq", "cmd.exe", "cmd.exe /c", ("longer", "cmd.exe", "cmd.exe")),
        ("eq", "cmd.exe", "C:\\cmd.exe", ("before", "cmd.exe", "cmd.exe")),
        ("endswith", "\\cmd.exe", "C:\\CMD.exe.bak", ("inside", "\\cmd.exe", "\\cmd.exe")),
        ("startswith", "powershell", "c:\\powershell", ("before", "powershell", "powershell")),
        ("contains", "sekurlsa::logon", "sekurlsa", ("part", "sekurlsa::logon", "sekurlsa")),
        ("contains", "sekurlsa::logon", "x sekurlsa::lo", ("close", "sekurlsa::logon", "sekurlsa::lo")),
        ("contains", "sekurlsa", "notepad", ("far", "sekurlsa", "")),
        ("like", "a*bcd*xyz", "a bc xyz", ("piece", "a*bcd*xyz", "bcd")),
        ("re", "Evil", "evil", ("case", "Evil", "")),
        ("re", "evil[0-9]", "evil", ("pattern", "evil[0-9]", "")),
        ("gte", 100, "77", ("low", "100", "")),
        ("lt", (5, 50), "60", ("high", "50", "")),
        ("gt", 5, "many", ("no_number", "5", "")),
        ("cidr", ("10.0.0.0/8", "192.168.0.0/16"), "192.169.1.1", ("outside", "192.168.0.0/16", "192.168.0.0–192.168.255.255")),
        ("cidr", "10.0.0.0/8", "::ffff:11.0.0.1", ("outside", "10.0.0.0/8", "10.0.0.0–10.255.255.255")),
        ("cidr", "2001:db8::/32", "2001:db9::1", ("outside", "2001:db8::/32", "2001:db8::–2001:db8:ffff:ffff:ffff:ffff:ffff:ffff")),
        ("cidr", "2001:db8::/32", "192.0.2.1", ("far", "2001:db8::/32", "")),
        ("cidr", "10.0.0.0/8", "host", ("no_address", "10.0.0.0/8", "")),
        ("hour", 3, "2026-11-24T08:00:00Z", ("time", "3", "")),
    ],
)
def test_differences(op: Op, wanted: Value | tuple[Value, ...], seen: str, expected: tuple[str, str, str]) -> None:
    assert why(op, wanted, seen) == expected


def test_case_counts_only_where_it_is_asked_for() -> None:
    assert why("eq", "RUNDLL32.EXE", "rundll32.exe", cased=True)[0] == "case"
    assert why("contains", "Evil", "an evil word", cased=True)[0] == "case"


def test_absent_present_and_other_fields() -> None:
    assert why("eq", "x")[0] == "absent"
    assert why("exists", False, "here")[0] == "present"
    assert why("fieldref", "other", "a", others=("b",)) == ("other_field", "other", "b")
    assert why("fieldref", "other", "a", others=())[0] == "other_absent"


def test_the_closest_of_the_elements_of_a_field() -> None:
    found = miss(Test("f", "endswith", ("\\evil.exe",)), ["C:\\good.dll", "C:\\evil.exe.tmp"])
    assert (found.why, found.seen) == ("inside", "C:\\evil.exe.tmp")


def test_of_thousands_of_values_the_closest_few_are_found_at_once() -> None:
    values = tuple(f"tool-{n:05}-{n * 7919 % 9973}.exe" for n in range(4432))
    begun = time.perf_counter()
    found = miss(Test("f", "contains", values), ["C:\\Users\\x\\tool-00042-3.exe"])
    assert time.perf_counter() - begun < 1.0
    assert found.wanted[0].startswith("tool-00042")
    assert len(found.wanted) <= 3


def test_which_value_holds() -> None:
    assert held(Test("f", "contains", ("a1", "b2")), ["xB2x"]) == ("b2",)
    assert held(Test("f", "gt", (3,)), ["5"]) == ("3",)
