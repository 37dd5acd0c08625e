"""Indices that other shippers write: collected into our store, or scanned where they lie. On a real server, under a user who may only read."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from collectors.opensearch import Indices
from detectors.triage import AlertIndex
from domain.alert import Alert
from domain.clock import FixedClock
from jobs import foreign, foreign_evidence, foreign_scan
from jobs.collect import collect, configured
from jobs.collect_run import Due
from jobs.collect_status import ledgers
from jobs.config import Source
from jobs.runtime import Runtime
from jobs.scan import ScanReport, scan
from tests.collectors.foreign import NOW, bulk, numbered
from tests.conftest import Soc
from tests.servers.cluster import Cluster

COUNT_RULE = """
title: Base
id: 0b0f5f5a-5f6e-4b9b-9d3c-1c8f0f0a1111
name: their_failed_logon
status: experimental
logsource: {product: windows, service: security}
detection:
  selection: {EventID: 4625}
  condition: selection
level: informational
---
title: Many
id: 0b0f5f5a-5f6e-4b9b-9d3c-1c8f0f0a2222
status: experimental
correlation:
  type: event_count
  rules: [their_failed_logon]
  group-by: [TargetUserName]
  timespan: 10m
  condition: {gte: 4}
level: high
"""


def windows(number: int, channel: str = "Security", code: str = "4624", **data: str) -> dict[str, Any]:
    """A document of Winlogbeat."""
    at = NOW - timedelta(minutes=5) + timedelta(seconds=number)
    return {
        "@timestamp": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"), "agent": {"type": "winlogbeat"}, "event": {"code": code},
        "host": {"name": "PC-07"}, "winlog": {
            "channel": channel, "event_id": code, "record_id": number, "computer_name": "PC-07", "provider_name": "P", "event_data": data,
        },
    }  # fmt: skip


def attack(number: int) -> dict[str, Any]:
    """Shadow copies deleted, in letters as attackers write them."""
    return windows(
        number, "Microsoft-Windows-Sysmon/Operational", "1", Image="C:\\WINDOWS\\system32\\VssAdmin.EXE", User="XA\\Binh",
        CommandLine="vsSadmin.exe  DELETE shaDows /All /quiet", OriginalFileName="VSSADMIN.EXE",
    )  # fmt: skip


@pytest.fixture(params=["embedded", "cluster"])
def opened(
    request: pytest.FixtureRequest, tmp_path: Path, plain_opensearch: Cluster, index_prefix: str
) -> Iterator[Callable[..., Runtime]]:
    """A runtime whose one source reads `PREFIX-*`, with a store of either kind; every call is a process of its own."""
    made: list[Runtime] = []
    (tmp_path / "content").mkdir()
    store = f'url = "{plain_opensearch.url}"\nindex_prefix = "{index_prefix}-own"' if request.param == "cluster" else 'url = "file:data"'

    def open_runtime(at: datetime = NOW, **options: Any) -> Runtime:
        lines = {"id": "theirs", "type": "opensearch", "url": plain_opensearch.url, "index": f"{index_prefix}-*", **options}
        text = f"[store]\n{store}\n[[source]]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in lines.items())
        (tmp_path / "soc.toml").write_text(text, encoding="utf-8")
        made.append(Runtime.open(config=str(tmp_path / "soc.toml"), clock=FixedClock(at)))
        return made[-1]

    yield open_runtime
    for runtime in made:
        runtime.store.close()


def stored(runtime: Runtime) -> Counter[bytes]:
    """How often each record stands in the store; the ledger adds up."""
    assert list(runtime.store.events.verify()) == []
    out: Counter[bytes] = Counter()
    for chunk in runtime.store.events.chunks():
        out.update(chunk.table(names=["event.original"])["event.original"].to_pylist())
    return out


def alerts(runtime: Runtime) -> dict[str, Alert]:
    return {alert.rule.title: alert for alert in AlertIndex.load(runtime.store.records).alerts.values()}


def scanned(runtime: Runtime) -> ScanReport:
    report = scan(runtime)
    assert report.failed == []
    return report


def test_collected_once(opened: Callable[..., Runtime], plain_opensearch: Cluster, index_prefix: str) -> None:
    plain_opensearch.call("PUT", f"{index_prefix}-a", {"settings": {"number_of_shards": 3}})
    bulk(plain_opensearch.url, f"{index_prefix}-a", numbered(0, 500))
    for expected in (500, 0):
        runtime = opened()
        (outcome,) = collect(runtime, configured(runtime))
        assert (outcome.error, outcome.stored, outcome.received) == ("", expected, expected)
    assert set(stored(runtime).values()) == {1}
    assert len(stored(runtime)) == 500


def test_an_older_snapshot_doubles_nothing(opened: Callable[..., Runtime], plain_opensearch: Cluster, index_prefix: str) -> None:
    server, index, where = plain_opensearch, f"{index_prefix}-a", f"_snapshot/{index_prefix}"
    server.call("PUT", where, {"type": "fs", "settings": {"location": str(server.folder / "repo" / index_prefix)}})
    bulk(server.url, index, numbered(0, 40))
    runtime = opened()
    collect(runtime, configured(runtime))
    bulk(server.url, index, numbered(40, 60))
    server.call("PUT", f"{where}/one?wait_for_completion=true", {"indices": index, "include_global_state": False})
    bulk(server.url, index, numbered(60, 80))
    collect(runtime, configured(runtime))
    server.call("DELETE", index)
    server.call("POST", f"{where}/one/_restore?wait_for_completion=true", {"indices": index, "include_global_state": False})
    bulk(server.url, index, numbered(100, 150))
    (outcome,) = collect(runtime, configured(runtime))
    assert (outcome.error, outcome.stored, outcome.duplicates) == ("", 50, 20)
    assert len(stored(runtime)) == 130
    assert set(stored(runtime).values()) == {1}
    (line,) = ledgers(runtime)
    assert ["restored from a snapshot" in note or "được khôi phục" in note for note in line.notes] == [True]
    server.call("DELETE", f"{where}/one")
    server.call("DELETE", where)


def test_a_hit_in_mixed_case_is_found_where_it_lies(opened: Callable[..., Runtime], plain_opensearch: Cluster, index_prefix: str) -> None:
    """Their keyword fields have no normalizer: a term query for the rule's own letters finds nothing there."""
    index = f"{index_prefix}-wl"
    bulk(plain_opensearch.url, index, [*(windows(n) for n in range(300)), attack(300)])
    term = {"query": {"wildcard": {"winlog.event_data.Image.keyword": "*\\\\vssadmin.exe"}}}
    assert plain_opensearch.call("POST", f"{index}/_search", term)["hits"]["total"]["value"] == 0
    runtime = opened(read_only=True)
    report = scanned(runtime)
    assert (report.events, len(report.opened)) == (301, 1)
    (alert,) = alerts(runtime).values()
    assert (alert.rule.id, alert.count) == ("0bb23bea-fd2b-4ce5-9ab4-20a14d7ad71b", 1)
    evidence = runtime.store.events.fetch(alert.events)
    assert evidence["winlog.event_data.CommandLine"].to_pylist() == ["vsSadmin.exe  DELETE shaDows /All /quiet"]
    assert sum(stored(runtime).values()) == 1  # nothing else was copied
    (line,) = ledgers(runtime)
    assert (line.received, line.stored, sum(line.position.values())) == (1, 1, 301)


