"""Windows events: three JSON shapes of the same event give the same columns; what readers lose is restored; hostile input."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.base import Payload
from collectors.parsers.windows import PARSER
from domain.event import row

ARRIVAL = 1_794_700_800_000_000
EVTX = {
    "Event": {
        "System": {
            "Provider": {"#attributes": {"Name": "Microsoft-Windows-Sysmon", "Guid": "5770385F-C22A-43E0-BF4C-06F5698FFBD9"}},
            "EventID": 1, "Version": 5, "Level": 4, "Task": 1, "Opcode": 0, "Keywords": "0x8000000000000000",
            "TimeCreated": {"#attributes": {"SystemTime": "2026-11-14T01:02:03.456789Z"}}, "EventRecordID": 7,
            "Execution": {"#attributes": {"ProcessID": 1768, "ThreadID": 2272}}, "Channel": "Microsoft-Windows-Sysmon/Operational",
            "Computer": "MAY01.tinh.example", "Security": {"#attributes": {"UserID": "S-1-5-18"}},
        },
        "EventData": {
            "UtcTime": "2026-11-14 01:02:03.456", "ProcessGuid": "DFAE8213-9310-5CE1-0000-0010EABA0A00", "ProcessId": 2728,
            "Image": "C:\\Windows\\System32\\cmd.exe", "CommandLine": "cmd /c whoami", "User": "TINH\\đỗ.văn",
            "ParentImage": "C:\\inetpub\\w3wp.exe", "TerminalSessionId": 2,
        },
    }
}  # fmt: skip
FLAT = {
    "EventTime": "2026-11-14 08:02:03", "SourceName": "Microsoft-Windows-Sysmon", "ProviderGuid": "{5770385F-C22A-43E0-BF4C-06F5698FFBD9}",
    "EventID": 1, "Channel": "Microsoft-Windows-Sysmon/Operational", "Hostname": "MAY01.tinh.example", "RecordNumber": 7,
    "Image": "C:\\Windows\\System32\\cmd.exe", "CommandLine": "cmd /c whoami", "User": "TINH\\đỗ.văn", "ParentImage": "C:\\inetpub\\w3wp.exe",
    "ProcessGuid": "{dfae8213-9310-5ce1-0000-0010eaba0a00}", "ProcessId": "2728", "TerminalSessionId": "2", "host": "relay", "port": 5,
}  # fmt: skip
BEAT = {
    "@timestamp": "2026-11-14T01:02:03.456Z", "event": {"code": "1"}, "host": {"name": "MAY01.tinh.example"},
    "winlog": {"channel": "Microsoft-Windows-Sysmon/Operational", "provider_name": "Microsoft-Windows-Sysmon", "computer_name": "MAY01.tinh.example",
               "event_id": "1", "record_id": 7, "event_data": EVTX["Event"]["EventData"]},
}  # fmt: skip
COMMON = (
    "event.code", "winlog.channel", "winlog.provider_name", "host.name", "winlog.event_data.Image", "winlog.event_data.CommandLine",
    "winlog.event_data.ProcessGuid", "process.executable", "process.name", "process.command_line", "process.pid", "process.parent.executable",
    "user.name", "user.domain", "event.category", "event.type", "event.dataset", "event.module", "winlog.event_data.TerminalSessionId",
)  # fmt: skip


def parse(*events: Any, wanted: frozenset[str] | None = None) -> pa.Table:
    texts = [e if isinstance(e, str) else json.dumps(e) for e in events]
    return PARSER.parse(Payload(pa.array(texts, pa.string()), np.full(len(texts), ARRIVAL, np.int64), wanted=wanted))


def test_three_shapes_of_one_event_agree() -> None:
    events = [row(parse(shape), 0) for shape in (EVTX, FLAT, BEAT)]
    for name in COMMON:
        assert len({str(e.get(name)) for e in events}) == 1, name
        assert events[0].get(name) is not None, name
    assert events[0]["user.name"] == "đỗ.văn"
    assert events[0]["winlog.event_data.ProcessGuid"] == "{dfae8213-9310-5ce1-0000-0010eaba0a00}"


@pytest.mark.parametrize(
    ("event", "at"),
    [
        (EVTX, "2026-11-14T01:02:03.456Z"),
        (FLAT, "2026-11-14T01:02:03.000Z"),
        ({**FLAT, "EventTime": "2026-11-14 08:02:03", "TimeCreated": "2026-11-14T01:02:04Z"}, "2026-11-14T01:02:04.000Z"),
    ],
)
def test_time_is_utc_where_it_says_so_and_local_otherwise(event: dict[str, Any], at: str) -> None:
    assert row(parse(event), 0)["@timestamp"] == at


def test_user_data_and_unnamed_data_are_read() -> None:
    system = {**EVTX["Event"]["System"], "Channel": "Security", "EventID": {"#attributes": {"Qualifiers": 1}, "#text": 1102}}
    cleared = {"Event": {"System": system, "UserData": {"LogFileCleared": {"#attributes": {"xmlns": "x"}, "SubjectUserName": "quản.trị"}}}}
    unnamed = {"Event": {"System": EVTX["Event"]["System"], "EventData": {"Data": {"#text": ["root", "10.0.0.1"]}}}}
    table = parse(cleared, unnamed)
    assert row(table, 0)["winlog.event_data.SubjectUserName"] == "quản.trị"
    assert row(table, 0)["event.action"] == "audit-log-cleared"
    assert row(table, 1)["winlog.event_data.Data"] == ["root", "10.0.0.1"]


def test_a_logon_names_the_target_and_its_address() -> None:
    data = {
        "SubjectUserName": "-",
        "TargetUserName": "an",
        "TargetDomainName": "TINH",
        "IpAddress": "2001:db8::7",
        "IpPort": "0",
        "LogonType": 3,
    }
    event = {"Event": {"System": {**EVTX["Event"]["System"], "Channel": "Security", "EventID": 4625}, "EventData": data}}
    found = row(parse(event), 0)
    assert (found["user.name"], found["source.ip"], found["event.outcome"], found["winlog.logon.type"]) == (
        "an",
        "2001:db8::7",
        "failure",
        "3",
    )


def test_only_wanted_columns_are_given() -> None:
    table = parse(FLAT, EVTX, wanted=frozenset({"event.code", "winlog.event_data.Image"}))
    assert sorted(table.column_names) == ["event.code", "winlog.event_data.Image"]


def test_what_is_no_windows_event_is_a_failed_row_in_its_place() -> None:
    table = parse("{broken", FLAT, "[1]", json.dumps({"Event": {"System": 5}}))
    kinds = [row(table, n)["event.kind"] for n in range(4)]
    assert kinds == ["pipeline_error", "event", "pipeline_error", "pipeline_error"]
    assert row(table, 0)["message"] == "{broken"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda c: st.lists(c, max_size=3) | st.dictionaries(st.text(max_size=6), c, max_size=3),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from([EVTX, FLAT, BEAT]), min_size=1, max_size=4), st.data())
def test_odd_values_never_raise_and_rows_stay_in_place(shapes: list[dict[str, Any]], data: st.DataObject) -> None:
    texts = []
    for shape in shapes:
        event = json.loads(json.dumps(shape))
        part = event["Event"]["EventData"] if "Event" in event else event
        part[data.draw(st.sampled_from(["Image", "User", "ProcessId", "EventID", "@timestamp", "Data", "Thêm"]))] = data.draw(json_values)
        texts.append(json.dumps(event))
    assert parse(*texts).num_rows == len(texts)


def test_brackets_by_the_thousand_stop_no_batch() -> None:
    deep = json.dumps(FLAT)[:-1] + ',"x":' + "[" * 100_000 + "]" * 100_000 + "}"
    texts = pa.array([json.dumps(FLAT), deep], pa.string())
    assert PARSER.match(texts).tolist() == [True, True]
    for wanted in (None, frozenset({"event.kind", "winlog.event_data.CommandLine"})):
        table = parse(json.dumps(FLAT), deep, wanted=wanted)
        assert row(table, 0)["winlog.event_data.CommandLine"] == "cmd /c whoami"
        assert row(table, 1)["event.kind"] == "pipeline_error"


def _with(event: Any, *path: str, value: object) -> Any:
    copied = json.loads(json.dumps(event))
    at = copied
    for key in path[:-1]:
        at = at.setdefault(key, {})
    at[path[-1]] = value
    return copied


@pytest.mark.parametrize(
    "event",
    [
        _with(EVTX, "Event", "System", "Provider", value="text"),
        _with(EVTX, "Event", "System", "Execution", value=[1]),
        _with(EVTX, "Event", "EventData", "ProcessId", value="99999999999999999999"),
        _with(FLAT, "Event", value="System was started"),
        _with(FLAT, "Event", value=None),
        _with(FLAT, "log_name", value=None),
        _with(BEAT, "event", value="text"),
        json.dumps(FLAT)[:-1] + ',"Load":1e999}',
        json.dumps(FLAT)[:-1] + ',"Load":NaN}',
        {"log_name": "Security", "event_id": 1, "user": "text", "event_data": {"CommandLine": "cmd /c whoami"}},
    ],
)
@pytest.mark.parametrize("wanted", [None, frozenset({"event.kind", "event.code", "winlog.event_data.CommandLine"})])
def test_odd_values_elsewhere_hide_no_event(event: Any, wanted: frozenset[str] | None) -> None:
    found = row(parse(event, wanted=wanted), 0)
    assert (found["event.code"], found["winlog.event_data.CommandLine"]) == ("1", "cmd /c whoami")


@pytest.mark.parametrize("order", [("Hostname", "Computer"), ("Computer", "Hostname")])
def test_two_names_of_one_meaning_the_first_known_counts(order: tuple[str, str]) -> None:
    event = {key: value for key, value in FLAT.items() if key != "Hostname"}
    event |= {key: key.upper() for key in order}
    for wanted in (None, frozenset({"winlog.computer_name"})):
        assert parse(event, wanted=wanted)["winlog.computer_name"][0].as_py() == "HOSTNAME"


def test_forged_kinds_without_end_are_read_one_by_one() -> None:
    lines = [json.dumps({"EventID": n, "Channel": "Security", "SubjectUserName": f"u{n}"}) for n in range(3_000)]
    table = PARSER.parse(Payload(pa.array(lines), np.zeros(len(lines), np.int64), wanted=frozenset({"event.code", "user.name"})))
    assert table["event.code"].cast(pa.string()).to_pylist() == [str(n) for n in range(3_000)]
    assert table["user.name"].cast(pa.string()).to_pylist() == [f"u{n}" for n in range(3_000)]


def value_set(code: int, key: str, name: str, value: str = "", kind: str = "%%1873") -> dict[str, Any]:
    data = {"ObjectName": key, "ObjectValueName": name, "NewValue": value, "NewValueType": kind}
    return {"EventID": code, "Channel": "Security", "Hostname": "A", "EventTime": "2026-11-14 08:02:03", **data}


SID = "S-1-5-21-1-2-3-1104"
WANTED = frozenset({"registry.path", "registry.data.strings"})


@pytest.mark.parametrize("wanted", [None, WANTED])
def test_registry_values_of_the_security_log_are_told_as_sysmon_tells_them(wanted: frozenset[str] | None) -> None:
    cases = [
        ("\\REGISTRY\\MACHINE\\SYSTEM\\ControlSet001\\Services\\X", "Start", "4", "%%1876", "HKLM\\SYSTEM\\CurrentControlSet\\Services\\X\\Start", "DWORD (0x00000004)"),
        ("\\REGISTRY\\MACHINE\\SYSTEM\\ControlSet001\\Services\\X", "Start", "-1", "%%1876", "HKLM\\SYSTEM\\CurrentControlSet\\Services\\X\\Start", "-1"),
        ("\\REGISTRY\\MACHINE\\SYSTEM\\ControlSet001\\Services\\X", "Start", "0x100000000", "%%1876", "HKLM\\SYSTEM\\CurrentControlSet\\Services\\X\\Start", "0x100000000"),
        (f"\\REGISTRY\\USER\\{SID}\\Software\\Run", "Cập nhật", "C:\\x.exe", "%%1873", f"HKU\\{SID}\\Software\\Run\\Cập nhật", "C:\\x.exe"),
        ("\\Registry\\Machine\\SOFTWARE\\X", "", "0x100000002", "%%1883", "HKLM\\SOFTWARE\\X\\(Default)", "QWORD (0x00000001-0x00000002)"),
        ("\\REGISTRY\\MACHINERY\\X", "a", "%%1800", "%%1875", "\\REGISTRY\\MACHINERY\\X\\a", "Binary Data"),
        ("HKLM\\SOFTWARE\\ControlSet001", "b\\c", "many", "%%1876", "HKLM\\SOFTWARE\\ControlSet001\\b\\c", "many"),
    ]  # fmt: skip
    events = [value_set(4657, *case[:4]) for case in cases]
    table = parse(*events, value_set(4663, "\\REGISTRY\\MACHINE\\X", "a", "1"), FLAT, wanted=wanted)
    paths, data = (table[name].cast(pa.string()).to_pylist() for name in sorted(WANTED, reverse=True))
    assert list(zip(paths, data, strict=True)) == [*(case[4:] for case in cases), (None, None), (None, None)]
