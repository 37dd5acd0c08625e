"""How far one shard of an index that others write has been read: the next sequence number, holes below it, anchors that prove continuity.

An operation with a lower sequence number can become visible after one with a higher, so numbers that were missing are asked for again
until they are found. Deleted and updated documents leave numbers that nobody ever finds: holes grow old.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from domain.raw import Checkpoint

OLD: Final = 10 * 60 * 1_000_000
"""Microseconds after which a hole is given up, once newer documents have appeared that much later."""
MAX_HOLES: Final = 500
"""Ranges of missing numbers remembered for a shard; beyond it the lowest are shed: what is under way lies at the top."""
MAX_NOTES: Final = 5
_NEAR: Final = 4
"""Newest anchors that are all kept; older ones at distances that double."""


class Hole(NamedTuple):
    """Missing sequence numbers `start` <= n < `stop`."""

    start: int
    stop: int
    seen: int
    """When they were first missed, microseconds."""


class Anchor(NamedTuple):
    """A document that was read, to tell whether the index is still the same."""

    seq: int
    id: str
    digest: str


class Document(NamedTuple):
    """One hit."""

    seq: int
    id: str
    raw: bytes
    at: object = None
    """Its own time stamp, as it was written; None when it has none."""

    @property
    def anchor(self) -> Anchor:
        """What is remembered of it."""
        return Anchor(self.seq, self.id, hashlib.blake2b(self.raw, digest_size=8).hexdigest())


@dataclass
class Progress:
    """One shard of one generation of an index."""

    index: str
    shard: int
    generation: int = 1
    """Goes up when the index is created anew under its name."""
    shards: int = 1
    """Of the index."""
    uuid: str = ""
    """Of the index, "" when the cluster does not tell."""
    next: int = 0
    """First sequence number above all that was read."""
    read: int = 0
    """Documents read: the checkpoint's position, so that nothing can be stored from the same place twice."""
    moved: int = 0
    """When new documents last appeared, microseconds."""
    holes: list[Hole] = field(default_factory=list)
    anchors: list[Anchor] = field(default_factory=list)
    """Newest first."""
    overlap: int = 0
    """Documents below this number may have been stored before (an older state was restored)."""
    behind: int = 0
    """Since when the cluster shows less than was read, microseconds; 0 = it does not."""
    gone: int = 0
    """Since when the index is not there, microseconds; 0 = it is."""
    shed: int = 0
    """Missing numbers that were no longer asked for because there were too many."""
    notes: list[Mapping[str, Any]] = field(default_factory=list)
    """What happened to the index: {"what", "at", ...}."""

    @property
    def stream(self) -> str:
        """Name of the stream: an index name holds neither # nor /."""
        return f"{self.index}#{self.generation}/{self.shard}"

    def save(self, source: str) -> Checkpoint:
        """As a checkpoint."""
        state: dict[str, Any] = {
            "index": self.index, "shard": self.shard, "generation": self.generation, "shards": self.shards, "uuid": self.uuid,
            "next": self.next, "moved": self.moved, "holes": [list(h) for h in self.holes], "anchors": [list(a) for a in self.anchors],
        }  # fmt: skip
        state |= {name: value for name in ("overlap", "behind", "gone", "shed") if (value := getattr(self, name))}
        if self.notes:
            state["notes"] = [dict(note) for note in self.notes]
        return Checkpoint(source, self.stream, self.read, state)

    @classmethod
    def load(cls, checkpoint: Checkpoint) -> Progress | None:
        """From a checkpoint; None when it is none of ours."""
        state: Mapping[str, Any] = checkpoint.state
        if "next" not in state or "index" not in state:
            return None
        names = ("index", "shard", "generation", "shards", "uuid", "next", "moved")
        more = {name: state[name] for name in ("overlap", "behind", "gone", "shed") if name in state}
        return cls(
            **{name: state[name] for name in names}, read=checkpoint.position, holes=[Hole(*h) for h in state["holes"]],
            anchors=[Anchor(*a) for a in state["anchors"]], notes=list(state.get("notes", ())), **more,
        )  # fmt: skip

    def note(self, what: str, now: int, **values: object) -> None:
        """Remember what happened, for the source's status."""
        self.notes = [*self.notes, {"what": what, "at": now, **values}][-MAX_NOTES:]

    def take(self, found: Sequence[Document], now: int) -> int:
        """Documents in ascending order were read. Returns how many missing numbers were shed."""
        late = [d.seq for d in found if d.seq < self.next]
        fresh = [d for d in found if d.seq >= self.next]
        for seq in late:
            self._fill(seq)
        for document in fresh:
            if document.seq > self.next:
                self.holes.append(Hole(self.next, document.seq, now))
            self.next = document.seq + 1
        self.read += len(found)
        if fresh:
            self.moved = now
            self.anchors = thinned([fresh[-1].anchor, *([fresh[len(fresh) // 2].anchor] if len(fresh) > 2 else []), *self.anchors])
        if self.next >= self.overlap:
            self.overlap = 0
        self.holes = [h for h in self.holes if self.moved - h.seen < OLD]
        return self._shed()

    def rewind(self, seq: int) -> None:
        """Read again from `seq` on; what was stored before is recognised by its id."""
        self.overlap = max(self.overlap, self.next)
        self.next = seq
        self.holes = [h for h in self.holes if h.stop <= seq]
        self.anchors = [a for a in self.anchors if a.seq < seq]
        self.behind = 0

    def anew(self) -> Progress:
        """The next generation, from the start."""
        return Progress(self.index, self.shard, self.generation + 1, self.shards, notes=list(self.notes))

    def _fill(self, seq: int) -> None:
        for place, hole in enumerate(self.holes):
            if hole.start <= seq < hole.stop:
                parts = (Hole(hole.start, seq, hole.seen), Hole(seq + 1, hole.stop, hole.seen))
                self.holes[place : place + 1] = [part for part in parts if part.start < part.stop]
                return

    def _shed(self) -> int:
        over = self.holes[:-MAX_HOLES] if len(self.holes) > MAX_HOLES else []
        self.holes = self.holes[len(over) :]
        lost = sum(h.stop - h.start for h in over)
        self.shed += lost
        return lost


def thinned(anchors: Sequence[Anchor]) -> list[Anchor]:
    """The newest ones, and of the others the oldest at each power of two of distance: some dozens for any length of history."""
    far = {(anchors[0].seq - anchor.seq).bit_length(): anchor for anchor in anchors[_NEAR:]}
    return [*anchors[:_NEAR], *far.values()]
