"""Pull -> parse -> store, source by source; each delivery is one transaction. Safe to run again, and to run twice at once."""

from __future__ import annotations

import importlib
import os
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from collectors import SOURCES, faults
from collectors.base import Collector
from collectors.file import Files
from domain.clock import Clock
from domain.errors import ConfigError, ConflictError, SocError, SourceError, UsageError
from domain.raw import Checkpoint, RawBatch
from jobs import foreign
from jobs.config import Source
from jobs.deliver import Pending
from jobs.leases import Leases
from jobs.runtime import Runtime

ROWS: Final = 200_000
"""Records of a delivery, about."""
BYTES: Final = 40 << 20
"""Of raw records in a delivery, about: parsed, wide ones take ten times as much."""
BATCHES: Final = 500
"""Batches of a delivery at most (many small files)."""


@dataclass
class Outcome:
    """What one run of one source brought."""

    source: str
    received: int = 0
    stored: int = 0
    unparsed: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    duplicates: int = 0
    busy: bool = False
    """Another process is collecting this source."""
    error: str = ""
    """Why it could not be read to the end."""
    exit_code: int = 5
    """Of the command, when there is an error."""

    def count(self, done: Pending) -> None:
        """Add a delivery."""
        self.received += done.received
        self.stored += done.stored
        self.unparsed += done.unparsed
        self.duplicates += done.duplicates
        for reason, n in done.rejected.items():
            self.rejected[reason] = self.rejected.get(reason, 0) + n


def configured(runtime: Runtime, only: Sequence[str] = ()) -> list[Source]:
    """The sources of `soc.toml`, all or those named. UsageError for a name that is not there, ConfigError when there are none."""
    known = {source.id: source for source in runtime.config.sources if not source.in_place}
    for name in only:
        if name not in known and any(source.id == name for source in runtime.config.sources):
            raise UsageError(f"{name} is read_only: it is read where it lies", hint="soc scan")
        if name not in known:
            raise UsageError(f"no such source: {name}", hint=f"sources: {', '.join(known) or 'none'}")
    if not runtime.config.sources:
        where = str(runtime.config.path or "soc.toml")
        raise ConfigError("no [[source]] is configured", where=where, hint="soc init, or name files: soc collect once --path FILE")
    return [known[name] for name in only] if only else list(known.values())


def evidence(paths: Sequence[str], parser: str, incident: str) -> list[Source]:
    """Files and folders as sources of their own, named by place (and incident): collected again, they bring only what is new."""
    out = []
    for path in paths:
        whole = Path(path).expanduser().absolute()
        if not whole.exists():
            raise UsageError(f"no such file or folder: {path}")
        prefix = f"incident:{incident}:" if incident else "path:"
        out.append(
            Source(
                prefix + os.fsencode(whole).decode("utf-8", "backslashreplace"),
                "file",
                path=str(whole),
                parser=parser,
                options={"whole": True, "incident": incident},
            )
        )
    return out


def collector(runtime: Runtime, source: Source) -> Collector:
    """The Collector of a source. ConfigError for a type that is not there."""
    if source.type not in SOURCES:
        raise ConfigError(f"type {source.type}: {' | '.join(SOURCES)}", where=source.id, hint="soc config check")
    if source.options.get("whole"):
        return Files(source, runtime.config.root, runtime.clock, idle=timedelta(0))
    module, name = SOURCES[source.type].split(":")
    made: Collector = getattr(importlib.import_module(module), name).of(source, place(runtime))
    return made


@dataclass(frozen=True)
class Place:
    """Where sources live on this machine."""

    root: Path
    """Relative patterns start here."""
    spool: Path
    clock: Clock
    connect: Callable[[Any], tuple[Any, str]]
    """A connection to the cluster of a source, and the prefix of our own indices there."""


def place(runtime: Runtime) -> Place:
    """Of this configuration."""
    return Place(runtime.config.root, runtime.state_dir / "spool", runtime.clock, lambda source: foreign.connect(runtime, source))


def collect(runtime: Runtime, sources: Sequence[Source], tell: Callable[[Outcome], None] | None = None) -> list[Outcome]:
    """Collect each source to its present end. A source that fails is told and does not stop the others; StoreError stops all."""
    out, leases = [], Leases(runtime)
    try:
        for source in sources:
            outcome = one(runtime, source, leases)
            if tell is not None:
                tell(outcome)
            out.append(outcome)
    finally:
        leases.release()
    return out


def one(runtime: Runtime, source: Source, leases: Leases, most: int = 0) -> Outcome:
    """Collect one source, at most `most` deliveries (0 = to its present end). A defect met on the way fails this source only."""
    outcome = Outcome(source.id)
    if not leases.take(source):
        outcome.busy = True
        return outcome
    try:
        known = runtime.store.events.checkpoints(source.id)
        for number, pending in enumerate(_grouped(runtime, source, known), 1):
            if not leases.take(source):
                outcome.busy = True
                break
            runtime.store.events.append(pending.delivery(runtime.clock.now()))
            faults.point("stored")
            outcome.count(pending)
            if number == most:
                break
    except SourceError as error:
        outcome.error, outcome.exit_code = str(error), error.exit_code
    except ConflictError:
        outcome.busy = True
    except (SocError, OSError, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001  told; the other sources go on
        frame = traceback.extract_tb(error.__traceback__)[-1]
        outcome.error = f"internal error: {type(error).__name__}: {error} ({Path(frame.filename).name}:{frame.lineno})"
    return outcome


def _grouped(runtime: Runtime, source: Source, known: Sequence[Checkpoint]) -> Iterator[Pending]:
    """Batches gathered to deliveries; what was read before a source failed is delivered too."""
    batches: Iterator[RawBatch] = collector(runtime, source).pull(known)
    places = {checkpoint.stream: checkpoint for checkpoint in known}
    more, rows = extra(source), foreign.ROWS if source.type == "opensearch" else ROWS
    pending, count, size, failure = Pending(source.id, more), 0, 0, None
    while True:
        try:
            batch = next(batches, None)
        except SourceError as error:
            batch, failure = None, error
        if batch is None:
            break
        batch = foreign.fresh(runtime, batch, known)
        faults.point("read")
        stream = batch.checkpoint.stream
        pending.add(batch, places.get(stream, replace(batch.checkpoint, position=0)), runtime.clock.now())
        places[stream] = batch.checkpoint
        count, size = count + 1, size + batch.records.nbytes
        if pending.received >= rows or size >= BYTES or count >= BATCHES:
            yield pending
            pending, count, size = Pending(source.id, more), 0, 0
    if count:
        yield pending
    if failure is not None:
        raise failure


def extra(source: Source) -> Mapping[str, object]:
    """Columns that every event of a source gets."""
    out: dict[str, object] = {}
    if source.exercise:
        out["thapcanh.exercise"] = True
    if source.service_type:
        out["service.type"] = source.service_type.strip().lower()
    if source.options.get("incident"):
        out["thapcanh.incident"] = source.options["incident"]
    return out