def test_nothing_is_counted_twice(opened: Callable[..., Runtime], plain_opensearch: Cluster, index_prefix: str) -> None:
    index = f"{index_prefix}-wl"
    bulk(plain_opensearch.url, index, [attack(0)])
    scanned(opened(read_only=True))
    again = scanned(opened(read_only=True))  # now the evidence lies before our own detectors
    assert (again.events, again.opened, again.updated) == (0, [], [])
    bulk(plain_opensearch.url, index, [attack(60)])
    third = scanned(opened(read_only=True))
    runtime = opened(read_only=True)
    (alert,) = alerts(runtime).values()
    assert (len(third.updated), alert.count, len(alert.events)) == (1, 2, 2)
    assert set(stored(runtime).values()) == {1}


def test_a_crash_between_evidence_and_alert(
    opened: Callable[..., Runtime], plain_opensearch: Cluster, index_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = f"{index_prefix}-wl"
    bulk(plain_opensearch.url, index, [attack(0), *(windows(n) for n in range(1, 50))])
    runtime = opened(read_only=True)

    def crash(name: str, *_: object, **__: object) -> bool:
        raise KeyboardInterrupt(name)

    with monkeypatch.context() as patch:
        patch.setattr(runtime.store.coordination, "commit_scan", crash)
        with pytest.raises(KeyboardInterrupt, match="sigma@theirs"):
            foreign_scan.scan(runtime, ScanReport())
    assert sum(stored(runtime).values()) == 1
    bulk(plain_opensearch.url, index, [attack(60)])
    scanned(opened(read_only=True))
    runtime = opened(read_only=True)
    (alert,) = alerts(runtime).values()
    assert alert.count == 2
    assert set(stored(runtime).values()) == {1}
    assert sum(stored(runtime).values()) == 2


def test_two_scans_at_once_do_no_harm(
    opened: Callable[..., Runtime], plain_opensearch: Cluster, index_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another machine scans the same source between our reading and our commit, without our knowing."""
    bulk(plain_opensearch.url, f"{index_prefix}-wl", [attack(0)])
    ours, theirs = opened(read_only=True), opened(read_only=True)
    before = foreign_evidence.Evidence.store

    def beaten(self: foreign_evidence.Evidence, *args: Any) -> foreign_evidence.Kept:
        monkeypatch.setattr(foreign_evidence.Evidence, "store", before)
        monkeypatch.setattr("jobs.leases.Leases.take", lambda *_: True)
        scanned(theirs)
        return before(self, *args)

    monkeypatch.setattr(foreign_evidence.Evidence, "store", beaten)
    report = scanned(ours)
    assert report.skipped == ["sigma@theirs"]
    (alert,) = alerts(theirs).values()
    assert alert.count == 1
    assert set(stored(theirs).values()) == {1}


def test_correlations_bring_the_events_of_earlier_scans(
    opened: Callable[..., Runtime], plain_opensearch: Cluster, index_prefix: str
) -> None:
    """Three failed logons are no alert and are not copied; the fourth names them, and they are fetched."""
    index = f"{index_prefix}-wl"
    runtime = opened(read_only=True)
    (runtime.config.root / "content" / "rules").mkdir()
    (runtime.config.root / "content" / "rules" / "many.yml").write_text(COUNT_RULE, encoding="utf-8")
    bulk(plain_opensearch.url, index, [windows(n, code="4625", TargetUserName="binh") for n in range(3)])
    assert scanned(runtime).opened == []
    assert stored(runtime) == Counter()
    bulk(plain_opensearch.url, index, [windows(3, code="4625", TargetUserName="binh")])
    runtime = opened(read_only=True)
    scanned(runtime)
    alert = alerts(runtime)["Many"]
    assert alert.count == 4
    assert runtime.store.events.fetch(alert.events).num_rows == 4
    assert set(stored(runtime).values()) == {1}


def test_logins_are_watched_where_they_lie(opened: Callable[..., Runtime], plain_opensearch: Cluster, index_prefix: str) -> None:
    index, tried = f"{index_prefix}-wl", {"TargetUserName": "binh", "IpAddress": "203.0.113.9", "LogonType": "3"}
    bulk(plain_opensearch.url, index, [windows(n, code="4625", **tried) for n in range(8)])
    scanned(opened(read_only=True))
    bulk(plain_opensearch.url, index, [windows(n, code="4625", **tried) for n in range(8, 40)])
    runtime = opened(read_only=True)
    scanned(runtime)
    (alert,) = (a for a in alerts(runtime).values() if a.rule.kind == "anomaly")
    assert alert.rule.id.startswith("anomaly.login_burst")
    assert runtime.store.events.fetch(alert.events).num_rows == len(alert.events) == 40


def test_a_source_that_falls_silent(opened: Callable[..., Runtime], plain_opensearch: Cluster, index_prefix: str) -> None:
    bulk(plain_opensearch.url, f"{index_prefix}-wl", [windows(1)])
    options = {"read_only": True, "expect_every": "1h"}
    scanned(opened(**options))
    runtime = opened(NOW + timedelta(minutes=50), **options)
    scanned(runtime)
    assert alerts(runtime) == {}
    assert [line.silent for line in ledgers(runtime)] == [False]
    runtime = opened(NOW + timedelta(hours=2), **options)
    scanned(runtime)
    (alert,) = alerts(runtime).values()
    assert alert.rule.id == "anomaly.silence"
    assert [line.silent for line in ledgers(runtime)] == [True]


def test_collecting_what_was_scanned_in_place_before(opened: Callable[..., Runtime], plain_opensearch: Cluster, index_prefix: str) -> None:
    bulk(plain_opensearch.url, f"{index_prefix}-wl", [attack(0), *(windows(n) for n in range(1, 20))])
    scanned(opened(read_only=True))
    runtime = opened()
    (outcome,) = collect(runtime, configured(runtime))
    assert (outcome.stored, outcome.duplicates) == (19, 1)
    assert set(stored(runtime).values()) == {1}


def test_our_own_indices_are_never_read_as_somebody_elses(
    opened: Callable[..., Runtime], plain_opensearch: Cluster, index_prefix: str
) -> None:
    bulk(plain_opensearch.url, f"{index_prefix}-own-events-x", numbered(0, 3))
    bulk(plain_opensearch.url, f"{index_prefix}-wl", numbered(0, 3))
    runtime = opened()
    reader, _ = foreign.connect(runtime, runtime.config.sources[0])
    source = Indices(runtime.config.sources[0], reader, runtime.clock, f"{index_prefix}-own")
    assert source.names() == [f"{index_prefix}-wl"]


def test_clusters_of_others_are_asked_now_and_then() -> None:
    due, web, theirs = Due(), Source("web", "file"), Source("theirs", "opensearch")
    asked = [second for second in range(25) if due(theirs, float(second))]
    assert asked == [0, 10, 20]
    assert all(due(web, 20.0) for _ in range(3))


def toml(tmp_path: Path, options: Mapping[str, Any]) -> None:
    lines = "".join(f"{key} = {json.dumps(value)}\n" for key, value in options.items())
    (tmp_path / "soc.toml").write_text(f'[content]\npaths = []\n[[source]]\nid = "theirs"\ntype = "opensearch"\n{lines}', encoding="utf-8")


def test_rules_that_see_less_there_are_told(soc_here: Soc, tmp_path: Path, plain_opensearch: Cluster, index_prefix: str) -> None:
    document = attack(0)
    del document["winlog"]["event_data"]["CommandLine"]
    bulk(plain_opensearch.url, f"{index_prefix}-wl", [document])
    toml(tmp_path, {"url": plain_opensearch.url, "index": f"{index_prefix}-*", "read_only": True})
    assert soc_here("scan").returncode == 0
    states = {s["id"]: s for s in json.loads(soc_here("rules", "check", "--limit", "0", "--json").stdout)}
    blind = [s for s in states.values() if "theirs" in s["reason"] or s["status"] == "LIVE"]
    assert blind
    assert all("CommandLine" in s["reason"] for s in states.values() if "theirs: BLIND" in s["reason"])
    counts = Counter(s["status"] for s in states.values())
    assert counts["BLIND"] < len(states)


def test_configuration(soc_here: Soc, tmp_path: Path) -> None:
    toml(tmp_path, {"index": "x-*", "profile": "winlogbeats", "since": "yesterday", "client_cert": "c.pem", "password": "file:secret"})
    (tmp_path / "secret").write_text("Bí-mật-9", encoding="utf-8")
    run = soc_here("config", "check")
    assert run.returncode == 3
    for expected in (
        "profile winlogbeats: auto | winlogbeat | filebeat | wazuh | dataprepper | ecs",
        "since: not a time: yesterday",
        "client_cert needs client_key",
        f"client_cert: no such file: {tmp_path / 'c.pem'}",
        "url (empty, and store.url is no cluster): https://HOST:PORT",
    ):
        assert expected in run.stderr
    shown = soc_here("config", "show", "--json")
    assert "Bí-mật-9" not in shown.stdout + run.stderr
    assert json.loads(shown.stdout)["source"][0]["password"] == "***"
    toml(tmp_path, {"index": "x-*", "url": "https://u:B%C3%AD-9@h:9200"})
    told = [soc_here(*command).stdout for command in (("collect", "sources"), ("collect", "sources", "--json"), ("config", "show"))]
    assert all("h:9200" in text and "%C3" not in text for text in told)
    toml(tmp_path, {"index": "x-*", "url": "https://u:${NOT_SET}@h:9200"})
    assert "soc.toml:7: url: environment variable NOT_SET is not set" in soc_here("config", "check").stderr


@pytest.fixture
def reader(secure_opensearch: Cluster) -> Iterator[Callable[[str, list[str]], dict[str, str]]]:
    """Make a user who holds these privileges on `wl-NAME-*`; options for a source that reads it."""
    made: list[str] = []

    def user(name: str, privileges: list[str]) -> dict[str, str]:
        role = {"index_permissions": [{"index_patterns": [f"wl-{name}-*"], "allowed_actions": privileges}]}
        security = "_plugins/_security/api"
        secure_opensearch.call("PUT", f"{security}/roles/r-{name}", role)
        secure_opensearch.call("PUT", f"{security}/internalusers/u-{name}", {"password": "Chi-doc-2026!x"})
        secure_opensearch.call("PUT", f"{security}/rolesmapping/r-{name}", {"users": [f"u-{name}"]})
        made.append(name)
        assert secure_opensearch.access
        return {
            "url": secure_opensearch.url, "index": f"wl-{name}-*", "user": f"u-{name}", "password": "${THEIR_PASSWORD}",
            "ca": str(secure_opensearch.access.ca),
        }  # fmt: skip

    yield user
    for name in made:
        secure_opensearch.call("DELETE", f"wl-{name}-*")


def test_reading_is_all_that_is_needed(soc: Soc, tmp_path: Path, secure_opensearch: Cluster, reader: Any) -> None:
    name = f"a{tmp_path.name.lower()[-12:].strip('-_')}"
    options = reader(name, ["indices:data/read/search", "indices:data/read/field_caps*"])
    index = f"wl-{name}-1"
    secure_opensearch.call("PUT", index, {"settings": {"number_of_shards": 2}})
    for document in (windows(1), windows(2), attack(3)):
        secure_opensearch.call("POST", f"{index}/_doc?refresh=true", document)
    toml(tmp_path, {**options, "read_only": True})
    env = {"THEIR_PASSWORD": "Chi-doc-2026!x"}
    run = soc("scan", "--json", env=env)
    assert (run.returncode, json.loads(run.stdout)["events"]) == (0, 3), run.stderr
    assert len(json.loads(soc("alerts", "list", "--json", env=env).stdout)) == 1
    toml(tmp_path, options)
    run = soc("collect", "once", "--json", env=env)
    assert (run.returncode, json.loads(run.stdout)["sources"][0]["stored"]) == (0, 2), run.stderr
    secure_opensearch.call("DELETE", index)  # re-created under its name: told apart without any privilege more
    secure_opensearch.call("POST", f"{index}/_doc?refresh=true", windows(9))
    run = soc("collect", "once", "--json", env=env)
    assert json.loads(run.stdout)["sources"][0]["stored"] == 1
    assert "created anew" in run.stderr


def test_what_is_lacking_is_named(soc: Soc, tmp_path: Path, secure_opensearch: Cluster, reader: Any) -> None:
    name = f"b{tmp_path.name.lower()[-12:].strip('-_')}"
    options = reader(name, ["indices:data/read/field_caps*"])
    secure_opensearch.call("POST", f"wl-{name}-1/_doc?refresh=true", windows(1))
    toml(tmp_path, options)
    run = soc("collect", "once", env={"THEIR_PASSWORD": "Chi-doc-2026!x"})
    assert run.returncode == 6
    assert "indices:data/read/search" in run.stderr
    assert f"wl-{name}-1" in run.stderr
    assert f"u-{name}" in run.stderr
    run = soc("scan", env={"THEIR_PASSWORD": "Chi-doc-2026!x"})
    assert run.returncode == 0  # it is not read_only: collecting told it
    wrong = soc("collect", "once", env={"THEIR_PASSWORD": "sai-mat-khau"})
    assert wrong.returncode == 5
    assert "sai-mat-khau" not in wrong.stderr
    assert "does not know user" in wrong.stderr
