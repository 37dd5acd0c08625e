"""`soc store`: what the store holds, its health, merging, retention, legal hold. Each change is noted in the audit log."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from domain.errors import UsageError
from domain.query import Query
from domain.window import TimeWindow, duration, moment
from jobs.audit import Entry, note
from jobs.runtime import Runtime
from store.base import EventStore, Hold, Retained


@dataclass(frozen=True)
class Info:
    """The store in figures."""

    url: str
    events: int
    head: int
    """Highest ingest sequence: events ever accepted."""
    bytes: int
    """On disk, replicas included."""
    engine: str
    first: datetime | None
    last: datetime | None
    datasets: Mapping[str, int]
    """Events by `event.dataset`."""
    holds: Sequence[Hold] = field(default_factory=tuple)


def info(runtime: Runtime) -> Info:
    """Figures from the catalog, and the times of the first and last event."""
    events = runtime.store.events
    about = runtime.store.about()
    return Info(
        url=runtime.store.url, events=events.count(Query()), head=events.head(),
        bytes=about.bytes, engine=about.engine,
        first=_edge(events, newest=False), last=_edge(events, newest=True),
        datasets={name: fields.get("", 0) for name, fields in sorted(events.coverage().items())}, holds=events.holds(),
    )  # fmt: skip


def compact(runtime: Runtime) -> int:
    """Merge small segments; how many went away."""
    return runtime.store.events.compact(runtime.clock.now())


def cut(text: str, now: datetime) -> date:
    """The day before which events go: a date, or an age (`400d`). UsageError when it is not in the past."""
    try:
        day = date.fromisoformat(text.strip())
    except ValueError:
        day = (now.astimezone(UTC) - duration(text)).date()
    if day >= now.astimezone(UTC).date():
        raise UsageError(f"--before {text}: a day in the past (UTC), or an age of at least 1d", hint="soc store retain --before 400d")
    return day


def retain(runtime: Runtime, before: date) -> Retained:
    """Remove whole days; noted in the audit log with what went and what holds kept."""
    done = runtime.store.events.retain(before)
    _noted(runtime, "store.retain", before.isoformat(), {"events": done.rows, "bytes": done.bytes, "kept": dict(done.kept)})
    return done


def hold(runtime: Runtime, name: str, since: str, until: str, partitions: Sequence[str]) -> Hold:
    """Put events under legal hold."""
    now = runtime.clock.now()
    if not name.strip():
        raise UsageError("a hold needs a name: the incident or the document that orders it")
    window = None
    if since or until:
        start = moment(since, now) if since else datetime(1970, 1, 1, tzinfo=UTC)
        end = moment(until, now) if until else now + timedelta(days=36525)
        if end <= start:
            raise UsageError(f"--until {until} is not after --since {since}")
        window = TimeWindow(start, end)
    new = Hold(name, window, tuple(partitions))
    runtime.store.events.hold(new)
    shown = [window.start.isoformat(), window.end.isoformat()] if window else []
    _noted(runtime, "store.hold", name, {"window": shown, "parsers": list(partitions)})
    return new


def release(runtime: Runtime, name: str) -> None:
    """End a legal hold. UsageError when there is none of that name."""
    if not runtime.store.events.release(name):
        names = ", ".join(h.name for h in runtime.store.events.holds()) or "none"
        raise UsageError(f"no hold named {name}; there are: {names}", hint="soc store hold")
    _noted(runtime, "store.release", name, {})


def snapshot(runtime: Runtime, where: str) -> str:
    """A native snapshot as `REPOSITORY[/NAME]` (the time in UTC when it has no name); its full name."""
    now = runtime.clock.now().astimezone(UTC)
    repository, _, name = where.partition("/")
    name = name or now.strftime("%Y.%m.%d-%H%M%S")
    if not repository or not re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,199}", name):
        raise UsageError(f"--snapshot {where}: REPOSITORY or REPOSITORY/NAME; a name has a-z 0-9 . _ -", hint="docs/opensearch.md, Backup")
    _noted(runtime, "store.snapshot", f"{repository}/{name}", {})
    return runtime.store.snapshot(repository, name)


def _noted(runtime: Runtime, action: str, target: str, detail: Mapping[str, object]) -> None:
    note(runtime.store.records, Entry(0, runtime.clock.now(), runtime.actor, action, target, detail))


def _edge(events: EventStore, *, newest: bool) -> datetime | None:
    """Time of the newest or oldest event."""
    for table in events.search(Query(limit=1, newest_first=newest, fields=("@timestamp",))):
        at: datetime = table["@timestamp"][0].as_py()
        return at
    return None
