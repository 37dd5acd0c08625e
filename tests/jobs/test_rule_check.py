"""`soc rules check`: what is really there decides; what is missing is named; techniques and next steps follow from it."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from detectors.sigma.build import build
from detectors.sigma.ruleset import RuleSet
from domain.i18n import catalogue
from jobs import rule_check, rule_fates, rule_state
from jobs.rule_fates import LOST, WEAKENED
from jobs.rule_seen import Seen, routed, store
from jobs.rule_state import BLIND, LIVE, PARTIAL, State
from jobs.rulesets import unpack
from store.opensearch import search
from tests.conftest import Soc
from tests.store.events import delivery, events

SYSMON = "windows.sysmon_operational"
D = "winlog.event_data."
HEAD = "title: {title}\nid: {id}\nlevel: high\ntags: [attack.t1059.001, attack.execution]\n"
PROCESS = (
    HEAD
    + """logsource: {{product: windows, category: process_creation}}
detection:
  image: {{Image|endswith: x.exe}}
  original: {{OriginalFileName: x.exe}}
  good: {{ParentImage|endswith: ok.exe}}
  line: {{CommandLine|contains: y}}
  condition: {condition}
"""
)


def rules(*texts: str) -> RuleSet:
    out = build([(f"r{n}.yml", text.encode()) for n, text in enumerate(texts)])
    assert out.broken == []
    return out


def process(condition: str, title: str = "A", number: int = 1) -> str:
    return PROCESS.format(title=title, id=f"00000000-0000-4000-8000-{number:012}", condition=condition)


def sysmon(*fields: str, code: str = "1") -> Seen:
    held = {"": 10, "winlog.channel": 10, "event.code": 10, "winlog.computer_name": 10, **{D + name: 10 for name in fields}}
    channel = frozenset({"microsoft-windows-sysmon/operational"})
    return Seen({SYSMON: held}, {SYSMON: [{"winlog.channel": channel, "event.code": frozenset({code})}]})


def one(condition: str, seen: Seen) -> State:
    return rule_check.check(rules(process(condition)), seen)[0]


def test_a_rule_whose_fields_all_occur_is_live():
    state = one("(image or original) and line and not good", sysmon("Image", "OriginalFileName", "ParentImage", "CommandLine"))
    assert (state.status, state.reason, state.next, state.techniques) == (LIVE, "", "", ["T1059.001"])


@pytest.mark.parametrize(
    ("gone", "status", "reason"),
    [
        pytest.param("CommandLine", BLIND, f"never seen: {D}CommandLine", id="a field it cannot do without"),
        pytest.param(
            "OriginalFileName", PARTIAL, f"never seen: {D}OriginalFileName; 1 of 2 branches can never hold ({D}OriginalFileName)",
            id="one branch of an or",
        ),
        pytest.param(
            "ParentImage", PARTIAL, f"never seen: {D}ParentImage; exclusions that exclude nothing ({D}ParentImage)", id="a field it excludes by",
        ),
    ],
)  # fmt: skip
def test_a_field_that_goes_flips_the_status(gone: str, status: str, reason: str):
    fields = [f for f in ("Image", "OriginalFileName", "ParentImage", "CommandLine") if f != gone]
    state = one("(image or original) and line and not good", sysmon(*fields))
    assert (state.status, state.reason, state.missing) == (status, reason, (D + gone,))


def test_all_branches_dead_is_blind():
    state = one("1 of them", sysmon("Other"))
    assert (state.status, state.missing) == (BLIND, tuple(D + f for f in ("CommandLine", "Image", "OriginalFileName", "ParentImage")))


def test_events_of_another_code_do_not_feed_a_rule():
    state = one("image", sysmon("Image", code="7"))
    assert (state.status, state.reason, state.next) == (
        BLIND, "no events of log source product=windows/category=process_creation", "process_creation",
    )  # fmt: skip


def test_a_data_set_of_which_only_fields_are_known_is_taken_at_its_word():
    seen = Seen(sysmon("Image").fields)
    assert one("image", seen).status == LIVE


def test_a_rule_is_as_good_as_its_best_feed():
    text = (
        HEAD + "logsource: {{product: linux, category: process_creation}}\ndetection: {{s: {{CommandLine|contains: x}}, condition: s}}\n"
    ).format(title="L", id="00000000-0000-4000-8000-000000000009")
    audit = {"": 5, "event.dataset": 5, "auditd.log.record_type": 5, "event.type": 5, "process.command_line": 4}
    kinds = {"auditd.log": [{"auditd.log.record_type": frozenset({"execve"}), "event.type": frozenset({"start"})}]}
    assert rule_check.check(rules(text), Seen({"auditd.log": audit}, kinds))[0].status == LIVE
    assert (
        rule_check.check(rules(text), Seen({"auditd.log": audit}, {"auditd.log": [{"auditd.log.record_type": frozenset({"path"})}]}))[
            0
        ].status
        == BLIND
    )


def test_a_feed_that_lacks_what_another_has_is_partial():
    found = build([("r.yml", process("(image or original) and line").encode())], windows=("sysmon", "security"))
    held = {"": 9, "winlog.channel": 9, "event.code": 9, D + "NewProcessName": 9, D + "CommandLine": 9}
    kinds = [{"winlog.channel": frozenset({"security"}), "event.code": frozenset({"4688"})}]
    state = rule_check.check(found, Seen({"system.security": held}, {"system.security": kinds}))[0]
    assert (state.status, state.missing, state.next) == (PARTIAL, (D + "OriginalFileName",), "sysmon_fields")
    held.pop(D + "CommandLine")
    state = rule_check.check(found, Seen({"system.security": held}, {"system.security": kinds}))[0]
    assert (state.status, state.missing, state.next) == (BLIND, (D + "CommandLine",), "command_line")


CORRELATION = """title: C
id: 00000000-0000-4000-8000-000000000099
tags: [attack.t1110]
correlation:
  type: {type}
  rules: [00000000-0000-4000-8000-000000000001, 00000000-0000-4000-8000-000000000002]
  group-by: [Computer]
  timespan: 5m
{condition}"""


@pytest.mark.parametrize(
    ("kind", "condition", "second", "status"),
    [
        pytest.param("temporal", "", "image", LIVE, id="all bases see"),
        pytest.param("temporal", "", "line", BLIND, id="temporal needs all"),
        pytest.param("event_count", "  condition: {gte: 3}\n", "line", PARTIAL, id="a count needs one"),
        pytest.param("temporal", "", "image or line", PARTIAL, id="a base sees in part"),
        pytest.param("temporal", "  condition: {gte: 1}\n", "line", PARTIAL, id="temporal that asks for one of two"),
    ],
)
def test_a_correlation_sees_with_the_eyes_of_its_bases(kind: str, condition: str, second: str, status: str):
    found = rules(process("image"), process(second, "B", 2), CORRELATION.format(type=kind, condition=condition))
    states = {s.title: s for s in rule_check.check(found, sysmon("Image"))}
    assert states["C"].status == status
    if status == BLIND:
        assert (states["C"].reason, states["C"].missing, states["C"].next) == (
            "rules it needs see nothing: B",
            (D + "CommandLine",),
            "command_line",
        )


def test_a_correlation_whose_group_never_occurs_is_blind():
    found = rules(
        process("image"), process("image", "B", 2), CORRELATION.format(type="temporal", condition="").replace("[Computer]", "[User]")
    )
    state = next(s for s in rule_check.check(found, sysmon("Image")) if s.title == "C")
    assert (state.status, state.reason) == (BLIND, f"rules it needs see nothing: A, B; group-by field never seen: {D}User")


FILTER = """title: Known good
logsource: {product: windows, category: process_creation}
filter:
  rules: [00000000-0000-4000-8000-000000000001]
  known: {FIELD|startswith: good}
  condition: not known
