"""`soc rules test`: which files the cases of a rule may name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import Soc

BASE = """title: Base
name: base
logsource: {product: windows, category: process_creation}
detection: {s: {Image: a}, condition: s}
level: informational
"""
SERIES = """title: Series
name: series
correlation: {type: event_count, rules: [base], group-by: [Image], timespan: 1m, condition: {gte: 1}}
level: high
"""
FIELDS = "{fields: {winlog.channel: Microsoft-Windows-Sysmon/Operational, event.code: '1', winlog.event_data.Image: %s, '@timestamp': 2026-11-15T01:00:00Z}}"
CASES = f"match:\n  - {FIELDS % 'a'}\nno_match:\n  - {FIELDS % 'b'}\n"


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    """`pack/{series.yml,parts/base.yml}`, and the same base outside, by links too."""
    (tmp_path / "pack" / "parts").mkdir(parents=True)
    for file in ("secret.yml", "pack/parts/base.yml"):
        (tmp_path / file).write_text(BASE)
    (tmp_path / "pack" / "series.yml").write_text(SERIES)
    (tmp_path / "pack" / "link.yml").symlink_to(tmp_path / "secret.yml")
    (tmp_path / "pack" / "link.test.yml").write_text(CASES)
    (tmp_path / "pack" / "parts" / "base.test.yml").write_text(CASES)
    return tmp_path / "pack"


def run(soc_here: Soc, root: str, pack: Path, rules: str) -> dict[str, object]:
    (pack / "series.test.yml").write_text(f"{CASES}rules:\n  - {rules}\n")
    found: dict[str, object] = json.loads(soc_here("rules", "test", root, "--json").stdout)
    return found


@pytest.mark.parametrize("rules", ["parts/base.yml", "../pack/parts/base.yml"])
def test_rules_of_the_same_folder_are_read(soc_here: Soc, pack: Path, rules: str) -> None:
    assert run(soc_here, "pack", pack, rules) == {"passed": 6, "failed": 0, "failures": []}
    assert run(soc_here, "pack/series.yml", pack, rules) == {"passed": 2, "failed": 0, "failures": []}


@pytest.mark.parametrize(
    "rules", ["../secret.yml", "parts/../../secret.yml", "{tmp}/secret.yml", "{tmp}/pack/parts/base.yml", "link.yml", "/dev/zero"]
)
def test_rules_outside_the_folder_are_not_read(soc_here: Soc, pack: Path, rules: str) -> None:
    name = rules.replace("{tmp}", str(pack.parent))
    found = run(soc_here, "pack/series.yml", pack, name)
    why = f"rules: {name} leads out of pack: not read; name rules below it, or give soc rules test the folder that holds both"
    assert found == {
        "passed": 0, "failed": 1,
        "failures": [{"rule": "series", "file": "pack/series.test.yml:6", "case": "rules", "ok": False, "why": why}],
    }  # fmt: skip


def test_a_folder_above_both_may_be_given(soc_here: Soc, pack: Path) -> None:
    (pack.parent / "secret.test.yml").write_text(CASES)
    assert run(soc_here, ".", pack, "../secret.yml")["failed"] == 0


@pytest.mark.parametrize("rules", ["5", '"a\\0b"', "{a: 1}"])
def test_what_is_no_path_is_a_failure(soc_here: Soc, pack: Path, rules: str) -> None:
    assert run(soc_here, "pack/series.yml", pack, rules)["failed"] == 1
