"""`soc rules lint` and `soc rules test --min-tests` as people and machines use them."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from detectors.sigma.lint import CHECKS
from tests import house
from tests.conftest import Soc
from tests.detectors.sigma.lint.examples import merged


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A rule with an error, one with a warning and a note, one without fault."""
    rules = tmp_path / "rules"
    rules.mkdir()
    (rules / "bad_rule.yml").write_text(
        merged("id: 4b3d7a0e-2f61-4d7e-9a55-c6a1b2d3e4f5\ntitle: Bad Rule\nlevel: hgih\n"), encoding="utf-8"
    )
    (rules / "odd_rule.yml").write_text(merged("id:\ntitle: odd rule\n"), encoding="utf-8")
    (rules / "good_rule.yml").write_text(merged(""), encoding="utf-8")
    return rules


def test_people_read_lines_with_places_and_a_summary(folder: Path, soc_here: Soc) -> None:
    done = soc_here("rules", "lint", str(folder))
    assert done.returncode == 4
    assert done.stdout.splitlines() == [
        f"{folder}/bad_rule.yml:19:8: error: level hgih; known: informational, low, medium, high, critical [invalid-level]",
        f"{folder}/odd_rule.yml:2:1: warning: the rule has no id: every change makes it another rule [missing-id]",
    ]
    assert done.stderr.splitlines() == [
        "     1 error invalid-level",
        "     1 warning missing-id",
        "3 rules in 3 files: 1 errors, 1 warnings, 1 notes; 0 excused",
    ]


def test_vietnamese(folder: Path, soc_here: Soc) -> None:
    done = soc_here("--lang", "vi", "rules", "lint", str(folder), "--level", "note")
    assert f"{folder}/odd_rule.yml:1:8: gợi ý: tên luật bắt đầu bằng chữ hoa" in done.stdout
    assert done.stderr.splitlines()[-1] == "3 luật trong 3 tệp: 1 lỗi, 1 chỗ cần xem, 1 gợi ý; 0 chỗ được bỏ qua"


def test_why_a_log_source_is_blind_is_one_language(folder: Path, soc_here: Soc) -> None:
    (folder / "far_rule.yml").write_text(
        merged("id: 4b3d7a0e-2f61-4d7e-9a55-c6a1b2d3e4f6\ntitle: Far Rule\nlogsource: {category: nowhere}\n"), encoding="utf-8"
    )
    words = ("rules", "lint", str(folder / "far_rule.yml"), "--only", "unrouted-logsource")
    read = soc_here("--lang", "vi", *words).stdout
    assert "MÙ, category=nowhere: không có nguồn nhật ký category=nowhere: chưa bộ phân tích nào cho ra sự kiện loại này" in read
    (issue,) = json.loads(soc_here("--lang", "vi", *words, "--json").stdout)
    assert issue["reason"] == "BLIND, category=nowhere: no log source category=nowhere: no parser yields such events"


@pytest.fixture
def content(folder: Path, soc_here: Soc) -> Path:
    """A content folder as `soc init` makes it, with rules, a filter, a playbook and rule-like YAML where no rules belong."""
    assert soc_here("init", "--yes").returncode == 0
    content = folder.parent / "content"
    for rule in folder.iterdir():
        rule.rename(content / "rules" / rule.name)
    (content / "rules" / "pipelines").mkdir()
    (content / "rules" / "pipelines" / "mine.yml").write_text("- a\n")
    (content / "filters" / "bad.yml").write_text("title: Bad Filter\nlogsource: {product: windows}\nfilter: {rules: any}\n")
    for kind in ("playbooks", "registers"):
        (content / kind / "own.yml").write_text("id: PB90\ntitle: Own\nsteps: [x]\n---\n- a\n")
    return content


@pytest.mark.parametrize("root", ["content", "."])
def test_of_a_content_folder_rules_and_filters_are_looked_at(content: Path, root: str, soc_here: Soc) -> None:
    done = soc_here("rules", "lint", root, "--level", "error")
    found = {(Path(line.split(":")[0]).name, line.rsplit("[")[-1]) for line in done.stdout.splitlines()}
    assert {file for file, _ in found} == {"bad_rule.yml", "bad.yml"}
    assert done.stderr.splitlines()[-1].startswith("4 rules in 4 files: ")
    assert "neither" not in done.stderr


def test_other_commands_read_no_registers_as_rules_either(content: Path, soc_here: Soc) -> None:
    listed = json.loads(soc_here("rules", "list", "--rules", "content", "--json").stdout)
    assert {Path(one["file"]).parent.name for one in listed} <= {"rules", "filters"}
    assert len(listed) >= 3


def test_what_is_no_rule_is_left_alone_in_one_line(folder: Path, soc_here: Soc) -> None:
    (folder / "compose.yml").write_text("services:\n  web: {image: a, image: b}\n  title: x\n")
    (folder / "units.yml").write_text("units: []\n")
    (folder / "typo.yml").write_text("title: Meant As A Rule\ndetecton: {a: {b: c}, condition: a}\n")
    (folder / "empty.yml").write_text("# later\n")
    (folder / "list.yml").write_text("- title: x\n  detection: {}\n")
    done = soc_here("rules", "lint", str(folder), "--level", "error")
    assert {line.split(":")[0] for line in done.stdout.splitlines()} == {
        f"{folder}/{name}.yml" for name in ("bad_rule", "typo", "empty", "list")
    }
    left = f"2 files are neither rules nor filters nor correlations, not looked at: {folder}/compose.yml, {folder}/units.yml"
    assert left in done.stderr.splitlines()
    named = soc_here("rules", "lint", str(folder / "units.yml"))
    assert (named.returncode, "neither" in named.stderr) == (4, False)


