"""Cases of `soc rules verify`: what a failure says, and cases that are odd themselves."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from detectors.sigma.verify import verify
from domain.errors import UsageError
from tests.conftest import Soc

RULE: dict[str, Any] = {
    "title": "Case", "logsource": {"category": "test"},
    "detection": {
        "sel": {"Image|endswith": "\\cmd.exe", "User": ["an", "binh"]}, "filter": {"Parent|contains": "ok"}, "condition": "sel and not filter",
    },
}  # fmt: skip


def why(event: Any, expected: Any, rule: Any = RULE) -> str:
    out = verify([{"id": "c", "rule": rule, "event": event, "expected": expected}], None)
    assert (out.passed, out.failed) == (0, 1)
    return str(out.failures[0]["why"])


@pytest.mark.parametrize(
    ("event", "expected", "reason"),
    [
        pytest.param({"Image": "x\\sh.exe", "User": "an"}, True, "Image endswith \\cmd.exe does not hold (it is x\\sh.exe)", id="first failing term"),
        pytest.param({"Image": "\\cmd.exe"}, True, "User eq an | binh does not hold (it is missing)", id="missing"),
        pytest.param({"Image": "\\cmd.exe", "User": None}, True, "User eq an | binh does not hold (it has no value)", id="null"),
        pytest.param({"Image": "\\cmd.exe", "User": ["x", "y"]}, True, "(it is x | y)", id="list"),
        pytest.param({"Image": "\\cmd.exe", "User": "AN", "Parent": "is ok"}, True, "Parent contains ok holds (it is is ok)", id="filter"),
        pytest.param({"Image": "\\cmd.exe", "User": "AN"}, False, "User eq an | binh holds (it is AN)", id="holds though it should not"),
        pytest.param({"Image": "a\x1b[31mb\nc", "User": "an"}, True, "(it is a", id="hostile text"),
    ],
)  # fmt: skip
def test_a_failure_says_which_term_decides(event: dict[str, Any], expected: bool, reason: str) -> None:
    found = why(event, expected)
    assert reason in found
    assert "\x1b" not in found
    assert "\n" not in found


def test_a_wrong_rule_says_what_is_wrong_with_its_line() -> None:
    assert why({}, True, "title: x\nlogsource: {category: t}\ndetection:\n  s: {f|nosuch: x}\n  condition: s\n").startswith("line 4:")
    assert "missing" in why({}, True, {"title": "x"})


@pytest.mark.parametrize("rule", [None, "", [], 5, "- 1", "a: [", {}])
def test_what_is_no_rule_is_an_error_of_that_case(rule: Any) -> None:
    cases = [{"id": 1, "rule": rule, "event": {}, "expected": "error"}, {"id": 2, "rule": RULE, "event": {}, "expected": False}]
    assert verify(cases, None).passed == 2


def test_a_path_needs_the_folder_it_starts_from() -> None:
    with pytest.raises(UsageError, match=r"rule_path x\.yml"):
        verify([{"id": 1, "rule_path": "x.yml", "event": {}, "expected": True}], None)


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    """`rules` with a rule, a link to it and links out; `secret.yml` beside the folder."""
    root = tmp_path / "rules"
    (root / "win").mkdir(parents=True)
    for file in (root / "win" / "case.yml", tmp_path / "secret.yml"):
        file.write_text(json.dumps(RULE))
    (root / "near.yml").symlink_to(root / "win" / "case.yml")
    (root / "far.yml").symlink_to(tmp_path / "secret.yml")
    (root / "up").symlink_to(tmp_path)
    (root / "round.yml").symlink_to(root / "round.yml")
    return root


@pytest.mark.parametrize("name", ["win/case.yml", "./win/../win/case.yml", "near.yml"])
def test_paths_below_the_folder_are_read(shelf: Path, name: str) -> None:
    event = {"Image": "\\cmd.exe", "User": "an"}
    assert verify([{"id": 1, "rule_path": name, "event": event, "expected": True}], shelf).passed == 1
    (shelf.parent / "link").symlink_to(shelf)
    assert verify([{"id": 1, "rule_path": name, "event": event, "expected": True}], shelf.parent / "link").passed == 1


@pytest.mark.parametrize(
    "name", ["../secret.yml", "win/../../secret.yml", "{tmp}/secret.yml", "far.yml", "up/secret.yml", "round.yml", "/dev/zero"]
)
@pytest.mark.parametrize("expected", [False, "error", "refused"])
def test_paths_that_lead_out_of_the_folder_are_failures_and_not_read(shelf: Path, name: str, expected: Any) -> None:
    given = name.replace("{tmp}", str(shelf.parent))
    good = {"id": 2, "rule_path": "near.yml", "event": {}, "expected": False}
    out = verify([{"id": 1, "rule_path": given, "event": {}, "expected": expected}, good], shelf)
    why = f"rule_path {given} leads out of {shelf}: only rules below it are read"
    assert (out.passed, out.failed, out.errors) == (1, 1, 1)
    assert out.failures == [{"id": 1, "expected": expected, "got": "refused", "why": why}]


@pytest.mark.parametrize("event", [None, [], "text", 5, [{"Image": "\\cmd.exe", "User": "an"}]])
def test_events_of_any_form(event: Any) -> None:
    out = verify([{"id": 1, "rule": RULE, "event": event, "expected": isinstance(event, list) and bool(event)}], None)
    assert out.failures == []


def test_answers_are_compared_with_their_type() -> None:
    assert verify([{"id": 1, "rule": RULE, "event": {}, "expected": 0}], None).failed == 1


def test_events_of_any_depth() -> None:
    deep: Any = {"Image": "needle"}
    for _ in range(5000):
        deep = {"a": [deep]}
    rule = {**RULE, "detection": {"k": ["needle"], "condition": "k"}}
    assert verify([{"id": 1, "rule": rule, "event": deep, "expected": True}], None).passed == 1
    lists: Any = "x"
    for _ in range(5000):
        lists = [lists]
    rule = {**RULE, "detection": {"k": {"f": "X"}, "condition": "k"}}
    assert verify([{"id": 1, "rule": rule, "event": {"f": lists}, "expected": True}], None).passed == 1


def test_numbers_of_any_length_and_odd_text_reach_the_rules(soc_here: Soc, tmp_path: Path) -> None:
    head = '{"id": 1, "expected": true, "rule": {"title": "x", "logsource": {"product": "p"}, "detection": {"s": %s, "condition": "s"}}, "event": %s}'
    (tmp_path / "cases.jsonl").write_text(
        "\n".join(
            head % pair
            for pair in (
                ('{"f": 123456789012345678901234567890}', '{"f": 123456789012345678901234567890}'),
                ('{"f|gt": 123456789012345678901234567890}', '{"f": 123456789012345678901234567891}'),
                ('{"f|endswith": "b"}', '{"f": "a\\ud800b"}'),
                ('{"f": "nan"}', '{"f": NaN}'),
            )
        )
    )
    done = soc_here("rules", "verify", "cases.jsonl", "--json")
    assert json.loads(done.stdout) == {"passed": 4, "failed": 0, "errors": 0, "failures": []}
    (tmp_path / "bad.jsonl").write_text("{}\n{\n")
    done = soc_here("rules", "verify", "bad.jsonl")
    assert done.returncode == 2
    assert "bad.jsonl:2" in done.stderr


@pytest.mark.parametrize("line", ["null", "[]", "3", '"text"'])
def test_a_case_is_a_mapping(soc_here: Soc, tmp_path: Path, line: str) -> None:
    (tmp_path / "cases.jsonl").write_text(line + "\n")
    done = soc_here("rules", "verify", str(tmp_path / "cases.jsonl"))
    assert done.returncode == 2
    assert "cases.jsonl:1: a case is a mapping: rule or rule_path, event, expected" in done.stderr


def test_cases_with_a_byte_order_mark(soc_here: Soc, tmp_path: Path) -> None:
    case = {"rule": RULE, "event": {"CommandLine": "no"}, "expected": False}
    (tmp_path / "cases.jsonl").write_text(json.dumps(case) + "\n", encoding="utf-8-sig")
    assert soc_here("rules", "verify", str(tmp_path / "cases.jsonl")).returncode == 0


def test_cases_cut_off_in_the_middle_are_told(soc_here: Soc, tmp_path: Path) -> None:
    path = tmp_path / "cases.jsonl.gz"
    path.write_bytes(gzip.compress(b"{}\n" * 10_000)[:-20])
    done = soc_here("rules", "verify", str(path))
    assert done.returncode == 2
    assert str(path) in done.stderr


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        ({"rules": 3, "events": []}, "rules is YAML text, or a list of rules"),
        ({"rules": None, "events": []}, "rules is YAML text, or a list of rules"),
        ({"rules": [], "events": ["text"]}, "events is a list of mappings"),
        ({"rules": [], "events": 3}, "events is a list of mappings"),
        ({"rules": [], "events": [{"time": 1e400}]}, "event 0: time inf is neither seconds nor ISO 8601"),
        ({"rules": [], "events": [{"time": 10**300}]}, "event 0: time 1000"),
        ({"rule_path": "a\0b", "event": {}}, "null"),
    ],
)
def test_cases_of_odd_form_are_errors_of_that_case(case: dict[str, Any], reason: str) -> None:
    out = verify([case], Path("/nowhere"))
    assert (out.failed, out.errors) == (1, 1)
    assert reason in out.failures[0]["why"]
