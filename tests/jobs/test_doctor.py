"""`soc doctor`: finds what is wrong, says which command comes next, exits 1 then and only then."""

from __future__ import annotations

import ast
import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from domain import i18n
from domain.clock import FixedClock
from domain.errors import StoreError
from jobs import schedule
from jobs.config import Config, Source, load
from jobs.doctor import CHECKS, Finding, examine
from jobs.runtime import Runtime
from store.base import Counts, DeadLetter, Delivery
from tests.conftest import ROOT, Soc

NOW = datetime(2026, 11, 24, 1, 17, 30, tzinfo=UTC)
CONFIG = '[[source]]\nid = "web"\ntype = "file"\npath = "web.log"\nexpect_every = "5m"\n'


@pytest.fixture
def runtime(tmp_path: Path) -> Iterator[Runtime]:
    (tmp_path / "soc.toml").write_text(CONFIG, encoding="utf-8")
    (tmp_path / "web.log").write_text("", encoding="utf-8")
    (tmp_path / "content").mkdir()
    made = Runtime(load(str(tmp_path / "soc.toml")), FixedClock(NOW))
    yield made
    made.store.close()


def _deliver(runtime: Runtime, at: datetime, **counts: int) -> None:
    dead = [DeadLetter("web", "s", 5, "too_long", b"x", "auto", at)] if counts.pop("dead", 0) else []
    rejected = {"too_long": 1} if dead else {}
    runtime.store.events.append(Delivery({}, counts=[Counts("web", rejected=rejected, at=at, **counts)], dead=dead))


def _found(runtime: Runtime, check: str) -> list[tuple[str, str, str]]:
    return [(f.level, f.text, f.next) for f in examine(runtime) if f.check == check]


def test_a_silent_source_is_wrong(runtime: Runtime) -> None:
    _deliver(runtime, NOW - timedelta(hours=1), received=0)
    assert ("wrong", "silent", "soc collect status") in _found(runtime, "sources")


def test_a_source_that_delivers_is_well(runtime: Runtime) -> None:
    _deliver(runtime, NOW - timedelta(minutes=1), received=1, dead=1)
    assert _found(runtime, "sources")[-1][:2] == ("ok", "sources_ok")


def test_refused_records_are_wrong_until_replayed(runtime: Runtime) -> None:
    assert _found(runtime, "dead") == [("ok", "dead_none", "")]
    _deliver(runtime, NOW, received=1, dead=1)
    assert _found(runtime, "dead") == [("wrong", "dead", "soc collect replay")]


def test_a_clock_that_went_back_is_wrong(runtime: Runtime) -> None:
    _deliver(runtime, NOW + timedelta(hours=7), received=1, dead=1)
    assert _found(runtime, "clock") == [("wrong", "clock_back", "timedatectl")]


@pytest.mark.parametrize(("most", "noted"), [(212_992, True), (64 << 20, False)])
def test_a_small_udp_buffer_is_noted_when_something_listens(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch, most: int, noted: bool
) -> None:
    monkeypatch.setattr("jobs.doctor._buffer", lambda: most)
    assert [f.text for f in examine(runtime) if f.text == "buffer"] == []
    listening = (Source("net", "syslog", listen="udp://[::]:5514"),)
    object.__setattr__(runtime.config, "sources", listening)
    assert [f.level for f in examine(runtime) if f.text == "buffer"] == (["note"] if noted else [])


def test_a_failed_job_is_wrong_until_it_runs_well(runtime: Runtime) -> None:
    work = runtime.store.coordination
    assert _found(runtime, "jobs") == [("note", "jobs_never", "soc run")]
    schedule.finish(work, "scan", schedule.Ran(NOW.isoformat(), NOW.isoformat(), 1.5, 6, "first\nsoc: disk full"), NOW)
    (finding,) = [f for f in examine(runtime) if f.check == "jobs"]
    assert (finding.level, finding.values["said"], finding.next) == ("wrong", "soc: disk full", "soc jobs history scan")
    schedule.finish(work, "scan", schedule.Ran(NOW.isoformat(), NOW.isoformat(), 1.5, 0), NOW)
    assert _found(runtime, "jobs") == [("ok", "job_ok", "")]


@pytest.mark.parametrize(("hours", "text"), [(1, "job_ok"), (4, "job_late")])
def test_a_schedule_that_stands_still_is_wrong(runtime: Runtime, hours: int, text: str) -> None:
    started = (NOW - timedelta(hours=hours)).isoformat()
    object.__setattr__(runtime.config, "schedule", {"scan": "0 * * * *"})
    schedule.finish(runtime.store.coordination, "scan", schedule.Ran(started, started, 1.5, 0), NOW)
    assert [entry[1] for entry in _found(runtime, "jobs")] == [text]


