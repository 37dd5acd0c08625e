"""soc scan with correlations: one scan, many, killed ones and late lines give the same alerts; what late lines join is told."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT, Soc, environment

RULES = """
title: Login page
id: 0b9c6f3e-1111-4a57-9a55-0d9b6f7f6f11
name: login
logsource: {category: webserver}
detection: {s: {url.path: /login}, condition: s}
---
title: Upload
id: 0b9c6f3e-1111-4a57-9a55-0d9b6f7f6f12
name: upload
logsource: {category: webserver}
detection: {s: {url.path: /upload}, condition: s}
---
title: Many logins
id: 0b9c6f3e-1111-4a57-9a55-0d9b6f7f6f13
name: many
correlation: {type: event_count, rules: [login], group-by: [source.ip], timespan: 5m, condition: {gte: 3}, generate: false}
---
title: Upload after many logins
id: 0b9c6f3e-1111-4a57-9a55-0d9b6f7f6f14
level: high
correlation: {type: temporal_ordered, rules: [many, upload], group-by: [source.ip], timespan: 1h, generate: true}
---
title: Many pages
id: 0b9c6f3e-1111-4a57-9a55-0d9b6f7f6f15
correlation:
  type: value_count
  rules: [login, upload]
  group-by: [source.ip]
  timespan: 10m
  condition: {field: user_agent.original, gte: 3}
"""


def line(second: int, path: str, address: str, agent: str) -> str:
    """One line of an access log on 15 November."""
    clock = f"{8 + second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}"
    return f'{address} - - [15/Nov/2026:{clock} +0700] "GET {path} HTTP/1.1" 200 12 "-" "{agent}"\n'


def lines(seed: int) -> list[str]:
    """Logins and uploads of two addresses within three hours, in order."""
    random_ = random.Random(seed)
    times = sorted(random_.choices(range(0, 10_000, 50), k=60))
    return [
        line(t, random_.choice(["/login", "/login", "/upload"]), random_.choice(["203.0.113.9", "2001:db8::7"]), random_.choice("abcd"))
        for t in times
    ]  # fmt: skip


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A configuration with two growing logs and the rules."""
    (tmp_path / "content" / "rules").mkdir(parents=True)
    source = '[[source]]\nid = "{0}"\ntype = "file"\npath = "{0}.log"\nparser = "nginx"\n'
    (tmp_path / "soc.toml").write_text(source.format("web") + source.format("late"))
    (tmp_path / "content" / "rules" / "logins.yml").write_text(RULES)
    return tmp_path


def told(soc: Soc, data: str) -> list[Any]:
    """Open alerts of the correlations of this test, without ids."""
    found = json.loads(soc("--data", data, "alerts", "list", "--json", "--limit", "0", "--status", "open").stdout)
    titles = ("Upload after many logins", "Many pages", "Many logins")
    return sorted(
        (a["rule"]["title"], a["count"], a["first"], a["last"], str(a["entities"])) for a in found if a["rule"]["title"] in titles
    )


def feed(site: Path, soc: Soc, data: str, parts: Sequence[Sequence[tuple[str, str]]], faults: Sequence[str] = ()) -> list[str]:
    """(log, line) by parts: collected and scanned each; scans may be killed, and are then run again. What the scans note."""
    notes: list[str] = []
    for log in ("web", "late"):
        (site / f"{log}.log").write_text("")
    for number, part in enumerate(parts):
        for log, text in part:
            with (site / f"{log}.log").open("a") as file:
                file.write(text)
        assert soc("--data", data, "collect", "once").returncode == 0
        if faults:
            command = [sys.executable, str(ROOT / "cli.py"), "--data", data, "scan"]
            fault = {"SOC_FAULT": faults[number % len(faults)]}
            assert subprocess.run(command, cwd=site, env=environment(site, fault), capture_output=True, check=False).returncode == -9
        notes += json.loads(soc("--data", data, "scan", "--json").stdout)["notes"]
    return notes


