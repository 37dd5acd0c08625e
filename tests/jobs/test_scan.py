"""soc scan: the same alerts in one scan or many, killed in the middle or run twice; new rules look at the past once."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT, Soc, environment

RULE = """
title: {title}
id: {id}
logsource: {{category: webserver}}
detection:
  s: {{url.path|contains: '{word}'}}
  condition: s
level: {level}
"""
BURST = """
title: Base
id: 0b9c6f3e-1111-4a57-9a55-0d9b6f7f6f01
name: any_login
logsource: {category: webserver}
detection: {s: {url.path: /login}, condition: s}
---
title: Many logins
id: 0b9c6f3e-1111-4a57-9a55-0d9b6f7f6f02
level: high
correlation: {type: event_count, rules: [any_login], group-by: [source.ip], timespan: 5m, condition: {gte: 4}}
"""


def line(n: int, path: str, address: str = "203.0.113.9") -> str:
    return f'{address} - - [15/Nov/2026:08:{n // 60:02d}:{n % 60:02d} +0700] "GET {path} HTTP/1.1" 200 12 "-" "Mozilla/5.0"\n'


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A configuration with one growing log and two rules."""
    (tmp_path / "content" / "rules").mkdir(parents=True)
    (tmp_path / "soc.toml").write_text('[[source]]\nid = "web"\ntype = "file"\npath = "web.log"\nparser = "nginx"\n')
    rules = tmp_path / "content" / "rules"
    (rules / "evil.yml").write_text(RULE.format(title="Evil path", id="0b9c6f3e-1111-4a57-9a55-0d9b6f7f6f00", word="evil", level="high"))
    (rules / "burst.yml").write_text(BURST)
    return tmp_path


def alerts(soc: Soc) -> list[dict[str, Any]]:
    out = [json.loads(text) for text in soc("alerts", "list", "--json", "--limit", "0").stdout.splitlines()]
    rows = out[0] if len(out) == 1 and isinstance(out[0], list) else out
    keep = ("id", "count", "first", "last", "entities", "events")
    return sorted(
        ({"rule": a["rule"]["title"], **{k: a[k] for k in keep}} for a in rows if a["rule"]["title"] in ("Evil path", "Many logins")),
        key=lambda a: (a["rule"], a["count"]),
    )


PARTS = (
    [line(n, "/evil") for n in range(3)] + [line(10 + n, "/login") for n in range(2)],
    [line(30 + n, "/login") for n in range(3)] + [line(40, "/evil", "2001:db8::7")],
    [line(50, "/evil")],
)


def test_one_scan_and_many_give_the_same_alerts_and_a_second_scan_gives_none(site: Path, soc_here: Soc) -> None:
    whole = site / "whole"
    (site / "web.log").write_text("".join(text for part in PARTS for text in part))
    for command in ("collect", "once"), ("scan",), ("scan",):
        assert soc_here("--data", str(whole), *command).returncode == 0
    assert soc_here("--data", str(whole), "scan", "--json").stdout.count('"opened":[]') == 1
    once = alerts(lambda *a, **k: soc_here("--data", str(whole), *a, **k))
    (site / "web.log").write_text("")
    for part in PARTS:
        with (site / "web.log").open("a") as file:
            file.writelines(part)
        soc_here("--data", str(site / "parts"), "collect", "once")
        soc_here("--data", str(site / "parts"), "scan")
    many = alerts(lambda *a, **k: soc_here("--data", str(site / "parts"), *a, **k))
    assert [(a["rule"], a["count"], a["entities"], a["first"], a["last"]) for a in once] == [
        (a["rule"], a["count"], a["entities"], a["first"], a["last"]) for a in many
    ]
    assert [(a["rule"], a["count"]) for a in once] == [("Evil path", 1), ("Evil path", 4), ("Many logins", 5)]


