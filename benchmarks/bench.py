"""`make bench`: the figures of the product on this machine, medians over several runs, one core, ratios to a reference run beside them.

The reference is `orjson.loads` per line over the same file in the same run: machines differ and are noisy, ratios hold.
Public data is used where it is at hand (SOC_TEST_DATA); sample logs come from our own generator.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[1]
DATA: Final = Path(os.environ.get("SOC_TEST_DATA") or ROOT.parent / "shared" / "data")
FOLDERS: Final = ("rules/", "rules-threat-hunting/", "rules-emerging-threats/")


@dataclass(frozen=True)
class Figure:
    """One line of the table."""

    name: str
    value: float
    unit: str
    runs: int
    ratio: float | None = None
    """To orjson.loads per line of the same file in the same run (1.0 = as fast)."""
    note: str = ""


def soc(*arguments: str) -> tuple[float, float, float]:
    """Wall seconds, CPU seconds, peak memory in MB of one whole process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, str(ROOT / "cli.py"), *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - start
    if process.returncode not in (0, 1):
        raise SystemExit(f"soc {' '.join(arguments)} ended with {process.returncode}")
    del before
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def median(runs: int, measure: Callable[[], float]) -> float:
    """Median of so many runs."""
    return statistics.median(measure() for _ in range(runs))


def orjson_rate(path: Path) -> float:
    """Lines per second of orjson.loads alone."""
    import orjson

    lines = path.read_bytes().split(b"\n")[:-1]
    start = time.perf_counter()
    for line in lines:
        orjson.loads(line)
    return len(lines) / (time.perf_counter() - start)


