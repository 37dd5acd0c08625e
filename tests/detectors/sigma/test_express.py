"""Rules as Expr: escapes, wildcards, modifiers, what is refused and what is mended."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest
import yaml

from detectors.sigma.load import Loaded, Parsed, load, parse
from detectors.sigma.verify import verify

RULE = """
title: Case
id: 5c7d3f0e-0d5c-4a57-9a55-0d9b6f7f6f00
logsource: {category: process_creation, product: windows}
detection:
  s: %s
  condition: %s
"""


def rule(selection: str, condition: str = "s") -> dict[str, Any]:
    data = yaml.safe_load(RULE % (selection, condition))
    assert isinstance(data, dict)
    return data


def answer(selection: str, event: dict[str, Any], condition: str = "s") -> object:
    out = verify([{"id": 1, "rule": rule(selection, condition), "event": event, "expected": "?"}], None)
    return out.failures[0]["got"]


@pytest.mark.parametrize(
    ("selection", "event", "expected"),
    [
        pytest.param(r"{f: 'C:\Windows\*'}", {"f": "c:\\windows\\x"}, False, id="backslash before a star escapes it"),
        pytest.param(r"{f: 'C:\Windows\\*'}", {"f": "c:\\windows\\x"}, True, id="two backslashes before a star: one, then a wildcard"),
        pytest.param(r"{f: 'a\b'}", {"f": "a\\b"}, True, id="single backslash is itself"),
        pytest.param("{f: 'a?c'}", {"f": "abc"}, True, id="question mark"),
        pytest.param("{f: '*'}", {"f": ""}, True, id="a star needs a value, an empty one will do"),
        pytest.param("{f: '*'}", {"f": None}, False, id="a JSON null is no value"),
        pytest.param("{f: null}", {"f": None}, True, id="null takes a JSON null"),
        pytest.param("{f|exists: true}", {"f": None}, True, id="a JSON null is present"),
        pytest.param("{f: 4688}", {"f": "4688"}, True, id="number and text"),
        pytest.param("{f: true}", {"f": "True"}, True, id="bool and text"),
        pytest.param("{f|gt: 5}", {"f": "10"}, True, id="gt compares numbers in text"),
        pytest.param("{f|gt: 5}", {"f": "x"}, False, id="gt on other text is false"),
        pytest.param("{f|contains|all: [a, b]}", {"f": "xbxa"}, True, id="all"),
        pytest.param("{f|windash|contains: ' -enc'}", {"f": "p \u2013enc"}, True, id="windash: en dash in the event"),
        pytest.param("{f|windash|contains: ' \u2014enc'}", {"f": "p /enc"}, True, id="windash: em dash in the rule"),
        pytest.param("{f|base64offset|contains: 'http'}", {"f": "xxaHR0cxx"}, True, id="base64offset"),
        pytest.param("{f|base64offset|contains: 'đỗ'}", {"f": b64encode("xđỗy".encode()).decode()}, True, id="base64offset counts bytes"),
        pytest.param(
            "{f|wide|base64offset|contains: 'đỗ'}", {"f": b64encode("xxđỗy".encode("utf-16-le")).decode()}, True, id="wide, not only ASCII"
        ),
        pytest.param("{f|utf16le|base64: 'cmd'}", {"f": b64encode("cmd".encode("utf-16-le")).decode()}, True, id="utf16le"),
        pytest.param("{f|utf16be|base64: 'cmd'}", {"f": b64encode("cmd".encode("utf-16-be")).decode()}, True, id="utf16be"),
        pytest.param(
            "{f|utf16|base64: 'cmd'}", {"f": b64encode(b"\xff\xfe" + "cmd".encode("utf-16-le")).decode()}, True, id="utf16 has a mark"
        ),
        pytest.param("{f|re: 'a\\sb'}", {"f": "a\x0bb"}, True, id="white space in a regex holds the vertical tab"),
        pytest.param("{f|re|i: 'AB'}", {"f": "xab"}, True, id="regex flag"),
        pytest.param("{f|cidr: '10.0.0.0/8'}", {"f": "::ffff:10.1.1.1"}, True, id="cidr mapped"),
        pytest.param("{f|fieldref: g}", {"f": "A", "g": "a"}, True, id="fieldref"),
        pytest.param("{f|neq: 5}", {}, True, id="neq of a missing field"),
        pytest.param("{a.b: 1}", {"a": {"b": 1}}, True, id="dotted path"),
        pytest.param("{a.b: 1}", {"a": [{"b": 2}, {"b": 1}]}, True, id="list of maps"),
        pytest.param("{f: x}", {"f": ["y", "X"]}, True, id="any element of a list"),
        pytest.param("[needle]", {"deep": {"er": "hayNEEDLEhay"}}, True, id="keyword in a nested value"),
    ],
)
def test_semantics(selection: str, event: dict[str, Any], expected: bool) -> None:
    assert answer(selection, event) is expected


@pytest.mark.parametrize(
    ("selection", "reason"),
    [
        ("{f|re|contains: x}", "`re` cannot be combined with contains"),
        ("{f|contains|startswith: x}", "only one of contains, startswith can be used"),
        ("{f|base64|base64offset: x}", "only one of base64, base64offset can be used"),
        ("{f|wide|utf16|base64: x}", "only one of utf16, wide can be used"),
        ("{f|contains|all: x}", "`all` needs a list of values"),
        ("{f|nosuch: x}", "Unknown modifier"),
        ("{f|re: '(?=x)'}", "RE2"),
        ("{f|cidr: '10.0.0.0/99'}", "Invalid CIDR"),
    ],
)
def test_what_is_wrong_is_an_error_of_that_rule(selection: str, reason: str) -> None:
    broken = parse("r.yml", RULE % (selection, "s"), rule(selection), {})
    assert not isinstance(broken, Parsed)
    assert reason in broken[0].reason
    assert broken[0].line > 1


def test_one_broken_rule_does_not_stop_the_others() -> None:
    good = (RULE % ("{f: x}", "s")).encode()
    out = load([("a.yml", b"\tno: [yaml"), ("b.yml", good), ("c.yml", b"- 1"), ("d.yml", (RULE % ("{f: x}", "nosuch")).encode())])
    assert [r.file for r in out.rules] == ["b.yml"]
    assert [(b.file, b.line) for b in out.broken][:2] == [("a.yml", 1), ("c.yml", 1)]
    assert len(out.broken) == 3


def test_yaml_bomb_and_deep_nesting_are_refused() -> None:
    bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(9)
    )
    out: Loaded = load([("bomb.yml", bomb.encode()), ("deep.yml", b"a: " + b"[" * 60 + b"]" * 60)])
    assert [b.reason for b in out.broken] == ["not valid YAML: it unfolds to more than is sensible (aliases or nesting)"] * 2


def test_unfilled_placeholder_is_blind_and_a_filled_one_matches() -> None:
    text = RULE % ("{f|expand: '%admins%'}", "s")
    out = load([("p.yml", text.encode())])
    assert out.rules[0].unfilled == "admins"
    filled = load([("p.yml", text.encode())], {"admins": ["An", "Bình"]})
    assert filled.rules[0].expr is not None


def test_ids_need_not_be_uuids() -> None:
    data = {**rule("{f: x}"), "id": "tc-web-0001"}
    parsed = parse("r.yml", "", data, {})
    assert isinstance(parsed, Parsed)
    assert parsed.ref.id == "tc-web-0001"


@pytest.mark.parametrize(
    ("item", "hit"),
    [
        pytest.param({"f|re": "ab" * 5000}, "x" + "ab" * 5000, id="a regular expression of 10,000 characters"),
        pytest.param({"f": "a*b?" * 2500}, "abc" * 2500, id="wildcards in 10,000 characters"),
        pytest.param({"f": [f"y{n}?z" for n in range(5000)]}, "y4999kz", id="5,000 patterns"),
    ],
)
def test_large_values_are_answered_at_once(item: dict[str, Any], hit: str) -> None:
    made = {**rule("{f: x}"), "detection": {"s": item, "condition": "s"}}
    cases = [{"id": n, "rule": made, "event": {"f": text}, "expected": not n} for n, text in enumerate((hit, hit[1:-1]))]
    assert verify(cases, None).failures == []


@pytest.mark.parametrize("item", [{"f|re": "ab" * 9000}, {"f": "a*b?" * 5000}, {"f|re": "\\p{L}" * 2000}, ["a*" * 9000]])
def test_too_large_patterns_are_errors_of_their_rule(item: Any) -> None:
    broken = parse("r.yml", "", {**rule("{f: x}"), "detection": {"s": item, "condition": "s"}}, {})
    assert not isinstance(broken, Parsed)
    assert "the limit is 16384" in broken[0].reason or "too large" in broken[0].reason
