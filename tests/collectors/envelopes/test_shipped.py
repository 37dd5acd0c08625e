"""Documents as shippers write them become the events that their records are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pytest

from collectors import detect
from collectors.profiles import PROFILES, profile
from domain import fields
from domain.event import row
from domain.raw import Checkpoint, RawBatch

AT = 1_795_482_902_000_000
"""2026-11-24 01:15:02 UTC."""
SYSMON = "Microsoft-Windows-Sysmon/Operational"


def parsed(document: object, envelope: str = "") -> tuple[str, dict[str, Any]]:
    """(parser, event) of one document."""
    raw = document if isinstance(document, bytes) else orjson.dumps(document)
    batch = RawBatch(
        "s", "i#1/0", pa.array([raw], pa.large_binary()), np.array([0]), np.array([AT]), Checkpoint("s", "i#1/0", 1), envelope=envelope
    )
    (found,) = detect.parse(batch)
    return found.parser, row(found.table, 0)


EVTX = {
    "Event": {
        "System": {
            "Provider": {"#attributes": {"Name": "Microsoft-Windows-Sysmon", "Guid": "5770385F-C22A-43E0-BF4C-06F5698FFBD9"}},
            "EventID": 1, "Version": 5, "Level": 4, "Task": 1, "Opcode": 0, "Keywords": "0x8000000000000000",
            "TimeCreated": {"#attributes": {"SystemTime": "2026-11-24T01:15:01.275091Z"}}, "EventRecordID": 2935,
            "Execution": {"#attributes": {"ProcessID": 3536, "ThreadID": 3340}}, "Channel": SYSMON, "Computer": "PC-07.xa.vn",
        },
        "EventData": {
            "UtcTime": "2026-11-24 01:15:01.161", "ProcessId": 5096, "Image": r"C:\Windows\System32\cmd.exe",
            "CommandLine": r'"C:\Windows\System32\cmd.exe" /c dir \\srv\share && echo <x>', "User": r"XA\Bình", "LogonId": "0x2bd772",
        },
    }
}  # fmt: skip
"""A record as the reader of event logs renders it."""


def winlogbeat() -> dict[str, Any]:
    system, data = EVTX["Event"]["System"], EVTX["Event"]["EventData"]
    return {
        "@timestamp": "2026-11-24T01:15:01.275Z", "agent": {"type": "winlogbeat", "version": "8.17.0"}, "message": "Process Create",
        "event": {"code": "1", "provider": "Microsoft-Windows-Sysmon", "kind": "event"}, "host": {"name": "PC-07.xa.vn"},
        "winlog": {
            "channel": SYSMON, "event_id": "1", "provider_name": "Microsoft-Windows-Sysmon", "record_id": 2935, "version": 5, "task": "1",
            "provider_guid": "{5770385f-c22a-43e0-bf4c-06f5698ffbd9}", "computer_name": system["Computer"],
            "process": {"pid": 3536, "thread": {"id": 3340}}, "event_data": {k: str(v) for k, v in data.items()},
        },
    }  # fmt: skip


def flattened() -> dict[str, Any]:
    """The same after an ingest pipeline has made names of paths."""
    out: dict[str, Any] = {}
    stack: list[tuple[str, Any]] = [("", winlogbeat())]
    while stack:
        prefix, value = stack.pop()
        for key, inner in value.items():
            if isinstance(inner, dict):
                stack.append((f"{prefix}{key}.", inner))
            else:
                out[f"{prefix}{key}"] = inner
    return out


def escaped(value: object) -> str:
    """As Wazuh's decoder leaves a value: JSON and XML escapes once too many."""
    text = str(value).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return text.replace("\\", "\\\\").replace('"', '\\"')


def wazuh() -> dict[str, Any]:
    data = {k[0].lower() + k[1:]: escaped(v) for k, v in EVTX["Event"]["EventData"].items()}
    system = {
        "providerName": "Microsoft-Windows-Sysmon", "providerGuid": "{5770385f-c22a-43e0-bf4c-06f5698ffbd9}", "eventID": "1", "version": "5",
        "level": "4", "task": "1", "opcode": "0", "keywords": "0x8000000000000000", "systemTime": "2026-11-24T01:15:01.275091Z",
        "eventRecordID": "2935", "processID": "3536", "threadID": "3340", "channel": SYSMON, "computer": "PC-07.xa.vn",
        "severityValue": "INFORMATION", "message": '"Process Create:\r\nRuleName: -"',
    }  # fmt: skip
    rule = {
        "id": "92057",
        "level": 12,
        "description": "A shell",
        "mitre": {"id": ["T1059.003"], "tactic": ["Execution"], "technique": ["Shell"]},
    }
    return {**alert("windows_eventchannel", "EventChannel"), "rule": rule, "data": {"win": {"system": system, "eventdata": data}}}


def alert(decoder: str, location: str) -> dict[str, Any]:
    """What every alert of Wazuh has."""
    return {
        "timestamp": "2026-11-24T01:15:02.123+0000", "agent": {"id": "003", "name": "web1", "ip": "10.0.0.3"}, "manager": {"name": "wz"},
        "id": "1795482902.77", "decoder": {"name": decoder}, "location": location, "rule": {"id": "5760", "level": 5, "description": "A rule"},
    }  # fmt: skip


