"""soc rules coverage, scorecard, and rules that are off: what is counted, what is advised, what a scan leaves out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from domain.tuning import Record, judge
from jobs import rule_off, rulesets
from tests.conftest import Soc
from tests.jobs.test_rule_filters import RULE_ID, Site, line, verdict

TAGGED = """
title: {title}
id: 0b9c6f3e-1111-4a57-9a55-0d9b6f7f6f5{n}
logsource: {{{source}}}
detection:
  s: {{{field}: {value}}}
  condition: s
level: medium
tags: [{tags}]
"""


@pytest.fixture
def site(tmp_path: Path, soc_here: Soc) -> Site:
    return Site(tmp_path, soc_here)


def rule(site: Site, n: int, tags: str, source: str = "category: webserver", field: str = "url.path", value: str = "/evil") -> None:
    path = site.folder / "content" / "rules" / f"r{n}.yml"
    path.write_text(TAGGED.format(n=n, title=f"Rule {n}", tags=tags, source=source, field=field, value=value))


def layer(site: Site, kind: str) -> Any:
    return json.loads((site.folder / "layers" / f"attack-{kind}.json").read_text("utf-8"))


def test_layers_are_what_the_navigator_reads_and_say_what_is_seen(site: Site) -> None:
    rule(site, 1, "attack.impact, attack.t1561.001")
    rule(site, 2, "attack.t1562.001, attack.t9999, cve.2024-1", "product: windows, service: security", "EventID", "4688")
    site.log(line(0, "/evil", "203.0.113.9"))
    found = site.json("rules", "coverage", "--out", "layers")
    by_id = {one["id"]: one for one in found["techniques"]}
    assert (by_id["T1561.001"]["live"], by_id["T1561.001"]["alerts"], by_id["T1561.001"]["tactics"]) == (1, 1, ["impact"])
    assert (found["retired"]["T1562.001"], found["odd"]) == ("T1685", {"T9999": 1})
    scores = {
        kind: {t["techniqueID"]: t.get("score") for t in layer(site, kind)["techniques"]}
        for kind in ("covered", "visible", "fired", "blind")
    }
    assert (scores["covered"]["T1561.001"], scores["visible"]["T1561.001"], scores["fired"]["T1561.001"]) == (1, 1, 1)
    assert "T1561.001" not in scores["blind"]
    assert scores["blind"]["T1685"] >= 1
    assert scores["covered"]["T1561"] is None
    one = layer(site, "covered")
    assert (one["versions"]["layer"], one["domain"]) == ("4.5", "enterprise-attack")
    assert one["gradient"]["minValue"] < one["gradient"]["maxValue"]
    assert len(one["gradient"]["colors"]) == 2
    for entry in one["techniques"]:
        assert set(entry) <= {"techniqueID", "score", "color", "comment", "enabled", "metadata", "showSubtechniques"}
        assert all(isinstance(m["value"], str) for m in entry.get("metadata", ()))


def test_an_unknown_layer_is_told(site: Site) -> None:
    assert "--layer green: covered | visible | fired | blind | all" in site.run("rules", "coverage", "--layer", "green", code=2).stderr


def card(site: Site, *args: str) -> Any:
    return next(c for c in site.json("rules", "scorecard", "--limit", "0", *args) if c["id"] == RULE_ID)


def test_the_scorecard_counts_verdicts_and_says_what_to_do_next(site: Site) -> None:
    for n in range(6):
        site.log(line(n, "/evil", f"203.0.113.{n}"))
    opened = [a["id"] for a in site.alerts()]
    assert len(opened) == 6
    assert (card(site)["advice"], card(site)["why"], card(site)["open"], card(site)["precision"]) == ("keep", "few", 6, None)
    order = site.json("rules", "scorecard", "--limit", "0")
    assert order[0]["id"] == RULE_ID  # what has alerts stands before the many that are blind
    assert "blind" in {c["advice"] for c in order}
    for alert in opened[:4]:
        verdict(site, alert, "false_positive")
    verdict(site, opened[4], "true_positive")
    found = card(site)
    assert (found["hits"], found["alerts"], found["precision"], found["advice"]) == (6, 6, 0.2, "tune")
    assert found["verdicts"] == {"true_positive": 1, "false_positive": 4, "benign": 0, "duplicate": 0}
    assert found["reason"] == "Precision is only 20% (1 true, 4 false): it needs a filter"
    command = found["next"].split()[1:]
    assert site.run(*command).returncode == 0
    assert card(site, "--since", "2026-11-15", "--until", "2026-11-15T07:00")["alerts"] == 0
    assert card(site, "--cost")["seconds_per_million_events"] > 0
    assert site.json("rules", "scorecard", "--advice", "tune")[0]["id"] == RULE_ID


def test_days_without_the_log_source_are_counted(site: Site) -> None:
    site.log(line(0, "/evil", "203.0.113.9"), line(1, "/x", "203.0.113.9").replace("15/Nov", "13/Nov"))
    assert card(site)["blind_days"] == 1
    other = next(c for c in site.json("rules", "scorecard", "--limit", "0") if c["title"] == "Windows Event Log Cleared")
    assert (other["status"], other["advice"], other["blind_days"], other["next"]) == ("BLIND", "blind", 3, "soc rules check")


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (Record(alerts=12, false=10), ("retire", "never_true")),
        (Record(alerts=12, false=10, true=1), ("tune", "imprecise")),
        (Record(alerts=5, true=1, benign=4), ("tune", "benign")),
        (Record(alerts=5, true=4, false=1), ("keep", "precise")),
        (Record(alerts=3, false=3), ("keep", "few")),
        (Record(alerts=30), ("keep", "unjudged")),
        (Record(), ("keep", "quiet")),
        (Record(blind=True), ("blind", "blind")),
        (Record(seconds=9.0), ("tune", "dear")),
        (Record(off=True, false=99), ("off", "off")),
    ],
)
def test_advice_follows_the_thresholds(record: Record, expected: tuple[str, str]) -> None:
    assert judge(record) == expected


def test_a_rule_that_is_off_gives_no_alerts_but_hunts_see_it_and_switched_on_it_looks_at_the_past(site: Site) -> None:
    config = site.folder / "soc.toml"
    config.write_text(config.read_text() + f'[rules]\noff = ["{RULE_ID}"]\n')
    assert site.log(line(0, "/evil", "203.0.113.9"))["opened"] == []
    off = site.run("rules", "list", "--off", "--json").stdout
    assert [(r["id"], r["reason"]) for r in json.loads(off) if r["id"] == RULE_ID] == [(RULE_ID, "switched off in soc.toml ([rules] off)")]
    site.run("hunt", "web.log", "--out", "hits.jsonl")
    assert RULE_ID in (site.folder / "hits.jsonl").read_text()
    config.write_text(config.read_text().replace(f'["{RULE_ID}"]', "[]"))
    assert site.json("scan")["retro"] >= 1
    assert len(site.alerts()) == 1


def test_a_rule_that_proved_noisy_is_off_until_it_is_switched_on(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    noisy = rule_off.Measured(alerts=9, days=3, of=3, hits=20, events=100, attack=0)
    assert noisy.noisy
    assert not rule_off.Measured(alerts=1, days=1, of=3, hits=1, events=100, attack=0).noisy
    monkeypatch.setattr(rule_off, "measured", lambda: {RULE_ID: noisy})
    assert site.log(line(0, "/evil", "203.0.113.9"))["opened"] == []
    assert "3.0 alerts a day on 3 ordinary days" in site.run("rules", "list", "--off", "--json").stdout
    config = site.folder / "soc.toml"
    config.write_text(config.read_text() + f'[rules]\non = ["{RULE_ID}"]\n')
    assert len(site.log(line(1, "/evil", "203.0.113.9"))["opened"]) == 1


def test_what_is_shipped_of_the_measurement_can_be_read_and_holds_figures_alone() -> None:
    data = json.loads((rulesets.SHIPPED / rule_off.FILE).read_text("utf-8"))
    assert data["about"]["benign_days"]
    assert len(rule_off.measured()) > 100
    assert all(len(one) == len(data["about"]["columns"]) and all(isinstance(n, int) for n in one) for one in data["rules"].values())


def test_what_is_off_still_feeds_what_stands_on_it(site: Site) -> None:
    chain = """
title: {title}
id: {id}
correlation: {{type: event_count, rules: [{base}], timespan: 10m, group-by: [source.ip], condition: {{gte: {least}}}}}
level: high
"""
    rules = site.folder / "content" / "rules"
    (rules / "child.yml").write_text(chain.format(title="Child", id="11111111-2222-4333-8444-555555555501", base=RULE_ID, least=2))
    child = "11111111-2222-4333-8444-555555555501"
    (rules / "parent.yml").write_text(chain.format(title="Parent", id="11111111-2222-4333-8444-555555555502", base=child, least=1))
    config = site.folder / "soc.toml"
    config.write_text(config.read_text() + f'[rules]\noff = ["{RULE_ID}", "{child}"]\n')
    site.log(line(0, "/evil", "203.0.113.9"), line(1, "/evil", "203.0.113.9"))
    titles = {alert["rule"]["title"] for alert in site.json("alerts", "list", "--limit", "0")}
    assert "Parent" in titles
    assert not titles & {"Evil path", "Child"}
