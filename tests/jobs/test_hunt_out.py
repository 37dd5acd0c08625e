"""Where hits go: sorted in bounded memory, cells that do nothing in a spreadsheet, counts that stay small."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.sigma.build import build
from detectors.sigma.ruleset import RuleSet
from domain.errors import UsageError
from jobs import hunt_out, hunt_tally
from jobs.hunt_found import FileEpisode, FileHit, instant
from jobs.hunt_sort import Sorter
from tests.jobs.hunting import NET, RULE, WHOAMI


@pytest.fixture(scope="module")
def ruleset() -> RuleSet:
    text = RULE.format(title="=cmd|' /C calc'!A1", id=WHOAMI, level="high", tags="attack.t1033, 'x.a,b'", word="whoami")
    other = RULE.format(title="Net", id=NET, level="low", tags="attack.discovery", word="net")
    return build([("a.yml", text.encode()), ("b.yml", other.encode())])


def hit(at: datetime | None, rule: int = 0, host: str = "PC-01", record: int = 1, command: str = "whoami") -> FileHit:
    return FileHit(rule, "a.json", record, at, host, json.dumps({"CommandLine": command, "Image": "x.exe"}).encode())


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@given(st.lists(st.one_of(st.none(), st.integers(-(10**15), 10**16)), max_size=60))
def test_rows_come_in_order_of_time_and_those_without_one_last(times: list[int | None]) -> None:
    sorter = Sorter(rows=7)
    for number, at in enumerate(times):
        sorter.add(at, [str(number)])
    order = [int(cells[0]) for cells in sorter]
    sorter.close()
    assert order == sorted(range(len(times)), key=lambda i: (times[i] is None, times[i] or 0, i))


def test_the_timeline_is_what_timesketch_reads(tmp_path: Path, ruleset: RuleSet) -> None:
    with hunt_out.sink([str(tmp_path / "t.csv")], ruleset) as sink:
        sink.hit(hit(None, record=3))
        sink.hit(hit(datetime(2026, 11, 24, 1, 15, 3, 123456, UTC), record=2))
        sink.hit(hit(datetime(2026, 11, 24, 1, 15, 3, tzinfo=UTC), record=1))
    found = rows(tmp_path / "t.csv")
    assert [r["record"] for r in found] == ["1", "2", "3"]
    assert tuple(found[0])[:5] == ("message", "datetime", "timestamp_desc", "timestamp", "tag")
    assert [r["datetime"] for r in found] == ["2026-11-24T01:15:03.000000+00:00", "2026-11-24T01:15:03.123456+00:00", ""]
    assert (found[1]["timestamp"], found[1]["time_local"]) == ("1795482903123456", "2026-11-24T08:15:03.123+07:00")
    assert all(r["message"] and r["timestamp_desc"] for r in found)
    assert json.loads(found[0]["tag"]) == ["attack.t1033", "x.a,b"]
    assert found[0]["details"] == "CommandLine=whoami; Image=x.exe"


def test_cells_do_nothing_in_a_spreadsheet(tmp_path: Path, ruleset: RuleSet) -> None:
    with hunt_out.sink([str(tmp_path / "t.csv")], ruleset) as sink:
        sink.hit(hit(datetime(2026, 1, 1, tzinfo=UTC), host="@SUM(1)", command="a\r\n\x1b[31mb\u202e"))
    (row,) = rows(tmp_path / "t.csv")
    assert row["rule_title"].startswith("'=")
    assert row["host"] == "'@SUM(1)"
    assert "\x1b" not in row["details"]
    assert "\u202e" not in row["details"]
    assert (tmp_path / "t.csv").read_text(encoding="utf-8").count("\n") == 2


def test_an_episode_is_a_row(tmp_path: Path, ruleset: RuleSet) -> None:
    episode = FileEpisode(
        ruleset.rules[1].ref, {"Computer": "PC-01"}, 1_700_000_000_000_000, 1_700_000_060_000_000, (("a.json", 4), ("a.json", 9))
    )
    with hunt_out.sink([str(tmp_path / "t.csv"), str(tmp_path / "t.jsonl")], ruleset) as sink:
        sink.episode(episode)
    (row,) = rows(tmp_path / "t.csv")
    assert (row["source"], row["record"], row["timestamp"]) == ("a.json", "4", "1700000000000000")
    assert "PC-01" in row["message"]
    line = json.loads((tmp_path / "t.jsonl").read_text(encoding="utf-8"))
    assert line["events"] == [{"source": "a.json", "record": 4}, {"source": "a.json", "record": 9}]
    assert line["window"] == ["2023-11-14T22:13:20.000Z", "2023-11-14T22:14:20.000Z"]


@pytest.mark.parametrize(
    ("out", "said"), [("hits.xlsx", r"--out hits.xlsx: .jsonl or .csv"), ("nowhere/hits.csv", "nowhere/hits.csv: cannot write: ")]
)
def test_a_wrong_output_is_told_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ruleset: RuleSet, out: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as error:
        hunt_out.sink([out], ruleset)
    assert str(error.value).startswith(said)


def test_json_that_only_the_parser_could_mend_is_shown() -> None:
    assert FileHit(0, "a", 1, None, "", b'{"a": "\\ud800", "b": "\xff"}').original() == {"a": "\ufffd", "b": "\ufffd"}


def test_counts_are_by_rule_and_host_worst_first(ruleset: RuleSet) -> None:
    tally = hunt_tally.Tally(ruleset)
    for host, minute in (("B", 1), ("A", 5), ("A", 3), ("A", 4)):
        tally.hit(hit(datetime(2026, 11, 24, 1, minute, tzinfo=UTC), rule=1, host=host))
    tally.hit(hit(None, host="A"))
    found = [(r.level, r.rule_id, r.host, r.count.hits) for r in tally.rows()]
    assert found == [("high", WHOAMI, "A", 1), ("low", NET, "A", 3), ("low", NET, "B", 1)]
    span = tally.rows()[1].count
    assert (instant(span.first or 0).minute, instant(span.last or 0).minute) == (3, 5)
    assert (tally.total, tally.untimed) == (5, 1)
    assert tally.levels() == {"high": (1, 1), "low": (1, 4)}
    assert tally.tactics() == [("discovery", 4, {})]


def test_hosts_beyond_the_limit_share_a_row(ruleset: RuleSet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hunt_tally, "_PAIRS", 3)
    tally = hunt_tally.Tally(ruleset)
    for number in range(10):
        tally.hit(hit(None, host=f"h{number}"))
    assert {r.host: r.count.hits for r in tally.rows()} == {"h0": 1, "h1": 1, "h2": 1, hunt_tally.OTHER: 7}


def test_examples_are_few_and_of_different_hosts(ruleset: RuleSet) -> None:
    tally = hunt_tally.Tally(ruleset)
    for number in range(100):
        tally.hit(hit(None, host="noisy" if number < 90 else f"h{number}"))
    assert [s.host for s in tally.rules[WHOAMI].samples] == ["noisy", "h90", "h91"]
