"""`python -m benchmarks.cluster`: the cluster engine against a real node on this machine (started from packages, ended afterwards).

Bulk is compared, in turns, with the simplest client there is: documents that lie ready as dicts, dumped by orjson, joined by hand,
sent by two threads. Public data is used where it is at hand (SOC_TEST_DATA), else records of our own generator.
"""

from __future__ import annotations

import argparse
import http.client
import lzma
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import numpy as np
import orjson
import pyarrow as pa

from store import open_store
from store.base import Delivery
from store.opensearch import mapping
from store.opensearch.client import connect
from store.opensearch.documents import blocks
from store.rows import by_day, prepare

ROOT: Final = Path(__file__).resolve().parents[1]
DATA: Final = Path(os.environ.get("SOC_TEST_DATA") or ROOT.parent / "shared" / "data")
ROWS: Final = 40_000
BODY: Final = 5 << 20
LINE: Final = (
    '10.{}.{}.{} - - [{:%d/%b/%Y:%H:%M:%S +0000}] "GET /tra-cuu/{}?id={} HTTP/1.1" {} {} "-"'
    ' "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/{}"\n'
)


def main() -> None:
    """Print the table."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--runs", type=int, default=5)
    words.add_argument("--full", action="store_true", help="also two million documents, with the memory of the client")
    options = words.parse_args()
    sys.path.insert(0, str(ROOT))
    from tests.servers import opensearch

    with opensearch.start(nodes=1, name="bench", fast=False, heap="1g") as cluster, tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        for name, table in samples(work):
            bulk(cluster.url, name, table, options.runs)
        commands(cluster.url, work, options.runs)
        if options.full:
            memory(cluster.url)


def samples(work: Path) -> Iterator[tuple[str, pa.Table]]:
    """(name, events as a collector delivers them)."""
    lines = work / "access.log"
    start = datetime(2026, 11, 24, tzinfo=UTC)
    with lines.open("w", encoding="utf-8") as out:
        for n in range(ROWS):
            at = start + timedelta(milliseconds=50 * n)
            out.write(LINE.format(n % 7, n % 251, n % 89, at, n % 9973, n, (200, 200, 304, 404)[n % 4], n % 40_000, n % 30 + 100))
    yield "access log (20 fields)", collected(work, lines)
    windows = DATA / "sigma" / "windows-dev.ndjson.xz"
    if windows.exists():
        with lzma.open(windows) as source, (work / "windows.ndjson").open("wb") as out:
            for _ in range(ROWS // 2):
                out.write(source.readline())
        yield "Windows events (real)", collected(work, work / "windows.ndjson")


def collected(work: Path, path: Path) -> pa.Table:
    """Events of a file, through the embedded engine."""
    data = work / f"data-{path.stem}"
    soc("--data", str(data), "collect", "once", "--path", str(path))
    store = open_store(f"file:{data}")
    table = prepare([pa.concat_tables([c.table() for c in store.events.scan(0)], promote_options="default")])
    store.close()
    return table


def bulk(url: str, name: str, table: pa.Table, runs: int) -> None:
    """Ours and the hand-joined loop, in turns, into indices of the same days."""
    documents = list(_documents(table))
    ours: list[float] = []
    hand: list[float] = []
    for run in range(runs + 1):
        a, b = table.num_rows / _ours(url, table, run), table.num_rows / _hand(url, documents, run)
        if run:  # the first one warms the server up
            ours.append(a)
            hand.append(b)
    mine, theirs = statistics.median(ours), statistics.median(hand)
    ratio = statistics.median(a / b for a, b in zip(ours, hand, strict=True))
    print(f"bulk, {name}: {mine:,.0f} events/s; by hand {theirs:,.0f}; ratio {ratio:.2f} (bar 0.85), {runs} runs")


def _documents(table: pa.Table) -> Iterator[tuple[int, list[tuple[dict[str, Any], dict[str, Any]]]]]:
    """(day, its actions and documents)."""
    for day, rows in by_day(table):
        lines = [line for b in blocks(rows, "hand", np.arange(rows.num_rows)) for line in b.body.split(b"\n") if line]
        yield day, [(orjson.loads(a), orjson.loads(d)) for a, d in zip(lines[::2], lines[1::2], strict=True)]


def _ours(url: str, table: pa.Table, run: int) -> float:
    store = open_store(url, {"index_prefix": f"ours{run}"})
    store.events.append(Delivery({"first": [table.slice(0, 1)]}))  # template and log are made once in the life of a store
    start = time.perf_counter()
    store.events.append(Delivery({"bench": [table]}))
    seconds = time.perf_counter() - start
    store.close()
    _drop(url, f"ours{run}")
    return seconds


def _hand(url: str, documents: Sequence[tuple[int, list[tuple[dict[str, Any], dict[str, Any]]]]], run: int) -> float:
    cluster = connect(url)
    mapping.install(cluster, f"hand{run}", {})
    local = threading.local()

    def send(job: tuple[int, bytes]) -> None:
        if not hasattr(local, "connection"):
            local.connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
        path = f"/hand{run}-events-bench-{job[0]}/_bulk?filter_path=errors"
        local.connection.request("POST", path, job[1], {"content-type": "application/x-ndjson"})
        assert orjson.loads(local.connection.getresponse().read()) == {"errors": False}

    start = time.perf_counter()
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(send, _bodies(documents)))
    seconds = time.perf_counter() - start
    cluster.close()
    _drop(url, f"hand{run}")
    return seconds


def _bodies(documents: Sequence[tuple[int, list[tuple[dict[str, Any], dict[str, Any]]]]]) -> Iterator[tuple[int, bytes]]:
    for day, pairs in documents:
        body = bytearray()
        for action, document in pairs:
            body += orjson.dumps(action) + b"\n" + orjson.dumps(document) + b"\n"
            if len(body) > BODY:
                yield day, bytes(body)
                body = bytearray()
        if body:
            yield day, bytes(body)


def _drop(url: str, prefix: str) -> None:
    cluster = connect(url)
    found = cluster.call("GET", f"/{prefix}-*/_settings/index.uuid", missing=True) or {}
    for index in found:
        cluster.call("DELETE", f"/{index}", missing=True)
    cluster.call("DELETE", f"/_index_template/{prefix}-events", missing=True)
    cluster.close()


def commands(url: str, work: Path, runs: int) -> None:
    """Whole processes: scans with all public rules at hand, and a list of alerts."""
    home = work / "home"
    home.mkdir()
    (home / "soc.toml").write_text(f'[store]\nurl = "{url}"\nindex_prefix = "cmd"\n[content]\npaths = []\n', encoding="utf-8")
    public = DATA / "sigma" / "sigmahq-rules.tar.xz"
    config = ("--config", str(home / "soc.toml"))
    if public.exists():
        soc(*config, "rules", "import", str(public))
    log = work / "windows.ndjson"
    lines = (log if log.exists() else work / "access.log").read_bytes().splitlines(keepends=True)
    soc(*config, "scan")
    new, idle, alerts = [], [], []
    for run in range(runs):
        part = work / f"part{run}{log.suffix}"
        part.write_bytes(b"".join(lines[run * 100 : run * 100 + 10_000]))
        soc(*config, "collect", "once", "--path", str(part))
        new.append(soc(*config, "scan"))
        idle.append(soc(*config, "scan"))
        alerts.append(soc(*config, "alerts", "list", "--limit", "20"))
    print(f"soc scan, 10,000 new events: {statistics.median(new):.2f} s (bar 10); nothing new: {statistics.median(idle):.2f} s (bar 1.5); "
          f"soc alerts list: {statistics.median(alerts):.2f} s (bar 0.5); {runs} runs")  # fmt: skip


def memory(url: str) -> None:
    """Two million documents in deliveries of 200,000: the peak after each."""
    store = open_store(url, {"index_prefix": "memory"})
    peaks = []
    start = time.perf_counter()
    for part in range(10):
        rows = 200_000
        table = pa.table({
            "event.id": pa.array([(part * rows + n).to_bytes(16, "big") for n in range(rows)], pa.binary(16)),
            "@timestamp": pa.array(np.arange(rows) + 1_795_500_000_000_000, pa.timestamp("us", "UTC")),
            "event.ingested": pa.array(np.full(rows, 1_795_500_000_000_000), pa.timestamp("us", "UTC")),
            "event.original": pa.array([f"record {n} of part {part} {'x' * 100}".encode() for n in range(rows)], pa.large_binary()),
            "thapcanh.source": pa.array(["memory"] * rows), "user.name": pa.array([f"user{n % 997}" for n in range(rows)]),
            "source.ip": pa.array([f"10.{n % 250}.{n // 250 % 250}.1" for n in range(rows)]),
        })  # fmt: skip
        store.events.append(Delivery({"bench": [table]}))
        peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
    seconds = time.perf_counter() - start
    told = " ".join(map(str, peaks))
    print(f"two million documents: {2_000_000 / seconds:,.0f} events/s with making them; peak after each 200,000: {told} MiB")
    store.close()
    _drop(url, "memory")


def soc(*arguments: str) -> float:
    """Wall seconds of one whole process."""
    start = time.perf_counter()
    done = subprocess.run([sys.executable, str(ROOT / "cli.py"), *arguments], capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):
        raise SystemExit(f"soc {' '.join(arguments)} ended with {done.returncode}: {done.stderr[-2000:]}")
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