class Bench:
    """The measurements, each a method that yields figures."""

    def __init__(self, work: Path, runs: int, cores: int, *, full: bool) -> None:
        self.work, self.runs, self.cores, self.full = work, runs, cores, full

    def start(self) -> list[Figure]:
        """`soc --help`."""
        return [Figure("soc --help", median(self.runs, lambda: soc("--help")[0]), "s", self.runs, note="bar <= 0.25")]

    def sigma(self) -> list[Figure]:
        """The Sigma engine (benchmarks.sigma)."""
        from benchmarks.sigma import Sigma

        return list(Sigma(self, self.cores).all())

    def scan(self) -> list[Figure]:
        """A scan with nothing new, rules cached (the public set when it is at hand)."""
        store = self.work / "idle"
        logs = self._logs()
        soc("--data", str(store), "-q", "collect", "once", "--path", str(logs / "web-dvc"))
        if DATA.is_dir():
            soc("--data", str(store), "-q", "rules", "import", str(DATA / "sigma/sigmahq-rules.tar.xz"))
        soc("--data", str(store), "-q", "scan")
        return [
            Figure(
                "scan with nothing new",
                median(self.runs, lambda: soc("--data", str(store), "-q", "scan")[0]),
                "s",
                self.runs,
                note="bar <= 1",
            )
        ]

    def parse(self) -> list[Figure]:
        """Parse and write to Parquet, inner; the whole `collect once` beside it."""
        out = []
        for name, folder, parser, bar in (
            ("nginx", "web-dvc", "nginx", "300,000"), ("FortiGate", "fw-thdl", "fortigate", "80,000"),
            ("Suricata EVE", "ids-thdl", "suricata", "250,000"),
        ):  # fmt: skip
            lines = self._lines(folder, 200_000)
            path = self.work / f"{parser}.log"
            path.write_bytes(b"\n".join(lines) + b"\n")
            inner = median(self.runs, lambda p=parser, f=lines: _parse_and_write(f, p, self.work))  # type: ignore[misc]
            ratio = inner / orjson_rate(path) if parser == "suricata" else None
            out.append(Figure(f"{name}: parse and write", inner, "lines/s", self.runs, ratio, f"bar >= {bar}"))
            out.append(self._collect(name, parser, path, len(lines)))
        return out

    def _collect(self, name: str, parser: str, path: Path, lines: int) -> Figure:
        def run() -> float:
            store = self.work / f"once-{parser}"
            shutil.rmtree(store, ignore_errors=True)
            return lines / soc("--data", str(store), "-q", "collect", "once", "--path", str(path), "--parser", parser)[0]

        rate = median(min(self.runs, 3), run)
        size = sum(f.stat().st_size for f in (self.work / f"once-{parser}" / "events").rglob("*.parquet"))
        return Figure(
            f"{name}: collect once, whole process", rate, "lines/s", min(self.runs, 3), note=f"{size / lines:.0f} B per stored event"
        )

    def search(self) -> list[Figure]:
        """`soc search source.ip:X` over 10 M events (`--full`), else 1 M."""
        total = 10_000_000 if self.full else 1_000_000
        store = self.work / "big"
        _fill(store, total)
        address = "203.0.113.77"
        wall = median(self.runs, lambda: soc("--data", str(store), "-q", "search", f"source.ip:{address}", "--limit", "20")[0])
        return [Figure(f"search source.ip over {total:,} events", wall, "s", self.runs, note="bar <= 2 for 10 M")]

    def windows(self) -> Path:
        import lzma

        path = self.work / "windows.ndjson"
        if not path.exists():
            path.write_bytes(lzma.decompress((DATA / "sigma/windows-dev.ndjson.xz").read_bytes()))
        return path

    def rules(self) -> Path:
        from jobs.rulesets import unpack

        folder = self.work / "rules"
        if not folder.exists():
            for name, content in unpack(DATA / "sigma/sigmahq-rules.tar.xz"):
                if name.startswith(FOLDERS) and b"product: windows" in content:
                    (folder / name).parent.mkdir(parents=True, exist_ok=True)
                    (folder / name).write_bytes(content)
        return folder

    def every_rule(self) -> Path:
        """The whole public set."""
        from jobs.rulesets import unpack

        folder = self.work / "every"
        for name, content in unpack(DATA / "sigma/sigmahq-rules.tar.xz"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        return folder

    def count(self, store: Path) -> int:
        """Events of a store."""
        from store import open_store

        opened = open_store(f"file:{store}", {})
        head = opened.events.head()
        opened.close()
        return head

    def _logs(self) -> Path:
        folder = self.work / "drill"
        if not folder.exists():
            soc("-q", "drill", "generate", str(folder), "--events", "200000")
        return folder / "logs"

    def _lines(self, folder: str, count: int) -> list[bytes]:
        files = [f for f in sorted((self._logs() / folder).iterdir()) if "error" not in f.name]
        found = [line for f in files for line in f.read_bytes().split(b"\n") if line]
        return (found * (count // len(found) + 1))[:count]


def _parse_and_write(lines: Sequence[bytes], parser: str, work: Path) -> float:
    """Lines per second, from raw bytes in memory to a closed Parquet file."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    from collectors.detect import parse
    from domain.raw import Checkpoint, RawBatch

    records = pa.array(lines, pa.large_binary())
    start = time.perf_counter()
    for at in range(0, len(lines), 100_000):
        part = records.slice(at, 100_000)
        size = len(part)
        batch = RawBatch(
            "b",
            "s",
            part,
            np.arange(size, dtype=np.int64),
            np.full(size, 1_794_700_800_000_000, np.int64),
            Checkpoint("b", "s", 0),
            parser=parser,
        )
        table = parse(batch)[0].table
        pq.write_table(table, work / "part.parquet", compression="zstd")
    return len(lines) / (time.perf_counter() - start)


def _fill(store: Path, total: int) -> None:
    """A store of so many web events, many addresses, written through the contract."""
    import numpy as np
    import pyarrow as pa

    from store import open_store
    from store.base import Counts, Delivery

    if store.exists():
        return
    opened = open_store(f"file:{store}", {})
    random = np.random.default_rng(1)
    size = 100_000
    names = pa.array([f"10.{a}.{b}.{c}" for a in range(8) for b in range(250) for c in range(5)] + ["203.0.113.77"])
    for part in range(total // size):
        micros = 1_793_000_000_000_000 + part * 120_000_000 + np.sort(random.integers(0, 120_000_000, size))
        codes = random.integers(0, len(names) - 1, size)
        codes[size // 2] = len(names) - 1 if part % 10 == 0 else codes[size // 2]
        table = pa.table({
            "event.id": pa.array([(part * size + i).to_bytes(16, "big") for i in range(size)], pa.binary(16)),
            "@timestamp": pa.array(micros, pa.int64()).cast(pa.timestamp("us")).cast(pa.timestamp("us", "UTC")),
            "event.ingested": pa.array(micros, pa.int64()).cast(pa.timestamp("us")).cast(pa.timestamp("us", "UTC")),
            "event.original": pa.array([b"GET / HTTP/1.1"] * size, pa.large_binary()),
            "event.dataset": pa.DictionaryArray.from_arrays(pa.array(np.zeros(size, np.int32)), pa.array(["nginx.access"])),
            "source.ip": pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), names),
            "http.response.status_code": pa.array(random.choice([200, 304, 404], size), pa.int64()),
        })  # fmt: skip
        opened.events.append(Delivery({"nginx": [table]}, counts=[Counts("fill", received=size, stored=size)]))
    opened.close()


def show(figures: Sequence[Figure]) -> None:
    """The table, and JSON for machines on the last line."""
    for figure in figures:
        ratio = f"{figure.ratio:.2f} x orjson" if figure.ratio is not None else ""
        number = f"{figure.value:,.0f}" if figure.value >= 100 else f"{figure.value:.3f}"
        print(f"{figure.name:48} {number:>12} {figure.unit:9} {ratio:>14}  {figure.note}")
    rows: list[dict[str, Any]] = [vars(f) for f in figures]
    print(json.dumps(rows))


def main() -> None:
    """Run the chosen measurements."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("only", nargs="*", help="start sigma scan parse search (default: all)")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--full", action="store_true", help="also what takes minutes: 10 M events")
    options = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory(prefix="soc-bench-") as folder:
        bench = Bench(Path(folder), options.runs, cores, full=options.full)
        chosen = options.only or ["start", "sigma", "scan", "parse", "search"]
        if "sigma" in chosen and not DATA.is_dir():
            print(f"sigma is left out: no public data at {DATA} (SOC_TEST_DATA)")
            chosen.remove("sigma")
        show([figure for name in chosen for figure in getattr(bench, name)()])


if __name__ == "__main__":
    main()
