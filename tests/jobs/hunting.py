"""Windows events as NXLog ships them, and a few rules, for tests of hunts."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

RULE = """title: {title}
id: {id}
status: test
level: {level}
tags: [{tags}]
logsource: {{product: windows, category: process_creation}}
detection:
  selection: {{CommandLine|contains: '{word}'}}
  condition: selection
"""
WHOAMI = "11111111-0000-4000-8000-000000000001"
NET = "11111111-0000-4000-8000-000000000002"
OFTEN = "11111111-0000-4000-8000-000000000003"


def rules(folder: Path) -> Path:
    """Two detection rules and a correlation of the lower one."""
    folder.mkdir(parents=True)
    whoami = RULE.format(title="Whoami Was Run", id=WHOAMI, level="high", tags="attack.discovery, attack.t1033", word="whoami")
    (folder / "whoami.yml").write_text(whoami, encoding="utf-8")
    net = RULE.format(title="Net Was Run", id=NET, level="low", tags="attack.discovery", word="net.exe")
    (folder / "net.yml").write_text(net, encoding="utf-8")
    (folder / "often.yml").write_text(
        f"title: Net Run Often\nid: {OFTEN}\nlevel: critical\ntags: [attack.discovery]\n"
        f"correlation: {{type: event_count, rules: ['{NET}'], group-by: [Computer], timespan: 10m, condition: {{gte: 3}}}}\n",
        encoding="utf-8",
    )
    return folder


def process(number: int, command: str, minute: int = 0, host: str = "PC-01") -> dict[str, object]:
    """Sysmon event 1."""
    at = f"2026-11-24 {8 + minute // 60:02}:{minute % 60:02}:{number % 60:02}.000"
    return {
        "EventID": 1, "Channel": "Microsoft-Windows-Sysmon/Operational", "SourceName": "Microsoft-Windows-Sysmon", "Hostname": host,
        "RecordNumber": number, "UtcTime": at, "EventTime": at[:19], "Image": "C:\\Windows\\System32\\cmd.exe", "CommandLine": command,
        "User": "TINH\\an.nv", "ProcessId": "4", "EventType": "INFO",
    }  # fmt: skip


def security(number: int, code: int, minute: int = 0, host: str = "PC-01", **data: str) -> dict[str, object]:
    """An event of the Security log."""
    at = f"2026-11-24T{8 + minute // 60:02}:{minute % 60:02}:00.000Z"
    return {
        "EventID": code, "Channel": "Security", "SourceName": "Microsoft-Windows-Security-Auditing", "Hostname": host, "RecordNumber": number,
        "TimeCreated": at, "EventTime": at, **data,
    }  # fmt: skip


def write(path: Path, events: Iterable[dict[str, object]]) -> Path:
    """As JSON lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(e, ensure_ascii=False) + "\n" for e in events), encoding="utf-8")
    return path
