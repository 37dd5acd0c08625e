"""Whole files, read once from start to end: text, EVTX, compressed, archives of them. For hunts, trials and evidence.

Positions: 0-based line number of a text file, EventRecordID of an EVTX file. Nothing is extracted to disk; member names are never
used as paths, so a hostile archive cannot write anywhere. What cannot be read is told through `Problem`, the rest goes on.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from collectors import evtx
from collectors.lines import MAX_LINE, Cutter
from domain.raw import Checkpoint, RawBatch

_HEAD: Final = 1 << 16
MAX_MEMBER: Final = 8 << 30
"""Bytes unpacked from one compressed file or archive member before it is taken for a bomb."""
_OPENERS: Final[dict[bytes, Callable[..., Any]]] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\x00": lzma.open}
_BROKEN: Final = (
    OSError,
    EOFError,
    lzma.LZMAError,
    zlib.error,
    tarfile.TarError,
    zipfile.BadZipFile,
    ValueError,
    RuntimeError,
    NotImplementedError,
)


@dataclass(frozen=True)
class Problem:
    """Something that could not be read."""

    source: str
    """Label of the file or member."""
    reason: str


def files(path: Path) -> Iterator[tuple[Path, str]]:
    """(file, label): the file itself by name, or every file below a folder by its path relative to it, sorted."""
    if path.is_dir():
        for found in sorted(path.rglob("*")):
            if found.is_file():
                yield found, found.relative_to(path).as_posix()
    else:
        yield path, path.name


def is_empty_log(path: Path) -> bool:
    """Whether this is an event log by name without even a header."""
    return path.suffix.lower() == ".evtx" and path.is_file() and not path.stat().st_size


def batches(path: Path, label: str, arrival: int, tell: Callable[[Problem], None], parser: str = "auto") -> Iterator[RawBatch]:
    """All records of one file as batches whose `source` is the label (`archive!member` inside archives). `arrival` in microseconds."""
    if path.exists() and not path.is_file():  # a FIFO would block, a device never ends
        tell(Problem(label, "not a regular file"))
        return
    try:
        with path.open("rb") as raw:
            if is_empty_log(path):
                tell(Problem(label, evtx.cut(raw)))
            yield from _open(raw, label, _Context(arrival, tell, parser))
    except _BROKEN as error:
        tell(Problem(label, _reason(error)))


@dataclass(frozen=True)
class _Context:
    arrival: int
    tell: Callable[[Problem], None]
    parser: str
    depth: int = 0


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if not isinstance(error, OSError) else (error.strerror or str(error))


def _open(raw: IO[bytes], label: str, context: _Context) -> Iterator[RawBatch]:
    head = raw.read(512)
    raw.seek(0)
    if head.startswith(evtx.MAGIC):
        yield from _evtx(raw, label, context)
    elif head.startswith(b"PK\x03\x04"):
        yield from _zip(raw, label, context)
    elif _is_tar(raw, head):
        yield from _tar(raw, label, context)
    else:
        opener = next((o for magic, o in _OPENERS.items() if head.startswith(magic)), None)
        if opener is None:
            yield from _text(raw, label, context)
        else:
            with opener(raw, "rb") as inner:
                yield from _unpacked(inner, label, context)


def _is_tar(raw: IO[bytes], head: bytes) -> bool:
    compressed = any(head.startswith(m) for m in _OPENERS)
    if not compressed and head[257:262] != b"ustar":
        return False
    try:
        with tarfile.open(fileobj=raw, mode="r:*") as archive:
            return archive.next() is not None
    except _BROKEN:
        return False
    finally:
        raw.seek(0)


def _unpacked(inner: IO[bytes], label: str, context: _Context) -> Iterator[RawBatch]:
    """A decompressed stream: EVTX needs to seek, so it is held in memory; text streams. What precedes damage is kept."""
    capped = _Capped(inner)
    buffered = io.BufferedReader(capped, 1 << 20)
    if buffered.peek(8)[:8] == evtx.MAGIC:
        yield from _evtx(io.BytesIO(buffered.read()), label, context)
    else:
        yield from _text(buffered, label, context)
    if capped.failure is not None:
        context.tell(Problem(label, _reason(capped.failure)))


class _Capped(io.RawIOBase):
    """Ends at damage, and after MAX_MEMBER bytes: a decompression bomb must not fill memory or time. `failure` says why."""

    def __init__(self, inner: Any) -> None:
        self.failure: Exception | None = None
        self._inner = inner
        self._left = MAX_MEMBER

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        if self.failure is not None:
            return 0
        try:
            data: bytes = self._inner.read1(len(buffer))  # read would lose what precedes damage
        except _BROKEN as error:
            self.failure = error
            return 0
        self._left -= len(data)
        if self._left < 0:
            self.failure = ValueError(f"unpacks to more than {MAX_MEMBER} bytes")
            return 0
        buffer[: len(data)] = data
        return len(data)


def _zip(raw: IO[bytes], label: str, context: _Context) -> Iterator[RawBatch]:
    with zipfile.ZipFile(raw) as archive:
        for member in archive.infolist():
            if member.is_dir():
                continue
            name = f"{label}!{member.filename}"
            try:
                with archive.open(member) as inner:
                    yield from _unpacked(inner, name, context)
            except _BROKEN as error:
                context.tell(Problem(name, _reason(error)))


def _tar(raw: IO[bytes], label: str, context: _Context) -> Iterator[RawBatch]:
    with tarfile.open(fileobj=raw, mode="r:*") as archive:
        for member in archive:
            inner = archive.extractfile(member) if member.isfile() else None
            if inner is not None:
                yield from _unpacked(inner, f"{label}!{member.name}", context)


def _evtx(raw: IO[bytes], label: str, context: _Context) -> Iterator[RawBatch]:
    damage = evtx.Damage()
    lacking = evtx.cut(raw)
    numbers: list[int] = []
    found: list[bytes] = []
    for number, record in evtx.records(raw, damage):
        numbers.append(number)
        found.append(record)
        if len(found) == evtx.BATCH:
            yield _batch(label, pa.array(found, pa.large_binary()), np.array(numbers, np.int64), context)
            numbers, found = [], []
    if found:
        yield _batch(label, pa.array(found, pa.large_binary()), np.array(numbers, np.int64), context)
    damaged = f"{damage.records} damaged records or chunks: {damage.first}" if damage.records else ""
    if lacking or damaged:
        context.tell(Problem(label, "; ".join(filter(None, (lacking, damaged)))))


def _text(raw: IO[bytes], label: str, context: _Context) -> Iterator[RawBatch]:
    head = raw.read(_HEAD)
    encoding, head = _bom(head)
    if encoding != "utf-8":
        raw, head = io.BytesIO((head + raw.read()).decode(encoding, "replace").encode()), b""
    yield from _lines(Cutter(raw, _long(label, context), head), label, context)


def _long(label: str, context: _Context) -> Callable[[int, int], None]:
    return lambda line, size: context.tell(Problem(label, f"line {line}: {size} bytes exceed the limit of {MAX_LINE}"))


def _lines(cutter: Cutter, label: str, context: _Context) -> Iterator[RawBatch]:
    """Batches without empty lines; the others keep their numbers."""
    for first, lines in cutter:
        kept = np.flatnonzero(pc.binary_length(lines).to_numpy(zero_copy_only=False))
        if len(kept):
            yield _batch(label, lines if len(kept) == len(lines) else lines.take(pa.array(kept)), kept + first, context)


def _bom(block: bytes) -> tuple[str, bytes]:
    if block.startswith(b"\xef\xbb\xbf"):
        return "utf-8", block[3:]
    if block.startswith(b"\xff\xfe"):
        return "utf-16-le", block[2:]
    if block.startswith(b"\xfe\xff"):
        return "utf-16-be", block[2:]
    return "utf-8", block


def _batch(label: str, records: pa.Array, positions: np.ndarray[tuple[int], np.dtype[np.int64]], context: _Context) -> RawBatch:
    return RawBatch(
        source=label,
        stream="",
        records=records,
        positions=positions,
        arrivals=np.full(len(records), context.arrival, np.int64),
        checkpoint=Checkpoint(label, "", int(positions[-1]) + 1),
        parser=context.parser,
        received=len(records),
    )
