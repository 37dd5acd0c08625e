"""Sigma over files: read, parse, match, on all cores. No store."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson
import pyarrow as pa

from collectors import whole
from collectors.detect import Parsed, parse
from detectors.sigma import correlate, second
from detectors.sigma.ruleset import RuleSet
from domain.errors import UsageError
from domain.event import row as event_row
from domain.raw import RawBatch
from jobs.hunt_batch import HuntBatch

_ALWAYS: Final = frozenset({"event.kind"})
_OF_HITS: Final = frozenset({"@timestamp", "host.name"})
"""Fields that only hits need: their few records are parsed once more for them."""
_SMALL: Final = 16 << 20
"""Bytes of input below which one process does the work."""


@dataclass(frozen=True)
class FileHit:
    """One rule on one record."""

    rule: int
    """Position in RuleSet.rules."""
    source: str
    record: int
    at: datetime | None
    host: str
    raw: bytes
    event: dict[str, object] | None = None
    """Parsed fields, where the raw record is no JSON."""

    def original(self) -> dict[str, Any]:
        """Original names and values."""
        if self.event is None:
            found = orjson.loads(self.raw)
            return found if isinstance(found, dict) else {"value": found}
        return {**self.event, "event.original": self.raw.decode("utf-8", "replace")}


@dataclass
class Step:
    """What one batch brought."""

    events: int = 0
    unparsed: int = 0
    hits: list[FileHit] = field(default_factory=list)
    bases: list[tuple[int, correlate.Hit]] = field(default_factory=list)
    """(correlation, hit) for the second pass."""
    seconds_parse: float = 0
    seconds_match: float = 0


@dataclass
class Hunt:
    """The whole result, filled while hits stream out."""

    events: int = 0
    unparsed: int = 0
    files: int = 0
    bytes_read: int = 0
    """Bytes of records handed to the matcher so far."""
    seconds_read: float = 0
    seconds_match: float = 0
    problems: list[whole.Problem] = field(default_factory=list)
    bases: dict[int, list[correlate.Hit]] = field(default_factory=dict)


class Hunter:
    """One rule set over batches; lives in each worker process."""

    def __init__(self, rules: RuleSet) -> None:
        self.rules = rules
        self.correlations = second.readable(rules)
        self.wanted = rules.fields | _ALWAYS | {f for c in self.correlations for r in c.rules for f in c.fields(r) if f}
        self._users = second.users(rules, self.correlations)

    def step(self, batch: RawBatch) -> Step:
        """Parse and match one batch."""
        start = time.perf_counter()
        groups = parse(batch, self.wanted - {"*"})
        parsed = time.perf_counter()
        out = Step(seconds_parse=parsed - start)
        for group in groups:
            self._match(batch, group, out)
        out.hits.sort(key=lambda h: (h.record, self.rules.rules[h.rule].ref.id))
        out.seconds_match = time.perf_counter() - parsed
        return out

    def _match(self, batch: RawBatch, group: Parsed, out: Step) -> None:
        out.events += group.table.num_rows
        if group.parser == "plain" or "error.message" in group.table.column_names:
            kinds = group.table["event.kind"].combine_chunks() if "event.kind" in group.table.column_names else pa.array([])
            out.unparsed += sum(1 for k in kinds.to_pylist() if k == "pipeline_error")
        events = HuntBatch(batch, group)
        found = [(int(str(key)), rows) for key, rows in self.rules.matcher.run(events)]
        if not found:
            return
        hit = np.unique(np.concatenate([rows for _, rows in found]))
        full = events.whole(hit, None if group.parser == "plain" or not _is_json(batch, group) else _OF_HITS)
        for number, rows in found:
            places = np.searchsorted(hit, rows)
            if number in self._users:
                self._collect(number, batch, group, full, rows, places, out)
            if not self.rules.rules[number].quiet:
                out.hits += [self._hit(number, batch, group, full, int(r), int(p)) for r, p in zip(rows, places, strict=True)]

    def _hit(self, number: int, batch: RawBatch, group: Parsed, full: pa.Table, row: int, place: int) -> FileHit:
        record = int(group.rows[row])
        at = full["@timestamp"][place].as_py() if "@timestamp" in full.column_names else None
        host = full["host.name"][place].as_py() if "host.name" in full.column_names else None
        raw = batch.records[record].as_py()
        event = None if raw[:1] == b"{" and group.parser != "plain" else event_row(full, place)
        return FileHit(number, batch.source, int(batch.positions[record]), at, host or "", raw, event)

    def _collect(  # noqa: PLR0913, PLR0917
        self, number: int, batch: RawBatch, group: Parsed, full: pa.Table,
        rows: np.ndarray[Any, Any], places: np.ndarray[Any, Any], out: Step,
    ) -> None:  # fmt: skip
        events = HuntBatch(batch, group)
        rule = self.rules.rules[number]
        stamps = full["@timestamp"].take(pa.array(places)).to_pylist() if "@timestamp" in full.column_names else []
        for index, name in self._users[number]:
            correlation = self.correlations[index]
            names = second.mapped_fields(correlation, name, rule.source)
            *groups, values = [correlate.texts(events, f, rows) if f else [None] * len(rows) for f in names]
            for place, row in enumerate(rows.tolist()):
                key = [column[place] for column in groups]
                if stamps and stamps[place] and all(k is not None for k in key):
                    position = int(batch.positions[group.rows[row]])
                    label = f"{batch.source}\0{position}"
                    hit = correlate.Hit(stamps[place].timestamp(), position, name, tuple(map(str, key)), values[place], label)
                    out.bases.append((index, hit))


def _is_json(batch: RawBatch, group: Parsed) -> bool:
    """Whether hits show the raw record as it is."""
    return bool(batch.records[int(group.rows[0])].as_py()[:1] == b"{")


def hunt(
    paths: Sequence[str], rules: RuleSet, result: Hunt, parser: str = "auto", workers: int = 0, tick: Callable[[float], None] | None = None
) -> Iterator[FileHit]:  # fmt: skip
    """Hits of all files, in input order, while they are found; totals go to `result`. `tick` is told the bytes done."""
    hunter = Hunter(rules)
    batches = _batches([Path(p) for p in paths], result, parser)
    for step in _steps(hunter, batches, workers or _workers(paths)):
        result.events += step.events
        result.unparsed += step.unparsed
        result.seconds_read += step.seconds_parse
        result.seconds_match += step.seconds_match
        for index, hit in step.bases:
            result.bases.setdefault(index, []).append(hit)
        if tick is not None:
            tick(result.bytes_read)
        yield from step.hits


def episodes(rules: RuleSet, result: Hunt) -> Iterator[tuple[correlate.Correlation, correlate.Episode]]:
    """The second pass: one item per episode. Correlations see the firings of those that they name."""
    found: list[tuple[correlate.Correlation, list[correlate.Episode]]] = []
    for index, correlation in enumerate(second.readable(rules)):
        passed = [h for child, its in found for h in correlate.passed_on(child, its, correlation)]
        found.append((correlation, correlate.episodes(correlation, [*result.bases.get(index, ()), *passed])))
    for correlation, its in found:
        for episode in its:
            yield correlation, episode


def _batches(paths: Sequence[Path], result: Hunt, parser: str) -> Iterator[RawBatch]:
    for path in paths:
        if not path.exists():
            raise UsageError(f"no such file or folder: {path}")
        for file, label in whole.files(path):
            result.files += 1
            arrival = int(file.stat().st_mtime * 1_000_000)
            start = time.perf_counter()
            for batch in whole.batches(file, label, arrival, result.problems.append, parser):
                result.seconds_read += time.perf_counter() - start
                result.bytes_read += batch.records.nbytes
                yield batch
                start = time.perf_counter()


def size_of(paths: Sequence[str]) -> int:
    """Bytes of all files, as they lie on disk."""
    return sum(f.stat().st_size for p in paths if Path(p).exists() for f, _ in whole.files(Path(p)))


def _workers(paths: Sequence[str]) -> int:
    size = size_of(paths)
    return 1 if size < _SMALL else len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_HUNTER: Hunter | None = None


def _work(batch: RawBatch) -> Step:
    assert _HUNTER is not None  # noqa: S101  set before the fork
    return _HUNTER.step(batch)


def _steps(hunter: Hunter, batches: Iterator[RawBatch], workers: int) -> Iterator[Step]:
    """Steps in order; with several workers at most two batches each are under way, so memory is bounded."""
    if workers < 2 or "fork" not in multiprocessing.get_all_start_methods():
        yield from map(hunter.step, batches)
        return
    global _HUNTER  # noqa: PLW0603  inherited by the forked workers
    _HUNTER = hunter
    pa.set_cpu_count(1)
    pending: deque[Future[Step]] = deque()
    with ProcessPoolExecutor(workers, multiprocessing.get_context("fork")) as pool:
        for batch in batches:
            pending.append(pool.submit(_work, batch))
            if len(pending) > 2 * workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def stats(rules: RuleSet, result: Hunt, total: float, load: float) -> dict[str, Any]:
    """The `--stats` document."""
    return {
        "events": result.events,
        "unparsed": result.unparsed,
        "files": result.files,
        "seconds_total": round(total, 4),
        "seconds_load_rules": round(load, 4),
        "seconds_read": round(result.seconds_read, 4),
        "seconds_match": round(result.seconds_match, 4),
        "events_per_second": round(result.events / max(total - load, 1e-9), 1),
        "rules": {
            "loaded": len(rules.rules) + len(rules.correlations),
            "blind": [{"id": b.id, "reason": b.reason} for b in rules.blind],
            "error": [{"file": b.file, "line": b.line, "reason": b.reason} for b in rules.broken],
        },
        "problems": [{"source": p.source, "reason": p.reason} for p in result.problems],
    }


def hit_line(rules: RuleSet, hit: FileHit) -> dict[str, Any]:
    """One line of the hits format."""
    ref = rules.rules[hit.rule].ref
    return {
        "rule": {"id": ref.id, "title": ref.title, "level": ref.level, "tags": list(ref.tags)},
        "source": hit.source,
        "record": hit.record,
        "@timestamp": _iso(hit.at),
        "event": hit.original(),
    }


def episode_line(correlation: correlate.Correlation, episode: correlate.Episode) -> dict[str, Any]:
    """One line of the hits format for a correlation."""
    ref = correlation.ref
    labels = [h.event.split("\0") for h in episode.events]
    return {
        "rule": {"id": ref.id, "title": ref.title, "level": ref.level, "tags": list(ref.tags)},
        "events": [{"source": source, "record": int(record)} for source, record in labels],
        "group": dict(zip(correlation.group_by, episode.group, strict=True)),
        "window": [_iso(datetime.fromtimestamp(episode.start, UTC)), _iso(datetime.fromtimestamp(episode.last, UTC))],
    }


def _iso(at: datetime | None) -> str | None:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z") if at else None
