"""Filters end to end: expiry, protection of confirmed true positives, what they hide."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Soc

RULE_ID = "0b9c6f3e-1111-4a57-9a55-0d9b6f7f6f40"
RULE = f"""
title: Evil path
id: {RULE_ID}
logsource: {{category: webserver}}
detection:
  s: {{url.path|contains: evil}}
  condition: s
level: high
"""
FILTER = """
title: Our own scanner
id: 0b9c6f3e-1111-4a57-9a55-0d9b6f7f6f41
logsource: {{category: webserver}}
owner: an
reason: ordered, contract 12
expires: {expires}
filter:
  rules: [{rule}]
  scanner: {{source.ip: '{address}'}}
  condition: not scanner
"""
NOW = "2026-11-15T09:00:00+07:00"


def line(n: int, path: str, address: str) -> str:
    return f'{address} - - [15/Nov/2026:08:{n // 60:02d}:{n % 60:02d} +0700] "GET {path} HTTP/1.1" 200 12 "-" "Mozilla/5.0"\n'


class Site:
    """A configuration with one growing log and one rule, and the command line on it."""

    def __init__(self, folder: Path, soc: Soc) -> None:
        self.folder, self._soc, self.now = folder, soc, NOW
        for kind in ("rules", "filters"):
            (folder / "content" / kind).mkdir(parents=True)
        (folder / "soc.toml").write_text('[[source]]\nid = "web"\ntype = "file"\npath = "web.log"\nparser = "nginx"\n')
        (folder / "content" / "rules" / "evil.yml").write_text(RULE)

    def run(self, *args: str, code: int = 0) -> Any:
        done = self._soc("--now", self.now, *args)
        assert done.returncode == code, done.stderr
        return done

    def json(self, *args: str, code: int = 0) -> Any:
        return json.loads(self.run(*args, "--json", code=code).stdout)

    def filter(self, name: str = "scanner", *, rule: str = RULE_ID, address: str = "203.0.113.9", expires: str = "2027-01-31") -> Path:
        path = self.folder / "content" / "filters" / f"{name}.yml"
        path.write_text(FILTER.format(rule=rule, address=address, expires=expires))
        return path

    def log(self, *lines: str) -> Any:
        """Collect and scan these lines; the report of the scan."""
        with (self.folder / "web.log").open("a") as file:
            file.writelines(lines)
        self.run("collect", "once")
        return self.json("scan")

    def alerts(self) -> list[Any]:
        return [a for a in self.json("alerts", "list", "--limit", "0") if a["rule"]["id"] == RULE_ID]


@pytest.fixture
def site(tmp_path: Path, soc_here: Soc) -> Site:
    return Site(tmp_path, soc_here)


@pytest.fixture(params=["embedded", "cluster"])
def either(request: pytest.FixtureRequest, tmp_path: Path, soc_here: Soc) -> Site:
    """The same on either engine."""
    made = Site(tmp_path, soc_here)
    if request.param == "cluster":
        url, prefix = request.getfixturevalue("opensearch_url"), request.getfixturevalue("index_prefix")
        config = tmp_path / "soc.toml"
        config.write_text(f'[store]\nurl = "{url}"\nindex_prefix = "{prefix}"\n' + config.read_text())
    return made


def test_a_filter_hides_until_it_expires_and_says_so(either: Site) -> None:
    site = either
    site.filter()
    assert site.log(line(0, "/evil", "203.0.113.9"))["opened"] == []
    site.now = "2027-01-31T23:00:00+07:00"
    assert site.log(line(1, "/evil", "203.0.113.9"))["opened"] == []
    site.now = "2027-02-01T00:10:00+07:00"
    report = site.log(line(2, "/evil", "203.0.113.9"))
    assert len(report["opened"]) == 1
    assert any('Filter "Our own scanner" expired on 2027-01-31' in note for note in report["notes"])
    listed = site.json("rules", "filter", "list", "--days", "365")[0]
    assert (listed["state"], listed["days_left"], listed["owner"]) == ("expired", 0, "an")
    assert (listed["hidden"]["events"], listed["hidden"]["alerts"], listed["hidden"]["titles"]) == (3, 1, {"Evil path": 1})


def verdict(site: Site, alert: str, value: str) -> None:
    site.run("alerts", "verdict", alert, value, "--reason", "looked at the host")


def test_a_filter_that_would_hide_a_confirmed_attack_is_refused_and_the_alert_named(site: Site) -> None:
    opened = site.log(line(0, "/evil", "203.0.113.9"), line(1, "/evil", "203.0.113.9"))["opened"]
    assert len(opened) == 1
    verdict(site, opened[0], "true_positive")
    path = site.filter()
    checked = site.json("rules", "filter", "check", str(path), code=1)
    assert checked["filters"][0]["refused"] == [{"alert": opened[0], "title": "Evil path", "events": 2, "of": 2}]
    report = site.log(line(2, "/evil", "203.0.113.9"))
    told = f'{path}:2: ERROR: filter "Our own scanner" is refused and not applied: it would hide 2 of 2 events of alert {opened[0]} (Evil path)'
    assert [note for note in report["notes"] if "filter" in note] == [f"{told}, which is confirmed"]
    assert (report["broken"], report["retro"]) == (1, 0)
    assert sum(a["count"] for a in site.alerts()) == 3
    assert site.json("rules", "filter", "list")[0]["state"] == "refused"
    wrong = [r for r in site.json("rules", "list", "--limit", "0") if r["status"] == "ERROR"]
    assert [f"confirmed alert {opened[0]}" in r["reason"] for r in wrong] == [True]
    with (site.folder / "web.log").open("a") as file:
        file.write(line(3, "/evil", "203.0.113.9"))
    site.run("collect", "once")
    told = f"LỖI: bộ lọc «Our own scanner» bị từ chối, không áp dụng: sẽ che 2 trên 2 sự kiện của cảnh báo {opened[0]}"
    assert told in site.run("scan", "--lang", "vi").stderr


def test_a_verdict_that_comes_later_ends_the_filter_and_what_it_hid_is_looked_at_again(either: Site) -> None:
    site = either
    opened = site.log(line(0, "/evil", "203.0.113.9"))["opened"]
    site.filter()
    assert site.log(line(1, "/evil", "203.0.113.9"))["updated"] == []
    assert site.json("rules", "filter", "list")[0]["state"] == "applied"
    verdict(site, opened[0], "true_positive")
    report = site.log(line(2, "/other", "203.0.113.9"))
    assert report["retro"] == 1
    assert [a["retro"] for a in site.alerts() if a["id"] not in opened] == [True]
    site.run("alerts", "reopen", opened[0], "--reason", "the wrong one")
    before = sum(a["count"] for a in site.alerts())
    site.log(line(3, "/evil", "203.0.113.9"))
    assert sum(a["count"] for a in site.alerts()) == before
    assert site.json("rules", "filter", "list")[0]["state"] == "applied"


def test_a_filter_that_is_refused_at_once_hid_nothing_and_nothing_is_looked_at_again(either: Site) -> None:
    site = either
    opened = site.log(line(0, "/evil", "203.0.113.9"))["opened"]
    verdict(site, opened[0], "true_positive")
    path = site.filter()
    assert site.json("rules", "filter", "list")[0]["state"] == "refused"
    assert site.json("scan")["retro"] == 0
    path.write_text(path.read_text() + "# said again\n")
    site.filter("second")
    assert site.log(line(1, "/other", "203.0.113.9"))["retro"] == 0
    for cache in site.folder.rglob("filters.json"):
        cache.unlink()
    assert site.log(line(2, "/other", "203.0.113.9"))["retro"] == 0


def test_what_a_filter_hid_is_looked_at_once_however_often_it_is_asked_for(site: Site) -> None:
    opened = site.log(line(0, "/evil", "203.0.113.9"))["opened"]
    site.filter()
    site.log(line(1, "/evil", "203.0.113.9"))
    verdict(site, opened[0], "true_positive")
    for _ in range(3):
        assert site.json("rules", "filter", "list")[0]["state"] == "refused"
    assert [site.json("scan")["retro"] for _ in range(2)] == [1, 0]
    assert [a["retro"] for a in site.alerts() if a["id"] not in opened] == [True]


BURST = """
title: Base
id: 0b9c6f3e-1111-4a57-9a55-0d9b6f7f6f61
name: any_login
logsource: {category: webserver}
detection: {s: {url.path: /login}, condition: s}
---
title: Many logins
id: 0b9c6f3e-1111-4a57-9a55-0d9b6f7f6f62
level: high
correlation: {type: event_count, rules: [any_login], group-by: [source.ip], timespan: 5m, condition: {gte: 4}}
"""


def test_events_that_a_confirmed_correlation_counted_are_protected_too(site: Site) -> None:
    (site.folder / "content" / "rules" / "burst.yml").write_text(BURST)
    site.log(*(line(n, "/login", "203.0.113.9") for n in range(5)))
    found = next(a for a in site.json("alerts", "list", "--limit", "0") if a["rule"]["title"] == "Many logins")
    verdict(site, found["id"], "true_positive")
    path = site.filter(rule="any_login")
    refused = site.json("rules", "filter", "check", str(path), code=1)["filters"][0]["refused"]
    assert refused == [{"alert": found["id"], "title": "Many logins", "events": 5, "of": 5}]
    harmless = site.filter("other", rule="any_login", address="198.51.100.1")
    assert site.json("rules", "filter", "check", str(harmless))["good"]
    named = site.filter("named", rule="0b9c6f3e-1111-4a57-9a55-0d9b6f7f6f62")
    said = site.json("rules", "filter", "check", str(named))["remarks"]
    assert any("filter names a correlation" in one for one in said)


def test_a_filter_of_another_log_source_or_an_unknown_rule_does_nothing_and_lint_says_so(site: Site) -> None:
    path = site.filter(rule="no-such-rule")
    path.write_text(
        path.read_text()
        + "---\n"
        + FILTER.format(rule=RULE_ID, address="203.0.113.9", expires="2027-01-31")
        .replace("category: webserver", "product: windows")
        .replace("6f41", "6f42")
        .replace("owner: an\n", "")
    )
    assert len(site.log(line(0, "/evil", "203.0.113.9"))["opened"]) == 1
    told = site.json("rules", "filter", "check")["remarks"]
    assert any("filter names a rule that is not loaded: no-such-rule" in one for one in told)
    assert any(
        f"filter does not apply to {RULE_ID}: its log source is category=webserver, the filter's product=windows" in one for one in told
    )
    assert any("filter lacks owner: who answers for it, why, and until when" in one for one in told)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("expires: 2027-01-31", "expires: next year", "expires 'next year' is not a date such as 2027-01-31"),
        (f"  rules: [{RULE_ID}]\n", "", "rules is missing: a list of rule ids or names, or any"),
        ("condition: not scanner", "condition: not nothing", "nothing"),
        ("title: Our own scanner\n", "", "title"),
    ],
)
def test_a_broken_filter_is_told_and_hides_nothing(site: Site, old: str, new: str, said: str) -> None:
    path = site.filter()
    path.write_text(path.read_text().replace(old, new))
    assert len(site.log(line(0, "/evil", "203.0.113.9"))["opened"]) == 1
    assert said in " ".join(site.json("rules", "filter", "check", code=4)["broken"])


def test_a_filter_is_proposed_from_a_false_positive_saved_and_hides_only_that(either: Site) -> None:
    site = either
    opened = site.log(line(0, "/evil", "203.0.113.9"), line(1, "/evil", "203.0.113.9"), line(2, "/evil/x", "198.51.100.7"))["opened"]
    found = {a["entities"][0]["value"]: a["id"] for a in site.alerts()}
    assert len(opened) == 2
    early = site.run("rules", "filter", "propose", found["203.0.113.9"], code=2)
    assert f"soc alerts verdict {found['203.0.113.9'][:8]} false_positive --reason" in early.stderr
    verdict(site, found["203.0.113.9"], "false_positive")
    verdict(site, found["198.51.100.7"], "true_positive")
    proposal = site.json("rules", "filter", "propose", found["203.0.113.9"])
    narrow = proposal["candidates"][0]
    assert set(narrow["fields"]) == {"url.path", "source.ip"}
    assert (narrow["would_hide"]["events"], narrow["would_hide"]["alerts"], narrow["would_hide"]["verdicts"]) == (
        2,
        1,
        {"false_positive": 1},
    )
    assert all(c["would_hide"]["confirmed"] == [] for c in proposal["candidates"])
    text = site.run("rules", "filter", "propose", found["203.0.113.9"], "--save")
    assert "# 1: would have hidden 2 events, 1 alerts in the last 30 days (1 already judged false, 0 confirmed true)" in text.stdout
    assert len(proposal["candidates"]) > 1
    assert "# 2: " not in text.stdout, "what was saved is shown, not the rest"
    saved = next((site.folder / "content" / "filters").glob("mf_evil_path_*.yml"))
    assert "reason: looked at the host" in saved.read_text()
    assert "expires: '2027-02-13'" in saved.read_text()
    assert site.run("rules", "filter", "check", str(saved)).returncode == 0
    linted = site.run("rules", "lint", "content").stdout
    assert "mf_evil" not in linted, linted
    report = site.log(line(3, "/evil", "203.0.113.9"), line(4, "/evil", "192.0.2.1"))
    assert len(report["opened"]) == 1
    assert site.json("rules", "filter", "list")[0]["hidden"]["events"] == 3


def test_what_cannot_be_told_from_a_confirmed_attack_gets_no_filter_and_names_it(site: Site) -> None:
    first = site.log(line(0, "/evil", "203.0.113.9"))["opened"][0]
    verdict(site, first, "true_positive")
    site.now = "2026-11-17T09:00:00+07:00"
    later = line(0, "/evil", "203.0.113.9").replace("15/Nov", "17/Nov")
    second = site.log(later)["opened"][0]
    verdict(site, second, "false_positive")
    none = site.run("rules", "filter", "propose", second, code=1)
    assert f"nothing separates alert {second} from the confirmed alert {first} (Evil path)" in none.stderr


def test_no_candidate_says_only_what_the_rule_says_itself(site: Site) -> None:
    rule = site.folder / "content" / "rules" / "evil.yml"
    rule.write_text(RULE.replace("{url.path|contains: evil}", "{url.path: [/evil, /worse], http.request.method: GET}"))
    opened = site.log(line(0, "/evil", "203.0.113.9"), line(1, "/worse", "203.0.113.9"))["opened"]
    verdict(site, opened[0], "benign")
    fields = [set(c["fields"]) for c in site.json("rules", "filter", "propose", opened[0])["candidates"]]
    assert fields == [{"source.ip"}]
    rule.write_text(rule.read_text().replace("/worse]", "/worse, /never]"))
    fields = [set(c["fields"]) for c in site.json("rules", "filter", "propose", opened[0])["candidates"]]
    assert all("source.ip" in one for one in fields)


@pytest.mark.parametrize("text", ["C:\\Windows\\a.exe", "\\\\host\\c$\\", "50% *?", "a\\*b", "\\", "\\\\\\x", "C:\\dir\\*"])
def test_values_are_written_so_that_sigma_reads_them_back(text: str) -> None:
    from detectors.sigma.build import build
    from domain.event import TableBatch, table_of
    from jobs.filter_traits import literal
    from match import rows

    source = {"product": "windows", "service": "security"}
    data = {"title": "t", "logsource": source, "detection": {"s": {"url.path": literal([text])}, "condition": "s"}}
    rules = build([("r.yml", json.dumps(data).encode())])
    assert not rules.broken
    batch = TableBatch(
        table_of([{"url.path": text}, {"url.path": text + "x"}, {"url.path": text.replace("*", "z").replace("?", "z") + "y"}])
    )
    assert rows(rules.rules[0].body, batch).tolist() == [0]