"""


@pytest.mark.parametrize(("field", "idle"), [("Image", []), ("ParentImage", ["Known good"])])
def test_a_filter_whose_fields_never_occur_is_told_and_weakens_its_rule(field: str, idle: list[str]):
    found = rules(process("image"), FILTER.replace("FIELD", field))
    seen = sysmon("Image")
    assert rule_check.idle_filters(found, seen) == idle
    assert rule_check.check(found, seen)[0].status == (PARTIAL if idle else LIVE)


def test_techniques_without_a_live_rule_are_lost():
    found = rules(process("image"), process("line", "B", 2), process("line", "C", 3).replace("t1059.001", "t1105"))
    got = [(x.id, x.state, x.live, x.partial, x.blind) for x in rule_fates.techniques(rule_check.check(found, sysmon("Image")))]
    assert got == [("T1105", LOST, 0, 0, 1), ("T1059.001", WEAKENED, 1, 0, 1)]


def test_blind_rules_keep_their_techniques_and_say_why_in_both_languages():
    cloud = HEAD.format(title="Z", id="00000000-0000-4000-8000-000000000010") + (
        "logsource: {product: okta, service: okta}\ndetection: {s: {eventtype: x}, condition: s}\n"
    )
    state = rule_check.check(rules(cloud), Seen({}))[0]
    assert (state.status, state.techniques, state.next) == (BLIND, ["T1059.001"], "forward_json")
    assert state.told("en") == "no parser reads the audit logs of this cloud service (product=okta/service=okta)"
    assert state.told("vi") == "chưa bộ phân tích nào đọc nhật ký kiểm toán của dịch vụ đám mây này (product=okta/service=okta)"


def test_every_reason_and_step_of_the_data_is_in_the_catalogue():
    from detectors.sigma.route import load

    keys = {f"next_{entry['next']}" for entry in load("advice.yml")} | {f"why_{e['blind']}" for e in load("routing.yml") if "blind" in e}
    assert keys - set(catalogue("vi", "logsources")) == set()
    assert set(catalogue("vi", "logsources")) == set(catalogue("en", "logsources"))


def test_every_log_source_of_the_data_has_a_step():
    from detectors.sigma.route import load

    for entry in load("routing.yml"):
        source = (entry.get("product", ""), entry.get("category", ""), entry.get("service", ""))
        why = [(f"why_{entry['blind']}", {})] if "blind" in entry else [("no_events", {})]
        assert rule_state.advice(source, (), why), source


def _collected(soc: Soc, tmp_path: Path, logs: Mapping[str, Sequence[str]]) -> None:
    sources = "".join(f'[[source]]\nid = "{n}"\ntype = "file"\npath = "{n}.log"\n' for n in logs)
    (tmp_path / "soc.toml").write_text(f'lang = "en"\n[store]\nurl = "file:data"\n{sources}')
    for name, lines in logs.items():
        (tmp_path / f"{name}.log").write_text("\n".join(lines) + "\n")
    assert soc("collect", "once", cwd=tmp_path).returncode == 0


def test_the_command_over_a_store(soc: Soc, tmp_path: Path):
    event = {
        "EventID": 1,
        "Channel": "Microsoft-Windows-Sysmon/Operational",
        "Hostname": "A",
        "UtcTime": "2026-11-24 01:00:00.000",
        "Image": "C:\\x.exe",
    }
    _collected(soc, tmp_path, {"win": [json.dumps(event)]})
    (tmp_path / "r.yml").write_text(process("image"))
    (tmp_path / "s.yml").write_text(process("line", "B", 2))
    done = soc("rules", "check", "--rules", "r.yml", "--rules", "s.yml", "--json", cwd=tmp_path)
    assert done.returncode == 0
    rows = json.loads(done.stdout)
    assert [(r["status"], r["title"], r["reason"], r["techniques"]) for r in rows] == [
        (BLIND, "B", f"never seen: {D}CommandLine", ["T1059.001"]), (LIVE, "A", "", ["T1059.001"]),
    ]  # fmt: skip
    assert rows[0]["next"].startswith("turn on process command line auditing")
    assert "weakened, some of their rules see little or nothing: 1" in done.stderr
    by = soc("rules", "check", "--rules", "r.yml", "--by", "technique", "--json", cwd=tmp_path)
    assert [(x["technique"], x["state"], x["live"]) for x in json.loads(by.stdout)] == [("T1059.001", "LIVE", 1)]
    wrong = soc("rules", "check", "--by", "colour", cwd=tmp_path)
    assert (wrong.returncode, "rule | source | technique" in wrong.stderr) == (2, True)


def test_the_public_set_against_a_store_takes_less_than_two_seconds(shared_data: Path):
    found = build(unpack(shared_data / "sigma/sigmahq-rules.tar.xz"))
    seen = sysmon("Image", "CommandLine")
    start = time.perf_counter()
    states = rule_check.check(found, seen)
    rule_fates.techniques(states)
    rule_fates.sources(states)
    assert (len(states), time.perf_counter() - start < 2) == (3780, True)


def test_what_a_store_holds_is_read_by_kind(soc: Soc, tmp_path: Path):
    from store import open_store

    line = 'type=EXECVE msg=audit(1795482910.100:7101): argc=1 a0="ls"'
    _collected(soc, tmp_path, {"audit": [line], "web": ['198.51.100.7 - - [24/Nov/2026:08:15:03 +0700] "GET / HTTP/1.1" 200 5 "-" "-"']})
    opened = open_store(f"file:{tmp_path / 'data'}", {})
    try:
        seen = store(opened.events)
    finally:
        opened.close()
    assert seen.kinds["auditd.log"][0]["auditd.log.record_type"] == {"execve"}
    assert {"auditd.log.record_type", "event.dataset"} & routed().keys() == {"auditd.log.record_type"}


def test_a_cluster_is_asked_for_kinds_of_events_not_for_the_events(cluster_store, monkeypatch):
    """Only those are read back that have a field which is never in the index (`json.*`)."""
    others = routed().keys() - {"winlog.channel"}
    ways = [dict.fromkeys(others, "1"), {"fortinet.firewall.type": "traffic", "fortinet.firewall.subtype": "forward"}]
    ways += [{"winlog.channel": "Security", "event.code": "4624"}, {}]
    for number, way in enumerate(ways):
        named = {name.replace(".", "__"): value for name, value in way.items()}
        cluster_store.events.append(delivery(events(number * 10, 5, **{"event__dataset": f"set{number}.log", **named})))
    pages: list[list[dict[str, Any]]] = []
    read = search._pages
    monkeypatch.setattr(search, "_pages", lambda *asked: (pages.append(page) or page for page in read(*asked)))
    seen = store(cluster_store.events)
    assert seen.kinds["set0.log"] == [dict.fromkeys(others, frozenset({"1"}))]
    assert seen.kinds["set1.log"][0]["fortinet.firewall.subtype"] == {"forward"}
    assert seen.kinds["set2.log"][0]["event.code"] == {"4624"}
    assert set(seen.kinds["set3.log"][0].values()) == {frozenset()}
    assert sorted(int(hit["_id"], 16) for page in pages for hit in page) == [0, 1, 2, 3, 4]


def test_windows_events_feed_no_rule_of_another_source(soc: Soc, tmp_path: Path):
    """Fields that both have (event.module, process.name) do not make Windows a single sign-on or an SSH server."""
    event = {"EventID": 1, "Channel": "Microsoft-Windows-Sysmon/Operational", "Hostname": "A", "EventTime": "2026-11-24 08:00:00",
             "Image": "C:\\x.exe", "User": "an"}  # fmt: skip
    _collected(soc, tmp_path, {"win": [json.dumps(event), json.dumps({**event, "Image": "C:\\sshd"})]})
    for name, source in (
        ("sso", "product: keycloak"),
        ("cron", "product: linux\n  service: cron"),
        ("ssh", "product: linux\n  service: sshd"),
    ):
        (tmp_path / f"{name}.yml").write_text(
            f"title: {name}\nlogsource:\n  {source}\ndetection:\n  s: {{event.action: x}}\n  condition: s\nlevel: low\n"
        )
    words = [word for name in ("sso", "cron", "ssh") for word in ("--rules", f"{name}.yml")]
    done = soc("rules", "check", *words, "--json", cwd=tmp_path)
    found = {row["title"]: (row["status"], row["reason"]) for row in json.loads(done.stdout)}
    assert found["sso"] == (BLIND, "no events of log source product=keycloak")
    assert found["cron"] == (BLIND, "no events of log source product=linux/service=cron")
    assert found["ssh"][0] == LIVE  # a program of that name does run there
