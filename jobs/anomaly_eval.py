"""`soc anomaly eval`: the models over labelled public data, through a scratch store, as they run every day."""

from __future__ import annotations

import csv
import gzip
import lzma
import tarfile
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson
import pyarrow as pa

from domain.alert import Finding
from domain.errors import UsageError
from domain.raw import Checkpoint, RawBatch

HOUR: Final = timedelta(hours=1)
MANY: Final = 10
"""Failures from which a source must be found."""


@dataclass(frozen=True)
class Score:
    """How a suite went."""

    suite: str
    metrics: Mapping[str, float]
    false_alarms_per_day: float | None
    """Per host and day; None where the data has no labels."""
    cost_us_per_item: float
    model: str


def evaluate(suite: str, data: Path) -> Score:
    """Run one suite. UsageError when it is unknown or its data is not there."""
    if suite not in SUITES:
        raise UsageError(f"no such suite: {suite[:40]}", hint=" | ".join(SUITES))
    folder = data / FOLDERS[suite] if (data / FOLDERS[suite]).is_dir() else data
    return SUITES[suite](folder)


def _file(folder: Path, name: str) -> Path:
    path = folder / name
    if not path.is_file():
        raise UsageError(f"the suite needs the file {name}", where=str(folder), hint="--data: the folder that holds it")
    return path


def _login(folder: Path) -> Score:
    """Real SSH log without labels: which sources with many failures are found, how much is said a day."""
    with gzip.open(_file(folder, "lines.jsonl.gz"), "rt", encoding="utf-8") as lines:
        tables = _parsed([orjson.loads(line)["line"].encode() for line in lines])
    failures: defaultdict[str, list[float]] = defaultdict(list)
    moments: list[datetime] = []
    for row in (r for table in tables for r in table.to_pylist()):
        moments.append(row["@timestamp"])
        if row.get("event.outcome") == "failure" and "authentication" in (row.get("event.category") or "") and row.get("source.ip"):
            failures[row["source.ip"]].append(row["@timestamp"].timestamp())
    findings, seconds, events = _run("login_burst", tables)
    named = {e.value for f in findings for e in f.entities if e.type == "ip"}
    many = {s for s, at in failures.items() if len(at) >= MANY}
    quick = {s for s, at in failures.items() if _most_in(at, 600) >= MANY}
    days = (max(moments) - min(moments)) / timedelta(days=1)
    metrics = {
        "sources": len(failures), "many": len(many), "many_found": len(many & named), "quick": len(quick),
        "quick_found": len(quick & named),
        "found_below_many": len(named - many), "findings_per_day": len(findings) / days,
    }  # fmt: skip
    return Score("login", metrics, None, seconds / events * 1e6, "login_burst")


def _most_in(moments: Sequence[float], span: float) -> int:
    at = np.unique(np.floor(np.array(moments)))
    return int((np.arange(len(at)) - np.searchsorted(at, at - span, side="right") + 1).max())


def _parsed(lines: Sequence[bytes]) -> list[pa.Table]:
    """Lines as the collector would store them."""
    from collectors.detect import complete, parse

    positions = np.arange(len(lines), dtype=np.int64)
    arrived = datetime(2026, 4, 21, tzinfo=UTC)
    arrivals = np.full(len(lines), int(arrived.timestamp() * 1e6), np.int64)
    batch = RawBatch("ssh", "1", pa.array(lines, pa.large_binary()), positions, arrivals, Checkpoint("ssh", "1", len(lines)), tz="+00:00")
    return [complete(batch, part, arrived) for part in parse(batch)]


def _volume(folder: Path) -> Score:
    """Alert counts of four test beds by host: attack steps found, false alarms for each host and day."""
    steps = found = hosts_days = false = 0.0
    seconds, events, scenarios, hit = 0.0, 0, 0, 0
    with tarfile.open(fileobj=lzma.open(_file(folder, "alerts_dev.tar.xz"))) as archive:
        for member in archive:
            stream = archive.extractfile(member)
            if stream is None:
                continue
            tables, labels, days = _scenario(Path(member.name).stem, stream)
            findings, took, rows = _run("volume", tables)
            caught = {name for name, spans in labels.items() if any(_overlaps(f, spans) for f in findings)}
            every = [span for spans in labels.values() for span in spans]
            false += sum(not _overlaps(f, every) for f in findings)
            steps, found, hosts_days = steps + len(labels), found + len(caught), hosts_days + days
            scenarios, hit, seconds, events = scenarios + 1, hit + bool(caught), seconds + took, events + rows
    metrics = {"scenarios": scenarios, "scenarios_found": hit, "steps": steps, "steps_found": found, "host_days": hosts_days}
    return Score("volume", metrics, false / hosts_days, seconds / events * 1e6, "volume")


def _scenario(name: str, stream: Any) -> tuple[list[pa.Table], dict[str, list[tuple[datetime, datetime]]], float]:
    """Events (source = the scenario, host), spans of each attack step by hour, host-days."""
    times: list[int] = []
    hosts: list[str] = []
    labels: defaultdict[str, set[int]] = defaultdict(set)
    for row in csv.DictReader(_text(stream)):
        moment = int(row["time"])
        times.append(moment)
        hosts.append(row["host"])
        if row["time_label"] not in ("false_positive", "", "-"):
            labels[row["time_label"]].add(moment // 3600)
    spans = {step: [(_hour(h), _hour(h) + HOUR) for h in hours] for step, hours in labels.items()}
    count = len(times)
    stamps = pa.array(np.array(times) * 1_000_000, pa.timestamp("us", "UTC"))
    ids = pa.array([n.to_bytes(16, "big") for n in range(count)], pa.binary(16))
    table = pa.table({
        "@timestamp": stamps, "event.id": ids, "event.ingested": stamps, "event.original": pa.array([b""] * count, pa.large_binary()),
        "thapcanh.source": pa.array([name] * count), "host.name": pa.array(hosts),
    })  # fmt: skip
    return [table.sort_by("@timestamp")], spans, len(set(hosts)) * (max(times) - min(times)) / 86_400


def _text(stream: Any) -> Iterator[str]:
    for line in stream:
        yield line.decode("utf-8", "replace")


def _hour(number: int) -> datetime:
    return datetime.fromtimestamp(number * 3600, UTC)


def _overlaps(found: Finding, spans: Sequence[tuple[datetime, datetime]]) -> bool:
    """Within one hour of a step."""
    return any(found.first <= end + HOUR and found.last >= start - HOUR for start, end in spans)


def _run(name: str, tables: Sequence[pa.Table]) -> tuple[list[Finding], float, int]:
    """Findings of one model on these events in a scratch store, seconds of the scan, events."""
    from detectors.anomaly import MODELS
    from store import open_store
    from store.base import Delivery

    with tempfile.TemporaryDirectory(prefix="soc-eval-") as folder:
        store = open_store(f"file:{folder}", {})
        try:
            for part in tables:
                store.events.append(Delivery({"eval": [part]}))
            detector = MODELS[name][1]({})
            started = time.perf_counter()
            done = detector.scan(store.events.scan(0), {}, datetime.max.replace(tzinfo=UTC), store.events)
            return list(done.findings), time.perf_counter() - started, store.events.head()
        finally:
            store.close()


SUITES: Final[Mapping[str, Callable[[Path], Score]]] = {"login": _login, "volume": _volume}
"""Suite -> its run."""
FOLDERS: Final[Mapping[str, str]] = {"login": "ssh_elastic_auth", "volume": "ait_ads"}
"""Folder of a suite's data below `--data`."""
