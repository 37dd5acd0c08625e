"""The Collector of received logs: reads spool segments, and removes those whose records the store holds.

Damage costs only the damaged frames: the numbers of the frames around it tell how many (`spool_damaged`, their bytes become dead
letters). A torn last frame was never acknowledged and is no record.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa

from collectors import faults, spool
from collectors.framing import TOO_LONG
from collectors.settings import Place, Settings
from collectors.spool import Frame, Segment
from domain.raw import Checkpoint, RawBatch

ROWS: Final = 50_000
"""Records of a batch."""
DAMAGED: Final = "spool_damaged"
_MANY: Final = 10_000
"""A larger gap is a missing segment: told, but there are no bytes to keep."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True)
class Spooled:
    """The Collector of `type = "syslog"`."""

    settings: Settings
    root: Path
    """Folder of all spools."""

    @classmethod
    def of(cls, settings: Settings, place: Place) -> Spooled:
        """From configuration."""
        return cls(settings, place.spool)

    def pull(self, checkpoints: Sequence[Checkpoint]) -> Iterator[RawBatch]:
        """What was received and is not stored yet. Segments before the checkpoints are removed."""
        there = spool.segments(spool.folder(self.root, self.settings.id))
        for name in dict.fromkeys(segment.spool for segment in there):
            stream = f"spool-{name}"
            begun = next((c for c in checkpoints if c.stream == stream), Checkpoint(self.settings.id, stream, 0))
            ours = [segment for segment in there if segment.spool == name]
            kept = _trimmed(ours, begun.position >> 32, there[-1])
            yield from _Reading(self.settings, begun).batches(kept)


def _trimmed(ours: Sequence[Segment], upto: int, newest: Segment) -> list[Segment]:
    kept = []
    for segment in ours:
        if segment.number < upto and segment != newest:
            faults.point("spool-unlink")
            segment.path.unlink(missing_ok=True)
        else:
            kept.append(segment)
    return kept


class _Reading:
    """One pass over the segments of one spool."""

    def __init__(self, settings: Settings, begun: Checkpoint) -> None:
        self._settings = settings
        self._stream = begun.stream
        self._position = begun.position
        self._number = int(str(begun.state.get("number", -1)))
        """Of the last record read; -1 = none yet."""
        self._totals = (int(str(begun.state.get("dropped_by_kernel", 0))), int(str(begun.state.get("dropped_by_quota", 0))))
        self._missing = int(str(begun.state.get("missing", 0)))
        self._frames: list[tuple[int, Frame]] = []
        self._dead: list[tuple[int, str, bytes]] = []
        self._skipped: tuple[int, bytes] | None = None

    def batches(self, segments: Sequence[Segment]) -> Iterator[RawBatch]:
        """All that is readable; the last stretch of the newest segment may still be under way."""
        before = self._position
        for segment in segments:
            data = segment.path.read_bytes()
            start = self._position - segment.base if self._position >> 32 == segment.number else 0
            for found in spool.frames(data, start):
                if isinstance(found, tuple):
                    if found[1] == len(data) and segment == segments[-1]:
                        break
                    self._skip(segment, data, *found)
                    continue
                self._take(segment, found)
                if len(self._frames) >= ROWS:
                    yield self._batch()
                    before = self._position
        if self._frames or self._dead or self._position != before:
            yield self._batch()

    def _skip(self, segment: Segment, data: bytes, start: int, stop: int) -> None:
        place = f"{segment.path.name} at {start}"
        _LOG.warning("%s: %s: %d bytes are no sound frame", self._settings.id, place, stop - start)
        self._skipped = (segment.base + start, data[start : min(stop, start + (1 << 20))])

    def _take(self, segment: Segment, frame: Frame) -> None:
        self._position = segment.base + frame.end
        gap = frame.number - self._number - (frame.kind != spool.DROPS)
        if gap > 0 and self._number >= 0:
            self._lost(gap, segment.base + frame.offset)
        self._skipped = None
        self._number = max(self._number, frame.number)
        if frame.kind == spool.DROPS:
            self._totals = spool.TOTALS.unpack(frame.data)
        elif frame.kind == spool.REFUSED:
            self._dead.append((segment.base + frame.offset, TOO_LONG, frame.data))
        else:
            self._frames.append((segment.base + frame.offset, frame))

    def _lost(self, gap: int, position: int) -> None:
        if gap > _MANY:
            self._missing += gap
            _LOG.warning("%s: %d received records are missing from the spool", self._settings.id, gap)
            return
        start, raw = self._skipped or (position, b"")
        self._dead += [(start + i, DAMAGED, raw if i == 0 else b"") for i in range(gap)]
        _LOG.warning("%s: %d received records are damaged or missing in the spool", self._settings.id, gap)

    def _batch(self) -> RawBatch:
        taken, self._frames = self._frames, []
        dead, self._dead = tuple(self._dead), []
        rejected: dict[str, int] = {}
        for _, reason, _ in dead:
            rejected[reason] = rejected.get(reason, 0) + 1
        state: dict[str, object] = {"number": self._number, "dropped_by_kernel": self._totals[0], "dropped_by_quota": self._totals[1]}
        if self._missing:
            state["missing"] = self._missing
        return RawBatch(
            self._settings.id, self._stream, pa.array([frame.data for _, frame in taken], pa.large_binary()),
            np.array([position for position, _ in taken], np.int64), np.array([frame.arrival for _, frame in taken], np.int64),
            Checkpoint(self._settings.id, self._stream, self._position, state),
            peers=pa.array([frame.peer.decode("ascii", "replace") for _, frame in taken], pa.string()),
            parser=self._settings.parser, encoding=self._settings.encoding, tz=self._settings.tz, rejected=rejected, dead=dead,
            received=len(taken) + len(dead),
        )  # fmt: skip


