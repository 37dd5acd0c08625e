"""kill -9 of `soc collect run`, again and again, while files grow and rotate and TCP senders send. Nothing may be lost or doubled.

    python benchmarks/kill9.py --kills 100

A file line counts as given once it is written; a TCP line once the receiver has closed the connection in good order. What was in flight
when the receiver died may be there or not, but never twice. At the end the ledger is recounted from the data.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
POINTS = ("read", "before-commit", "after-commit", "stored", "spool-write", "spool-sync", "read:3", "stored:2")
"""Fault points of collector and receiver; every second kill is at one of them, the others at random moments."""
LINE = '203.0.113.7 - - [24/Nov/2026:08:15:03 +0700] "GET /{} HTTP/1.1" 200 {} "-" "SEQ={}:{}"\n'


@dataclass
class Feed:
    """What was given to the collector."""

    certain: Counter[str] = field(default_factory=Counter)
    """Keys that must be in the store exactly once."""
    flying: set[str] = field(default_factory=set)
    """Keys that may be in the store, once."""
    stop: threading.Event = field(default_factory=threading.Event)


def write_files(folder: Path, feed: Feed, seed: int) -> None:
    """One writer: lines, some in two halves; rotation by rename, by copy and truncate, compression of old files."""
    chance, n, rotated = random.Random(seed), 0, 0  # noqa: S311  repeatable
    live = folder / "app.log"
    out = live.open("ab", buffering=0)
    while not feed.stop.is_set():
        for _ in range(chance.randrange(1, 300)):
            line = LINE.format("x" * chance.randrange(80), chance.randrange(9999), "file", n).encode()
            half = chance.randrange(len(line)) if chance.random() < 0.05 else 0
            for part in (line[:half], line[half:]):
                out.write(part)
            feed.certain[f"file:{n}"] += 1
            n += 1
        time.sleep(chance.random() * 0.05)
        dice = chance.random()
        if dice < 0.05:
            rotated += 1
            live.rename(folder / f"app.log.{rotated}")
            out.write(LINE.format("late", 0, "file", n).encode())
            feed.certain[f"file:{n}"] += 1
            n += 1
            out.close()
            out = live.open("ab", buffering=0)
        elif dice < 0.08:
            rotated += 1
            shutil.copyfile(live, folder / f"app.log.{rotated}")
            os.truncate(live, 0)
        elif dice < 0.1 and (plain := [p for p in folder.glob("app.log.*") if p.suffix != ".gz"]):
            pack(chance.choice(plain))
    out.close()


def pack(path: Path) -> None:
    """As gzip does: the compressed file grows, then the other one goes."""
    with path.open("rb") as source, gzip.open(f"{path}.gz", "wb") as target:
        shutil.copyfileobj(source, target)
    path.unlink()


def send_tcp(port: int, name: str, feed: Feed, seed: int) -> None:
    """Connections of some lines each; octet counting or newlines."""
    chance, n = random.Random(seed), 0  # noqa: S311  repeatable
    while not feed.stop.is_set():
        keys, payload = [], b""
        for _ in range(chance.randrange(1, 400)):
            message = f"<34>Nov 24 08:15:03 host app[1]: {'y' * chance.randrange(100)} SEQ={name}:{n}".encode()
            payload += b"%d %s" % (len(message), message) if chance.random() < 0.5 else message + b"\n"
            keys.append(f"{name}:{n}")
            n += 1
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
            feed.flying.update(keys)
            for start in range(0, len(payload), 1500):
                connection.sendall(payload[start : start + 1500])
            connection.shutdown(socket.SHUT_WR)
            if connection.recv(1) == b"":
                feed.certain.update(keys)
        time.sleep(chance.random() * 0.05)


def free_port() -> int:
    """A TCP port that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start(folder: Path, fault: str = "") -> subprocess.Popen[bytes]:
    """`soc collect run` in a process group of its own."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("SOC_")} | {"SOC_LANG": "en", "SOC_STATE": str(folder)}
    if fault:
        environment["SOC_FAULT"] = fault
    words = [sys.executable, str(ROOT / "cli.py"), "collect", "run"]
    with (folder / "run.log").open("ab") as log:
        return subprocess.Popen(words, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True)


def kill(process: subprocess.Popen[bytes]) -> None:
    """The whole group: collector and receiver."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def ledger(folder: Path) -> list[dict[str, object]]:
    """`soc collect status --json`; the equation must hold whenever one looks."""
    words = [sys.executable, str(ROOT / "cli.py"), "collect", "status", "--json"]
    done = subprocess.run(words, cwd=folder, capture_output=True, check=True)
    sources: list[dict[str, object]] = json.loads(done.stdout)["sources"]
    for s in sources:
        assert s["received"] == s["stored"] + sum(s["rejected"].values()) + s["duplicates"] + s["spooled"], s  # type: ignore[operator, attr-defined]
    return sources