def test_machines_read_json_with_english_reasons(folder: Path, soc_here: Soc) -> None:
    done = soc_here("--lang", "vi", "--json", "rules", "lint", "--rules", str(folder))
    assert json.loads(done.stdout) == [
        {
            "severity": "error", "code": "invalid-level", "file": f"{folder}/bad_rule.yml", "line": 19, "column": 8,
            "reason": "level hgih; known: informational, low, medium, high, critical",
        },
        {
            "severity": "warning", "code": "missing-id", "file": f"{folder}/odd_rule.yml", "line": 2, "column": 1,
            "reason": "the rule has no id: every change makes it another rule",
        },
    ]  # fmt: skip


def test_csv_and_sarif(folder: Path, soc_here: Soc) -> None:
    rows = list(csv.DictReader(io.StringIO(soc_here("rules", "lint", str(folder), "--format", "csv").stdout)))
    assert [(row["code"], row["line"], row["column"]) for row in rows] == [("invalid-level", "19", "8"), ("missing-id", "2", "1")]
    sarif = json.loads(soc_here("rules", "lint", str(folder), "--format", "sarif").stdout)
    (result, _) = sarif["runs"][0]["results"]
    assert (sarif["version"], result["ruleId"], result["level"]) == ("2.1.0", "invalid-level", "error")
    assert result["locations"][0]["physicalLocation"]["region"] == {"startLine": 19, "startColumn": 8}
    assert {rule["id"] for rule in sarif["runs"][0]["tool"]["driver"]["rules"]} == {"invalid-level", "missing-id"}


def test_only_and_skip_choose_checks(folder: Path, soc_here: Soc) -> None:
    only = soc_here("rules", "lint", str(folder), "--only", "missing-id")
    assert (only.returncode, only.stdout.count("\n")) == (0, 1)
    assert soc_here("rules", "lint", str(folder), "--skip", "invalid-level").returncode == 0
    wrong = soc_here("rules", "lint", str(folder), "--only", "mising-id")
    assert (wrong.returncode, wrong.stderr.strip()) == (2, "soc: no check mising-id\n  → missing-id?")
    level = soc_here("rules", "lint", str(folder), "--level", "loud")
    assert (level.returncode, level.stderr.strip()) == (2, "soc: --level loud: error | warning | note")
    assert soc_here("rules", "lint", str(folder / "nothing")).returncode == 2


def test_a_correlation_alone_knows_the_rules_at_hand(tmp_path: Path, soc_here: Soc) -> None:
    text = (house.ROOT / "rules" / "web" / "web_scan.yml").read_text(encoding="utf-8")
    (tmp_path / "web_scan_again.yml").write_text(text.replace("4140153a", "5140153a"), encoding="utf-8")
    done = soc_here("rules", "lint", "web_scan_again.yml")
    assert (done.returncode, done.stdout) == (0, "")


def test_the_list_names_every_check(soc_here: Soc) -> None:
    done = soc_here("--json", "rules", "lint", "--list")
    assert [row["code"] for row in json.loads(done.stdout)] == list(CHECKS)
    assert done.returncode == 0
    assert "chỉ đúng ký tự" in soc_here("--lang", "vi", "rules", "lint", "--list").stdout


def test_the_shipped_rules_are_clean(soc_here: Soc) -> None:
    done = soc_here("rules", "lint")
    assert (done.returncode, done.stdout) == (0, "")


def test_a_rule_needs_as_many_cases_as_asked(folder: Path, soc_here: Soc) -> None:
    for path in folder.glob("*_rule.yml"):
        if path.stem != "good_rule":
            path.unlink()
    event = "{fields: {event.code: '1', winlog.channel: Microsoft-Windows-Sysmon/Operational, winlog.event_data.Image: 'C:%s.exe'}}"
    cases = folder / "good_rule.test.yml"
    cases.write_text(
        "match:\n  - " + event.replace("%s", "\\example") + "\nno_match:\n  - " + event.replace("%s", "\\other") + "\n", encoding="utf-8"
    )
    assert soc_here("rules", "test", str(folder)).returncode == 0
    done = soc_here("--json", "rules", "test", str(folder), "--min-tests", "2")
    assert done.returncode == 1
    assert [(f["case"], f["why"]) for f in json.loads(done.stdout)["failures"]] == [
        ("match", "1 cases under match; at least 2 needed"), ("no_match", "1 cases under no_match; at least 2 needed"),
    ]  # fmt: skip
    cases.write_text("match: [\n", encoding="utf-8")
    done = soc_here("--json", "rules", "test", str(folder))
    assert (done.returncode, json.loads(done.stdout)["failures"][0]["why"][:26]) == (1, "the cases cannot be read: ")
