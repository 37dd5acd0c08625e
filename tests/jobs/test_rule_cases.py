"""Cases of rules: read together, each judged as if it stood alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from detectors.sigma.build import build
from domain.errors import ConfigError, ContentError
from domain.event import row
from jobs.rule_cases import Item, fires, read, seen
from jobs.rules import test_cases as run_cases
from tests.conftest import ROOT

SSH = "<38>Nov 15 08:00:00 web01 sshd[812]: Failed password for invalid user {user} from 198.51.100.7 port 50022 ssh2"
AUDIT = 'type={kind} msg=audit(1794700800.000:{serial}): arch=c000003e syscall=59 success=yes pid=7 uid=0 comm="sh" exe="/bin/sh" {more}'
IIS = "2026-11-15 01:15:03 GET /a.aspx 198.51.100.7 200"


def _events(case: list[Item]) -> list[dict[str, object]]:
    """The events of one case, in its order."""
    found = {int(place): row(part.table, n) for part in read([case]) for n, place in enumerate(part.place)}
    return [found[place] for place in range(len(case))]


CASES: list[list[Item]] = [
    [SSH.format(user="root"), {"raw": SSH.format(user="lan"), "parser": "linux_auth"}],
    [{"fields": {"event.code": "1", "user.name": "lan"}}, {"raw": "nothing that a parser knows"}],
    [{"raw": AUDIT.format(kind="SYSCALL", serial=9, more=""), "parser": "linux_audit"}],
    [{"raw": AUDIT.format(kind="EXECVE", serial=9, more='argc=2 a0="sh" a1="-c"'), "parser": "linux_audit"}],
    [{"raw": "#Fields: date time cs-method cs-uri-stem c-ip sc-status", "parser": "iis"}],
    [{"raw": IIS, "parser": "iis"}],
    [],
    [{"fields": {"user.name": "minh"}}, "\ufeff" + SSH.format(user="admin")],
]


def test_events_read_together_are_those_read_alone() -> None:
    together: list[dict[int, Any]] = [{} for _ in CASES]
    for part in read(CASES):
        for n in range(part.table.num_rows):
            together[int(part.case[n])][int(part.place[n])] = row(part.table, n)
    for number, case in enumerate(CASES):
        alone = [_events([item])[0] for item in case]
        assert [together[number][place] for place in range(len(case))] == alone
        assert seen(case) == str(alone)
    assert together[1][0] == {"event.code": "1", "user.name": "lan"}
    assert together[7][1]["user.name"] == "admin"
    assert together[5][0]["event.kind"] == "pipeline_error", "the header of another case must not help"


@pytest.mark.parametrize(
    ("case", "error", "text"),
    [
        pytest.param([{"raws": "x"}], ContentError, "a case is a raw line, {raw, parser} or {fields}", id="form"),
        pytest.param([{"raw": "x", "parser": "nginks"}], ConfigError, "no such parser: nginks", id="parser"),
        pytest.param([{"raw": "x", "tz": "Mars"}], ConfigError, "Mars", id="zone"),
    ],
)
def test_a_case_of_no_known_form_is_an_error(case: list[Item], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text.replace("{", r"\{")):
        read([CASES[0], case])


def _correlation(folder: Path) -> Path:
    (folder / "base.yml").write_text(
        "title: Base\nid: 11111111-1111-4111-8111-111111111111\nname: base\nlogsource: {product: linux, service: sshd}\n"
        "detection:\n  s: {user.name: [lan, minh]}\n  condition: s\nlevel: low\n"
    )
    path = folder / "many.yml"
    path.write_text(
        "title: Many\nid: 22222222-2222-4222-8222-222222222222\nlevel: high\n"
        "correlation: {type: event_count, rules: [base], group-by: [user.name], timespan: 10m, condition: {gte: 2}}\n"
    )
    return path


def test_a_correlation_counts_the_events_of_one_case_only(tmp_path: Path) -> None:
    path = _correlation(tmp_path)
    rules = build([(str(p), p.read_bytes()) for p in (tmp_path / "base.yml", path)])
    lan, minh = SSH.format(user="lan"), SSH.format(user="minh")
    cases: list[list[Item]] = [[lan], [lan, {"raw": lan, "parser": "linux_auth"}], [lan, minh], [minh], [], [minh, lan, minh]]
    assert fires(rules, read(cases), len(cases), str(path)).tolist() == [False, True, False, False, False, True]


def test_every_failure_is_named_and_shows_its_own_events(tmp_path: Path) -> None:
    path = _correlation(tmp_path)
    lan, minh = SSH.format(user="lan"), SSH.format(user="minh")
    said = {"rules": ["base.yml"], "match": [[lan, lan], [lan, minh]], "no_match": [minh, [minh, minh]]}
    path.with_name("many.test.yml").write_text(yaml.safe_dump(said))
    found = [result for result in run_cases([path], 3) if not result.ok]
    assert [(r.case, r.why.partition(" on ")[0]) for r in found] == [
        ("match", "2 cases under match; at least 3 needed"),
        ("match[1]", "the rule did not fire"),
        ("no_match", "2 cases under no_match; at least 3 needed"),
        ("no_match[1]", "the rule fired"),
    ]
    assert found[3].why == f"the rule fired on {seen([minh, minh])}"[:400]


def test_the_shipped_linux_cases_are_judged_as_alone() -> None:
    for path in sorted((ROOT / "rules" / "linux").glob("linux_[rw]*.test.yml")):
        rule = path.with_name(path.name.replace(".test.yml", ".yml"))
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
        files = [*(path.parent / name for name in data.get("rules", ())), rule]
        rules = build([(str(p), p.read_bytes()) for p in files])
        cases = [c if isinstance(c, list) else [c] for c in (*data["match"], *data["no_match"])]
        alone = [bool(fires(rules, read([case]), 1, str(rule))[0]) for case in cases]
        assert fires(rules, read(cases), len(cases), str(rule)).tolist() == alone
