"""Whole files, read once from start to end: text, EVTX, compressed, archives of them. For hunts, trials and evidence.

Positions: 0-based line number of a text file, EventRecordID of an EVTX file. Nothing is extracted under a name; member names are never
used as paths, so a hostile archive cannot write anywhere. What cannot be read is told through `Problem`, the rest goes on.
"""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
import os
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, Final, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from collectors import documents, evtx, magic
from collectors.lines import BLOCK, MAX_LINE, Cutter
from collectors.problems import Problem as Problem  # noqa: PLC0414  part of this module for everybody
from collectors.problems import together as together  # noqa: PLC0414
from collectors.recoded import blocks, bom, utf8
from domain.i18n import t
from domain.raw import Checkpoint, RawBatch

_BOM: Final = 4
MAX_MEMBER: Final = 8 << 30
"""Bytes unpacked from one compressed file or archive member before it is taken for a bomb."""
MAX_DEPTH: Final = 3
"""Archives within archives."""
_HELD: Final = 64 << 20
"""Bytes of an inner zip held in memory; a larger one goes to a temporary file without a name."""
_OPENERS: Final[dict[bytes, Callable[..., Any]]] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\x00": lzma.open}
_ZIP: Final = b"PK\x03\x04"
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


def files(path: Path, tell: Callable[[Problem], None] | None = None) -> Iterator[tuple[Path, str]]:
    """(file, label): the file itself by name, or every file below a folder by its path relative to it, sorted.

    Links to folders are not followed, so a link to a parent is no trap; `tell` hears of them, of what is no file, of folders that
    cannot be listed.
    """
    if not path.is_dir():
        yield path, path.name
        return

    def note(found: Path, reason: str) -> None:
        if tell is not None:
            tell(Problem(found.relative_to(path).as_posix(), reason))

    walked: list[Path] = []
    for folder, inner, names in os.walk(path, onerror=lambda e: note(Path(e.filename), e.strerror or str(e))):
        walked += (Path(folder, name) for name in names)
        for name in inner:
            if Path(folder, name).is_symlink():
                note(Path(folder, name), t("collect.link"))
    for found in sorted(walked):
        if found.is_file():
            yield found, found.relative_to(path).as_posix()
        else:
            note(found, t("collect.broken_link") if found.is_symlink() else t("collect.not_regular"))


def is_empty_log(path: Path) -> bool:
    """Whether this is an event log by name without even a header."""
    return evtx.named(path.name) and path.is_file() and not path.stat().st_size


def batches(path: Path, label: str, arrival: int, tell: Callable[[Problem], None], parser: str = "auto") -> Iterator[RawBatch]:
    """All records of one file as batches whose `source` is the label (`archive!member` inside archives). `arrival` in microseconds."""
    if path.exists() and not path.is_file():  # a FIFO would block, a device never ends
        tell(Problem(label, t("collect.not_regular")))
        return
    try:
        with path.open("rb") as raw:
            if is_empty_log(path):
                tell(Problem(label, evtx.cut(raw)))
            yield from _open(raw, label, _Context(arrival, tell, parser))
    except _BROKEN as error:
        tell(Problem(label, _reason(error)))


LINES, EVTX = "lines", "evtx"


@dataclass(frozen=True)
class Span:
    """A part of a file that can be read by itself."""

    start: int
    end: int
    """Bytes."""
    first: int = 0
    """Number of its first line."""


def kind(path: Path) -> str:
    """LINES or EVTX for files that can be cut into spans; "" for others, and for what cannot be read."""
    try:
        with path.open("rb") as raw:
            head = raw.read(512)
            if head.startswith(evtx.MAGIC):
                return EVTX
            odd = head.startswith((_ZIP, *_OPENERS)) or magic.foreign(head)[0] or documents.kind(head) or bom(head)[0] != "utf-8"
            return "" if odd or not head or _is_tar(raw, head) else LINES
    except OSError:
        return ""


