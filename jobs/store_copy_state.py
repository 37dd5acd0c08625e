"""Copying everything of a store but its events: records, dead letters, ledger, checkpoints, legal holds, cursors."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from typing import Final

from collectors import faults
from domain.errors import ConflictError, StoreError
from domain.raw import Checkpoint
from jobs import publish, retro
from jobs.store_copy_events import SOURCE, Mark, deliver
from jobs.store_hash import count_between, letter_hash
from store.base import RESERVED, Counts, DeadLetter, Delivery, Hold, NewRecord, SourceStatus, Store

AS_THEY_ARE: Final = ("job.", retro.KNOWN)
"""Beginnings of names of cursors that count something else than events: times of jobs, versions of rules."""
_LEFT: Final = (RESERVED, publish.NAME)
"""Cursors that belong to one store and are not copied."""
_TRIES: Final = 20
RECORDS: Final = 200
"""Records, or dead letters, of a transaction."""
_LETTERS: Final = 16 << 20
"""Bytes of dead letters of a delivery."""


@dataclass(frozen=True)
class Letter:
    """A dead letter without its bytes."""

    number: int
    source: str
    reason: str


@dataclass(frozen=True)
class Snapshot:
    """What a store says about itself at one moment, but for events and records."""

    head: int
    last: int
    """Sequence of the newest record."""
    ledger: Mapping[str, SourceStatus]
    letters: Mapping[bytes, Sequence[Letter]]
    """Dead letters by their digest."""
    holds: Mapping[str, Hold]
    cursors: Mapping[str, tuple[int, Mapping[str, object]]]
    """Name -> (position, state), but for those that are not copied."""

    @property
    def scanned(self) -> dict[str, int]:
        """Cursors that are sequences of events."""
        return {name: at for name, (at, _) in self.cursors.items() if not name.startswith(AS_THEY_ARE)}


def snapshot(store: Store, after: int = 0) -> Snapshot:
    """Records with their cursors, then events with their ledger, each pair as it was at one moment. `after`: a record seen before."""
    for _ in range(_TRIES):
        before = _cursors(store)
        last = max((r.seq for r in store.records.find("", after)), default=after)
        if before == (cursors := _cursors(store)):
            break
    else:
        raise _restless(store)
    for _ in range(_TRIES):
        found = _ledger(store)
        head, letters, holds = store.events.head(), _letters(store), {h.name: h for h in store.events.holds()}
        if found == (ledger := _ledger(store)):
            return Snapshot(head, last, ledger, letters, holds, cursors)
    raise _restless(store)


def copy_letters(source: Store, target: Store, snap: Snapshot, mark: Mark) -> tuple[Mark, int, bool]:
    """Dead letters that the target lacks: (mark, how many, whether all were still there: one may have been replayed meanwhile)."""
    there = _letters(target)
    wanted = {
        letter.number for digest, own in snap.letters.items() for letter in own[: max(0, len(own) - len(there.get(digest, ())))]
    }  # fmt: skip
    batch: list[DeadLetter] = []
    size = 0
    missing = set(wanted)
    for number, letter in source.events.dead_letters() if wanted else ():
        if number in wanted:
            batch.append(letter)
            size += len(letter.raw)
            missing.discard(number)
            if size > _LETTERS or len(batch) == RECORDS:
                mark, batch, size = _step(target, mark, Delivery({}, dead=batch)), [], 0
    if batch:
        mark = _step(target, mark, Delivery({}, dead=batch))
    return mark, len(wanted) - len(missing), not missing


def copy_records(source: Store, target: Store, snap: Snapshot, origin: str) -> int:
    """Records up to the snapshot, in their order and with their times; progress is the cursor `store.copy` of the target."""
    at, state = target.coordination.cursor(SOURCE), target.coordination.state(SOURCE)
    count = start = int(str(state.get("count", 0)))
    fresh = (r for r in source.records.find("", at) if r.seq <= snap.last)
    while batch := list(islice(fresh, RECORDS)):
        count += len(batch)
        new = [NewRecord(r.stream, r.key, r.type, r.body, r.actor, r.at) for r in batch]
        before: dict[tuple[str, str], int] = {}
        for r in batch:
            before.setdefault((r.stream, r.key), r.version - 1)
        moved = target.coordination.commit_scan(SOURCE, at, batch[-1].seq, new, batch[-1].at, {"origin": origin, "count": count}, before)
        if not moved:
            raise ConflictError("another copy into this store is running", where=target.url, hint="wait until it has ended")
        faults.point("copied-records")
        at = batch[-1].seq
    return count - start


def settle(target: Store, snap: Snapshot, mark: Mark) -> Mark:
    """Ledger, checkpoints and replayed dead letters as they are in the source, in one delivery."""
    there, letters = _ledger(target), _letters(target)
    replayed = [gone for digest, own in letters.items() for gone in own[len(snap.letters.get(digest, ())) :]]
    lifted = Counter((gone.source, gone.reason) for gone in replayed)
    counts = [c for name, status in snap.ledger.items() for c in _counts(status, there.get(name), lifted)]
    moved = [c for name in {*there, *snap.ledger} for c in _checkpoints(snap.ledger.get(name), there.get(name))]
    retired = {name: gone for name, status in snap.ledger.items() if any(gone := _retired(status, mark))}
    if not (counts or moved or replayed or retired):
        return mark
    total = {**mark.retired}
    for name, (stored, unparsed) in retired.items():
        old = total.get(name, (0, 0))
        total[name] = old[0] + stored, old[1] + unparsed
    delivery = Delivery({}, checkpoints=moved, counts=counts, replayed=[r.number for r in replayed], retired=retired)
    return _step(target, replace(mark, retired=total), delivery)


def copy_holds(target: Store, snap: Snapshot) -> None:
    """Legal holds, replaced and released as in the source."""
    there = {h.name: h for h in target.events.holds()}
    for name, hold in snap.holds.items():
        if there.get(name) != hold:
            target.events.hold(hold)
    for name in there.keys() - snap.holds.keys():
        target.events.release(name)


def copy_cursors(source: Store, target: Store, snap: Snapshot, mark: Mark, now: datetime) -> int:
    """Cursors and the states beside them; how many events lie between cursors and the edges before them and will be looked at again."""
    again = 0
    for name, (at, state) in snap.cursors.items():
        new = at
        if not name.startswith(AS_THEY_ARE):
            edge, new = mark.translate(at)
            again = max(again, count_between(source.events, edge, at) if edge < min(at, snap.head) else 0)
        old = target.coordination.cursor(name)
        if (old, dict(target.coordination.state(name))) == (new, dict(state)):
            continue
        if not target.coordination.commit_scan(name, old, new, [], now, state):
            raise ConflictError(f"cursor {name} was moved by somebody else", where=target.url, hint="stop scans of the target")
        faults.point("copied-cursor")
    return again


def _step(target: Store, mark: Mark, delivery: Delivery) -> Mark:
    """Append a delivery without events, and count it."""
    new = replace(mark, step=mark.step + 1)
    deliver(target.events, delivery, mark, new)
    faults.point("copied-state")
    return new


def _counts(own: SourceStatus, there: SourceStatus | None, lifted: Mapping[tuple[str, str], int]) -> Iterator[Counts]:
    """What the target's ledger of one source lacks."""
    old = there or SourceStatus(own.source, 0, 0, 0, {}, 0, None, None, ())
    rejected = {
        reason: delta
        for reason in sorted({*own.rejected, *old.rejected})
        if (delta := own.rejected.get(reason, 0) - old.rejected.get(reason, 0) + lifted.get((own.source, reason), 0))
    }
    new = Counts(
        own.source, own.received - old.received, own.stored - old.stored, own.unparsed - old.unparsed, rejected,
        own.duplicates - old.duplicates, own.last_event, own.last_delivery,
    )  # fmt: skip
    changed = new.received or new.stored or new.unparsed or new.duplicates or rejected
    if there is None or changed or (own.last_event, own.last_delivery) != (old.last_event, old.last_delivery):
        yield new


