"""Collecting into a store: once and only once, whatever fails, whoever else collects; the ledger adds up."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import tarfile
import time
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from domain.clock import FixedClock
from domain.errors import StoreError, UsageError
from jobs import collect as job
from jobs.collect import collect, configured, evidence, one
from jobs.collect_replay import replay
from jobs.collect_status import Ledger, ledgers, totals
from jobs.config import Source
from jobs.leases import Leases
from jobs.runtime import Runtime
from tests.collectors.following import append, lines, text
from tests.conftest import ROOT, Soc, environment

NOW = datetime(2026, 11, 24, 1, 15, tzinfo=UTC)


@pytest.fixture
def runtime(tmp_path: Path) -> Iterator[Runtime]:
    (tmp_path / "logs").mkdir()
    made = open_runtime(tmp_path)
    yield made
    made.store.close()


def open_runtime(folder: Path) -> Runtime:
    (folder / "soc.toml").write_text('[[source]]\nid = "web"\ntype = "file"\npath = "logs/*.log*"\n', encoding="utf-8")
    return Runtime.open(config=str(folder / "soc.toml"), clock=FixedClock(NOW))


def stored(runtime: Runtime) -> Counter[bytes]:
    out: Counter[bytes] = Counter()
    for chunk in runtime.store.events.chunks():
        out.update(chunk.table(names=["event.original"])["event.original"].to_pylist())
    return out


def ledger(runtime: Runtime, source: str = "web") -> Ledger:
    assert list(runtime.store.events.verify()) == []
    found = next(line for line in ledgers(runtime) if line.source == source)
    assert found.received == found.stored + sum(found.rejected.values()) + found.duplicates + found.spooled
    return found


def test_twice_is_once(runtime: Runtime) -> None:
    append(runtime.config.root / "logs" / "a.log", text(0, 50) + text(0, 50))  # equal lines are lines of their own
    first = collect(runtime, configured(runtime))
    again = collect(runtime, configured(runtime))
    assert [(o.received, o.stored, o.busy, o.error) for o in (*first, *again)] == [(100, 100, False, ""), (0, 0, False, "")]
    assert stored(runtime) == Counter(lines(0, 50) * 2)
    assert (ledger(runtime).stored, ledger(runtime).lag_seconds) == (100, 0.0)


def test_a_source_that_fails_stops_no_other(runtime: Runtime) -> None:
    append(runtime.config.root / "logs" / "a.log", text(0, 5))
    sources = [Source("gone", "file", path="nowhere/x.log"), *configured(runtime)]
    gone, web = collect(runtime, sources)
    assert "nowhere/x.log: no such file" in gone.error
    assert (web.stored, web.error) == (5, "")


def test_a_defect_met_at_one_source_stops_no_other(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    append(runtime.config.root / "logs" / "a.log", text(0, 5))
    real = job.collector

    def broken(here: Runtime, source: Source) -> object:
        if source.id == "odd":
            raise IndexError("list index out of range")
        return real(here, source)

    monkeypatch.setattr(job, "collector", broken)
    odd, web = collect(runtime, [Source("odd", "file", path="logs/*.log"), *configured(runtime)])
    assert odd.error.startswith("internal error: IndexError: list index out of range (test_collect.py:")
    assert (web.stored, web.error) == (5, "")


def test_refused_lines_are_replayed(runtime: Runtime) -> None:
    long = b"L" * (2 << 20)
    append(runtime.config.root / "logs" / "a.log", b"one\n" + long + b"\ntwo\n")
    collect(runtime, configured(runtime))
    before = ledger(runtime)
    assert (before.received, before.stored, dict(before.rejected)) == (3, 2, {"line_too_long": 1})
    assert replay(runtime) == 1
    after = ledger(runtime)
    assert (after.received, after.stored, dict(after.rejected)) == (3, 3, {})
    assert stored(runtime)[long] == 1
    assert replay(runtime) == 0
    with pytest.raises(UsageError, match="no such source: nobody"):
        replay(runtime, "nobody")


def test_unparsed_lines_are_stored_and_counted(runtime: Runtime) -> None:
    append(runtime.config.root / "logs" / "a.log", b"\x01\x02 nothing anybody knows\n")
    (outcome,) = collect(runtime, configured(runtime))
    assert (outcome.stored, outcome.unparsed) == (1, 1)
    assert ledger(runtime).unparsed == 1


def test_two_collectors_at_once_store_once(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    append(runtime.config.root / "logs" / "a.log", text(0, 30))
    append(runtime.config.root / "logs" / "b.log", text(0, 30, "b"))
    monkeypatch.setattr(job, "BATCHES", 1)
    other = Runtime.open(config=str(runtime.config.path), clock=FixedClock(NOW + timedelta(minutes=5)))
    source = configured(runtime)[0]
    paused, there = Leases(runtime), Leases(other, "another machine")
    append_to_store = runtime.store.events.append
    outcomes: list[job.Outcome] = []

    def slow(delivery: object) -> int:  # between the lease and the commit, its lease runs out and another collector does the work
        if not outcomes:
            outcomes.append(one(other, source, there))
        return append_to_store(delivery)  # type: ignore[arg-type]

    monkeypatch.setattr(runtime.store.events, "append", slow)
    assert one(runtime, source, paused).busy
    assert outcomes[0].stored == 60
    assert stored(runtime) == Counter(lines(0, 30) + lines(0, 30, "b"))
    assert ledger(runtime).received == 60
    paused.release()
    there.release()
    other.store.close()


def test_while_another_holds_the_source_it_is_busy(runtime: Runtime) -> None:
    append(runtime.config.root / "logs" / "a.log", text(0, 3))
    assert runtime.store.coordination.lease("collect:web", "somebody", 60, NOW)
    (outcome,) = collect(runtime, configured(runtime))
    assert outcome.busy
    runtime.store.coordination.release("collect:web", "somebody")
    mine = Leases(runtime)
    assert mine.take(configured(runtime)[0])
    (outcome,) = collect(runtime, configured(runtime))  # another process of this machine
    assert outcome.busy
    mine.release()
    assert collect(runtime, configured(runtime))[0].stored == 3


def test_a_store_that_refuses_loses_nothing(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    append(runtime.config.root / "logs" / "a.log", text(0, 3))

    def full(_: object) -> int:
        raise StoreError("the disk is full; nothing was stored")

    with monkeypatch.context() as patch:
        patch.setattr(runtime.store.events, "append", full)
        with pytest.raises(StoreError):
            collect(runtime, configured(runtime))
    assert collect(runtime, configured(runtime))[0].stored == 3


def test_named_files_bring_only_what_is_new(runtime: Runtime, tmp_path: Path) -> None:
    folder = tmp_path / "seized"
    (folder / "deep").mkdir(parents=True)
    append(folder / "deep" / "a.log", text(0, 3) + b"end")
    with zipfile.ZipFile(folder / "b.zip", "w") as archive:
        archive.writestr("x/b.log", text(0, 4, "b"))
        archive.writestr("c.log", text(0, 2, "c"))
    sources = evidence([str(folder)], "auto", "INC-1")
    assert [source.id for source in sources] == [f"incident:INC-1:{folder}"]
    assert [o.stored for o in collect(runtime, sources) + collect(runtime, sources)] == [10, 0]
    append(folder / "deep" / "a.log", b"ing\n" + text(9, 10))
    assert [o.stored for o in collect(runtime, sources)] == [2]
    assert stored(runtime) == Counter([*lines(0, 3), b"end", b"ing", *lines(9, 10), *lines(0, 4, "b"), *lines(0, 2, "c")])
    marks = {v for c in runtime.store.events.chunks() for v in c.table(names=["thapcanh.incident"])["thapcanh.incident"].to_pylist()}
    assert marks == {"INC-1"}
    with pytest.raises(UsageError, match="no such file or folder: nowhere"):
        evidence(["nowhere"], "auto", "")


def test_event_logs_that_grow(runtime: Runtime, shared_data: Path) -> None:
    packed = shared_data / "evtx" / "attack-samples-dev.tar.xz"
    if not packed.exists():
        pytest.skip(f"not here: {packed}")
    target = runtime.config.root / "logs" / "a.log.evtx"
    with tarfile.open(packed) as archive:
        sample = next(m for m in archive if m.name.endswith(".evtx") and m.size < 200_000)
        content = archive.extractfile(sample)
        assert content is not None
        target.write_bytes(content.read())
    (first,) = collect(runtime, configured(runtime))
    assert first.stored > 0
    assert [o.stored for o in collect(runtime, configured(runtime))] == [0]
    target.touch()
    assert [o.stored for o in collect(runtime, configured(runtime))] == [0]
    assert ledger(runtime).stored == first.stored


def test_silence(runtime: Runtime) -> None:
    runtime.config = replace(runtime.config, sources=(replace(runtime.config.sources[0], expect_every="5m"),))
    assert ledger(runtime).silent
    append(runtime.config.root / "logs" / "a.log", text(0, 1))
    collect(runtime, configured(runtime))
    assert not ledger(runtime).silent
    runtime.clock = FixedClock(NOW + timedelta(minutes=6))
    assert ledger(runtime).silent
    append(runtime.config.root / "logs" / "a.log", text(1, 2))
    assert ledger(runtime).lag_seconds == 360.0


def test_totals(runtime: Runtime) -> None:
    append(runtime.config.root / "logs" / "a.log", text(0, 4) + b"L" * (2 << 20) + b"\n")
    collect(runtime, configured(runtime))
    found = totals(ledgers(runtime))
    assert (found["received"], found["stored"], found["rejected"], found["spooled"]) == (5, 4, 1, 0)


POINTS = ("read", "before-commit", "after-commit", "stored")


@pytest.mark.parametrize("point", POINTS)
def test_killed_at_named_points(runtime: Runtime, tmp_path: Path, soc: Soc, point: str) -> None:
    append(tmp_path / "logs" / "a.log", text(0, 300))
    append(tmp_path / "logs" / "b.log", text(0, 300, "b"))
    killed = soc("collect", "once", env={"SOC_FAULT": point})
    assert killed.returncode == -signal.SIGKILL
    append(tmp_path / "logs" / "a.log", text(300, 301))
    assert [o.busy for o in collect(runtime, configured(runtime))] == [False]  # what the dead one held is free at once
    assert stored(runtime) == Counter(lines(0, 301) + lines(0, 300, "b"))
    assert ledger(runtime).received == 601


def test_commands(tmp_path: Path, soc: Soc) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "soc.toml").write_text(
        '[[source]]\nid = "web"\ntype = "file"\npath = "logs/*.log"\nexpect_every = "5m"\n', encoding="utf-8"
    )
    append(tmp_path / "logs" / "a.log", text(0, 3))
    done = soc("collect", "once", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["sources"][0]["stored"] == 3
    found = json.loads(soc("collect", "status", "--json").stdout)["sources"]
    assert set(found[0]) >= {
        "received",
        "stored",
        "unparsed",
        "rejected",
        "duplicates",
        "spooled",
        "position",
        "lag_seconds",
        "dropped_by_kernel",
    }
    assert found[0]["position"] == {f"{tmp_path}/logs/a.log#1": len(text(0, 3))}
    assert "web" in soc("collect", "status").stdout
    assert json.loads(soc("collect", "sources", "--json").stdout)[0]["silent"] is False


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("once", "--source", "nobody"), 2, "no such source: nobody"),
        (("once", "--path", "nowhere"), 2, "no such file or folder: nowhere"),
        (("once", "--path", ".", "--source", "web"), 2, "--path and --source exclude each other"),
        (("once", "--parser", "nginx"), 2, "--parser and --incident go with --path"),
        (("once",), 5, "1 of 1 sources could not be read to the end"),
    ],
)
def test_errors(tmp_path: Path, soc_here: Soc, words: tuple[str, ...], code: int, said: str) -> None:
    (tmp_path / "soc.toml").write_text('[[source]]\nid = "web"\ntype = "file"\npath = "absent/*.log"\n', encoding="utf-8")
    done = soc_here("collect", *words)
    assert done.returncode == code
    assert said in done.stderr


def test_without_sources_it_says_how_to_begin(tmp_path: Path, soc_here: Soc) -> None:
    (tmp_path / "soc.toml").write_text("", encoding="utf-8")
    done = soc_here("collect", "once")
    assert done.returncode == 3
    assert "no [[source]] is configured" in done.stderr
    assert "soc collect once --path FILE" in done.stderr


def start(folder: Path, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    words = [sys.executable, str(ROOT / "cli.py"), "collect", "run"]
    return subprocess.Popen(words, cwd=folder, env=environment(folder, env), stderr=subprocess.PIPE, text=True)


def test_service_receives_stores_and_stops(tmp_path: Path, soc: Soc) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (tmp_path / "soc.toml").write_text(
        f'[[source]]\nid = "net"\ntype = "syslog"\nlisten = "tcp://[::]:{port}"\n[[source]]\nid = "dgram"\ntype = "syslog"\nlisten = "udp://[::]:{port}"\n',
        encoding="utf-8",
    )
    process = start(tmp_path)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            sender = socket.create_connection(("127.0.0.1", port), timeout=5)
            break
        except OSError:
            time.sleep(0.1)
    with sender, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        for n in range(2000):
            sender.sendall(b"<34>Nov 24 08:15:03 fw app[1]: SEQ=tcp:%06d\n" % n)
            datagrams.sendto(b"<34>Nov 24 08:15:03 fw app[1]: SEQ=udp:%06d" % n, ("127.0.0.1", port))
            if n % 500 == 0:
                for line in json.loads(soc("collect", "status", "--json").stdout)["sources"]:
                    assert line["received"] == line["stored"] + sum(line["rejected"].values()) + line["duplicates"] + line["spooled"]
        sender.shutdown(socket.SHUT_WR)
        assert sender.recv(1) == b""
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert "a sudden stop loses at most 8388608 bytes per source" in said
    runtime = Runtime.open(config=str(tmp_path / "soc.toml"))
    found = stored(runtime)
    assert sorted(found) == sorted(b"<34>Nov 24 08:15:03 fw app[1]: SEQ=%s:%06d" % (k, n) for k in (b"tcp", b"udp") for n in range(2000))
    assert set(found.values()) == {1}
    assert (ledger(runtime, "net").stored, ledger(runtime, "dgram").stored, ledger(runtime, "net").spooled) == (2000, 2000, 0)
    runtime.store.close()