def test_one_scan_and_many_killed_ones_over_late_lines_give_the_same_alerts(site: Path, soc_here: Soc) -> None:
    found = lines(3)
    random_ = random.Random(4)
    late = set(random_.sample(range(len(found)), 20))
    # the same log names in both, so that lines of one time stand in the same order
    whole = [[("late" if n in late else "web", text) for n, text in enumerate(found)]]
    feed(site, soc_here, str(site / "whole"), whole)
    in_time = [("web", text) for n, text in enumerate(found) if n not in late]
    behind = [("late", text) for n, text in enumerate(found) if n in late]
    parts = [in_time[:15], in_time[15:30], [*behind[:10], *in_time[30:]], behind[10:]]
    feed(site, soc_here, str(site / "parts"), parts, ("before-scan-commit", "after-scan-commit"))
    once = told(soc_here, str(site / "whole"))
    assert {title for title, *_ in once} == {"Upload after many logins", "Many pages", "Many logins"}
    assert told(soc_here, str(site / "parts")) == once


def test_alerts_that_a_late_line_joins_are_merged_and_show_it(site: Path, soc_here: Soc) -> None:
    def burst(day: int) -> list[tuple[str, str]]:
        texts = [line(n, "/login", "203.0.113.9", agent).replace("15/Nov", f"{day}/Nov") for n, agent in enumerate("abc")]
        return [("web", text) for text in texts]

    data = str(site / "data")
    apart = [burst(10), burst(12)]
    late = [("late", text) for _, text in burst(11)]
    notes = feed(site, soc_here, data, [*apart, late])
    found = json.loads(soc_here("--data", data, "alerts", "list", "--json", "--status", "open", "--rule", "Many logins").stdout)
    [alert] = [a for a in found if a["rule"]["title"] == "Many logins"]
    assert alert["count"] == 9
    [gone] = alert["merged"]
    assert any(gone[:8] in note and alert["id"][:8] in note for note in notes)
    shown = soc_here("--data", data, "alerts", "show", alert["id"]).stdout
    assert gone in shown
    shown = soc_here("--data", data, "alerts", "show", gone).stdout
    assert alert["id"] in shown
    refused = soc_here("--data", data, "alerts", "reopen", gone, "--reason", "x")
    assert refused.returncode == 2
    assert f"alert {gone} was merged: its events belong to {alert['id']}" in refused.stderr


def test_a_new_correlation_sees_the_window_across_the_place_where_scans_began_to_run_it(site: Path, soc_here: Soc) -> None:
    rules = site / "content" / "rules" / "logins.yml"
    data = str(site / "data")
    rules.write_text(RULES.split("---\ntitle: Many logins", maxsplit=1)[0])
    feed(site, soc_here, data, [[("web", line(n, "/login", "203.0.113.9", "a"))] for n in range(2)])
    rules.write_text(RULES)
    with (site / "web.log").open("a") as file:
        file.write(line(2, "/login", "203.0.113.9", "a"))
    soc_here("--data", data, "collect", "once")
    report = json.loads(soc_here("--data", data, "scan", "--json").stdout)
    assert (len(report["opened"]), report["remembered"] > 0) == (1, True)
    with (site / "web.log").open("a") as file:
        file.write(line(3, "/login", "203.0.113.9", "b") + line(4, "/upload", "203.0.113.9", "c"))
    soc_here("--data", data, "collect", "once")
    soc_here("--data", data, "scan")
    assert [(title, count) for title, count, *_ in told(soc_here, data)] == [
        ("Many logins", 4), ("Many pages", 5), ("Upload after many logins", 3),
    ]  # fmt: skip


def test_a_correlation_is_played_again_over_its_windows(site: Path, soc_here: Soc) -> None:
    data = str(site / "data")
    feed(site, soc_here, data, [[("web", line(n * 60, "/login", "203.0.113.9", "a")) for n in range(5)]])
    [found] = json.loads(soc_here("--data", data, "alerts", "list", "--json", "--rule", "Many logins").stdout)
    same = soc_here("--data", data, "alerts", "replay", found["id"], "--json")
    assert (same.returncode, json.loads(same.stdout)["matching"]) == (0, 5)
    rules = site / "content" / "rules" / "logins.yml"
    rules.write_text(RULES.replace("timespan: 5m, condition: {gte: 3}", "timespan: 2m, condition: {gte: 4}"))
    other = soc_here("--data", data, "alerts", "replay", found["id"], "--json")
    assert (other.returncode, json.loads(other.stdout)["matching"]) == (1, 0)
