"""A file source followed over restarts: every pull is made by a new collector that knows only the stored checkpoints."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from collectors.file import Files
from domain.raw import Checkpoint, RawBatch


@dataclass(frozen=True)
class Settings:
    id: str = "s"
    path: str = "*"
    parser: str = "auto"
    encoding: str = "utf-8"
    tz: str = "+07:00"
    record_start: str = ""


@dataclass
class Clock:
    at: datetime = datetime(2026, 11, 24, 1, 15, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at


@dataclass
class Follower:
    folder: Path
    settings: Settings = field(default_factory=Settings)
    clock: Clock = field(default_factory=Clock)
    idle: timedelta = timedelta(minutes=5)
    checkpoints: dict[str, str] = field(default_factory=dict)
    got: list[tuple[str, int, bytes]] = field(default_factory=list)
    dead: list[tuple[str, bytes]] = field(default_factory=list)
    encodings: set[str] = field(default_factory=set)

    def batches(self) -> list[RawBatch]:
        known = [Checkpoint(**json.loads(text)) for text in self.checkpoints.values()]
        return list(Files(self.settings, self.folder, self.clock, self.idle).pull(known))

    def pull(self) -> list[bytes]:
        """What is new, by one restarted collector."""
        new = []
        for batch in self.batches():
            assert batch.received == len(batch.records) + len(batch.dead)
            self.store(batch.checkpoint)
            found = zip(batch.positions.tolist(), batch.records.to_pylist(), strict=True)
            new += [(batch.stream, position, raw) for position, raw in found]
            self.dead += [(reason, raw) for _, reason, raw in batch.dead]
            self.encodings.add(batch.encoding)
        self.got += new
        return [raw for _, _, raw in new]

    def store(self, checkpoint: Checkpoint) -> None:
        if checkpoint.position < 0:
            del self.checkpoints[checkpoint.stream]
        else:
            values = {"source": checkpoint.source, "stream": checkpoint.stream, "position": checkpoint.position, "state": checkpoint.state}
            self.checkpoints[checkpoint.stream] = json.dumps(values)

    def wait(self, **length: float) -> None:
        self.clock.at += timedelta(**length)

    def exact(self, *lines: bytes) -> None:
        """Every line exactly once, in order within its stream, and a further pull brings nothing."""
        assert self.pull() == []
        assert sorted(raw for _, _, raw in self.got) == sorted(lines)
        for stream in {s for s, _, _ in self.got}:
            positions = [p for s, p, _ in self.got if s == stream]
            assert positions == sorted(set(positions)), stream


def lines(start: int, stop: int, name: str = "a") -> list[bytes]:
    return [b"SEQ=%s:%06d" % (name.encode(), n) for n in range(start, stop)]


def text(start: int, stop: int, name: str = "a") -> bytes:
    return b"".join(line + b"\n" for line in lines(start, stop, name))


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as out:
        out.write(data)
