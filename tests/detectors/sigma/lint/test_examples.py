"""Every check finds what its example shows, and leaves the good one alone."""

from __future__ import annotations

import re
from typing import Any

import pytest

from detectors.sigma.lint import CHECKS
from domain.i18n import catalogue
from tests import house
from tests.detectors.sigma.lint.examples import issues, known

BYTES = {"unreadable", "file-too-large", "not-utf8", "byte-order-mark", "carriage-returns", "not-understood"}
"""Checks of what no text in YAML can show: tested in test_files."""
EXAMPLES: dict[str, dict[str, Any]] = known()["examples"]


def test_every_check_has_an_example_and_every_example_a_check() -> None:
    assert set(EXAMPLES) == set(CHECKS) - BYTES


@pytest.mark.parametrize("code", EXAMPLES)
def test_the_bad_example_is_found(code: str) -> None:
    found = [issue for issue in issues(EXAMPLES[code], EXAMPLES[code]["bad"]) if issue.code == code]
    assert found, [issue.code for issue in issues(EXAMPLES[code], EXAMPLES[code]["bad"])]
    for issue in found:
        assert issue.severity == CHECKS[code].severity
        assert issue.line >= 1
        assert issue.column >= 1
        assert [name for name in issue.values if f"{{{name}}}" in issue.reason("vi") + issue.reason("en")] == []
        assert issue.reason("en") != issue.reason("vi")
        assert "lint." not in issue.reason("vi") + issue.reason("en")


@pytest.mark.parametrize("code", EXAMPLES)
def test_the_good_example_is_clean(code: str) -> None:
    found = issues({**EXAMPLES[code], "file": "example_rule.yml", "roots": False}, EXAMPLES[code]["good"])
    assert code not in [issue.code for issue in found]
    assert [f"{i.code}: {i.reason('en')}" for i in found if i.severity != "note"] == []


@pytest.mark.parametrize("code", [code for code, check in CHECKS.items() if check.severity == "error" and code in EXAMPLES])
def test_an_error_alone_is_one_error(code: str) -> None:
    """No check tells what another one has told already."""
    example = EXAMPLES[code]
    assert [issue.code for issue in issues(example, example["bad"]) if issue.severity == "error"] == [code]


def test_each_check_says_what_it_looks_for_in_both_languages() -> None:
    for language in ("vi", "en"):
        texts = catalogue(language, "lint")
        assert [code for code in CHECKS if code not in texts or f"about-{code}" not in texts] == []
        assert [key for key in texts if key.startswith("about-") and key.removeprefix("about-") not in CHECKS] == []


def test_the_page_lists_every_check() -> None:
    page = (house.ROOT / "docs" / "lint.md").read_text(encoding="utf-8")
    assert re.findall(r"^### (\S+)$", page, re.MULTILINE) == sorted(
        CHECKS, key=lambda c: ["error", "warning", "note"].index(CHECKS[c].severity)
    )
