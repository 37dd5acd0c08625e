"""Sigma over files: read, parse, match, on all cores. No store."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from collectors import whole
from collectors.detect import Parsed, parse
from detectors.sigma.correlate import Round
from detectors.sigma.gathered import Array, Gathered, Where
from detectors.sigma.ruleset import RuleSet
from detectors.sigma.second import Second
from domain.errors import UsageError
from domain.event import Rows
from domain.event import row as event_row
from domain.i18n import t
from domain.window import TimeWindow
from jobs import hunt_logs, hunt_seen, hunt_told
from jobs.hunt_batch import HuntBatch
from jobs.hunt_found import FileEpisode, FileHit
from jobs.hunt_tasks import Input, Lot, Task, tasks

_ALWAYS: Final = frozenset({"event.kind"})
_OF_HITS: Final = frozenset({"@timestamp", "host.name"})
"""Fields that only hits need: their few records are parsed once more for them."""
_SMALL: Final = 16 << 20
"""Bytes of input below which one process does the work."""


@dataclass
class Step:
    """What one batch brought."""

    sources: Counter[str] = field(default_factory=Counter)
    """File or archive member -> events."""
    events: int = 0
    unparsed: Counter[str] = field(default_factory=Counter)
    """File or archive member -> records that no parser understood."""
    hits: list[FileHit] = field(default_factory=list)
    bases: list[Gathered] = field(default_factory=list)
    """For the second pass."""
    seen: hunt_logs.Seen = field(default_factory=hunt_logs.Seen)
    """What the logs say of themselves."""
    outside: int = 0
    """Hits outside the period asked for."""
    seconds_parse: float = 0
    seconds_match: float = 0
    seconds_rules: float = 0
    """Of it for making plans of rules: once for each log source that turns up."""
    bytes: int = 0
    """Of the records."""
    disk: int = 0
    """Bytes on disk that are done with it."""
    problems: list[whole.Problem] = field(default_factory=list)


@dataclass
class Hunt:
    """The whole result, filled while hits stream out."""

    window: TimeWindow | None = None
    """Only hits of this period count (event time); those of records without a time always do."""
    events: int = 0
    unparsed: Counter[str] = field(default_factory=Counter)
    """File or archive member -> records that no parser understood."""
    files: int = 0
    bytes_read: int = 0
    """Bytes of records handed to the matcher so far."""
    bytes_done: float = 0
    """The same as bytes on disk: what a record takes there is learnt from the files of that kind that are done."""
    seconds_read: float = 0
    seconds_match: float = 0
    seconds_rules: float = 0
    problems: list[whole.Problem] = field(default_factory=list)
    bases: list[Gathered] = field(default_factory=list)
    """For the second pass."""
    records: hunt_logs.Records = field(default_factory=hunt_logs.Records)
    """What the logs say of themselves."""
    inputs: list[Input] = field(default_factory=list)
    """The files that were opened so far."""
    sources: Counter[str] = field(default_factory=Counter)
    """File or archive member -> events."""
    outside: int = 0
    """Hits outside `window`."""
    stopped: bool = False
    """Set from outside: the hunt ends after the records at hand."""
    found: list[FileEpisode] = field(default_factory=list)
    """Episodes, where something else than `episodes` finds them."""


class Hunter:
    """One rule set over batches; lives in each worker process."""

    def __init__(self, rules: RuleSet, window: TimeWindow | None = None) -> None:
        self.rules = rules
        self.window = window
        self.second = Second(rules)
        self._always = _ALWAYS | hunt_seen.FIELDS | self.second.fields
        self.wanted = (rules.fields | self._always) - {"*"}

    def step(self, lot: Lot) -> Step:
        """Parse and match some records."""
        made, start = self.rules.matcher.seconds_compiling, time.perf_counter()
        groups = parse(lot.batch, self.wanted, self._narrow)
        parsed, planned = time.perf_counter(), self.rules.matcher.seconds_compiling
        out = Step(seconds_parse=parsed - start - (planned - made), bytes=lot.batch.records.nbytes, disk=lot.disk)
        counts = np.bincount(lot.owners, minlength=len(lot.labels)).tolist()
        out.sources.update(dict(zip(lot.labels, counts, strict=True)))
        for group in groups:
            self._match(lot, group, out)
        out.seen = hunt_seen.observe(lot, groups)
        place = {label: number for number, label in enumerate(lot.labels)}
        out.hits.sort(key=lambda h: (place[h.source], h.record, self.rules.rules[h.rule].ref.id))
        out.seconds_rules = self.rules.matcher.seconds_compiling - made
        out.seconds_match = time.perf_counter() - parsed - (self.rules.matcher.seconds_compiling - planned)
        return out

    def _narrow(self, known: Mapping[str, str]) -> frozenset[str]:
        return self.rules.matcher.needs(known) | self._always

    def _match(self, lot: Lot, group: Parsed, out: Step) -> None:
        out.events += group.table.num_rows
        if group.parser == "plain" or "error.message" in group.table.column_names:
            kinds = group.table["event.kind"].combine_chunks() if "event.kind" in group.table.column_names else pa.array([])
            lost = [row for row, kind in enumerate(kinds.to_pylist()) if kind == "pipeline_error"]
            out.unparsed.update(lot.labels[owner] for owner in lot.owners[group.rows[lost]].tolist())
        batch = lot.batch
        events = HuntBatch(batch, group)
        found = [(int(str(key)), rows) for key, rows in self.rules.matcher.run(events)]
        if not found:
            return
        hit = np.unique(np.concatenate([rows for _, rows in found]))
        full = events.whole(hit, None if group.parser == "plain" or not _are_json(lot, group, hit) else _OF_HITS)
        inside = None if self.window is None else hunt_seen.inside(full, self.window)
        told = _told(lot, group, full, hit)
        for number, rows in found:
            places = np.searchsorted(hit, rows)
            if inside is not None:
                out.outside += int(np.count_nonzero(~inside[places]))
                rows, places = rows[inside[places]], places[inside[places]]
            if self.second.uses(number) and "@timestamp" in full.column_names:
                out.bases.append(self.second.gather(number, events, *_standing(lot, group, full, rows, places)))
            if not self.rules.rules[number].quiet:
                out.hits += [FileHit(number, *told[place]) for place in places.tolist()]


def _told(lot: Lot, group: Parsed, full: pa.Table, rows: Rows) -> list[tuple[Any, ...]]:
    """What is told of each row, whichever rule hits it: source, record, time, host, raw record, its fields if it is no JSON."""
    records = group.rows[rows]
    size = len(rows)
    times = full["@timestamp"].to_pylist() if "@timestamp" in full.column_names else [None] * size
    hosts = full["host.name"].to_pylist() if "host.name" in full.column_names else [None] * size
    raws = lot.batch.records.take(pa.array(records)).to_pylist()
    sources, positions = lot.owners[records].tolist(), lot.batch.positions[records].tolist()
    return [
        (lot.labels[sources[n]], positions[n], times[n], hosts[n] or "", raw,
         None if raw[:1] == b"{" and group.parser != "plain" else event_row(full, n))
        for n, raw in enumerate(raws)
    ]  # fmt: skip


def _standing(lot: Lot, group: Parsed, full: pa.Table, rows: Rows, places: Array) -> tuple[Rows, Where]:
    """Rows that have a time, and where they stand."""
    stamps = full["@timestamp"].take(pa.array(places)).combine_chunks()
    timed = np.flatnonzero(stamps.is_valid().to_numpy(zero_copy_only=False))
    rows, size = rows[timed], len(timed)
    at = stamps.take(pa.array(timed)).cast(pa.int64()).to_numpy(zero_copy_only=False)
    records = group.rows[rows]
    return rows, Where(
        at, list(lot.labels), lot.owners[records], lot.batch.positions[records], np.zeros(size, "V16"), np.zeros(size, np.bool_)
    )


def _are_json(lot: Lot, group: Parsed, rows: Rows) -> bool:
    """Whether hits show these raw records as they are."""
    return all(lot.batch.records[int(record)].as_py()[:1] == b"{" for record in group.rows[rows])


def hunt(
    paths: Sequence[str], rules: RuleSet, result: Hunt, parser: str = "auto", workers: int = 0, tick: Callable[[float], None] | None = None
) -> Iterator[FileHit]:  # fmt: skip
    """Hits of all files, in input order, while they are found; totals go to `result`. `tick` is told the bytes done."""
    hunter = Hunter(rules, result.window)
    workers = workers or _workers(paths)
    work = tasks(_inputs([Path(p) for p in paths], result), parser, result.problems.append, shared=workers > 1)
    for step in _steps(hunter, work, workers):
        _count(result, step)
        if tick is not None:
            tick(result.bytes_done)
        yield from step.hits
        if result.stopped:
            break
    for source, lost in result.unparsed.items():
        result.problems.append(whole.Problem(source, t("hunt.unparsed_of", n=lost, all=result.sources[source])))


def _count(result: Hunt, step: Step) -> None:
    result.events += step.events
    result.unparsed.update(step.unparsed)
    result.seconds_read += step.seconds_parse
    result.seconds_match += step.seconds_match
    result.seconds_rules += step.seconds_rules
    result.records.add(step.seen)
    result.sources.update(step.sources)
    result.bases += step.bases
    result.bytes_read += step.bytes
    result.bytes_done += step.disk
    result.problems += step.problems
    result.outside += step.outside


def episodes(rules: RuleSet, result: Hunt) -> Iterator[FileEpisode]:
    """The second pass: one item per episode. Correlations see the firings of those that they name."""
    for _, done in Second(rules).plan.run(result.bases):
        yield from _episodes(done)


def _episodes(done: Round) -> Iterator[FileEpisode]:
    for one in sorted(done.episodes(), key=lambda e: (e.start, e.group)):
        order = one.rows[np.argsort(done.hits.at[one.rows], kind="stable")]
        group = dict(zip(done.rule.group_by, one.group, strict=True))
        yield FileEpisode(done.rule.ref, group, one.start, one.last, tuple(done.places(order)))


def _inputs(paths: Sequence[Path], result: Hunt) -> Iterator[Input]:
    for path in paths:
        if not path.exists():
            raise UsageError(f"no such file or folder: {path}")
        for file, label in whole.files(path, result.problems.append):
            result.files += 1
            found = Input(file, label, *_stat(file))
            result.inputs.append(found)
            yield found


def _stat(file: Path) -> tuple[int, int]:
    """Bytes, and microseconds of the last change; 0 for a file that is gone."""
    try:
        found = file.stat()
    except OSError:
        return 0, 0
    return found.st_size, int(found.st_mtime * 1_000_000)


def size_of(paths: Sequence[str]) -> int:
    """Bytes of all files, as they lie on disk."""
    return sum(_stat(f)[0] for p in paths if Path(p).exists() for f, _ in whole.files(Path(p)))


def _workers(paths: Sequence[str]) -> int:
    size = size_of(paths)
    return 1 if size < _SMALL else len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_HUNTER: Hunter | None = None


def _work(item: Task | Lot) -> list[Step]:
    assert _HUNTER is not None  # noqa: S101  set before the fork
    return list(_done(_HUNTER, item))


def _done(hunter: Hunter, item: Task | Lot) -> Iterator[Step]:
    """The steps of a task; the last one says what could not be read, and what is done with it."""
    if isinstance(item, Lot):
        yield hunter.step(item)
        return
    problems: list[whole.Problem] = []
    lots = item.lots(problems.append)
    while True:
        start = time.perf_counter()
        found = next(lots, None)
        read = time.perf_counter() - start
        if found is None:
            break
        step = hunter.step(found)
        step.seconds_parse += read
        yield step
    yield Step(disk=item.disk, problems=problems)


def _steps(hunter: Hunter, work: Iterator[Task | Lot], workers: int) -> Iterator[Step]:
    """Steps in order; with several workers at most two tasks each are under way, so memory is bounded."""
    if workers < 2 or "fork" not in multiprocessing.get_all_start_methods():
        for item in work:
            yield from _done(hunter, item)
        return
    global _HUNTER  # noqa: PLW0603  inherited by the forked workers
    _HUNTER = hunter
    pa.set_cpu_count(1)
    pending: deque[Future[list[Step]]] = deque()
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(workers, context, initializer=signal.signal, initargs=(signal.SIGINT, signal.SIG_IGN)) as pool:
        try:
            for item in work:
                pending.append(pool.submit(_work, item))
                if len(pending) > 2 * workers:
                    yield from pending.popleft().result()
            while pending:
                yield from pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()


def stats(rules: RuleSet, result: Hunt, total: float, load: float) -> dict[str, Any]:
    """The `--stats` document. Preparing rules (plans, automata: once, at the first event of a log source) counts as loading them."""
    load += result.seconds_rules
    return {
        "events": result.events,
        "unparsed": result.unparsed.total(),
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
        **hunt_told.stats(result.records),
    }