def _checkpoints(own: SourceStatus | None, there: SourceStatus | None) -> Iterator[Checkpoint]:
    """Checkpoints that differ, and those that are forgotten."""
    old = {c.stream: c for c in there.streams} if there else {}
    new = {c.stream: c for c in own.streams} if own else {}
    for stream, kept in old.items():
        if stream not in new or new[stream].position < kept.position:
            yield Checkpoint(kept.source, stream, -1)
    for stream, wanted in new.items():
        if stream not in old or (old[stream].position, dict(old[stream].state)) != (wanted.position, dict(wanted.state)):
            yield wanted


def _retired(status: SourceStatus, mark: Mark) -> tuple[int, int]:
    """Events that the ledger counts beyond those that were copied and those known to be gone; a ledger that counts too few stays wrong."""
    held, gone = mark.held.get(status.source, (0, 0)), mark.retired.get(status.source, (0, 0))
    return max(0, status.stored - held[0] - gone[0]), max(0, status.unparsed - held[1] - gone[1])


def _ledger(store: Store) -> dict[str, SourceStatus]:
    return {s.source: s for s in store.events.ledger() if not s.source.startswith(RESERVED)}


def _cursors(store: Store) -> dict[str, tuple[int, Mapping[str, object]]]:
    places = store.coordination.cursors()
    return {name: (at, dict(store.coordination.state(name))) for name, at in places.items() if not name.startswith(_LEFT)}


def _letters(store: Store) -> dict[bytes, list[Letter]]:
    out: dict[bytes, list[Letter]] = defaultdict(list)
    for number, letter in store.events.dead_letters():
        out[letter_hash(letter)].append(Letter(number, letter.source, letter.reason))
    return dict(out)


def _restless(store: Store) -> StoreError:
    what = "the store changes so quickly that no moment of it can be seen"
    return StoreError(what, where=store.url, hint="stop collecting, then copy again")
