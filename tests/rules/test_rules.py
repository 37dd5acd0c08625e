"""The shipped rules: every one runs, says what it is, and fires on what it should and nothing else."""

from __future__ import annotations

import re
import unicodedata
import uuid
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from detectors.sigma import second
from detectors.sigma.build import build
from detectors.sigma.model import rule_files
from detectors.sigma.refs import spoken
from detectors.sigma.ruleset import RuleSet
from domain import i18n
from domain.attack import attack
from jobs.rules import test_cases as run_cases
from tests.conftest import Soc

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "rules"
FILES = [pytest.param(path, id=path.relative_to(RULES).as_posix()) for path in rule_files([RULES])]
FOLDERS = ("windows", "linux", "web", "network", "identity", "lgsp")
LEVELS = ("informational", "low", "medium", "high", "critical")
TACTICS = {name.replace("_", "-") for name in attack().tactics}


@cache
def document(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return found


@cache
def cases(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(path.with_name(f"{path.stem}.test.yml").read_text(encoding="utf-8"))
    return found


@pytest.fixture(scope="module")
def built() -> RuleSet:
    return build([(str(p), p.read_bytes()) for p in rule_files([RULES])])


def test_all_rules_run(built: RuleSet) -> None:
    assert (built.broken, built.blind, built.notes) == ([], [], [])
    assert len(built.rules) + len(built.correlations) == len(FILES)
    assert len(second.readable(built)) == len(built.correlations)


def test_there_are_rules_that_alert_for_every_kind_of_source(built: RuleSet) -> None:
    loud = Counter(path.parent.name for path in rule_files([RULES]) if document(path)["level"] != "informational")
    assert sum(loud.values()) >= 40
    assert all(loud[folder] >= 5 for folder in FOLDERS), loud
    assert {path.parent.name for path in rule_files([RULES])} == set(FOLDERS)


def test_ids_names_and_titles_are_unique() -> None:
    for key in ("id", "name", "title"):
        counts = Counter(document(path)[key] for path in rule_files([RULES]) if key in document(path))
        assert [value for value, n in counts.items() if n > 1] == []


@pytest.mark.parametrize("path", FILES)
def test_a_rule_says_what_it_is(path: Path) -> None:
    said = document(path)
    assert uuid.UUID(said["id"]).version == 4
    assert said["level"] in LEVELS
    assert len(said["description"]) > 40
    tags = [tag.removeprefix("attack.") for tag in said["tags"]]
    assert all(tag in TACTICS or re.fullmatch(r"t\d{4}(\.\d{3})?", tag) for tag in tags), tags
    assert any(tag in TACTICS for tag in tags)
    assert any(tag not in TACTICS for tag in tags)
    if said["level"] != "informational":
        assert said["falsepositives"], "who reads the alert must be told what looks alike"


@pytest.mark.parametrize("path", FILES)
def test_a_rule_has_cases_of_raw_lines(path: Path) -> None:
    said = cases(path)
    for kind in ("match", "no_match"):
        assert len(said[kind]) >= 2
        lines = [line for case in said[kind] for line in (case if isinstance(case, list) else [case])]
        assert all(isinstance(line, str) or "raw" in line for line in lines), "fields made by hand prove nothing about parsers"


@pytest.mark.parametrize("folder", FOLDERS)
def test_cases_hold(folder: str) -> None:
    results = list(run_cases([RULES / folder], 1))
    assert len(results) >= 4
    assert [(r.rule, r.case, r.why) for r in results if not r.ok] == []


def test_correlations_name_bases_that_exist_and_test_with_them() -> None:
    names = {document(path).get("name"): path for path in rule_files([RULES])}
    for path in rule_files([RULES]):
        spec = document(path).get("correlation")
        if spec:
            bases = {names[name] for name in spec["rules"]}
            assert {base.name for base in bases} == set(cases(path)["rules"]), path


def test_quiet_rules_feed_a_correlation() -> None:
    used = {name for path in rule_files([RULES]) for name in document(path).get("correlation", {}).get("rules", ())}
    quiet = {document(path).get("name") for path in rule_files([RULES]) if document(path)["level"] == "informational"}
    assert quiet - used == set()


def test_every_alerting_rule_has_a_vietnamese_title(built: RuleSet) -> None:
    titles = i18n.catalogue("vi", "titles")
    documents = [document(path.values[0]) for path in FILES]
    assert set(titles) == {d["id"] for d in documents if d["level"] != "informational"}
    assert len(set(titles.values())) == len(titles)
    assert all(unicodedata.is_normalized("NFC", title) for title in titles.values())
    ref = next(rule.ref for rule in built.rules if rule.ref.id in titles)
    try:
        i18n.use("vi")
        assert spoken(ref).title == titles[ref.id]
        assert (spoken(ref).id, spoken(ref).version) == (ref.id, ref.version)
        i18n.use("en")
        assert spoken(ref).title == ref.title
    finally:
        i18n.use("vi")


def test_the_page_lists_every_rule_with_its_level() -> None:
    page = (ROOT / "docs" / "rules.md").read_text(encoding="utf-8")
    for path in rule_files([RULES]):
        said = document(path)
        assert f"| {said['title']} | {said['level']} |" in page, f"docs/rules.md lacks {path.name}"


@pytest.mark.parametrize(
    ("file", "wanted"),
    [
        pytest.param("web_access_semicomplete", set(), id="four days of an ordinary web site"),
        pytest.param(
            "ssh_elastic_auth", {"SSH Login With A Password After Many Failures", "Logging Stopped On A Linux Host"}, id="25 days of SSH"
        ),
    ],
)
def test_public_logs_give_only_what_happened(file: str, wanted: set[str], shared_data: Path, tmp_path: Path, soc_here: Soc) -> None:
    import gzip
    import json

    with gzip.open(shared_data / "anomaly" / file / "lines.jsonl.gz", "rt", encoding="utf-8") as lines:
        (tmp_path / "a.log").write_text("\n".join(json.loads(line)["line"] for line in lines) + "\n", encoding="utf-8")
    done = soc_here("hunt", "a.log", "--rules", str(RULES), "--out", "hits.jsonl", "--workers", "1")
    assert done.returncode == 0, done.stderr
    hits = [json.loads(line)["rule"] for line in (tmp_path / "hits.jsonl").read_text(encoding="utf-8").splitlines()]
    assert {hit["title"] for hit in hits if hit["level"] != "informational"} == wanted


def test_what_feeds_correlations_has_a_vietnamese_name() -> None:
    documents = [document(path) for path in rule_files([RULES])]
    quiet = {d["id"] for d in documents if d["level"] == "informational" and "detection" in d}
    assert set(i18n.catalogue("vi", "bases")) == quiet
