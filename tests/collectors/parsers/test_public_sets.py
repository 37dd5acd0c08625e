"""Public sets of the formats we have (not in this repository): how much of what they expect comes out, and is it right.

A value counts when it stands in the record or is an ECS field. Network protocols are compared in lower case, as ECS writes them,
addresses as addresses.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path

import pytest

from collectors.parsers.common import ip
from domain import fields
from tests.collectors.parsers.lines import events

SETS = {
    "nginx_access": "nginx", "nginx_error": "nginx", "apache_access": "apache", "apache_error": "apache", "suricata_eve": "suricata",
    "keycloak": "keycloak", "linux_auth": "linux_auth", "linux_auditd": "linux_audit", "linux_syslog": "linux_syslog", "iptables": "linux_syslog",
    "iis_access": "iis", "squid": "squid", "bind_dns": "bind",
}  # fmt: skip
KIND = frozenset(("event.category", "event.type", "event.outcome"))
ALIKE = {"apache_access": {"nginx"}, "linux_auditd": {"json"}}
"""Combined lines of Apache and nginx are the same text; audit events re-written as JSON are JSON."""


@pytest.fixture(params=sorted(SETS))
def source(request: pytest.FixtureRequest, shared_data: Path) -> tuple[str, list[dict]]:
    path = shared_data / "parse" / request.param / "cases.ndjson"
    if not path.is_file():
        pytest.skip(f"not here: {path}")
    return request.param, [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _events(cases: list[dict], parser: str) -> list[tuple[str, dict[str, object]]]:
    """Events of all cases, each read in its own zone."""
    zones = defaultdict(list)
    for number, case in enumerate(cases):
        zones[case.get("tz") or "+00:00"].append(number)
    out: list = [None] * len(cases)
    for tz, numbers in zones.items():
        for number, found in zip(numbers, events([cases[n]["raw"] for n in numbers], parser, tz=tz), strict=True):
            out[number] = found
    return out


def _plain(name: str, value: object) -> object:
    if name == "@timestamp":
        return round(datetime.fromisoformat(str(value)).timestamp(), 2)
    texts = [str(part) for part in (value if isinstance(value, list) else [value])]
    if name == "network.transport":
        texts = [part.lower() for part in texts]
    return sorted(ip(part) or part for part in texts)


def _compared(cases: list[dict], got: list[Mapping[str, object]]) -> Iterator[tuple[str, bool, bool]]:
    """(field, right, wrong) of everything that is asked: fields of the dictionary, no raw capture names of other tools."""
    for case, event in zip(cases, got, strict=True):
        for name in dict.fromkeys([*case["literal"], *case["ecs"]]):
            if name in case["fields"] and fields.lookup(name) is not None:
                right = name in event and _plain(name, event[name]) == _plain(name, case["fields"][name])
                yield name, right, name in event and not right


def test_values_come_out_and_are_right(source: tuple[str, list[dict]]):
    name, cases = source
    found = list(_compared(cases, [event for _, event in _events(cases, SETS[name])]))
    values = [(field, right, wrong) for field, right, wrong in found if field not in KIND]
    missed = Counter(field for field, right, _ in values if not right)
    assert sum(right for _, right, _ in values) / len(values) >= 0.95, missed
    assert sum(wrong for _, _, wrong in values) / len(values) <= 0.01, missed
    kinds = [right for field, right, _ in found if field in KIND]
    assert not kinds or sum(kinds) / len(kinds) >= 0.85


def test_records_are_recognised(source: tuple[str, list[dict]]):
    name, cases = source
    owners = Counter(parser for parser, _ in _events(cases, "auto"))
    known = sum(owners[parser] for parser in {SETS[name]} | ALIKE.get(name, set()))
    assert known / len(cases) >= 0.97, owners


def test_records_of_other_products_are_not_claimed(shared_data: Path):
    """Only text of the same format may be: access lines of other web servers, syslog, JSON, key=value."""
    ours = {"windows", "fortigate", "suricata", "keycloak", "apigw", "linux_auth"}
    claimed = {}
    for path in sorted((shared_data / "parse").glob("*/cases.ndjson")):
        if path.parent.name not in SETS and path.parent.name != "qnap_synology":  # its PAM messages are PAM messages
            lines = [json.loads(line)["raw"] for line in path.read_text(encoding="utf-8").splitlines()]
            wrong = Counter(parser for parser, _ in events(lines) if parser in ours)
            claimed |= {path.parent.name: dict(wrong)} if wrong else {}
    assert claimed == {}
