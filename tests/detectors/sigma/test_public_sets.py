"""The public rule set against the public sets: every hit, and none else."""

from __future__ import annotations

import gzip
import json
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from detectors.sigma.build import build
from detectors.sigma.load import load
from detectors.sigma.ruleset import RuleSet
from detectors.sigma.verify import verify
from jobs import hunt
from jobs.rulesets import unpack
from tests import house

FOLDERS = ("rules/", "rules-threat-hunting/", "rules-emerging-threats/")


@pytest.fixture(scope="module")
def extracted(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("sigma")
    for name in ("sigma/sigmahq-rules.tar.xz", "sigma/regression-dev.tar.xz", "evtx/attack-samples-dev.tar.xz"):
        with tarfile.open(shared_data / name) as archive:
            house.unpack(archive, folder / Path(name).name.split(".")[0])
    return folder


@pytest.fixture(scope="module")
def windows(shared_data: Path) -> RuleSet:
    files = [(n, c) for n, c in unpack(shared_data / "sigma/sigmahq-rules.tar.xz") if n.startswith(FOLDERS) and b"product: windows" in c]
    return build(files)


def test_every_rule_of_the_public_set_is_loaded_or_blind(shared_data: Path) -> None:
    files = unpack(shared_data / "sigma/sigmahq-rules.tar.xz")
    rules = build(files)
    assert rules.broken == []
    assert len(rules.rules) + len(rules.blind) == len(files) == 3780
    assert all(b.reason for b in rules.blind)


def test_conformance_rows(shared_data: Path, extracted: Path) -> None:
    with gzip.open(shared_data / "sigma/conformance_generated.jsonl.gz") as lines:
        out = verify((json.loads(line) for line in lines), extracted / "sigmahq-rules")
    assert (out.passed, out.failures[:3]) == (22_155, [])


def test_hits_on_attack_samples(windows: RuleSet, shared_data: Path, extracted: Path) -> None:
    result = hunt.Hunt()
    got = {
        (windows.rules[h.rule].ref.id, h.source, h.record)
        for h in hunt.hunt([str(extracted / "attack-samples-dev")], windows, result, workers=1)
    }
    lines = (shared_data / "evtx/expected-dev.jsonl").read_text().splitlines()
    assert got == {(d["rule_id"], d["source"], d["record"]) for d in map(json.loads, lines)}
    assert (result.files, result.events, result.problems) == (70, 764, [])


def test_regression_cases_fire(windows: RuleSet, shared_data: Path, extracted: Path) -> None:
    cases = [json.loads(line) for line in (shared_data / "sigma/regression-dev.jsonl").read_text().splitlines()]
    missed = []
    for case in cases:
        hits = hunt.hunt([str(extracted / "regression-dev" / case["evtx_path"])], windows, hunt.Hunt(), workers=1)
        if case["rule_id"] not in {windows.rules[h.rule].ref.id for h in hits}:
            missed.append(case["case"])
    assert (len(cases), missed) == (60, [])


def test_hits_on_real_windows_events(windows: RuleSet, shared_data: Path) -> None:
    result = hunt.Hunt()
    hits = hunt.hunt([str(shared_data / "sigma/windows-dev.ndjson.xz")], windows, result, workers=1)
    got = {(windows.rules[h.rule].ref.id, h.record) for h in hits}
    lines = (line.split("\t") for line in (shared_data / "sigma/windows-dev-expected.tsv").read_text().splitlines())
    assert got == {(rule, int(number)) for rule, number in lines}
    assert (len(got), result.events, result.problems) == (1014, 100_000, [])


def test_rules_with_placeholders_are_blind_until_they_are_filled(shared_data: Path) -> None:
    files = [(n, c) for n, c in unpack(shared_data / "sigma/sigmahq-rules.tar.xz") if n.startswith("rules-placeholder/")]
    names = {name for _, content in files for name in re.findall(r"%([\w-]+)%", content.decode())}
    bare = load(files)
    assert (len(bare.rules), bare.broken) == (len(files), [])
    assert {rule.unfilled for rule in bare.rules} <= names
    assert all(rule.unfilled for rule in bare.rules)
    filled = load(files, {name.upper(): ["x"] for name in names})
    assert [rule.unfilled for rule in filled.rules] == [""] * len(files)
