"""Log files that are not runs of lines: Windows event logs and archives, as part of a file source.

EVTX: the position is the next EventRecordID; a file that changed is read again and only newer records are taken. A channel that was
cleared or overwritten counts anew and begins a new stream. Archives: a stream for each member and content (`logs.zip!a.log@<hash>`),
the position is the number of records taken, so that an interrupted reading goes on and a second one takes nothing.
"""

from __future__ import annotations

import hashlib
import logging
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa

from collectors import evtx, whole
from collectors.identity import Seen, generation, path_of
from domain.raw import Checkpoint, RawBatch

KINDS: Final = ("evtx", "archive")
_LOG: Final = logging.getLogger(__name__)


def kind(path: str) -> str:
    """`evtx`, `archive`, or empty for a run of lines (or a file that cannot be opened)."""
    try:
        with Path(path).open("rb") as raw:
            head = raw.read(512)
    except OSError:
        return ""
    if head.startswith(evtx.MAGIC):
        return "evtx"
    if head.startswith(b"PK\x03\x04"):
        return "archive"
    packed = head.startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0"))
    return "archive" if (packed or head[257:262] == b"ustar") and _is_tar(path) else ""


def _is_tar(path: str) -> bool:
    try:
        return tarfile.is_tarfile(path)
    except (OSError, EOFError):
        return False


@dataclass(frozen=True)
class Contained:
    """Reads containers of one source."""

    like: RawBatch
    """An empty batch of the source: id, parser, zone."""
    checkpoints: Sequence[Checkpoint]
    """All of the source."""
    now: datetime

    def read(self, seen: Seen, what: str) -> Iterator[RawBatch]:
        """What is new in a container; `what` as `kind` says. OSError when it cannot be opened."""
        stamp: dict[str, object] = {"kind": what, "path": seen.real, "size": seen.size, "mtime": seen.mtime}
        if any(all(c.state.get(name) == value for name, value in stamp.items()) and c.state.get("whole") for c in self.checkpoints):
            return
        yield from self._evtx(seen, stamp) if what == "evtx" else self._archive(seen, stamp)

    def _evtx(self, seen: Seen, stamp: Mapping[str, object]) -> Iterator[RawBatch]:
        damage = evtx.Damage()
        with Path(seen.real).open("rb") as raw:
            lacking = evtx.cut(raw)
        numbered = sorted(evtx.records(seen.real, damage), key=lambda pair: pair[0])
        ours = [c for c in self.checkpoints if path_of(c.stream) == seen.path]
        last = max(ours, key=lambda c: generation(c.stream), default=Checkpoint("", f"{seen.path}#1", 0))
        stream, position = last.stream, last.position
        if position and not _goes_on(numbered, position, str(last.state.get("last", ""))):
            stream, position = f"{seen.path}#{generation(stream) + 1}", 0
        new = [pair for pair in numbered if pair[0] >= position]
        if lacking:
            _LOG.warning("%s: %s", seen.path, lacking)
        if damage.records:
            _LOG.warning("%s: %d damaged records or chunks: %s", seen.path, damage.records, damage.first)
        for start in range(0, max(len(new), 1), evtx.BATCH):
            part = new[start : start + evtx.BATCH]
            done = start + evtx.BATCH >= len(new)
            newest = _digest(part[-1][1]) if part else last.state.get("last", "")
            state = {**stamp, "last": newest, "whole": done, **({"damaged": damage.records} if damage.records else {})}
            if lacking:
                state["problem"] = f"{seen.path}: {lacking}"
            following = part[-1][0] + 1 if part else position
            yield self._batch(stream, part, Checkpoint(self.like.source, stream, following, state))

    def _archive(self, seen: Seen, stamp: Mapping[str, object]) -> Iterator[RawBatch]:
        with Path(seen.real).open("rb") as raw:
            content = hashlib.file_digest(raw, "sha256").hexdigest()[:16]
        taken = {c.stream: c.position for c in self.checkpoints}
        counts: dict[str, int] = {}
        problems: list[whole.Problem] = []
        for batch in whole.batches(Path(seen.real), seen.path, _micros(self.now), problems.append, self.like.parser):
            stream = f"{batch.source}@{content}"
            before, counts[stream] = counts.get(stream, 0), counts.get(stream, 0) + len(batch.records)
            skip = min(max(taken.get(stream, 0) - before, 0), len(batch.records))
            if skip < len(batch.records):
                rest = list(zip(batch.positions[skip:].tolist(), batch.records[skip:].to_pylist(), strict=True))
                yield self._batch(stream, rest, Checkpoint(self.like.source, stream, counts[stream], {**stamp}))
        for problem in problems:
            _LOG.warning("%s: %s", problem.source, problem.reason)
        stream = f"{seen.path}@{content}"
        state = {**stamp, "whole": True, **({"problem": "; ".join(f"{p.source}: {p.reason}" for p in problems[:20])} if problems else {})}
        yield self._batch(stream, [], Checkpoint(self.like.source, stream, counts.get(stream, 0), state))

    def _batch(self, stream: str, pairs: Sequence[tuple[int, bytes]], checkpoint: Checkpoint) -> RawBatch:
        positions = np.array([number for number, _ in pairs], np.int64)
        records = pa.array([raw for _, raw in pairs], pa.large_binary())
        arrivals = np.full(len(pairs), _micros(self.now), np.int64)
        return replace(
            self.like, stream=stream, records=records, positions=positions, arrivals=arrivals, checkpoint=checkpoint, received=len(pairs)
        )


def _goes_on(numbered: Sequence[tuple[int, bytes]], position: int, last: str) -> bool:
    """Whether the file still is the log that was read up to `position`: it holds the last record, or only newer ones."""
    if not numbered:
        return True
    previous = next((raw for number, raw in numbered if number == position - 1), None)
    return numbered[0][0] >= position if previous is None else _digest(previous) == last


def _digest(raw: bytes) -> str:
    return hashlib.blake2b(raw, digest_size=8).hexdigest()


def _micros(at: datetime) -> int:
    return int(at.timestamp() * 1_000_000)
