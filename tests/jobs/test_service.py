"""`soc run`: jobs run on schedule, once, whoever runs them; SIGTERM ends everything cleanly."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from domain.clock import FixedClock
from domain.errors import UsageError
from jobs import schedule
from jobs.config import Config, load
from jobs.runtime import Runtime
from jobs.service import Service
from store.base import Store
from tests.conftest import ROOT, Soc, environment

NOW = datetime(2026, 11, 24, 1, 17, 30, tzinfo=UTC)
CONFIG = """\
[schedule]
collect = "off"
scan = "* * * * *"
compact = "off"
report = "off"
"""


@pytest.mark.parametrize(
    ("cron", "due", "following"),
    [
        pytest.param("* * * * *", "2026-11-24T01:17:00+00:00", "2026-11-24T01:18:00+00:00", id="every minute"),
        pytest.param("*/5 * * * *", "2026-11-24T01:15:00+00:00", "2026-11-24T01:20:00+00:00", id="every five minutes"),
        pytest.param("0 7 * * 1", "2026-11-23T00:00:00+00:00", "2026-11-30T00:00:00+00:00", id="Monday at seven, local time"),
        pytest.param("0 0 1 1 *", "2025-12-31T17:00:00+00:00", "2026-12-31T17:00:00+00:00", id="once a year"),
    ],
)
def test_due_times_are_local_time(cron: str, due: str, following: str) -> None:
    assert schedule.due_at(cron, NOW) == datetime.fromisoformat(due)
    assert schedule.next_at(cron, NOW) == datetime.fromisoformat(following)
    assert schedule.due_at("off", NOW) is schedule.next_at("off", NOW) is None


def test_the_weekly_report_is_about_the_week_that_ended() -> None:
    assert schedule.job("report").arguments(datetime(2026, 1, 5, 0, 0, tzinfo=UTC))[-1] == "2026-W01"
    with pytest.raises(UsageError, match=r"no such job: scna \(collect \| scan"):
        schedule.job("scna")


def test_a_run_is_claimed_once_and_missed_runs_count_as_one(tmp_store: Store) -> None:
    cron = "* * * * *"
    due = schedule.due_at(cron, NOW)
    assert due is not None
    work = tmp_store.coordination
    assert schedule.claim(work, "scan", due, NOW, 60)
    assert not schedule.claim(work, "scan", due, NOW, 60)
    schedule.finish(work, "scan", schedule.Ran(due.isoformat(), NOW.isoformat(), 0.5, 0), NOW)
    assert not schedule.claim(work, "scan", due, NOW, 60)
    later = NOW + timedelta(hours=3)
    newest = schedule.due_at(cron, later)
    assert newest is not None
    assert schedule.claim(work, "scan", newest, later, 60)
    schedule.finish(work, "scan", schedule.Ran(newest.isoformat(), later.isoformat(), 0.5, 1, "no"), later)
    assert not schedule.claim(work, "scan", newest, later, 60)
    assert [run.code for run in schedule.history(work, "scan")] == [0, 1]


def test_a_clock_that_ran_ahead_does_not_stop_the_schedule(tmp_store: Store) -> None:
    work = tmp_store.coordination
    wrong = NOW + timedelta(days=3000)
    for now in (NOW, wrong, NOW + timedelta(minutes=1), NOW + timedelta(minutes=2)):
        due = schedule.due_at("* * * * *", now)
        assert due is not None
        assert schedule.claim(work, "scan", due, now, 60)
        assert not schedule.claim(work, "scan", due, now, 60)
        if now != wrong:  # it was killed
            schedule.finish(work, "scan", schedule.Ran(due.isoformat(), now.isoformat(), 0.5, 0), now)


def test_a_new_store_owes_nothing_that_is_long_past(tmp_store: Store) -> None:
    due = schedule.due_at("0 7 * * 1", NOW)
    assert due is not None
    assert not schedule.claim(tmp_store.coordination, "report", due, NOW, 60)
    assert not schedule.claim(tmp_store.coordination, "report", due, NOW, 60)
    nextweek = due + timedelta(days=7)
    assert schedule.claim(tmp_store.coordination, "report", nextweek, nextweek, 60)


def test_only_the_last_runs_are_kept(tmp_store: Store) -> None:
    for number in range(schedule.KEPT + 5):
        schedule.finish(tmp_store.coordination, "scan", schedule.Ran("", "", number, 0), NOW)
    runs = schedule.history(tmp_store.coordination, "scan")
    assert [len(runs), runs[0].seconds, runs[-1].seconds] == [schedule.KEPT, 5, schedule.KEPT + 4]


def test_a_job_past_its_limit_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = tmp_path / "slow.py"
    slow.write_text("import time\nprint('asleep', flush=True)\ntime.sleep(60)\n", encoding="utf-8")
    monkeypatch.setattr(schedule, "SOC", slow)
    monkeypatch.setitem(schedule.JOBS, "scan", schedule.Job("scan", lambda _: ("scan",), 0.3))
    told: list[str] = []
    runtime = Runtime(Config(None, schedule={"scan": "* * * * *"}), FixedClock(NOW), str(tmp_path / "store"))
    service = Service(runtime, lambda key, _: told.append(key))
    until = time.monotonic() + 20
    while "limit" not in told and time.monotonic() < until:
        service.tick()
        time.sleep(0.05)
    assert told == ["running", "limit", "failed"]
    assert service.running == {}
    (ran,) = schedule.history(runtime.store.coordination, "scan")
    assert ran.code == -signal.SIGTERM
    assert ran.said == "asleep"
    runtime.store.close()


def _serve(folder: Path, **more: str) -> subprocess.Popen[str]:
    words, pipe = [sys.executable, str(ROOT / "cli.py"), "run"], subprocess.PIPE
    return subprocess.Popen(words, cwd=folder, env=environment(folder, more), stderr=pipe, stdout=pipe, text=True)


def _ended(service: subprocess.Popen[str]) -> tuple[int, str, str]:
    service.send_signal(signal.SIGTERM)
    out, err = service.communicate(timeout=60)
    return service.returncode, out, err


def test_two_services_on_one_store_do_no_harm_and_stop_on_sigterm(tmp_path: Path, soc: Soc) -> None:
    (tmp_path / "soc.toml").write_text(CONFIG, encoding="utf-8")
    (tmp_path / "content").mkdir()
    services = [_serve(tmp_path), _serve(tmp_path)]
    until, runs = time.monotonic() + 60, []
    while not runs and time.monotonic() < until:
        time.sleep(0.5)
        runs = json.loads(soc("jobs", "history", "scan", "--json").stdout)
    left = [_ended(service) for service in services]
    runs = json.loads(soc("jobs", "history", "scan", "--json").stdout)
    assert [code for code, _, _ in left] == [0, 0], left
    assert [out for _, out, _ in left] == ["", ""]
    assert all("The service has stopped" in err for _, _, err in left)
    assert runs, left
    assert len({run["due"] for run in runs}) == len(runs)
    assert {run["code"] for run in runs} == {0}, runs


def test_jobs_list_and_run(tmp_path: Path, soc: Soc) -> None:
    (tmp_path / "soc.toml").write_text(CONFIG, encoding="utf-8")
    done = soc("jobs", "run", "scan")
    assert done.returncode == 0, done.stderr
    assert "scan: code 0 after" in done.stderr
    listed = json.loads(soc("jobs", "list", "--json", "--now", "2026-11-24T08:17:30+07:00").stdout)
    assert [(row["job"], row["schedule"], row["next"]) for row in listed] == [
        ("collect", "off", ""),
        ("scan", "* * * * *", "2026-11-24T08:18:00.000+07:00"),
        ("compact", "off", ""),
        ("report", "off", ""),
    ]


def test_a_broken_configuration_does_not_start(tmp_path: Path, soc_here: Soc) -> None:
    (tmp_path / "soc.toml").write_text('[schedule]\nscan = "every five minutes"\n', encoding="utf-8")
    done = soc_here("run")
    assert done.returncode == 3
    assert 'scan = "every five minutes"' in done.stderr
    assert "five fields: minute hour day month weekday" in done.stderr


def test_the_service_receives_and_stores_what_it_received(tmp_path: Path, soc: Soc) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    source = f'[[source]]\nid = "net"\ntype = "syslog"\nlisten = "udp://127.0.0.1:{port}"\n'
    (tmp_path / "soc.toml").write_text(CONFIG + source, encoding="utf-8")
    (tmp_path / "content").mkdir()
    service = _serve(tmp_path)
    line = b"<38>Nov 24 08:00:00 web01 sshd[7]: Failed password for root from 203.0.113.9 port 22 ssh2 n=%d"
    until, stored = time.monotonic() + 60, 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        for number in range(10_000):
            out.sendto(line % number, ("127.0.0.1", port))
            time.sleep(0.5)
            ledger = soc("collect", "status", "--json")
            stored = json.loads(ledger.stdout)["total"]["stored"] if ledger.returncode == 0 else 0
            if stored >= 3 or time.monotonic() > until:
                break
    code, _, err = _ended(service)
    assert code == 0, err
    assert stored >= 3, err
    total = json.loads(soc("collect", "status", "--json").stdout)["total"]
    assert total["received"] == total["stored"] + total["rejected"] + total["duplicates"] + total["spooled"]
    assert total["spooled"] == 0


def test_systemd_is_told_that_it_runs_and_that_it_stops(tmp_path: Path) -> None:
    (tmp_path / "soc.toml").write_text(CONFIG.replace('scan = "* * * * *"', 'scan = "off"'), encoding="utf-8")
    (tmp_path / "content").mkdir()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(30)
        service = _serve(tmp_path, NOTIFY_SOCKET=str(tmp_path / "notify"))
        told = [systemd.recv(100), systemd.recv(100)]
        assert _ended(service)[0] == 0
        systemd.settimeout(1)
        while b"STOPPING=1" not in told:
            told.append(systemd.recv(100))
    assert told[:2] == [b"READY=1", b"WATCHDOG=1"]
    assert told[-1] == b"STOPPING=1"


def test_the_weekly_report_is_made_at_any_moment(tmp_path: Path, soc: Soc) -> None:
    """With the clock of the machine, microseconds and all."""
    (tmp_path / "soc.toml").write_text(CONFIG, encoding="utf-8")
    done = soc("jobs", "run", "report")
    assert done.returncode == 0, done.stderr
    assert {path.suffix for path in (tmp_path / "documents").iterdir()} >= {".docx", ".pdf"}


@pytest.mark.parametrize(
    ("sources", "jobs"),
    [
        pytest.param("", ["scan"], id="nothing to collect"),
        pytest.param('[[source]]\nid = "a"\ntype = "file"\npath = "*.log"\n', ["collect", "scan"], id="files are pulled"),
        pytest.param('[[source]]\nid = "a"\ntype = "syslog"\nlisten = "udp://[::]:5514"\n', ["scan"], id="receivers pull too"),
    ],
)
def test_what_the_schedule_has_to_start(tmp_path: Path, sources: str, jobs: list[str]) -> None:
    path = tmp_path / "soc.toml"
    path.write_text(f'{sources}[schedule]\ncompact = "off"\nreport = "off"\n', encoding="utf-8")
    assert [name for name, cron in schedule.planned(load(str(path))).items() if cron != "off"] == jobs
