"""[rules] windows: Security 4688 and 5156 beside Sysmon; one action is one alert, whoever told of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Soc

SYSMON = "Microsoft-Windows-Sysmon/Operational"
RULES = """title: Whoami
id: 5b9c6f3e-1111-4a57-9a55-0d9b6f7f6f00
level: high
logsource: {product: windows, category: process_creation}
detection:
  s:
    - Image|endswith: \\whoami.exe
    - OriginalFileName: whoami.exe
  condition: s
---
title: Odd port
id: 5b9c6f3e-1111-4a57-9a55-0d9b6f7f6f01
level: high
logsource: {product: windows, category: network_connection}
detection: {s: {DestinationPort: 4444, Initiated: 'true'}, condition: s}
---
title: Start page
id: 5b9c6f3e-1111-4a57-9a55-0d9b6f7f6f02
level: high
logsource: {product: windows, category: registry_set}
detection:
  s:
    TargetObject|contains: '\\SYSTEM\\CurrentControlSet\\Services\\Odd\\'
    TargetObject|endswith: \\Start
    Details: DWORD (0x00000004)
    Image|endswith: \\reg.exe
  condition: s
"""


def record(host: str, second: int, code: int, **data: str) -> dict[str, Any]:
    stamp = f"2026-11-15 08:01:{second:02d}"
    channel = SYSMON if code < 100 else "Security"
    utc = {"UtcTime": f"2026-11-15 01:01:{second:02d}.200"} if code < 100 else {}
    return {"EventID": code, "Channel": channel, "Hostname": host, "EventTime": stamp, **utc, **data}


REG = "C:\\Windows\\System32\\reg.exe"
KEY = "HKLM\\SYSTEM\\ControlSet001\\Services\\Odd"
KERNEL = KEY.replace("HKLM", "\\REGISTRY\\MACHINE")
WHOAMI = "C:\\Windows\\System32\\whoami.exe"


def modified(host: str, value: str, operation: str) -> dict[str, object]:
    """Security 4657 of one value."""
    values = {"ObjectName": KERNEL, "ObjectValueName": "Start", "NewValue": value, "NewValueType": "%%1876", "OperationType": operation}
    return record(host, 20, 4657, ProcessName=REG, **values)


EVENTS = [
    record("A", 1, 1, Image=WHOAMI, User="NT AUTHORITY\\SYSTEM", ProcessId="4660"),
    record("A", 1, 4688, NewProcessName=WHOAMI, SubjectUserName="A$", NewProcessId="0x1234"),
    record("A", 40, 4688, NewProcessName=WHOAMI, SubjectUserName="A$", NewProcessId="0x1235"),
    record("B", 5, 4688, NewProcessName=WHOAMI, SubjectUserName="lan.nt", NewProcessId="0x1236"),
    record("A", 9, 3, Image="C:\\x.exe", Initiated="true", DestinationPort="4444", SourcePort="50001", User="TINH\\lan"),
    record(
        "A", 9, 5156, Application="\\device\\harddiskvolume2\\x.exe", Direction="%%14593", DestPort="4444", SourcePort="50001", Protocol="6"
    ),
    record(
        "B", 9, 5156, Application="\\device\\harddiskvolume2\\x.exe", Direction="%%14593", DestPort="4444", SourcePort="50002", Protocol="6"
    ),
    record(
        "A",
        20,
        13,
        EventType="SetValue",
        Image=REG,
        TargetObject=KEY.replace("ControlSet001", "CurrentControlSet") + "\\Start",
        Details="DWORD (0x00000004)",
    ),
    modified("A", "4", "%%1905"),
    modified("B", "4", "%%1904"),
    modified("C", "3", "%%1905"),
    record("D", 20, 4657, ProcessName=REG, ObjectName=KERNEL, ObjectValueName="Start", NewValueType="-", OperationType="%%1906"),
]


def scanned(soc: Soc, folder: Path, setting: str) -> list[tuple[str, str, int]]:
    (folder / "soc.toml").write_text(f'{setting}[[source]]\nid = "win"\ntype = "file"\npath = "win.log"\n')
    (folder / "win.log").write_text("\n".join(map(json.dumps, EVENTS)) + "\n")
    (folder / "content" / "rules").mkdir(parents=True)
    (folder / "content" / "rules" / "r.yml").write_text(RULES)
    for command in ("collect", "once"), ("scan",):
        done = soc(*command, cwd=folder)
        assert done.returncode == 0, done.stderr
    rows = json.loads(soc("alerts", "list", "--json", "--limit", "0", cwd=folder).stdout)
    mine = [a for a in rows if a["rule"]["title"] in ("Whoami", "Odd port", "Start page")]
    host = {a["id"]: next(e["value"] for e in a["entities"] if e["type"] == "host") for a in mine}
    return sorted((a["rule"]["title"], host[a["id"]], a["count"]) for a in mine)


def test_by_default_generic_categories_are_sysmon_alone(soc: Soc, tmp_path: Path):
    assert scanned(soc, tmp_path, "") == [("Odd port", "A", 1), ("Start page", "A", 1), ("Whoami", "A", 1)]


def test_security_events_count_where_sysmon_told_nothing(soc: Soc, tmp_path: Path):
    """The second 4688 of host A has no event of Sysmon beside it."""
    assert scanned(soc, tmp_path, '[rules]\nwindows = ["sysmon", "security"]\n') == [
        ("Odd port", "A", 1), ("Odd port", "B", 1), ("Start page", "A", 1), ("Start page", "B", 1), ("Whoami", "A", 1), ("Whoami", "A", 1), ("Whoami", "B", 1),
    ]  # fmt: skip


def test_a_source_that_says_what_it_is_feeds_rules_of_applications(soc: Soc, tmp_path: Path):
    rule = (
        RULES.partition("---")[0]
        .replace("Whoami", "Start of a program")
        .replace("product: windows, category: process_creation", "product: jvm, category: application")
    )
    rule = rule[: rule.index("detection:")] + "detection: {k: ['java.lang.ProcessBuilder'], condition: k}\n"
    (tmp_path / "soc.toml").write_text(
        '[[source]]\nid = "app"\ntype = "file"\npath = "app.log"\nservice_type = "Spring"\n[[source]]\nid = "other"\ntype = "file"\npath = "other.log"\n'
    )
    for name in ("app", "other"):
        (tmp_path / f"{name}.log").write_text('{"level": "ERROR", "message": "java.lang.ProcessBuilder.start failed"}\n')
    (tmp_path / "content" / "rules").mkdir(parents=True)
    (tmp_path / "content" / "rules" / "r.yml").write_text(rule)
    for command in ("collect", "once"), ("scan",):
        assert soc(*command, cwd=tmp_path).returncode == 0
    rows = json.loads(soc("alerts", "list", "--json", "--limit", "0", cwd=tmp_path).stdout)
    assert [a["count"] for a in rows if a["rule"]["title"] == "Start of a program"] == [1]


@pytest.mark.parametrize("value", ['["sysmom"]', "[]", '"sysmon"'])
def test_a_feed_that_does_not_exist_is_refused(soc: Soc, tmp_path: Path, value: str):
    (tmp_path / "soc.toml").write_text(f"[rules]\nwindows = {value}\n")
    done = soc("rules", "list", cwd=tmp_path)
    assert (done.returncode, "soc.toml:2: windows is a list" in done.stderr) == (3, True)
