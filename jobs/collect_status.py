"""The ledger of collecting: received = stored + rejected + duplicates + spooled, for every source, at any moment."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from collectors.spooled import waiting
from domain.raw import Checkpoint
from domain.window import duration
from jobs import foreign
from jobs.collect import place
from jobs.config import Source
from jobs.runtime import Runtime
from store.base import RESERVED, SourceStatus


@dataclass(frozen=True)
class Ledger:
    """What was received from one source and what became of it."""

    source: str
    received: int
    stored: int
    """Includes `unparsed`."""
    unparsed: int
    rejected: Mapping[str, int]
    duplicates: int
    spooled: int
    """Safe in the spool, not yet stored."""
    position: Mapping[str, int]
    """Stream -> first position not yet stored."""
    lag_seconds: float | None
    """How long the oldest record that waits has waited; 0 when nothing waits, None when nothing ever came."""
    dropped_by_kernel: int
    """UDP datagrams that found the socket's buffer full."""
    dropped_by_quota: int
    """UDP datagrams that found the spool full."""
    lost_bytes: int
    """Bytes of files that went away before they were read."""
    last_event: datetime | None
    last_delivery: datetime | None
    silent: bool
    """Nothing came for longer than `expect_every`."""
    configured: bool
    streams: tuple[Checkpoint, ...] = field(default=(), repr=False)
    notes: tuple[str, ...] = ()
    """What happened to the indices that it reads, oldest first."""


def ledgers(runtime: Runtime) -> list[Ledger]:
    """Configured sources first, in their order, then others that are in the store."""
    known = {status.source: status for status in runtime.store.events.ledger() if not status.source.startswith(RESERVED)}
    named = {source.id: source for source in runtime.config.sources}
    order = [*named, *(name for name in known if name not in named)]
    found = {name: known.get(name) or _empty(name) for name in order}
    for source in runtime.config.sources:
        if source.in_place:
            state = runtime.store.coordination.state(foreign.cursor(source.id))
            found[source.id] = replace(found[source.id], streams=foreign.places(source.id, state), **foreign.seen(state))
    return [_ledger(runtime, named.get(name), found[name]) for name in order]


def _empty(name: str) -> SourceStatus:
    return SourceStatus(name, 0, 0, 0, {}, 0, None, None, ())


def _ledger(runtime: Runtime, source: Source | None, status: SourceStatus) -> Ledger:
    now, spooled = runtime.clock.now(), waiting(place(runtime).spool, status.source, status.streams)
    state: list[Mapping[str, Any]] = [c.state for c in status.streams]
    oldest = [at for at in (spooled.oldest, *_unread(status)) if at is not None]
    lag = max(((now - at).total_seconds() for at in oldest), default=0.0 if status.received else None)
    return Ledger(
        status.source, status.received + spooled.records, status.stored, status.unparsed, dict(status.rejected), status.duplicates,
        spooled.records, {c.stream: c.position for c in status.streams if not c.state.get("gone")},
        None if lag is None else round(max(lag, 0.0), 3), spooled.dropped_by_kernel, spooled.dropped_by_quota,
        sum(int(s.get("lost", 0)) for s in state), status.last_event, status.last_delivery,
        _silent(source, status, now), source is not None, tuple(status.streams), foreign.notes(status.streams),
    )  # fmt: skip


def _unread(status: SourceStatus) -> Iterator[datetime | None]:
    """For each file that holds more than was read of it: the last delivery, before which it cannot have been written."""
    for checkpoint in status.streams:
        path, gone = str(checkpoint.state.get("path", "")), checkpoint.state.get("gone")
        try:
            changed = bool(path) and not gone and Path(path).stat().st_size != checkpoint.state.get("size")
        except OSError:
            continue
        if changed:
            yield status.last_delivery


def _silent(source: Source | None, status: SourceStatus, now: datetime) -> bool:
    if source is None or not source.expect_every:
        return False
    return status.last_delivery is None or now - status.last_delivery > duration(source.expect_every)


def totals(found: Iterable[Ledger]) -> dict[str, int]:
    """Sums over all sources."""
    out = dict.fromkeys(("received", "stored", "unparsed", "rejected", "duplicates", "spooled", "dropped_by_kernel"), 0)
    for one in found:
        for name in out:
            out[name] += sum(one.rejected.values()) if name == "rejected" else getattr(one, name)
    return out


def plain(found: Iterable[Ledger]) -> Iterator[dict[str, object]]:
    """As JSON shows it."""
    for one in found:
        yield {
            "source": one.source, "received": one.received, "stored": one.stored, "unparsed": one.unparsed, "rejected": dict(one.rejected),
            "duplicates": one.duplicates, "spooled": one.spooled, "position": dict(one.position), "lag_seconds": one.lag_seconds,
            "dropped_by_kernel": one.dropped_by_kernel, "dropped_by_quota": one.dropped_by_quota, "lost_bytes": one.lost_bytes,
            "last_event": one.last_event, "last_delivery": one.last_delivery, "silent": one.silent, "configured": one.configured,
            "notes": list(one.notes),
        }  # fmt: skip