def test_a_full_disk_is_wrong(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    for free, level in ((2, "wrong"), (10, "note"), (60, "ok")):
        monkeypatch.setattr(shutil, "disk_usage", lambda _, free=free: SimpleNamespace(total=100, free=free))
        assert [entry[0] for entry in _found(runtime, "disk")] == [level]


def test_without_a_store_nothing_else_is_said(tmp_path: Path) -> None:
    (tmp_path / "blocked").write_text("a file", encoding="utf-8")
    found = examine(Runtime(Config(None), FixedClock(NOW), str(tmp_path / "blocked")))
    assert [(f.check, f.level) for f in found] == [("config", "note"), ("store", "wrong")]
    assert "the store must be a folder" in str(found[-1].values["error"])


def test_a_check_that_fails_is_a_finding(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(source: str = "") -> Iterator[object]:
        raise StoreError("database is locked", hint="soc store info")

    monkeypatch.setattr(runtime.store.events, "dead_letters", refuse)
    (finding,) = [f for f in examine(runtime) if f.check == "dead"]
    assert finding == Finding("dead", "wrong", "failed", {"error": "database is locked (soc store info)"}, "soc store info")


def test_the_exit_code_and_both_outputs(tmp_path: Path, soc_here: Soc) -> None:
    well = soc_here("doctor", "--json", cwd=tmp_path)
    assert well.returncode == 0, well.stdout
    assert json.loads(well.stdout)["wrong"] == 0
    (tmp_path / "soc.toml").write_text('[[source]]\nid = "web"\ntype = "fille"\n', encoding="utf-8")
    sick = soc_here("doctor", "--lang", "vi", cwd=tmp_path)
    assert sick.returncode == 1
    assert "type fille: file | evtx | syslog" in " ".join(sick.stdout.split())
    assert "soc config check" in sick.stdout
    assert "lỗi cần xử lý" in sick.stderr


def test_events_that_nobody_scanned_are_wrong(tmp_path: Path, soc_here: Soc) -> None:
    def scan_finding() -> tuple[str, str, str]:
        found = json.loads(soc_here("doctor", "--json", cwd=tmp_path).stdout)["findings"]
        (finding,) = [f for f in found if f["check"] == "scan"]
        return finding["level"], finding["text"], finding["next"]

    sample = ROOT / "docs" / "sample"
    words = ["collect", "once", "--path", str(sample / "auth.log"), "--path", str(sample / "access.log")]
    assert soc_here(*words, cwd=tmp_path).returncode == 0
    assert scan_finding() == ("wrong", "scan_never", "soc scan")
    assert soc_here("scan", cwd=tmp_path).returncode == 0
    assert scan_finding() == ("ok", "scan_ok", "")
    coverage = [f["text"] for f in json.loads(soc_here("doctor", "--json", cwd=tmp_path).stdout)["findings"] if f["check"] == "rules"]
    assert coverage == ["rules_ok"]


def test_a_broken_rule_is_wrong_with_its_place(tmp_path: Path, soc_here: Soc) -> None:
    folder = tmp_path / "content" / "rules"
    folder.mkdir(parents=True)
    (tmp_path / "soc.toml").write_text("", encoding="utf-8")
    (folder / "bad.yml").write_text("title: no detection\nlogsource: {product: linux}\n", encoding="utf-8")
    found = json.loads(soc_here("doctor", "--json", cwd=tmp_path).stdout)["findings"]
    (finding,) = [f for f in found if f["text"] == "rules_error"]
    assert finding["next"] == "soc rules lint"
    assert "bad.yml" in finding["values"]["first"]


def test_everything_it_can_say_has_words() -> None:
    source = ast.parse((ROOT / "jobs" / "doctor.py").read_text(encoding="utf-8"))
    calls = [n for n in ast.walk(source) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name) and n.func.id == "Finding"]
    said = {n.args[2].value for n in calls if isinstance(n.args[2], ast.Constant)}
    assert len(said) > 20
    needed = said | {f"check_{name}" for name in CHECKS} | {f"level_{level}" for level in ("ok", "note", "wrong")}
    for language in ("vi", "en"):
        assert needed - i18n.catalogue(language, "doctor").keys() == set()


def test_what_correlations_remember_is_told_and_noted_near_the_limit(runtime: Runtime) -> None:
    assert _found(runtime, "memory") == []
    for hits, expected in ((5, ("ok", "memory", "")), (190_000, ("note", "memory_full", "soc rules scorecard"))):
        state = {"newest": 0, "correlations": {"c": {"hits": hits, "groups": [[False, ["x"]]]}, "d": {"hits": 1, "groups": [[False, []]]}}}
        runtime.store.coordination.commit_scan("sigma", 0, 0, [], NOW, state)
        assert _found(runtime, "memory") == [expected]
