"""Drills as a job: what may be asked, the folder that is made, and a small one played down the whole chain."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from domain.errors import UsageError
from jobs import drill
from jobs.registers import load as registers
from tests.conftest import Soc

SMALL = drill.Wish(seed=5, events=14_000, days=2)


@pytest.mark.parametrize(
    ("wish", "error"),
    [
        (drill.Wish(scenarios=("wbe",)), "no such scenario: wbe (web | sso | silence | all)"),
        (drill.Wish(days=0), "--days 0: from 1 to 60"),
        (drill.Wish(events=10), "--events 10: from 1000 to 200000000"),
    ],
)
def test_what_cannot_be_asked_for_is_said_with_what_can(tmp_path: Path, wish: drill.Wish, error: str) -> None:
    with pytest.raises(UsageError) as raised:
        drill.prepare(wish, tmp_path / "d")
    assert str(raised.value) == error
    assert not (tmp_path / "d").exists()


def test_a_folder_that_holds_something_else_is_never_touched(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(UsageError, match="is not an empty folder"):
        drill.prepare(SMALL, tmp_path)
    with pytest.raises(UsageError, match="holds something that is not a drill"):
        drill.clear(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


def test_an_earlier_drill_is_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "d"
    made = drill.prepare(drill.Wish(events=3_000, days=1), folder)
    for _ in made.stream():
        pass
    drill.clear(folder)
    assert not folder.exists()


def test_the_folder_is_ready_to_collect(tmp_path: Path) -> None:
    drill.prepare(SMALL, tmp_path / "d", exercise=True)
    runtime = drill.open_folder(tmp_path / "d")
    known = registers(runtime)
    organisation = known.organisation(datetime(2026, 11, 24, tzinfo=UTC))
    assert organisation is not None
    assert organisation.example
    assert all(s.exercise for s in runtime.config.sources)
    assert {s.id: s.expect_every for s in runtime.config.sources}["fw-thdl"] == "15m"
    for source in runtime.config.sources:
        assert (runtime.config.root / source.path).parent.is_dir()
    asset = known.asset_of("WEB-CONG01.lamgiang.example")
    assert asset is not None
    assert asset.level == 3
    assert known.is_own("2001:db8:a20:30::8")
    assert not known.is_own("203.0.113.77")


def test_a_drill_goes_down_the_chain_as_time_passes(tmp_path: Path) -> None:
    folder = tmp_path / "d"
    made = drill.prepare(SMALL, folder, exercise=True)
    runtime = drill.open_folder(folder)
    moments = list(drill.play(runtime, made, timedelta(hours=3)))
    assert [m.at for m in moments] == [datetime(2026, 11, 17, 17, tzinfo=UTC) + timedelta(hours=3 * n) for n in range(9)]
    ledger = {s.source: s for s in runtime.store.events.ledger()}
    assert {source: status.stored for source, status in ledger.items()} == dict(made.records)
    assert sum(s.unparsed for s in ledger.values()) == 0
    result = drill.check(runtime, folder / drill.KEY)
    found = {(step.attack, step.step): alerts for step, alerts in result.found}
    assert ("silence", "silence") in found
    assert ("sso", "spray") in found
    first = found["sso", "spray"][0]
    assert first.exercise
    assert first.opened_at in {m.at for m in moments}
    runtime.store.close()


def test_the_command_makes_the_folder_and_says_what_is_next(soc_here: Soc, tmp_path: Path) -> None:
    done = soc_here("drill", "generate", "d", "--events", "4000", "--days", "1", "--scenario", "web", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["records"] == sum(told["sources"].values())
    assert told["steps"] == len((tmp_path / told["key"]).read_text("utf-8").splitlines())
    again = soc_here("drill", "generate", "d")
    assert again.returncode == 2
    assert "d is not an empty folder" in again.stderr
    wrong = soc_here("drill", "generate", "e", "--start", "yesterday")
    assert (wrong.returncode, "--start yesterday: not a date" in wrong.stderr) == (2, True)


def test_a_check_with_missed_steps_ends_with_one(soc_here: Soc, tmp_path: Path) -> None:
    soc_here("drill", "generate", "d", "--events", "3000", "--days", "1", "--scenario", "sso")
    done = soc_here("--config", str(tmp_path / "d" / "soc.toml"), "drill", "check", "--key", "d/key.jsonl", "--json")
    assert done.returncode == 1, done.stderr
    result = json.loads(done.stdout)
    assert [s["step"] for s in result["missed"]] == ["spray", "takeover", "device", "portal", "enumeration", "bulk-read", "transfer"]
    assert result["found"] == result["outside"] == []


def test_scenarios_are_listed(soc_here: Soc) -> None:
    done = soc_here("drill", "list", "--json")
    assert [row["scenario"] for row in json.loads(done.stdout)] == ["web", "sso", "silence"]