def spans(path: Path, how: str) -> Iterator[Span]:
    """The parts of a file of that kind, in order; they end where a line or a chunk ends."""
    size = path.stat().st_size
    if how == EVTX:
        step = BLOCK // 2 // evtx.CHUNK * evtx.CHUNK
        starts = range(evtx.HEADER, max(size, evtx.HEADER + 1), step)
        yield from (Span(start, min(start + step, size)) for start in starts)
        return
    start = line = 0
    buffer = bytearray(BLOCK)
    with path.open("rb") as raw:
        while got := raw.readinto(buffer):
            tail, ends = (0, 0) if buffer[got - 1] == ord("\n") else _line_end(raw)
            yield Span(start, start + got + tail, line)
            line += buffer.count(b"\n", 0, got) + ends
            start += got + tail


def _line_end(raw: IO[bytes]) -> tuple[int, int]:
    """(bytes, line breaks) of the rest of a line, however long: read over piece by piece."""
    size = 0
    while piece := raw.readline(1 << 20):
        size += len(piece)
        if piece.endswith(b"\n"):
            return size, 1
    return size, 0


def part(path: Path, span: Span, label: str, arrival: int, tell: Callable[[Problem], None], parser: str = "auto") -> Iterator[RawBatch]:
    """The records of one span, as `batches` gives them."""
    context = _Context(arrival, tell, parser)
    try:
        with path.open("rb") as raw:
            size = os.fstat(raw.fileno()).st_size
            if size < span.end and (size >= span.start or span.start == evtx.HEADER):
                tell(Problem(label, t("collect.shrank")))
            if raw.read(len(evtx.MAGIC)) == evtx.MAGIC:
                yield from _chunks(raw, span, label, context)
                return
            raw.seek(span.start)
            head = raw.read(min(_BOM, span.end - span.start)) if not span.start else b""
            begun = bom(head)[1]
            if not span.start and evtx.named(label):
                tell(Problem(label, t("collect.evtx_head")))
            left = span.end - span.start - len(head)
            yield from _lines(Cutter(raw, _long(label, context), begun, left, span.first), label, context)
    except _BROKEN as error:
        tell(Problem(label, _reason(error)))


def _chunks(raw: IO[bytes], span: Span, label: str, context: _Context) -> Iterator[RawBatch]:
    """Chunks of an event log; what the whole file lacks is told with the first."""
    lacking = evtx.cut(raw) if span.start == evtx.HEADER else ""
    raw.seek(0)
    header = raw.read(evtx.HEADER)
    raw.seek(span.start)
    yield from _evtx(io.BytesIO(header + raw.read(span.end - span.start)), label, context, lacking)


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
    elif head.startswith(_ZIP):
        yield from _zip(raw, label, context)
    elif _is_tar(raw, head):
        yield from _tar(raw, label, context)
    else:
        yield from _plain(raw, head, label, context)


def _plain(raw: IO[bytes], head: bytes, label: str, context: _Context) -> Iterator[RawBatch]:
    """Compressed, or text, or known to be no log."""
    opener = next((o for start, o in _OPENERS.items() if head.startswith(start)), None)
    known, packed = magic.foreign(head)
    if opener is not None:
        with opener(raw, "rb") as inner:
            yield from _unpacked(inner, label, context)
    elif known:
        context.tell(Problem(label, t("collect.pack_unknown" if packed else "collect.no_log", kind=known)))
    elif shape := documents.kind(head):
        yield from _documents(raw, shape, label, context)
    else:
        if head and evtx.named(label):
            context.tell(Problem(label, t("collect.evtx_head")))
        yield from _text(raw, label, context)


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
    """A decompressed stream: EVTX and zip need to seek, so they are held; text streams. What precedes damage is kept."""
    capped = _Capped(inner)
    buffered = io.BufferedReader(capped, 1 << 20)
    head = buffered.peek(512)[:512]
    if head.startswith(evtx.MAGIC):
        yield from _evtx(io.BytesIO(buffered.read()), label, context)
    elif head.startswith((_ZIP, *_OPENERS)) or head[257:262] == b"ustar":
        yield from _nested(buffered, head, label, context)
    else:
        yield from _plain(buffered, head, label, context)
    if capped.failure is not None:
        context.tell(Problem(label, _reason(capped.failure)))