@dataclass
class Waiting:
    """What a spool holds that the store does not, and what never got into it."""

    records: int = 0
    oldest: datetime | None = None
    """Arrival of the first of them."""
    dropped_by_kernel: int = 0
    dropped_by_quota: int = 0
    streams: list[str] = field(default_factory=list)


def waiting(root: Path, source: str, checkpoints: Sequence[Checkpoint]) -> Waiting:
    """Seen from these checkpoints, however far reader and writer have gone since."""
    out = Waiting()
    there = spool.segments(spool.folder(root, source))
    known = {c.stream: c for c in checkpoints if c.stream.startswith("spool-")}
    for name in dict.fromkeys([segment.spool for segment in there] + [stream[6:] for stream in known]):
        begun = known.get(f"spool-{name}", Checkpoint(source, f"spool-{name}", 0))
        _add(out, begun, [segment for segment in there if segment.spool == name])
    return out


def _add(out: Waiting, begun: Checkpoint, ours: Sequence[Segment]) -> None:
    state: Mapping[str, object] = begun.state
    number = int(str(state.get("number", -1)))
    totals = (int(str(state.get("dropped_by_kernel", 0))), int(str(state.get("dropped_by_quota", 0))))
    last, oldest = number, None
    ahead = [segment for segment in ours if segment.number >= begun.position >> 32]
    for segment in dict.fromkeys([*ahead[:1], *ahead[-1:]]):
        try:
            data = segment.path.read_bytes()
        except FileNotFoundError:  # stored and removed meanwhile
            continue
        for frame in spool.frames(data, begun.position - segment.base if begun.position >> 32 == segment.number else 0):
            if isinstance(frame, tuple):
                continue
            number = frame.number - (frame.kind != spool.DROPS) if number < 0 else number
            last = max(last, frame.number)
            if frame.kind == spool.DROPS:
                totals = spool.TOTALS.unpack(frame.data)
            elif oldest is None:
                oldest = _EPOCH + timedelta(microseconds=frame.arrival)
    out.records += last - number
    out.oldest = min((at for at in (out.oldest, oldest) if at is not None), default=None)
    out.dropped_by_kernel += totals[0]
    out.dropped_by_quota += totals[1]
