"""Sigma 2.1, sentence by sentence: the cases of `conformance/`, each with the section it follows. The public cases are in test_public_sets.py."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from detectors.sigma.load import Loaded, Parsed, load_file, parse
from detectors.sigma.verify import verify
from domain.query import TRUE
from match import Entry, Matcher
from match.jsonbatch import JsonBatch, raw

FOLDER = Path(__file__).parent / "conformance"
HEAD: dict[str, Any] = {"title": "Case", "logsource": {"category": "test"}}
VALUES = {"admins": ["An", "svc_*"], "nets": ["10.0.0.0/8", "2001:db8::/32"], "empty": []}


def cases(wanted: str) -> Iterator[Any]:
    for path in sorted(FOLDER.glob("*.yml")):
        for number, case in enumerate(yaml.safe_load(path.read_text("utf-8"))):
            name = f"{path.stem}-{number}: {case['says']}"
            if wanted == "wrong" and "wrong" in case:
                for place, one in enumerate(case["wrong"]):
                    yield pytest.param(one, id=f"{name} ({place})")
            elif (wanted == path.stem or (wanted == "holds" and path.stem != "placeholders")) and "wrong" not in case:
                yield pytest.param(case, id=name)


def document(case: dict[str, Any]) -> dict[str, Any]:
    return {**HEAD, "detection": case.get("d") or {"s": case["s"], "condition": case.get("condition", "s")}}


def text(case: dict[str, Any]) -> str:
    """The rule as a file holds it."""
    if "text" in case:
        return f"title: Case\nlogsource: {{category: test}}\ndetection:\n  s: {case['text']}\n  condition: s\n"
    return str(yaml.safe_dump(document(case), allow_unicode=True, sort_keys=False))


@pytest.mark.parametrize("case", list(cases("holds")))
def test_rules_mean_what_the_specification_says(case: dict[str, Any]) -> None:
    events = [(event, True) for event in case.get("hits", ())] + [(event, False) for event in case.get("misses", ())]
    rules: list[Any] = [text(case)] if "text" in case else [text(case), document(case)]
    for rule in rules:
        out = verify([{"id": str(event), "rule": rule, "event": event, "expected": expected} for event, expected in events], None)
        assert out.failures == []
        assert out.passed == len(events) > 0


@pytest.mark.parametrize("case", list(cases("placeholders")))
def test_placeholders(case: dict[str, Any]) -> None:
    parsed = parse("case.yml", "", document(case), VALUES)
    assert isinstance(parsed, Parsed)
    assert parsed.expr is not None
    events = [*case["hits"], *case["misses"]]
    found = [row for _, rows in Matcher([Entry(0, TRUE, raw(parsed.expr))]).run(JsonBatch(events)) for row in rows.tolist()]
    assert found == list(range(len(case["hits"])))


@pytest.mark.parametrize("case", list(cases("wrong")))
def test_wrong_rules_are_errors_that_say_why(case: dict[str, Any]) -> None:
    detection = {"s": case.get("s", {"f": "x"}), "condition": case.get("condition", "s")}
    rule = {**HEAD, "detection": detection}
    out = verify([{"id": 1, "rule": rule, "event": {"f": "x"}, "expected": "error"}], None)
    assert (out.passed, out.failures) == (1, [])
    parsed = parse("case.yml", "", rule, {})
    reason = f"placeholder %{parsed.unfilled}% has no values" if isinstance(parsed, Parsed) else parsed[0].reason
    assert case["reason"] in reason
    assert len(reason) > 10
    loaded = Loaded()
    load_file("case.yml", yaml.safe_dump(rule, allow_unicode=True).encode(), {}, loaded)
    assert all(broken.line >= 1 for broken in loaded.broken)
    assert loaded.broken or loaded.rules[0].unfilled
