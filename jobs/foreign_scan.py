"""`soc scan` over indices that others write: nothing is copied but the events that alerts name.

One cursor for each source, `sigma@SOURCE`: documents read so far; its state holds the place in every shard, what detectors remember, and
which fields were seen. Rules, correlations, bursts of logins and silence are looked for; models that compare with stored history are not.
Place and alerts move in one commit. The evidence is stored before: a crash between the two is noticed by the evidence's own checkpoint,
and nothing is stored twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from collectors.base import Collector
from domain.alert import Finding
from domain.errors import ConflictError, SourceError
from domain.i18n import t
from domain.raw import Checkpoint, RawBatch
from domain.window import duration, micros
from jobs import deliver, foreign_evidence, rule_off
from jobs.chunks import Picked
from jobs.collect import collector, extra
from jobs.coverage import Coverage
from jobs.foreign import cursor, places
from jobs.leases import Leases
from store.base import Chunk
from store.memory import TableChunk
from store.rows import prepare

if TYPE_CHECKING:
    from detectors.base import Detector, Scanned
    from detectors.sigma.detector import SigmaDetector
    from detectors.triage import Triaged
    from jobs.config import Source
    from jobs.runtime import Runtime
    from jobs.scan import ScanReport

STEP: Final = 100_000
"""Documents per commit, about."""
_TRIES: Final = 8


def sources(runtime: Runtime) -> list[Source]:
    """Those that are read where they lie."""
    return [source for source in runtime.config.sources if source.in_place]


def scan(runtime: Runtime, report: ScanReport) -> None:
    """Every read-only source to its present end. One that cannot be read is told in `report.failed` and stops no other."""
    leases = Leases(runtime)
    try:
        for source in sources(runtime):
            if not leases.take(source):
                report.skipped.append(cursor(source.id))
                continue
            try:
                _Scan(runtime, source, leases, report).run(collector(runtime, source))
            except SourceError as error:
                report.failed.append(str(error))
                report.exit_code = max(report.exit_code, error.exit_code)
    finally:
        leases.release()


def ours(runtime: Runtime, chunks: Iterable[Chunk], passed: Callable[[int], None] = lambda _: None) -> Iterator[Chunk]:
    """Chunks without the evidence of read-only sources, which was looked at where it came from; `passed`: how many rows that were."""
    foreign = pa.array([source.id for source in sources(runtime)], pa.string())
    for chunk in chunks:
        column = chunk.column("thapcanh.source") if len(foreign) else None
        if column is None:
            yield chunk
            continue
        skip = np.append(np.isin(column.values.to_numpy(zero_copy_only=False), foreign.to_numpy(zero_copy_only=False)), False)[column.codes]
        passed(int(skip.sum()))
        if not skip.any():
            yield chunk
        elif not skip.all():
            yield Picked(chunk, np.flatnonzero(~skip).astype(np.int32))


@dataclass
class _Step:
    """Documents read since the last commit."""

    tables: dict[str, list[pa.Table]]
    places: dict[str, Checkpoint]
    documents: int = 0


class _Scan:
    """One source during one scan."""

    def __init__(self, runtime: Runtime, source: Source, leases: Leases, report: ScanReport) -> None:
        self._runtime = runtime
        self._source = source
        self._leases = leases
        self._report = report
        self._name = cursor(source.id)
        self._at = runtime.store.coordination.cursor(self._name)
        self._state: Mapping[str, Any] = runtime.store.coordination.state(self._name)
        self._sigma: SigmaDetector | None = None

    def run(self, reader: Collector) -> None:
        """Read, match, commit, until there is nothing new; what was read before a source failed counts."""
        failure: SourceError | None = None
        step = _Step({}, {})
        batches = reader.pull(places(self._source.id, self._state))
        while failure is None:
            try:
                batch = next(batches, None)
            except SourceError as error:
                batch, failure = None, error
            if batch is None:
                break
            self._read(step, batch)
            if step.documents >= STEP:
                if not self._commit(step):
                    return
                step = _Step({}, {})
        if not self._commit(step):
            return
        if failure is not None:
            raise failure

    def _read(self, step: _Step, batch: RawBatch) -> None:
        made = deliver.events(batch, self._runtime.clock.now(), extra(self._source))
        for parser, table in made.tables.items():
            step.tables.setdefault(parser, []).append(prepare([table]))
        step.places[batch.checkpoint.stream] = batch.checkpoint
        step.documents += len(batch.records)

    def _commit(self, step: _Step) -> bool:
        """Match, store the evidence, then move the cursor with the alerts. False when another scan was first."""
        from detectors.triage import AlertIndex, triage

        now, store = self._runtime.clock.now(), self._runtime.store
        scanned = self._scanned(step, now)
        state = self._after(step, scanned, now)
        if not scanned.findings and state == self._state:
            return True
        for attempt in range(_TRIES):
            known = AlertIndex.load(store.records) if scanned.findings else AlertIndex()
            triaged = triage(scanned.findings, known, now)
            try:
                if not self._leases.take(self._source) or not self._kept(step, triaged, now):
                    break
                end = self._at + step.documents
                if not store.coordination.commit_scan(self._name, self._at, end, triaged.records, now, state, triaged.expect):
                    break
            except ConflictError:
                if attempt == _TRIES - 1:
                    raise
                continue
            self._at, self._state = end, state
            self._tell(step, triaged, scanned)
            return True
        self._report.skipped.append(self._name)
        return False

    def _scanned(self, step: _Step, now: datetime) -> Scanned:
        """What the detectors that need no history but their own say of these documents."""
        from detectors.base import Scanned

        chunks = [TableChunk(table, parser) for parser, tables in step.tables.items() for table in tables]
        before: Mapping[str, Any] = self._state.get("detectors", {})
        findings: list[Finding] = []
        states, notes = dict(before), list[str]()
        for detector in self._detectors(matching=bool(chunks)):
            one = detector.scan(chunks, before.get(detector.name, {}), now, self._runtime.store.events)
            findings += one.findings
            notes += one.notes
            states[detector.name] = dict(one.state)
        return Scanned(findings, states, notes)

    def _detectors(self, *, matching: bool) -> list[Detector]:
        """Silence is looked for even when nothing came."""
        from detectors.anomaly.silence import Silence

        every = self._source.expect_every
        silence = Silence({self._source.id: duration(every).total_seconds()} if every else {})
        if not matching:
            return [silence]
        from detectors.anomaly.login_burst import LoginBurst

        if self._sigma is None:
            from detectors.sigma.detector import SigmaDetector  # matching is heavy

            self._sigma = SigmaDetector(rule_off.scanning(self._runtime))
        return [self._sigma, LoginBurst(), silence]

    def _after(self, step: _Step, scanned: Scanned, now: datetime) -> dict[str, Any]:
        """The state once this step is done."""
        streams = dict(self._state.get("streams", {}))
        for name, checkpoint in step.places.items():
            streams.pop(name, None)
            if checkpoint.position >= 0:
                streams[name] = [checkpoint.position, dict(checkpoint.state)]
        coverage, seen = Coverage(self._state.get("coverage", {})), dict(self._state.get("seen", {}))
        for tables in step.tables.values():
            for table in tables:
                coverage.add(table)
                newest = pc.max(table["@timestamp"]).as_py()
                seen = {"at": micros(now), "newest": max(micros(newest), seen.get("newest", 0))}
        where = foreign_evidence.places(step.tables, self._state.get("where", {}), foreign_evidence.named(scanned.state))
        return {"streams": streams, "detectors": scanned.state, "where": where, "coverage": coverage.plain(), "seen": seen}

    def _kept(self, step: _Step, triaged: Triaged, now: datetime) -> bool:
        """Store the events that the alerts name; False when another scan did so first."""
        wanted = {event for record in triaged.records for event in record.body.get("events", ())}  # type: ignore[attr-defined]
        evidence = foreign_evidence.Evidence(self._runtime, self._source, self._at)
        try:
            kept = evidence.store(wanted, step.tables, self._state.get("where", {}), now)
        except ConflictError:
            return False
        if kept.missing:
            self._report.notes.append(t("indices.missing", source=self._source.id, n=kept.missing))
        return True

    def _tell(self, step: _Step, triaged: Triaged, scanned: Scanned) -> None:
        report = self._report
        report.events += step.documents
        report.opened += triaged.opened
        report.updated += triaged.updated
        report.silenced += triaged.silenced
        report.notes += [n for n in (*scanned.notes, *triaged.notes) if n not in report.notes]
        if self._sigma is not None and not report.rules:
            rules = self._sigma.rules
            report.rules, report.blind, report.broken = len(rules.rules) + len(rules.correlations), len(rules.blind), len(rules.broken)