def otel_windows() -> dict[str, Any]:
    """The OpenTelemetry collector's receiver, through Data Prepper."""
    system, data = EVTX["Event"]["System"], EVTX["Event"]["EventData"]
    body = {
        "event_id": {"id": 1, "qualifiers": 0}, "provider": {"name": "Microsoft-Windows-Sysmon", "guid": "{5770385f-c22a-43e0-bf4c-06f5698ffbd9}"},
        "system_time": "2026-11-24T01:15:01.275091Z", "computer": system["Computer"], "channel": SYSMON, "record_id": 2935,
        "execution": {"process_id": 3536, "thread_id": 3340}, "message": "Process Create", "event_data": {k: str(v) for k, v in data.items()},
    }  # fmt: skip
    return {"@timestamp": "2026-11-24T01:15:02Z", "observedTimestamp": "2026-11-24T01:15:02Z", "severity": {"text": "Info"}, "body": body}


@pytest.mark.parametrize("document", [winlogbeat(), flattened(), wazuh(), otel_windows()], ids=["winlogbeat", "flattened", "wazuh", "otel"])
def test_a_windows_event_is_the_same_whoever_ships_it(document: dict[str, Any]) -> None:
    """What rules read: channel, provider, code, computer, every field of the event, and the ECS names beside them."""
    _, want = parsed(EVTX)
    parser, got = parsed(document)
    assert parser == "windows"
    same = [
        name
        for name in want
        if name.startswith(("winlog.event_data.", "process.", "user.", "event."))
        or name
        in ("winlog.channel", "winlog.provider_name", "winlog.provider_guid", "winlog.computer_name", "winlog.record_id", "host.name")
    ]
    assert len(same) > 15
    assert {name: got.get(name) for name in same} == {name: want[name] for name in same}
    assert got["@timestamp"][:22] == want["@timestamp"][:22]


def test_names_that_start_small_in_windows_too_stay_small() -> None:
    document = wazuh()
    document["data"]["win"]["system"] |= {"channel": "System", "eventID": "7036"}
    document["data"]["win"]["eventdata"] = {"param1": "Windows Defender", "serviceName": "x"}
    _, event = parsed(document)
    assert event["winlog.event_data.param1"] == "Windows Defender"
    document["data"]["win"]["system"] |= {"channel": "Microsoft-Windows-Bits-Client/Operational", "eventID": "16403"}
    document["data"]["win"]["eventdata"] = {"processPath": "a", "remoteName": "b"}
    _, event = parsed(document)
    assert (event["winlog.event_data.processPath"], event["winlog.event_data.RemoteName"]) == ("a", "b")


def test_values_that_were_never_escaped_stay_as_they_are() -> None:
    document = wazuh()
    document["data"]["win"]["eventdata"] = {"image": r"C:\Windows\cmd.exe", "targetObject": r"\\srv\share\x"}
    _, event = parsed(document)
    assert event["winlog.event_data.Image"] == r"C:\Windows\cmd.exe"
    assert event["winlog.event_data.TargetObject"] == r"\\srv\share\x"


def test_user_data_of_wazuh() -> None:
    document = wazuh()
    document["data"]["win"]["system"] |= {"channel": "Security", "eventID": "1102"}
    del document["data"]["win"]["eventdata"]
    document["data"]["win"]["logFileCleared"] = {"subjectUserName": "quantri"}
    _, event = parsed(document)
    assert (event["winlog.event_data.SubjectUserName"], event["event.action"]) == ("quantri", "audit-log-cleared")


SSH = "Nov 24 08:15:01 web1 sshd[31]: Failed password for root from 203.0.113.9 port 5022 ssh2"
EVE = '{"timestamp":"2026-11-24T08:15:02.500000+0700","flow_id":1,"event_type":"alert","src_ip":"2001:db8::9","dest_ip":"10.0.0.1","alert":{"signature":"ET X"}}'
NGINX = '203.0.113.9 - - [24/Nov/2026:08:00:00 +0700] "GET /a?b=c HTTP/1.1" 404 5 "-" "curl/8"'


