"""The generator: the same seed gives the same bytes, the rhythm is that of an office, attacks lie in the last day, silence is silent."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from domain.clock import LOCAL
from playbooks.drills.attacks import SCENARIOS
from playbooks.drills.base import data
from playbooks.drills.generate import Drill, Plan
from playbooks.drills.key import read_key

START = datetime(2026, 11, 20, tzinfo=LOCAL)
"""A Friday: three days end on a Sunday, four on a Monday."""
ALL = tuple(SCENARIOS)


def _make(
    folder: Path, *, seed: int = 7, events: int = 40_000, days: int = 4, scenarios: tuple[str, ...] = ALL, reserved: bool = False
) -> Drill:
    drill = Drill(Plan(seed, START.timestamp(), days, events, scenarios, reserved), folder)
    for _ in drill.stream():
        pass
    return drill


def _digests(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Drill]:
    folder = tmp_path_factory.mktemp("drill")
    return folder, _make(folder)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(made: tuple[Path, Drill], tmp_path: Path) -> None:
    _make(tmp_path / "again")
    _make(tmp_path / "other", seed=8)
    assert _digests(tmp_path / "again") == _digests(made[0])
    assert _digests(tmp_path / "other") != _digests(made[0])


def test_the_number_of_records_is_about_what_was_asked_for(tmp_path: Path) -> None:
    drill = _make(tmp_path, events=60_000, scenarios=())
    written = sum(p.read_bytes().count(b"\n") for p in tmp_path.rglob("logs/*/*"))
    assert written == sum(drill.records.values())
    assert abs(written - 60_000) < 0.05 * 60_000


def test_every_record_of_the_key_stands_once_in_the_logs(made: tuple[Path, Drill]) -> None:
    folder, _ = made
    seen = Counter(hashlib.sha256(line).hexdigest() for p in folder.rglob("logs/*/*") for line in p.read_bytes().split(b"\n")[:-1])
    steps = read_key(folder / "key.jsonl")
    assert {s.attack for s in steps} == set(ALL)
    for attack in ALL:
        assert 5 <= sum(s.attack == attack for s in steps) <= 8
    for step in steps:
        assert step.records or step.step == "silence"
        assert all(seen[digest] >= 1 for digest in step.records), step.step


def test_attacks_lie_within_the_last_day(made: tuple[Path, Drill]) -> None:
    first, last = START + timedelta(days=3), START + timedelta(days=4)
    for step in read_key(made[0] / "key.jsonl"):
        assert first <= step.start <= step.end <= last, step.step


def test_the_silenced_source_writes_nothing_for_hours(made: tuple[Path, Drill]) -> None:
    folder, drill = made
    (source, start, end) = next(s for a in drill.attacks for s in a.silences)
    assert end - start > 3600
    assert drill.records[source] > 0
    for path in (folder / "logs" / source).iterdir():
        times = [_time(line) for line in path.read_text("utf-8").split("\n")[:-1]]
        assert times
        assert not [t for t in times if start <= t < end]
        assert max(t for t in times if t < start) > start - 1800, "it spoke until then"


def _time(line: str) -> float:
    """The instant of a syslog, auditd or NXLog line."""
    if found := re.search(r"audit\((\d+\.\d+):", line):
        return float(found[1])
    if found := re.search(r"20\d\d-\d\d-\d\dT[\d:.]+\+07:00", line):
        return datetime.fromisoformat(found[0]).timestamp()
    return datetime.strptime(f"2026 {line[:15]}", "%Y %b %d %H:%M:%S").replace(tzinfo=LOCAL).timestamp()


def test_lines_of_a_file_are_in_the_order_of_time(made: tuple[Path, Drill]) -> None:
    for name in ("lnx-web-dvc01/syslog.log", "win-dc01/events.json"):
        times = [_time(line) for line in (made[0] / "logs" / name).read_text("utf-8").split("\n")[:-1]]
        assert times == sorted(times)


def test_offices_rest_at_night_at_noon_and_on_sundays(made: tuple[Path, Drill]) -> None:
    text = (made[0] / "logs" / "sso" / "keycloak.log").read_text("utf-8")
    logins = Counter(line[:13] for line in text.splitlines() if 'type="LOGIN"' in line)

    def of(day: int, *hours: int) -> int:
        return sum(logins[f"2026-11-{day} {hour:02d}"] for hour in hours)

    assert of(20, 8, 9, 10) > 5 * of(20, 1, 2, 3)
    assert of(20, 9, 10) > 4 * of(20, 12)
    assert of(20, *range(24)) > 5 * of(22, *range(24))


def test_the_logs_are_complete_up_to_each_instant_that_is_told(tmp_path: Path) -> None:
    drill = Drill(Plan(3, START.timestamp(), 1, 4_000, ()), tmp_path)
    stream = drill.stream()
    until = next(stream)
    lines = (tmp_path / "logs" / "fw-thdl" / "fortigate.log").read_text("utf-8").split("\n")[:-1]
    times = [int(re.search(r"eventtime=(\d+)", line)[1]) / 1e9 for line in lines]  # type: ignore[index]
    assert times
    assert max(times) < until == START.timestamp() + 1800
    stream.close()


@pytest.mark.parametrize("name", ALL)
def test_a_third_of_every_list_of_variants_is_reserved(name: str) -> None:
    used = kept = 0

    def walk(value: object) -> None:
        nonlocal used, kept
        if isinstance(value, dict) and set(value) == {"use", "reserved"}:
            assert value["use"]
            assert value["reserved"]
            assert not [v for v in value["reserved"] if v in value["use"]], value["reserved"]
            used, kept = used + len(value["use"]), kept + len(value["reserved"])
        elif isinstance(value, dict):
            for inner in value.values():
                walk(inner)

    walk(data(name))
    assert 0.28 <= kept / (used + kept) <= 0.42


def test_reserved_variants_stay_out_unless_asked_for(tmp_path: Path) -> None:
    agents = data("web")["scan"]["agents"]
    for reserved, own, other in ((False, "use", "reserved"), (True, "reserved", "use")):
        folder = tmp_path / own
        _make(folder, days=1, events=3_000, scenarios=("web",), reserved=reserved)
        text = "".join(p.read_text("utf-8") for p in folder.rglob("access.log"))
        assert any(agent in text for agent in agents[own])
        assert not any(agent in text for agent in agents[other] if "Chrome" not in agent and "Firefox" not in agent)


def test_addresses_are_private_or_set_aside_for_tests(made: tuple[Path, Drill]) -> None:
    own = re.compile(r"^(10\.|198\.1[89]\.|192\.0\.2\.|198\.51\.100\.|203\.0\.113\.|127\.)")
    for line in (made[0] / "logs" / "fw-thdl" / "fortigate.log").read_text("utf-8").split("\n")[:-1]:
        for address in re.findall(r"(?:srcip|dstip|remip)=(\S+)", line):
            assert own.match(address) or address.startswith("2001:db8:"), address


def test_both_families_of_addresses_meet_only_their_own(made: tuple[Path, Drill]) -> None:
    six = 0
    for line in (made[0] / "logs" / "fw-thdl" / "fortigate.log").read_text("utf-8").split("\n")[:-1]:
        ends = re.search(r"srcip=(\S+).* dstip=(\S+)", line)
        if ends and "traffic" in line:
            assert (":" in ends[1]) == (":" in ends[2]), line
            six += ":" in ends[1]
    assert six > 50


def test_records_are_written_faster_than_thirty_thousand_a_second(tmp_path: Path) -> None:
    began = datetime.now(UTC)
    drill = _make(tmp_path, days=1, events=60_000)
    seconds = (datetime.now(UTC) - began).total_seconds()
    assert sum(drill.records.values()) / seconds > 30_000
