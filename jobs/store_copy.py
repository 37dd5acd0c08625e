"""`soc store copy`, `backup`, `restore`: everything of one store into another, on whatever engines; again and again, each time what is new.

A copy is an ordinary store: it can be searched, verified, served. It remembers which store it comes from and how far it has come, in
steps that move together with what they brought, so a copy that was ended anywhere goes on where it stood.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import Final

from domain.errors import StoreError, UsageError
from jobs import audit
from jobs.config import load
from jobs.runtime import Runtime
from jobs.store_compare import Comparison, Difference, compare
from jobs.store_copy_events import SOURCE, EventCopy, Mark, deliver, marks
from jobs.store_copy_state import Snapshot, copy_cursors, copy_holds, copy_letters, copy_records, settle, snapshot
from jobs.store_files import Mirrored, differing, mirror
from store.base import RESERVED, Delivery, Store

Tick = Callable[[int, int], None]
"""Told (done, of how many): events copied and compared."""
RESTORE: Final = "store.restore"
"""The action of a restore."""
_IDENTITY: Final = f"{RESERVED}id"
_PASSES: Final = 5


@dataclass(frozen=True)
class Ends:
    """From where to where, as asked for: URLs, or configurations whose store it is (they hold what is needed to open it)."""

    source: str = ""
    target: str = ""
    source_config: str = ""
    target_config: str = ""


@dataclass(frozen=True)
class Order:
    """What to do."""

    action: str = "store.copy"
    """As the audit log says it."""
    only_compare: bool = False
    quick: bool = False
    """Do not compare at the end."""
    beside: tuple[Path, Path] | None = None
    """State folders of source and target whose files go along."""
    before: date | None = None
    """Remove the events of whole days before this from the target."""


@dataclass
class Copied:
    """What one copy brought, and what comparing found."""

    source: str
    target: str
    events: int = 0
    records: int = 0
    dead: int = 0
    again: int = 0
    """Events behind a cursor that had no exact place in the target: scans of the target look at them once more."""
    removed: int = 0
    """Old events removed from the target, because it was asked for."""
    head: int = 0
    """Ingest sequence of the source up to which it was copied."""
    seconds: float = 0.0
    compare_seconds: float = 0.0
    comparison: Comparison | None = None
    files: Mirrored | None = None
    """Evidence and rule packs beside the store; None where they do not go along."""


def copy(runtime: Runtime, ends: Ends, order: Order = Order(), tick: Tick = lambda *_: None) -> Copied:
    """Bring the target up to the source, then compare both. StoreError when the target holds anything else."""
    source, target = _open(runtime, ends, made=not order.only_compare)
    if order.only_compare:
        out = check_stores(source, target, tick)
    else:
        note = audit.Entry(0, runtime.clock.now(), runtime.actor, order.action, target.url)
        out = copy_stores(source, target, note, order, tick)
    if order.beside:
        out.files = Mirrored() if order.only_compare else mirror(*order.beside)
        if out.comparison:
            out.comparison.differences += [Difference("files", name, "", "") for name in differing(*order.beside)]
    return out


def backup(runtime: Runtime, folder: str, order: Order = Order(), tick: Tick = lambda *_: None) -> Copied:
    """The configured store, its evidence and rule packs, into a folder that is an embedded store then."""
    order = replace(order, action="store.backup", beside=(runtime.state_dir, Path(folder).resolve()))
    return copy(runtime, Ends(target=f"file:{folder}"), order, tick)


def restore(runtime: Runtime, folder: str, order: Order = Order(), tick: Tick = lambda *_: None) -> Copied:
    """A backup into the configured store, which must be empty."""
    order = replace(order, action=RESTORE, beside=(Path(folder).resolve(), runtime.state_dir))
    return copy(runtime, Ends(source=f"file:{folder}"), order, tick)


def copy_stores(source: Store, target: Store, note: audit.Entry, order: Order = Order(), tick: Tick = lambda *_: None) -> Copied:
    """The same with open stores. `note` goes into the audit log of the source first, so that the copy has it too.

    A source that is a copy itself is left as it is, so that it can go on being one. What is restored is a store of its own from then on:
    its log has the note, as its first entry.
    """
    began = time.monotonic()
    out = Copied(source.url, target.url)
    mark = _mark(source, target, note.at)
    note = replace(note, detail={"events": source.events.head() - mark.after})
    if note.action != RESTORE and not _is_copy(source):
        audit.note(source.records, note)
    snap, mark = _bring((source, target), mark, note.at, out, tick)
    if order.before:
        out.removed = target.events.retain(order.before).rows
    out.head, out.seconds = snap.head, round(time.monotonic() - began, 3)
    if not order.quick:
        began = time.monotonic()
        total = 2 * mark.at
        out.comparison = compare(source, target, snap, mark, lambda n: tick(n, total))
        out.compare_seconds = round(time.monotonic() - began, 3)
    if note.action == RESTORE and (out.comparison is None or out.comparison.same):
        audit.note(target.records, replace(note, target=source.url))
    return out


def check_stores(source: Store, target: Store, tick: Tick = lambda *_: None) -> Copied:
    """Only compare: as far as the copy goes where the target is one, else everything. Changes nothing."""
    began = time.monotonic()
    mark = next((m for m in marks(target.events) if m.origin == source.coordination.state(_IDENTITY).get("id")), None)
    snap = snapshot(source)
    total = snap.head + target.events.head()
    comparison = compare(source, target, snap, mark, lambda n: tick(n, total))
    spent = round(time.monotonic() - began, 3)
    return Copied(source.url, target.url, head=mark.after if mark else snap.head, compare_seconds=spent, comparison=comparison)


def _bring(ends: tuple[Store, Store], mark: Mark, now: datetime, out: Copied, tick: Tick) -> tuple[Snapshot, Mark]:
    """One snapshot of the source into the target; events and dead letters once more when one of these was replayed meanwhile."""
    source, target = ends
    for _ in range(_PASSES):
        snap = snapshot(source, target.coordination.cursor(SOURCE))
        events = EventCopy(source.events, target.events, mark, partial(_told, tick, snap.head - mark.after))
        mark = events.run(snap.head, snap.scanned.values())
        mark, letters, whole = copy_letters(source, target, snap, mark)
        out.events, out.dead = out.events + events.copied, out.dead + letters
        if whole:
            break
    out.records += copy_records(source, target, snap, mark.origin)
    mark = settle(target, snap, mark)
    copy_holds(target, snap)
    out.again = copy_cursors(source, target, snap, mark, now)
    return snap, mark


def _told(tick: Tick, total: int, done: int) -> None:
    tick(done, total)


def _mark(source: Store, target: Store, now: datetime) -> Mark:
    """Where the copy goes on; made in an empty target. StoreError when the target holds what does not come from the source."""
    origin = _identity(source, now)
    if target.coordination.state(_IDENTITY).get("id") == origin:
        raise UsageError(f"source and target are the same store: {source.url}", hint="soc store copy --to file:DIR")
    mark = next(iter(marks(target.events)), None)
    hint = "copy into an empty store: --to file:DIR, or another index_prefix"
    if mark is None:
        _refuse_filled(target, hint)
        mark = Mark(origin, step=1)
        deliver(target.events, Delivery({}), Mark(origin), mark)
        return mark
    if mark.origin != origin:
        raise StoreError("the target is a copy of another store", where=target.url, hint=hint)
    if more := _own(target, mark):
        what = f"the target has been written to since it was copied ({more:+} events or records): it is a store of its own now"
        raise StoreError(what, where=target.url, hint=hint)
    if source.events.head() < mark.after:
        what = f"the source has fewer events ({source.events.head()}) than were copied from it ({mark.after}): it was set back"
        raise StoreError(what, where=source.url, hint=hint)
    return mark


def _refuse_filled(target: Store, hint: str) -> None:
    found = {
        "events": target.events.head(), "records": _records(target), "log sources": len(target.events.ledger()),
        "legal holds": len(target.events.holds()),
    }  # fmt: skip
    if any(found.values()):
        what = ", ".join(f"{n} {name}" for name, n in found.items() if n)
        raise StoreError(f"the target is not empty and no copy: {what}; nothing was changed", where=target.url, hint=hint)


def _records(store: Store) -> int:
    return sum(1 for _ in store.records.find(""))


def _own(target: Store, mark: Mark) -> int:
    """Events, else records, that a copy has beyond what was copied."""
    return (target.events.head() - mark.head) or (_records(target) - int(str(target.coordination.state(SOURCE).get("count", 0))))


def _is_copy(store: Store) -> bool:
    """Whether it holds a copy and nothing else."""
    return any(not _own(store, mark) for mark in marks(store.events))


def _identity(store: Store, now: datetime) -> str:
    """A name of this store that nothing else has, made when first asked for: folders and hosts may be renamed."""
    coordination = store.coordination
    if not coordination.state(_IDENTITY):
        coordination.commit_scan(_IDENTITY, 0, 1, [], now, {"id": secrets.token_hex(16)})
    return str(coordination.state(_IDENTITY)["id"])


def _open(runtime: Runtime, ends: Ends, *, made: bool = True) -> tuple[Store, Store]:
    """Source and target; `made`: a target that is not there is made."""
    return _store(runtime, ends.source, ends.source_config, made=False), _store(runtime, ends.target, ends.target_config, made=made)


def _refuse_folder(url: str) -> None:
    """A folder of other files does not become a store."""
    from store import exists

    folder = Path(url.removeprefix("file:"))
    if url.startswith("file:") and not exists(url) and folder.is_dir() and any(folder.iterdir()):
        raise UsageError(f"the folder holds other files and no store: {folder}", hint="name an empty or a new folder")


def _absolute(url: str) -> str:
    if "@" in url.partition("://")[2].partition("/")[0]:
        where = url.rpartition("@")[2]
        raise UsageError(f"no user or password in a URL, where every process sees it: {where}", hint="--from-config FILE, --to-config FILE")
    return f"file:{Path(url.removeprefix('file:')).resolve()}" if url.startswith("file:") else url


def _store(runtime: Runtime, url: str, config: str, *, made: bool) -> Store:
    """The store of a configuration, of a URL, or the configured one; only a target may be made."""
    from store import exists, open_store

    named = Runtime(load(config), runtime.clock) if config else runtime
    url = _absolute(url) if url else named.store_url
    if not made and not exists(url):
        raise StoreError("there is no store", where=url, hint="soc store copy --from file:DIR --to file:DIR")
    _refuse_folder(url)
    options = named.config.store if config or url == named.store_url else {}
    return runtime.store if not config and url == runtime.store_url else open_store(url, options)