def stored(folder: Path) -> tuple[Counter[str], list[str], dict[str, bool]]:
    """Keys in the store, what `verify` finds, and whether each stream's order is the order of its numbers."""
    sys.path.insert(0, str(ROOT))
    from store import open_store

    store = open_store(f"file:{folder / 'data'}", {})
    found: Counter[str] = Counter()
    places: list[tuple[str, int, str]] = []
    for chunk in store.events.chunks():
        table = chunk.table(names=["event.original", "thapcanh.stream", "thapcanh.position"])
        for raw, stream, position in zip(*(table[name].to_pylist() for name in table.column_names), strict=True):
            keys = re.findall(rb"SEQ=(\w+:\d+)", raw)
            found.update(key.decode() for key in keys)
            places.append((stream, position, keys[0].decode() if keys else ""))
    problems = list(store.events.verify())
    store.close()
    return found, problems, _ordered(places)


def _ordered(places: list[tuple[str, int, str]]) -> dict[str, bool]:
    out: dict[str, bool] = {}
    last: dict[tuple[str, str], int] = {}
    for stream, _, key in sorted(places):
        name, _, number = key.partition(":")
        out.setdefault(stream, True)
        if number and last.get((stream, name), -1) > int(number):
            out[stream] = False
        last[stream, name] = int(number or -1)
    return out


def run(folder: Path, kills: int, seed: int = 1, longest: float = 3.0) -> dict[str, object]:
    """The whole scenario; what was lost, doubled and wrong."""
    (folder / "logs").mkdir(parents=True)
    port = free_port()
    (folder / "soc.toml").write_text(
        '[store]\nurl = "file:data"\n[[source]]\nid = "app"\ntype = "file"\npath = "logs/app.log*"\n'
        f'[[source]]\nid = "net"\ntype = "syslog"\nlisten = "tcp://[::]:{port}"\n',
        encoding="utf-8",
    )
    feed, chance = Feed(), random.Random(seed)  # noqa: S311  repeatable
    threads = [threading.Thread(target=write_files, args=(folder / "logs", feed, seed))]
    threads += [threading.Thread(target=send_tcp, args=(port, name, feed, seed)) for name in ("a", "b")]
    for thread in threads:
        thread.start()
    try:
        for number in range(kills):
            fault = POINTS[number // 2 % len(POINTS)] if number % 2 else ""
            process = start(folder, fault)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(1.0 + chance.random() * longest)
            kill(process)
            if number % 5 == 0:
                ledger(folder)
    finally:
        feed.stop.set()
        for thread in threads:
            thread.join()
    return _judged(folder, feed)


def _judged(folder: Path, feed: Feed) -> dict[str, object]:
    process = start(folder)
    deadline, before = time.monotonic() + 120, None
    while time.monotonic() < deadline and (before is None or any(s["spooled"] for s in before) or ledger(folder) != before):
        before = ledger(folder)
        time.sleep(2)
    process.send_signal(signal.SIGTERM)
    code = process.wait(60)
    found, problems, order = stored(folder)
    return {
        "given": len(feed.certain), "in_flight": len(feed.flying - set(feed.certain)), "stored": sum(found.values()),
        "lost": sorted(key for key in feed.certain if not found[key])[:20],
        "doubled": sorted(key for key, n in found.items() if n > 1)[:20],
        "strange": sorted(key for key in found if key not in feed.certain and key not in feed.flying)[:20],
        "disorder": [stream for stream, well in order.items() if not well], "verify": problems, "exit": code,
    }  # fmt: skip


def main() -> int:
    """Exit 1 when anything was lost, doubled or wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = run(Path(folder) / "k", options.kills, options.seed)
        bad = [name for name in ("lost", "doubled", "strange", "disorder", "verify", "exit") if result[name]]
        print(json.dumps(result, indent=1))
        print((Path(folder) / "k" / "run.log").read_text(errors="replace")[-3000:] if bad else "")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
