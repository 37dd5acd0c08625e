"""Log files by glob pattern: whole and growing, rotated, compressed. Which is which: `collectors.identity`; records: `collectors.framing`.

A last line without line break is held back until it is completed or nothing was written for `IDLE`; then it is taken as it is, once,
and what completes it later is a record of its own. Compressed files do not grow: their last line is taken at once.
"""

# Paths are plain strings here: they come from glob by the thousand, every second.
# ruff: noqa: PTH100, PTH110, PTH112, PTH118, PTH207

from __future__ import annotations

import glob
import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import numpy as np
import re2

from collectors.contained import KINDS, Contained, kind
from collectors.framing import PIECE, TOO_LONG, Cut, Starts, cut, style
from collectors.identity import SPAN, Moved, Seen, Tail, digest, generation, look, match, path_of
from collectors.packed import Content
from collectors.settings import Place, Settings
from domain.clock import Clock
from domain.errors import ConfigError, SourceError
from domain.raw import Checkpoint, RawBatch

CHUNK: Final = 16 << 20
"""Bytes read at once."""
IDLE: Final = timedelta(minutes=5)
"""How long an unfinished last line waits for its end."""
SURE: Final = timedelta(minutes=1)
"""How long a file must be away before its unread rest is called lost."""
FORGET: Final = timedelta(days=7)
"""How long a stream without a file is remembered."""
_TRIES: Final = 5
_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True)
class Files:
    """The Collector of `type = "file"`."""

    settings: Settings
    root: Path
    """Relative patterns start here."""
    clock: Clock
    idle: timedelta = IDLE
    """Zero: files do not grow any more (evidence), last lines are taken at once."""

    @classmethod
    def of(cls, settings: Settings, place: Place) -> Files:
        """From configuration."""
        return cls(settings, place.root, place.clock)

    def pull(self, checkpoints: Sequence[Checkpoint]) -> Iterator[RawBatch]:
        """What is new in every file. SourceError at the end, naming the files that could not be read."""
        now = self.clock.now()
        problems: list[str] = []
        tails = [Tail.load(c) for c in checkpoints if c.state.get("kind") not in KINDS]
        bound, missing, containers = self._matched(tails, problems)
        for tail, seen in sorted(bound, key=lambda pair: (pair[1].mtime, pair[1].path)):
            yield from _tried(self._read(tail, seen, now), seen, problems)
        inside = Contained(self.batch(Tail(""), cut(b"", 0), now), checkpoints, now)
        for seen, what in containers:
            yield from _tried(inside.read(seen, what), seen, problems)
        yield from self._gone(missing, checkpoints, now)
        if problems:
            raise SourceError("; ".join(problems), where=self.settings.id, hint="check path and permissions, then: soc collect once")

    def _matched(self, tails: list[Tail], problems: list[str]) -> tuple[list[tuple[Tail, Seen]], list[Tail], list[tuple[Seen, str]]]:
        known = {tail.key for tail in tails}
        for _ in range(_TRIES):
            found = self._found()
            if not found and not tails:
                problems += self._unreachable()
            containers = [(seen, what) for seen in found if seen.key not in known and (what := kind(seen.real))]
            apart = {seen.key for seen, _ in containers}
            try:
                result = match(tails, [seen for seen in found if seen.key not in apart])
            except Moved:
                continue
            return result.bound, result.missing, containers
        return [], [], []

    @property
    def _pattern(self) -> str:
        if not self.settings.path:
            raise ConfigError("a file source needs path", where=self.settings.id, hint='path = "/var/log/nginx/*.log"')
        return os.path.abspath(self.root / Path(self.settings.path).expanduser())

    def _found(self) -> list[Seen]:
        pattern = self._pattern
        if os.path.isdir(pattern):
            paths = [os.path.join(folder, name) for folder, _, names in os.walk(pattern) for name in names]
        else:
            paths = [pattern] if os.path.exists(pattern) else glob.glob(pattern, recursive=True)
        seen = [s for s in map(look, sorted(paths)) if s is not None]
        return list({s.key: s for s in reversed(seen)}.values())

    def _unreachable(self) -> list[str]:
        folder = Path(self._pattern)
        while glob.has_magic(str(folder)) or not (folder.is_dir() or glob.has_magic(self._pattern)):
            if not glob.has_magic(str(folder)):
                return [f"{folder}: no such file"]
            folder = folder.parent
        if not folder.is_dir():
            return [f"{folder}: no such folder"]
        return [] if os.access(folder, os.R_OK | os.X_OK) else [f"{folder}: permission denied"]

    def _read(self, tail: Tail, seen: Seen, now: datetime) -> Iterator[RawBatch]:
        waits = tail.hold is not None and tail.hold[1] + self.idle // timedelta(microseconds=1) <= _micros(now)
        if (tail.size, tail.mtime, tail.path) == (seen.size, seen.mtime, seen.real) and tail.key == seen.key and not waits:
            return
        with Content(seen.real) as content:
            if (content.stat.st_dev, content.stat.st_ino) != seen.key or not tail.continued_by(content):
                return  # it moved after it was matched: next time
            before = tail.save(self.settings.id)
            tail.take(seen)
            tail.size, tail.mtime = content.stat.st_size, content.stat.st_mtime_ns
            yield from _Reading(self, tail, content, now, waits=waits).batches(before)

    def batch(self, tail: Tail, piece: Cut, now: datetime) -> RawBatch:
        """The records of a piece, with the checkpoint after it."""
        rejected = {TOO_LONG: len(piece.dead)} if piece.dead else {}
        return RawBatch(
            self.settings.id, tail.id, piece.records, piece.positions, np.full(len(piece.positions), _micros(now), np.int64),
            tail.save(self.settings.id), parser=self.settings.parser, encoding=tail.style.encoding, tz=self.settings.tz,
            rejected=rejected, dead=piece.dead, received=len(piece.records) + len(piece.dead),
        )  # fmt: skip

    def starts(self) -> Starts | None:
        """The test for the first line of a record, when records span lines."""
        if not self.settings.record_start:
            return None
        try:
            begins: Starts = re2.compile(self.settings.record_start.encode()).match
        except re2.error as error:
            raise ConfigError(f"record_start is no regular expression: {error}", where=self.settings.id) from None
        return begins

    def _gone(self, missing: Sequence[Tail], checkpoints: Sequence[Checkpoint], now: datetime) -> Iterator[RawBatch]:
        """Remember since when a stream has no file; say once what of it was never read; forget it at last.

        The newest stream of each path is never forgotten: its number is what keeps names from being used again.
        """
        known = {c.stream: c for c in checkpoints}
        newest = {path_of(name): name for name in sorted(known, key=generation)}
        for tail in missing:
            if tail.gone and _micros(now) - tail.gone > FORGET // timedelta(microseconds=1) and newest[path_of(tail.id)] != tail.id:
                yield replace(self.batch(tail, cut(b"", 0), now), checkpoint=Checkpoint(self.settings.id, tail.id, -1))
                continue
            tail.gone = tail.gone or _micros(now)
            unread = tail.size - tail.position if tail.hold is None else tail.hold[0] - tail.position
            if unread > 0 and not tail.lost and _micros(now) - tail.gone >= SURE // timedelta(microseconds=1):
                tail.lost = unread
                _LOG.warning("%s: %s is gone with %d bytes that were not read yet", self.settings.id, tail.path, unread)
            if tail.save(self.settings.id) != known.get(tail.id):
                yield self.batch(tail, cut(b"", 0), now)


