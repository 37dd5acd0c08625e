"""Log sources: what feeds each, under which names; every name in the maps is one that a parser yields; what is blind says why."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from collectors.parsers.windows_ecs import COPIES, REGISTRY
from detectors.sigma.build import build
from detectors.sigma.model import LogSource
from detectors.sigma.route import Blind, FieldMap, feeds, load
from detectors.sigma.ruleset import RuleSet
from domain import fields
from domain.i18n import catalogue
from jobs.hunt import Hunter
from jobs.hunt_tasks import lot
from jobs.rule_sources import table
from jobs.rulesets import unpack
from tests.collectors.parsers.lines import batch
from tests.conftest import ROOT

GOLDEN = ROOT / "tests" / "data" / "parsers"
BOTH = ("sysmon", "security")
SYSMON = "Microsoft-Windows-Sysmon/Operational"
DEFENDER = "Microsoft-Windows-Windows Defender/Operational"

OPENCANARY = {
    "dst_host": "10.20.30.9",
    "dst_port": 22,
    "local_time": "2026-11-24 01:15:03.120",
    "logtype": 4002,
    "node_id": "bay-01",
    "src_host": "10.20.30.41",
}
KUBERNETES = {"kind": "Event", "apiVersion": "audit.k8s.io/v1", "verb": "create", "objectRef": {"resource": "pods", "subresource": "exec"}}
CLOUDTRAIL = {"eventVersion": "1.08", "eventSource": "iam.amazonaws.com", "eventName": "CreateUser", "awsRegion": "ap-southeast-1"}
ZEEK = {
    "_path": "dns",
    "ts": 1795482903.1,
    "id.orig_h": "10.20.30.41",
    "id.resp_h": "10.20.40.53",
    "id.resp_p": 53,
    "query": "x.pool.example",
}


def lines_of(*names: str) -> list[str]:
    return [line for name in names for line in (GOLDEN / f"{name}.log").read_text(encoding="utf-8").rstrip("\n").split("\n")]


def windows(code: int, channel: str, **data: object) -> str:
    return json.dumps({"EventID": code, "Channel": channel, "Hostname": "MAY01", "EventTime": "2026-11-24 08:15:03", **data})


def rules(logsource: str, detection: str, feed: tuple[str, ...] = ("sysmon",)) -> RuleSet:
    text = f"title: T\nid: 00000000-0000-4000-8000-000000000001\nlogsource: {{{logsource}}}\ndetection:\n  s: {detection}\n  condition: s\n"
    return build([("r.yml", text.encode())], windows=feed)


def hits(found: RuleSet, lines: list[str]) -> list[int]:
    assert (found.broken, found.blind) == ([], [])
    return [hit.record for hit in Hunter(found).step(lot([batch(lines)])).hits]


PROCESS = "product: windows, category: process_creation"
NEW = windows(4688, "Security", NewProcessName="C:\\Windows\\whoami.exe", CommandLine="whoami /all", ParentProcessName="C:\\inetpub\\w3wp.exe",
              SubjectUserName="web", MandatoryLabel="S-1-16-12288", NewProcessId="0x1", ProcessId="0x2")  # fmt: skip
ONE = windows(1, SYSMON, Image="C:\\Windows\\whoami.exe", CommandLine="whoami /all", ParentImage="C:\\inetpub\\w3wp.exe", OriginalFileName="whoami.exe",
              IntegrityLevel="High", UtcTime="2026-11-24 01:15:03.000")  # fmt: skip
WFP = windows(5156, "Security", Application="\\device\\harddiskvolume2\\windows\\powershell.exe", Direction="%%14593", DestAddress="203.0.113.9",
              DestPort="4444", Protocol="6", SourceAddress="10.20.30.41", SourcePort="50000")  # fmt: skip


@pytest.mark.parametrize(
    ("detection", "alone", "both"),
    [
        pytest.param(r"{Image|endswith: '\whoami.exe', ParentImage|endswith: '\w3wp.exe'}", [1], [0, 1], id="names of 4688"),
        pytest.param(
            "{CommandLine|contains: '/all', IntegrityLevel: [High, S-1-16-12288]}", [1], [0, 1], id="labels are other words for levels"
        ),
        pytest.param("{OriginalFileName: whoami.exe}", [1], [1], id="4688 has no original file name: that branch is left out"),
        pytest.param(r"[{OriginalFileName: whoami.exe}, {Image|endswith: '\whoami.exe'}]", [1], [0, 1], id="the other branch stays"),
        pytest.param("{IntegrityLevel|contains: ig}", [1], [1], id="parts of a translated word cannot be asked of 4688"),
    ],
)
def test_security_events_feed_process_creation_where_they_are_asked_for(detection: str, alone: list[int], both: list[int]):
    assert hits(rules(PROCESS, detection), [NEW, ONE]) == alone
    assert hits(rules(PROCESS, detection, BOTH), [NEW, ONE]) == both


def test_security_events_feed_network_connection_where_they_are_asked_for():
    detection = r"{Image|endswith: '\powershell.exe', Initiated: 'true', DestinationPort: 4444, Protocol: tcp}"
    assert hits(rules("product: windows, category: network_connection", detection), [WFP]) == []
    assert hits(rules("product: windows, category: network_connection", detection, BOTH), [WFP]) == [0]


def test_events_of_one_kind_do_not_feed_rules_of_another():
    assert (
        hits(
            rules(PROCESS, "{CommandLine|contains: all}", BOTH),
            [windows(4104, "Microsoft-Windows-PowerShell/Operational", CommandLine="all")],
        )
        == []
    )


LINUX = lines_of("sysmon_linux/sysmon", "linux_audit/joined")
AUDIT = len(lines_of("sysmon_linux/sysmon"))


@pytest.mark.parametrize(
    ("logsource", "detection", "expected"),
    [
        pytest.param(
            "category: process_creation", "{Image|endswith: /curl, CommandLine|contains: m.php}", [AUDIT + 1], id="EXECVE names the program"
        ),
        pytest.param("category: process_creation", "{Image|endswith: /dash, CommandLine|contains: sh}", [0, AUDIT + 14], id="both feeds"),
        pytest.param(
            "category: process_creation", "{ParentImage|contains: php-fpm, User: www-data}", [0], id="only Sysmon knows the parent"
        ),
        pytest.param(
            "category: process_creation", "{CurrentDirectory|startswith: /var/www, User: www-data}", [0, AUDIT + 1], id="directory and user"
        ),
        pytest.param(
            "category: file_event", "{TargetFilename|endswith: /m.php, Image|endswith: /curl}", [2, AUDIT + 8], id="files that are made"
        ),
        pytest.param("category: network_connection", "{Initiated: 'true', DestinationPort: 4444}", [1, AUDIT + 10], id="connections"),
        pytest.param("category: network_connection", "{Initiated: 'false', DestinationPort: 4444}", [], id="all of auditd's are outgoing"),
        pytest.param("category: network_connection", "{DestinationIp|cidr: '2001:db8::/32'}", [1, AUDIT + 12], id="IPv6"),
        pytest.param("service: auditd", "{type: SYSCALL, SYSCALL: connect, key: ket-noi}", [AUDIT + 9, AUDIT + 11], id="calls by name"),
        pytest.param("service: auditd", "{type: EXECVE, a0: curl, a1: -o}", [AUDIT + 1], id="arguments"),
        pytest.param("service: auditd", "{type: PATH, name: ../cache/m.php}", [AUDIT + 8], id="paths as they were written"),
    ],
)
def test_linux(logsource: str, detection: str, expected: list[int]):
    assert hits(rules(f"product: linux, {logsource}", detection), LINUX) == expected


WEB = ['198.51.100.7 - - [24/Nov/2026:08:15:03 +0700] "GET /a.aspx?id=1%27 HTTP/1.1" 200 5 "-" "sqlmap/1.8"', *lines_of("iis/default")]
UFW = (
    "<4>Nov 24 08:15:03 gw01 kernel: [81.2] [UFW {}] IN=eth0 OUT= MAC=00 SRC=198.51.100.7 DST=10.20.30.5 LEN=60 TOS=0x00 PREC=0x00 TTL=49 ID=1 DF"
    " PROTO=TCP SPT=40000 DPT=23 WINDOW=1 RES=0x00 SYN URGP=0"
)


@pytest.mark.parametrize(
    ("logsource", "detection", "lines", "expected"),
    [
        pytest.param("category: webserver", "{cs-uri-query|contains: '%27'}", WEB, [0, 5], id="queries as they were sent"),
        pytest.param("category: webserver", "{cs-method: POST, sc-status: 404, cs-username|contains: lan}", WEB, [6], id="IIS"),
        pytest.param("category: proxy", "{c-uri|contains: hoadon.exe, cs-method: GET}", lines_of("squid/access"), [0], id="Squid"),
        pytest.param("category: proxy", "{r-dns: api.example.net}", lines_of("squid/access"), [1], id="Squid: the host of a tunnel"),
        pytest.param("category: proxy", "{cs-method: GET}", lines_of("fortigate/utm"), [0], id="FortiGate web filter"),
        pytest.param("category: dns", "{query|endswith: .pool.example.net, record_type: TXT}", lines_of("bind/queries"), [1], id="BIND"),
        pytest.param("category: dns", "{query|endswith: .gov.vn}", lines_of("fortigate/utm"), [2], id="FortiGate DNS filter"),
        pytest.param("category: firewall", "{dst_port: 23, action: [accept, forward]}", [UFW.format("BLOCK"), UFW.format("ALLOW")], [1], id="ufw: passed"),
        pytest.param("category: firewall", "{src_ip: 198.51.100.7, blocked: 'true'}", [UFW.format("BLOCK"), UFW.format("ALLOW")], [0], id="ufw: blocked"),
        pytest.param("category: firewall", "{action: deny}", lines_of("fortigate/traffic"), [1], id="FortiGate: denied"),
        pytest.param("category: firewall", "{blocked: 'false', dst_port|exists: true}", lines_of("fortigate/traffic"), [0], id="FortiGate: passed"),
        pytest.param("category: antivirus", "{Signature|startswith: 'Php.', Filename|contains: /www/}", lines_of("linux_syslog/clamav"), [0], id="ClamAV"),
        pytest.param("category: antivirus", "{Signature|contains: Test.A, Filename|endswith: .exe}", lines_of("fortigate/utm"), [3], id="FortiGate antivirus"),
        pytest.param(
            "category: antivirus", "{Signature|contains: Mimikatz, Filename|contains: 'Temp'}",
            [windows(1116, DEFENDER, **{"Threat Name": "HackTool:Win32/Mimikatz.D", "Path": "file:_C:\\Temp\\m.exe"}), windows(5007, DEFENDER, Path="Temp")],
            [0], id="Windows Defender",
        ),
        pytest.param("product: opencanary, category: application", "{logtype: 4002}", [json.dumps(OPENCANARY), '{"logtype": 4002}'], [0], id="OpenCanary"),
        pytest.param("product: kubernetes, service: audit", "{verb: create, objectRef.resource: pods}", [json.dumps(KUBERNETES)], [0], id="Kubernetes"),
        pytest.param("product: aws, service: cloudtrail", "{eventName: CreateUser}", [json.dumps(CLOUDTRAIL), '{"eventName": "CreateUser"}'], [0], id="AWS"),
        pytest.param("product: zeek, service: dns", "{query|contains: pool, id.resp_p: 53}", [json.dumps(ZEEK), json.dumps(ZEEK | {"_path": "ssl"})], [0], id="Zeek"),
    ],
)  # fmt: skip
def test_other_log_sources(logsource: str, detection: str, lines: list[str], expected: list[int]):
    assert hits(rules(logsource, detection), lines) == expected


@pytest.mark.parametrize(
    ("logsource", "detection", "reason"),
    [
        ("product: okta, service: okta", "{a: b}", "no parser reads the audit logs of this cloud service (product=okta/service=okta)"),
        ("product: nobody, service: knows", "{a: b}", "no log source product=nobody/service=knows: no parser yields such events"),
        (
            "category: webserver",
            "{cs-content-type: x}",
            "no event of the log source holds the field: cs-content-type - category=webserver (combined)",
        ),
        ("category: firewall", "{colour: red}", "no event of the log source holds the field: colour - category=firewall (fortigate)"),
        ("product: linux, category: firewall, service: x", "{action|contains: acc}", "the log source writes other words"),
    ],
)
def test_what_cannot_be_routed_is_blind_with_its_reason(logsource: str, detection: str, reason: str):
    found = rules(logsource, detection)
    assert found.rules == []
    assert [b.reason.startswith(reason) for b in found.blind] == [True]


def _maps() -> Iterator[tuple[LogSource, str, FieldMap]]:
    """Every feed of every log source of the data."""
    for entry in load("routing.yml"):
        if "blind" not in entry:
            source = LogSource(*(entry.get(key) or "" for key in ("product", "category", "service")))
            for feed in feeds(source, BOTH):
                yield source, feed.name, feed.map


def _targets(names: FieldMap) -> set[str]:
    found = set()
    for name in names.names():
        try:
            found.add(names.name(name))
        except Blind:
            continue
    return found


def test_every_field_of_the_maps_is_in_the_dictionary():
    assert {t for _, _, names in _maps() for t in _targets(names) if fields.lookup(t) is None} == set()


KEPT_WHOLE = ("winlog.", "json.", "fortinet.firewall.", "auditd.log.", "suricata.eve.")
"""Prefixes below which parsers keep whatever a record holds."""


def test_every_field_of_the_maps_is_one_that_a_parser_yields():
    seen = {name for path in GOLDEN.glob("*/*.json") for event in json.loads(path.read_text(encoding="utf-8")) for name in event}
    seen |= {name for name, _, _, _ in COPIES} | REGISTRY.keys()
    missing = {(str(s), f, t) for s, f, names in _maps() for t in _targets(names) if t not in seen and not t.startswith(KEPT_WHOLE)}
    assert missing == set()


def test_every_feed_but_of_windows_and_json_takes_events_of_a_parser():
    """`service.type` comes from the configuration of the source."""
    made = [event for path in GOLDEN.glob("*/*.json") for event in json.loads(path.read_text(encoding="utf-8"))]
    idle = set()
    for entry in load("routing.yml"):
        for when in entry["feeds"].values() if "feeds" in entry else [entry.get("when") or {}]:
            if not {"winlog.channel", "service.type"} & when.keys() and not any(name.startswith("json.") for name in when):
                fed = any(all(_fits(event.get(name), values) for name, values in when.items()) for event in made)
                idle |= set() if fed else {json.dumps(when)}
    assert idle == set()


def _fits(value: Any, values: list[str]) -> bool:
    have = value if isinstance(value, list) else [value]
    return value is not None and (values == ["*"] or any(str(h).lower() == str(v).lower() for h in have for v in values))


def test_the_table_of_the_documentation_is_what_the_public_rules_find_here(shared_data: Path):
    made = list(table(unpack(shared_data / "sigma/sigmahq-rules.tar.xz")))
    page = (ROOT / "docs" / "logsources.md").read_text(encoding="utf-8")
    assert made == page[page.index("| product |") :].splitlines(), "python docs/generate.py --rules PACK"


def test_reasons_are_in_both_languages():
    keys = {key for key in catalogue("en", "logsources") if key.startswith("why_")}
    assert {f"why_{e['blind']}" for e in load("routing.yml") if "blind" in e} <= keys
    assert keys == {key for key in catalogue("vi", "logsources") if key.startswith("why_")}


def test_the_windows_parser_and_ecs_windows_are_inverse():
    """What pySigma's pipeline for ECS makes of a field name is what the parser makes of that field of an event, where both name one."""
    from sigma.pipelines.elasticsearch.windows import ecs_windows

    theirs: dict[str, set[str]] = {}
    for item in ecs_windows().items:
        for name, target in (getattr(item.transformation, "mapping", None) or {}).items():
            theirs.setdefault(name, set()).add(str(target).removesuffix(".caseless"))
    ours: dict[str, set[str]] = {}
    for target, source, _, _ in COPIES:
        ours.setdefault(source.removeprefix("winlog.event_data."), set()).add(target)
    differ = {name: (ours[name], theirs[name]) for name in ours.keys() & theirs.keys() if not ours[name] & theirs[name]}
    assert differ.keys() == {"ParentProcessName"}, differ  # a path: process.parent.executable here, its last part process.parent.name
    assert len(ours.keys() & theirs.keys()) > 20