def _nested(raw: IO[bytes], head: bytes, label: str, context: _Context) -> Iterator[RawBatch]:
    """An archive inside an archive."""
    if context.depth >= MAX_DEPTH:
        context.tell(Problem(label, t("collect.too_deep", n=MAX_DEPTH)))
        return
    deeper = replace(context, depth=context.depth + 1)
    if head.startswith(_ZIP):
        with tempfile.SpooledTemporaryFile(_HELD) as held:
            while block := raw.read(1 << 20):
                held.write(block)
            held.seek(0)
            yield from _zip(held, label, deeper)
    elif head[257:262] == b"ustar":
        yield from _tar(raw, label, deeper, "r|")
    else:
        yield from _plain(raw, head, label, deeper)


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
        locked = [m for m in archive.infolist() if m.flag_bits & 1]
        if locked:
            context.tell(Problem(label, t("collect.locked", n=len(locked), name=locked[0].filename)))
        for member in archive.infolist():
            if member.is_dir() or member.flag_bits & 1:
                continue
            name = f"{label}!{member.filename}"
            try:
                with archive.open(member) as inner:
                    yield from _unpacked(inner, name, context)
            except _BROKEN as error:
                context.tell(Problem(name, _reason(error)))


def _tar(raw: IO[bytes], label: str, context: _Context, mode: Literal["r:*", "r|"] = "r:*") -> Iterator[RawBatch]:
    with tarfile.open(fileobj=raw, mode=mode) as archive:
        for member in archive:
            inner = archive.extractfile(member) if member.isfile() else None
            if inner is not None:
                yield from _unpacked(inner, f"{label}!{member.name}", context)


def _evtx(raw: IO[bytes], label: str, context: _Context, lacking: str | None = None) -> Iterator[RawBatch]:
    damage = evtx.Damage()
    lacking = evtx.cut(raw) if lacking is None else lacking
    yield from _batched(evtx.records(raw, damage), label, context)
    damaged = Problem(label, damage.first, damage.records)
    if lacking:
        context.tell(Problem(label, f"{lacking}; {damaged.reason}" if damage.records else lacking))
    elif damage.records:
        context.tell(damaged)


def _batched(records: Iterable[tuple[int, bytes]], label: str, context: _Context) -> Iterator[RawBatch]:
    numbers: list[int] = []
    found: list[bytes] = []
    size = 0
    for number, record in records:
        numbers.append(number)
        found.append(record)
        size += len(record)
        if len(found) == evtx.BATCH or size > 2 * BLOCK:
            yield _batch(label, pa.array(found, pa.large_binary()), np.array(numbers, np.int64), context)
            numbers, found, size = [], [], 0
    if found:
        yield _batch(label, pa.array(found, pa.large_binary()), np.array(numbers, np.int64), context)


def _documents(raw: IO[bytes], shape: str, label: str, context: _Context) -> Iterator[RawBatch]:
    """Records that are no lines."""

    def tell(reason: str) -> None:
        context.tell(Problem(label, reason))

    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    texts = (decoder.decode(block) for block in blocks(raw))
    yield from _batched((documents.json_values if shape == "json" else documents.xml_events)(texts, tell), label, context)


def _text(raw: IO[bytes], label: str, context: _Context) -> Iterator[RawBatch]:
    raw, head = utf8(raw)
    yield from _lines(Cutter(raw, _long(label, context), head), label, context)


def _long(label: str, context: _Context) -> Callable[[int, int], None]:
    return lambda line, size: context.tell(Problem(label, t("collect.long_line", line=line, size=size, limit=MAX_LINE)))


def _lines(cutter: Cutter, label: str, context: _Context) -> Iterator[RawBatch]:
    """Batches without empty lines; the others keep their numbers."""
    for first, lines in cutter:
        kept = np.flatnonzero(pc.binary_length(lines).to_numpy(zero_copy_only=False))
        if len(kept):
            yield _batch(label, lines if len(kept) == len(lines) else lines.take(pa.array(kept)), kept + first, context)


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