@dataclass
class _Reading:
    """One file being read from its stream's position to the end it had when it was opened."""

    source: Files
    tail: Tail
    content: Content
    now: datetime
    waits: bool
    """The unfinished last line has waited long enough."""

    def batches(self, before: Checkpoint) -> Iterator[RawBatch]:
        """Pieces of the file; when nothing is new, only a checkpoint, and only when it differs from the one before."""
        tail, starts = self.tail, self.source.starts()
        first = self.content.read(0, SPAN) if self.tail.position else b""
        recent = self.content.read(tail.position - tail.anchor[0], tail.anchor[0]) if tail.position else b""
        while True:
            piece, data = self._piece(starts)
            if not piece.used:
                break
            used = data[: piece.used]
            if not self._unchanged():
                return
            if len(first) < SPAN:
                first = (first[: tail.position] + used)[:SPAN]
            recent = (recent + used)[-SPAN:]
            tail.position += piece.used
            tail.head, tail.anchor, tail.hold = digest(first[: tail.position]), digest(recent), None
            yield self.source.batch(tail, piece, self.now)
            before = tail.save(self.source.settings.id)
        self._held(len(data))
        if tail.save(self.source.settings.id) != before:
            yield self.source.batch(tail, cut(b"", 0), self.now)

    def _piece(self, starts: Starts | None) -> tuple[Cut, bytes]:
        """The next records and the bytes they were cut from."""
        tail, base, data = self.tail, self.tail.position, b""
        for size in (CHUNK, PIECE):
            data = self.content.read(base, size)
            if not base:
                tail.style = style(data, self.source.settings.encoding)
            skip = tail.style.bom if not base else 0
            ended = len(data) < size and (self.waits or not self.source.idle or (bool(self.content.packing) and not self.content.broken))
            piece = cut(data[skip:], base + skip, tail.style.mark, last=ended, starts=starts)
            if piece.used or len(data) < size:
                break
        if piece.used:
            piece = Cut(piece.records, piece.positions, piece.used + skip, piece.dead)
        elif len(data) == PIECE:
            piece = Cut(piece.records, piece.positions, len(data), ((base, TOO_LONG, data),))
        return self._rest_of_long(piece, data), data

    def _rest_of_long(self, piece: Cut, data: bytes) -> Cut:
        """The end of a line of which pieces were refused is refused too."""
        was, self.tail.inside = self.tail.inside, len(data) == PIECE and piece.used == PIECE and not len(piece.records)
        if not was or not len(piece.records) or piece.positions[0] != self.tail.position:
            if was and not piece.used:
                self.tail.inside = True
            return piece
        end = (self.tail.position, TOO_LONG, piece.records[0].as_py())
        return Cut(piece.records[1:], piece.positions[1:], piece.used, (end, *piece.dead))

    def _unchanged(self) -> bool:
        """Read again what identifies the file: it may have been truncated while it was read."""
        return bool(self.content.packing) or self.tail.continued_by(self.content)

    def _held(self, rest: int) -> None:
        tail, end = self.tail, self.tail.position + rest
        if not rest:
            tail.hold = None
        elif tail.hold is None or tail.hold[0] != end:
            tail.hold = (end, _micros(self.now))
        if self.content.broken:
            _LOG.warning("%s: %s cannot be unpacked to its end: %s", self.source.settings.id, tail.path, self.content.broken)


def _tried(batches: Iterator[RawBatch], seen: Seen, problems: list[str]) -> Iterator[RawBatch]:
    """The batches of one file; what keeps it from being read becomes a problem, and the other files go on."""
    try:
        yield from batches
    except OSError as error:
        problems.append(f"{seen.path}: {error.strerror or error}")


def _micros(at: datetime) -> int:
    return int(at.timestamp() * 1_000_000)