def filebeat(dataset: str, message: str, **more: Any) -> dict[str, Any]:
    """A document of a Filebeat module whose ingest pipeline has kept the line."""
    module = dataset.partition(".")[0]
    return {
        "@timestamp": "2026-11-24T01:15:01.000Z", "agent": {"type": "filebeat"}, "event": {"dataset": dataset, "module": module, "original": message},
        **more,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("document", "parser", "expected"),
    [
        pytest.param(
            {**alert("sshd", "/var/log/auth.log"), "full_log": SSH, "data": {"srcip": "203.0.113.9", "dstuser": "root"}},
            "linux_auth",
            {"event.dataset": "system.auth", "user.name": "root", "source.ip": "203.0.113.9", "@timestamp": "2026-11-24T01:15:01.000Z",
             "rule.id": "5760", "event.severity": 5, "host.ip": ["10.0.0.3"], "log.file.path": "/var/log/auth.log", "event.outcome": "failure"},
            id="wazuh: a line of syslog",
        ),
        pytest.param(
            {**alert("json", "eve.json"), "full_log": EVE, "data": orjson.loads(EVE)},
            "suricata",
            {"event.dataset": "suricata.eve", "source.ip": "2001:db8::9", "suricata.eve.alert.signature": "ET X", "host.name": "web1"},
            id="wazuh: JSON of a sensor",
        ),
        pytest.param(
            {**alert("syscheck_new_entry", "syscheck"), "syscheck": {"path": "/etc/passwd", "event": "modified", "sha256_after": "ab"}},
            "plain",
            {"event.dataset": "wazuh.alerts", "file.path": "/etc/passwd", "file.hash.sha256": "ab", "message": "A rule",
             "@timestamp": "2026-11-24T01:15:02.123Z"},
            id="wazuh: file integrity",
        ),
        pytest.param(
            {"@timestamp": "2026-11-24T01:00:00Z", "observedTimestamp": "2026-11-24T01:00:01Z", "severity": {"number": 9, "text": "INFO"},
             "body": SSH, "resource": {"attributes": {"host@name": "web1", "service@name": "auth"}}},
            "linux_auth",
            {"user.name": "root", "service.name": "auth", "host.name": "web1", "log.level": "INFO"},
            id="data prepper: a line, old attribute names",
        ),
        pytest.param(
            filebeat("nginx.access", NGINX, url={"original": "/a?b=c"}),
            "nginx",
            {"event.dataset": "nginx.access", "source.ip": "203.0.113.9", "http.response.status_code": 404},
            id="filebeat: nginx with its line",
        ),
        pytest.param(
            {"@timestamp": "2026-11-24T01:15:01.000Z", "agent": {"type": "filebeat"}, "event": {"dataset": "nginx.access", "module": "nginx"},
             "source": {"ip": "203.0.113.9"}, "url": {"original": "/a?b=c"}, "http": {"response": {"status_code": 404}}},
            "json",
            {"event.dataset": "nginx.access", "source.ip": "203.0.113.9", "http.response.status_code": 404},
            id="filebeat: nginx without its line",
        ),
        pytest.param(
            {"@timestamp": "2026-11-24T01:15:01.000Z", "agent": {"type": "filebeat"}, "event": {"dataset": "system.auth", "module": "system"},
             "process": {"name": "sshd"}, "message": "Failed password for root from 203.0.113.9 port 5022 ssh2"},
            "linux_auth",
            {"event.dataset": "system.auth", "user.name": "root", "event.outcome": "failure"},
            id="filebeat: system.auth",
        ),
    ],
)  # fmt: skip
def test_a_line_inside_goes_through_its_own_parser(document: dict[str, Any], parser: str, expected: dict[str, Any]) -> None:
    name, event = parsed(document)
    assert name == parser
    assert {key: event.get(key) for key in expected} == expected


def test_a_profile_that_is_named_is_not_guessed() -> None:
    document = {"message": SSH, "@timestamp": "2026-11-24T01:00:00Z", "agent": {"name": "a"}}
    assert parsed(document)[0] == "linux_auth"
    assert parsed(document, PROFILES["ecs"])[0] == "json"
    bare = {"body": SSH, "time": "2026-11-24T01:00:00Z"}
    assert parsed(bare)[0] == "json"
    assert parsed(bare, PROFILES["dataprepper"])[0] == "linux_auth"


def test_a_flood_of_names_hides_no_field_that_rules_read() -> None:
    flood = {**alert("json", "x"), "full_log": "x", "data": {f"k{n}": "v" for n in range(2_000)}}
    after = {**alert("sshd", "/var/log/auth.log"), "data": {"srcip": "203.0.113.9", "dstuser": "root"}}
    raw = pa.array([orjson.dumps(flood), orjson.dumps(after)], pa.large_binary())
    batch = RawBatch("s", "i#1/0", raw, np.arange(2), np.full(2, AT), Checkpoint("s", "i#1/0", 2))
    found = {int(n): row(p.table, k) for p in detect.parse(batch) for k, n in enumerate(p.rows)}
    assert (found[1]["source.ip"], found[1]["user.name"]) == ("203.0.113.9", "root")


@pytest.mark.parametrize("name", ["wazuh", "dataprepper"])
def test_profiles_name_fields_that_are_there(name: str) -> None:
    for ours in (*profile(name).fields, *profile(name).constant):
        assert fields.lookup(ours) is not None, ours


@pytest.mark.parametrize("document", [b"{", b"[]", b'{"body":1,"severity":2}', b'{"decoder":1,"location":[],"manager":{},"agent":"x"}'])
def test_what_only_looks_like_a_document_is_an_event_all_the_same(document: bytes) -> None:
    for envelope in PROFILES.values():
        assert parsed(document, envelope)[1]


def test_profiles_are_shipped() -> None:
    folder = Path(detect.__file__).parent / "profiles"
    assert {path.stem for path in folder.glob("*.yml")} <= set(PROFILES)
