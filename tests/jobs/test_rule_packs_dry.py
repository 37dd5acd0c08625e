"""Dry runs: only what differs is run; correlations, filters and silences count; nothing depends on how the events are cut."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from jobs import rule_packs_dry
from tests.conftest import Soc
from tests.jobs.packs import folder, ident, rule
from tests.jobs.test_rule_packs import NOW, line

SERIES = (
    b"title: Many logins\nid: 0b9c6f3e-1111-4a57-9a55-0d9b6f7f6f02\nlevel: high\n"
    b"correlation: {type: event_count, rules: [any_login], group-by: [source.ip], timespan: 5m, condition: {gte: 3}}\n"
)
BASE = rule("Login", "login", "informational", extra="name: any_login\n")
CHAIN = (
    b"title: Logins of several\nid: 0b9c6f3e-1111-4a57-9a55-0d9b6f7f6f03\nlevel: high\n"
    b"correlation: {type: event_count, rules: [0b9c6f3e-1111-4a57-9a55-0d9b6f7f6f02], timespan: 5m, condition: {gte: 1}}\n"
)
OLD = {"base.yml": BASE, "series.yml": SERIES, "a.yml": rule("A", "evil"), "b.yml": rule("B", "evil")}


@pytest.fixture
def trial(tmp_path: Path, soc_here: Soc) -> Any:
    """A store with two addresses that log in four times and ask for evil, and the pack OLD; runs a new version of it dry."""
    (tmp_path / "soc.toml").write_text('[[source]]\nid = "web"\ntype = "file"\npath = "web.log"\nparser = "nginx"\n')
    hosts = ("203.0.113.9", "2001:db8::7")
    lines = [line(n, "/login", hosts[n % 2]) for n in range(8)] + [line(20 + n, "/evil", hosts[n % 2]) for n in range(4)]
    (tmp_path / "web.log").write_text("".join(lines))
    for words in (("collect", "once"), ("rules", "import", str(folder(tmp_path / "pack", OLD)), "-q")):
        assert soc_here(*NOW, *words).returncode == 0

    def run(files: dict[str, bytes], *words: str, since: str = "7d") -> dict[str, Any]:
        new = folder(tmp_path / "new" / "pack", files)
        done = soc_here(*NOW, "rules", "diff", str(new), "--dry-run", since, "--json", *words)
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)["dry_run"]
        return {**found, "by": {r["title"]: (r["opened"], r["vanished"], r["hits"]) for r in found["rules"]}}

    return run


def test_what_does_not_differ_is_not_run(trial: Any) -> None:
    found = trial(OLD | {"b.yml": rule("B", "evil", "low")})
    assert (found["new"], found["gone"], found["events"]) == (1, 1, 12)
    assert found["by"] == {"B": (0, 0, 4)}
    assert trial(OLD)["new"] == 0


def test_a_changed_base_changes_the_correlation_on_it(trial: Any) -> None:
    found = trial(OLD | {"base.yml": BASE.replace(b"'login'", b"'nothing'")})
    assert found["by"] == {"Many logins": (0, 2, 0)}
    found = trial(OLD | {"series.yml": SERIES.replace(b"gte: 3", b"gte: 2")})
    assert (found["new"], found["by"]) == (1, {"Many logins": (0, 0, 8)})


def test_a_new_correlation_on_one_that_stays_has_what_it_stands_on(trial: Any) -> None:
    found = trial(OLD | {"chain.yml": CHAIN})
    assert (found["new"], list(found["by"])) == (1, ["Logins of several"])


def test_a_filter_of_the_pack_hides_what_other_rules_find(trial: Any, tmp_path: Path) -> None:
    hiding = b"title: Hide\nlogsource: {category: webserver}\nfilter:\n  rules: any\n  s: {source.ip: '2001:db8::7'}\n  condition: not s\n"
    found = trial(OLD | {"f.yml": hiding})
    assert found["by"]["A"][1] == found["by"]["B"][1] == 1
    hosts = {r["title"]: r["hosts"] for r in found["rules"]}
    assert hosts["A"] == {"2001:db8::7": 1}


def test_silences_count(trial: Any, soc_here: Soc) -> None:
    new = OLD | {"c.yml": rule("C", "evil")}
    assert trial(new)["by"] == {"C": (2, 0, 4)}
    done = soc_here(
        "--now", "2026-11-15T00:00:00+07:00", "alerts", "silence", "--entity", "ip=203.0.113.9", "--for", "7d", "--reason", "scanner"
    )
    assert done.returncode == 0, done.stderr
    assert trial(new)["by"] == {"C": (1, 0, 4)}


def test_events_before_the_period_do_not_count(trial: Any) -> None:
    found = trial(OLD | {"c.yml": rule("C", "evil")}, since="2026-11-15T12:00:00+07:00")
    assert (found["opened"], found["by"]) == (0, {})


def test_cut_into_steps_it_is_the_same(trial: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    new = OLD | {"c.yml": rule("C", "evil"), "series.yml": SERIES.replace(b"gte: 3", b"gte: 2")}
    whole = trial(new)
    monkeypatch.setattr(rule_packs_dry, "STEP", 1)
    assert trial(new)["by"] == whole["by"]
    assert whole["rules"][0]["id"] == ident("C")


def test_rules_that_are_off_are_not_tried_and_flood_nothing(trial: Any, tmp_path: Path) -> None:
    loud = {"loud.yml": rule("Loud", "login")}
    assert trial(OLD | loud)["by"]["Loud"] == (2, 0, 8)
    with (tmp_path / "soc.toml").open("a") as config:
        config.write(f'[rules]\noff = ["{ident("Loud")}"]\n')
    found = trial(OLD | loud, "--lang", "en")
    assert (found["new"], found["by"]) == (0, {})
    assert "1 rules are off and were not tried: scans do not run them (soc rules list --off)" in found["notes"]