@pytest.mark.parametrize("fault", ["before-scan-commit", "after-scan-commit"])
def test_killed_in_the_middle_no_alert_is_lost_or_doubled(site: Path, soc_here: Soc, fault: str) -> None:
    (site / "web.log").write_text("".join(PARTS[0]))
    soc_here("collect", "once")
    command = [sys.executable, str(ROOT / "cli.py"), "scan"]
    killed = subprocess.run(command, cwd=site, env=environment(site, {"SOC_FAULT": fault}), capture_output=True, check=False)
    assert killed.returncode == -9
    assert soc_here("scan").returncode == 0
    assert [(a["rule"], a["count"]) for a in alerts(soc_here)] == [("Evil path", 3)]


def test_two_scans_at_once_do_no_harm(site: Path, soc_here: Soc) -> None:
    (site / "web.log").write_text("".join(text for part in PARTS for text in part))
    soc_here("collect", "once")
    command = [sys.executable, str(ROOT / "cli.py"), "scan"]
    running = [
        subprocess.Popen(command, cwd=site, env=environment(site), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for _ in range(2)
    ]
    assert [p.wait() for p in running] == [0, 0]
    assert [(a["rule"], a["count"]) for a in alerts(soc_here)] == [("Evil path", 1), ("Evil path", 4), ("Many logins", 5)]


def test_a_new_rule_looks_at_the_past_once_and_says_so(site: Path, soc_here: Soc) -> None:
    (site / "web.log").write_text(line(0, "/evil") + line(1, "/later"))
    soc_here("collect", "once")
    soc_here("scan")
    text = RULE.format(title="Evil path", id="0b9c6f3e-1111-4a57-9a55-0d9b6f7f6f03", word="later", level="high")
    (site / "content" / "rules" / "later.yml").write_text(text)
    assert json.loads(soc_here("scan", "--json").stdout)["retro"] == 1
    assert json.loads(soc_here("scan", "--json").stdout)["retro"] == 0
    out = soc_here("alerts", "list", "--json", "--limit", "0").stdout
    assert out.count('"retro":true') == 1


def test_a_broken_rule_is_told_and_stops_nothing(site: Path, soc_here: Soc) -> None:
    (site / "content" / "rules" / "broken.yml").write_text(
        "title: x\nlogsource: {category: webserver}\ndetection: {s: {a|nosuch: 1}, condition: s}\n"
    )
    (site / "web.log").write_text(line(0, "/evil"))
    soc_here("collect", "once")
    report = json.loads(soc_here("scan", "--json").stdout)
    assert (report["broken"], len(report["opened"])) == (1, 1)
    lint = soc_here("rules", "lint")
    assert lint.returncode == 4
    assert "broken.yml:3:" in lint.stdout
    assert "nosuch" in lint.stdout


def test_informational_rules_give_no_alerts(site: Path, soc_here: Soc) -> None:
    text = RULE.format(title="For information", id="0b9c6f3e-1111-4a57-9a55-0d9b6f7f6f04", word="evil", level="informational")
    (site / "content" / "rules" / "info.yml").write_text(text)
    (site / "web.log").write_text(line(0, "/evil"))
    soc_here("collect", "once")
    assert len(json.loads(soc_here("scan", "--json").stdout)["opened"]) == 1


def test_days_apart_are_alerts_apart_in_one_scan_and_in_many(site: Path, soc_here: Soc) -> None:
    lines = [line(0, "/evil").replace("15/Nov", day) for day in ("10/Nov", "11/Nov", "15/Nov")]
    (site / "web.log").write_text("".join(lines))
    soc_here("--data", str(site / "once"), "collect", "once")
    soc_here("--data", str(site / "once"), "scan")
    (site / "web.log").write_text("")
    for text in lines:
        with (site / "web.log").open("a") as file:
            file.write(text)
        soc_here("--data", str(site / "many"), "collect", "once")
        soc_here("--data", str(site / "many"), "scan")
    for store in ("once", "many"):
        found = alerts(lambda *a, store=store, **k: soc_here("--data", str(site / store), *a, **k))
        assert sorted(a["count"] for a in found) == [1, 2]
