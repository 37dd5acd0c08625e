"""What wraps a record is stripped and kept beside it."""

from __future__ import annotations

import json

import pytest

from tests.collectors.parsers.lines import event, events

ACCESS = '203.0.113.5 - - [24/Nov/2026:08:15:03 +0700] "GET / HTTP/1.1" 200 1 "-" "curl"'
LOGIN = "Accepted password for lan from 10.0.0.1 port 5 ssh2"


def beat(**fields: object) -> str:
    base = {"@timestamp": "2026-11-24T02:00:00.000Z", "agent": {"type": "filebeat", "name": "w1"}, "host": {"name": "w1"}}
    return json.dumps(base | fields, ensure_ascii=False)


def test_filebeat_carries_the_line_in_message():
    found = event(beat(message=ACCESS, log={"file": {"path": "/var/log/nginx/access.log"}, "offset": 7}))
    assert (found["event.dataset"], found["source.ip"]) == ("nginx.access", "203.0.113.5")
    assert (found["agent.name"], found["host.name"], found["log.file.path"], found["log.offset"]) == (
        "w1",
        "w1",
        "/var/log/nginx/access.log",
        7,
    )
    assert found["@timestamp"] == "2026-11-24T01:15:03.000Z"


def test_event_original_is_preferred_to_a_message_that_filebeat_parsed():
    found = event(beat(message="GET /", event={"original": ACCESS, "dataset": "x"}, source={"ip": "10.9.9.9"}))
    assert (found["source.ip"], found["event.dataset"]) == ("203.0.113.5", "nginx.access")


def test_a_line_inside_a_syslog_line_inside_filebeat_is_found():
    name, found = events([beat(message=f"Nov 24 08:15:03 db01 sshd[7]: {LOGIN}")])[0]
    assert (name, found["host.name"], found["process.pid"]) == ("linux_auth", "db01", 7)


def test_what_filebeat_ships_of_no_format_keeps_all_its_fields():
    found = event(beat(message="xin chào", input={"type": "filestream"}, event={"id": "forged"}, thapcanh={"source": "forged"}))
    assert (found["event.kind"], found["message"], found["unmapped.input.type"]) == ("event", "xin chào", "filestream")
    assert not {"event.id", "thapcanh.source"} & set(found)


def test_winlogbeat_is_no_envelope():
    found = json.loads(beat(message="logon", winlog={"event_id": 4624, "channel": "Security", "event_data": {"TargetUserName": "lan"}}))
    name, parsed = events([json.dumps(found)])[0]
    assert (name, parsed["winlog.event_data.TargetUserName"]) == ("windows", "lan")


def test_the_journal_gives_program_host_and_time():
    line = {"__REALTIME_TIMESTAMP": "1795482903500000", "MESSAGE": LOGIN, "SYSLOG_IDENTIFIER": "sshd", "_HOSTNAME": "db01", "_PID": "7"}
    name, found = events([json.dumps(line)])[0]
    assert (name, found["user.name"], found["host.name"], found["process.pid"]) == ("linux_auth", "lan", "db01", 7)
    assert found["@timestamp"] == "2026-11-24T01:15:03.500Z"


def test_a_binary_journal_message_is_text():
    line = {"__REALTIME_TIMESTAMP": "1795482903500000", "MESSAGE": list("đỏ".encode()), "SYSLOG_IDENTIFIER": "app"}
    assert event(json.dumps(line))["message"] == "đỏ"


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(
            json.dumps({"log": ACCESS + "\n", "stream": "stdout", "time": "2026-11-24T02:00:00.5Z"}, separators=(",", ":")), id="docker"
        ),
        pytest.param(f"2026-11-24T02:00:00.123456789Z stdout F {ACCESS}", id="cri"),
    ],
)
def test_container_runtimes_wrap_the_line(line: str):
    found = event(line)
    assert (found["event.dataset"], found["labels.stream"]) == ("nginx.access", "stdout")


def test_the_runtime_knows_the_time_of_a_line_without_one():
    found = event('2026-11-24T02:00:00.5+00:00 stderr F {"level":"warn","msg":"x"}')
    assert (found["@timestamp"], found["message"]) == ("2026-11-24T02:00:00.500Z", "x")


@pytest.mark.parametrize(
    ("header", "host", "program", "pid"),
    [
        pytest.param("<13>Nov 24 08:15:03 web01 app[5]:", "web01", "app", 5, id="RFC 3164"),
        pytest.param("Nov  4 08:15:03 web01 app:", "web01", "app", None, id="file, day of one digit"),
        pytest.param("<13>Nov 24 08:15:03.123 2001:db8::1 app:", "2001:db8::1", "app", None, id="IPv6 host, fraction"),
        pytest.param("<13>Nov 24 2026 08:15:03 web01 app:", "web01", "app", None, id="year"),
        pytest.param("<13>2026-11-24T08:15:03.5+07:00 web01 app[5]:", "web01", "app", 5, id="ISO with PRI"),
        pytest.param("2026-11-24T08:15:03.500000+07:00 web01 app[5]:", "web01", "app", 5, id="ISO in a file"),
        pytest.param("<13>1 2026-11-24T08:15:03Z web01 app 5 - -", "web01", "app", 5, id="RFC 5424"),
        pytest.param('<13>1 2026-11-24T08:15:03Z web01 app - ID [a@1 b="c"][d@2 e="]\\""]', "web01", "app", None, id="structured data"),
        pytest.param("<13>Nov 24 08:15:03 app[5]:", None, "app", 5, id="no host"),
        pytest.param("Nov 24 08:15:03 web01 Google Chrome[5]:", "web01", "Google Chrome", 5, id="program with a space"),
        pytest.param("<13>Nov 24 08:15:03 web01 postfix/smtpd[5]:", "web01", "postfix/smtpd", 5, id="program with a slash"),
    ],
)
def test_syslog_headers(header: str, host: str | None, program: str, pid: int | None):
    found = event(f"{header} xin chào: thế giới")
    assert (found.get("host.name"), found["process.name"], found.get("process.pid")) == (host, program, pid)
    assert found["message"] == "xin chào: thế giới"
    assert "@timestamp" in found


def test_an_impossible_priority_is_none():
    assert "log.syslog.priority" not in event("<192>Nov 24 08:15:03 web01 app: x")
