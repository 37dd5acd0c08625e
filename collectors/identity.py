"""Which file is which: a stream of records keeps its identity while its file is renamed, copied away, truncated, compressed or replaced.

A stream remembers where its file was (device, inode, path) and what it read: a hash of the first and of the last KiB before its
position. A file continues a stream when both hashes still fit; inode and name only say where to look first. So

- a renamed file is found by its inode, in the source's pattern or beside its old place;
- a truncated, replaced or inode-reusing file does not fit any more: it begins a new stream (`path#2`), and the copy or the
  compressed file that does fit takes the old one over, with its unread rest;
- a copy of a file that is still there (copytruncate or gzip under way, a backup) is not read: it waits until it differs.
"""

# Paths are plain strings here: they come from glob by the thousand, every second.
# ruff: noqa: PTH116, PTH119, PTH120

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from collectors.framing import Style
from collectors.packed import Content
from domain.raw import Checkpoint

SPAN: Final = 1024
"""Bytes that are hashed at the start and before the position."""
_PACKED: Final = re.compile(r"\.(gz|xz|bz2|zst)$", re.IGNORECASE)
_ROTATED: Final = re.compile(r"([-._]?\d[\d\-_.T]*|[-._](old|bak|orig|save|prev)|~)(?=(\.[A-Za-z]\w*)?$)")


@dataclass(frozen=True)
class Seen:
    """A file on the disk at the time of looking."""

    path: str
    """As the pattern gave it; bytes that are no UTF-8 as escapes: it names the stream."""
    real: str
    """Without symbolic links."""
    device: int
    inode: int
    size: int
    mtime: int
    """Nanoseconds."""

    @property
    def key(self) -> tuple[int, int]:
        """Device and inode."""
        return self.device, self.inode


def look(path: str) -> Seen | None:
    """A regular file; None when there is none (any more)."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    if not stat.S_ISREG(found.st_mode):  # reading a FIFO would block
        return None
    return Seen(printable(path), os.path.realpath(path), found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


def printable(path: str) -> str:
    """A path as text that can be stored: bytes of the name that are no UTF-8 as escapes."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def digest(data: bytes) -> tuple[int, str]:
    """Length and hash: what is remembered of a piece of a file."""
    return len(data), hashlib.blake2b(data, digest_size=8).hexdigest()


@dataclass
class Tail:
    """A stream being followed: the contents of its checkpoint."""

    id: str
    """`first path#generation`."""
    position: int = 0
    path: str = ""
    device: int = 0
    inode: int = 0
    size: int = 0
    """Of the file at the last look (compressed size of a compressed file)."""
    mtime: int = 0
    head: tuple[int, str] = (0, "")
    """Length and hash of the first bytes read."""
    anchor: tuple[int, str] = (0, "")
    """Length and hash of the last bytes before the position."""
    style: Style = field(default_factory=Style)
    inside: bool = False
    """The position stands inside a line that is being refused in pieces."""
    hold: tuple[int, int] | None = None
    """(end of the unfinished last line, since when it is unfinished: µs)."""
    gone: int = 0
    """Since when no file continues it (µs); 0 = there is one."""
    lost: int = 0
    """Bytes seen that can no longer be read."""

    @classmethod
    def load(cls, checkpoint: Checkpoint) -> Tail:
        """From what `save` made."""
        state: Mapping[str, Any] = checkpoint.state
        pairs: dict[str, Any] = {name: tuple(state[name]) for name in ("head", "anchor", "hold") if state.get(name)}
        plain: dict[str, Any] = {n: state[n] for n in ("path", "device", "inode", "size", "mtime", "inside", "gone", "lost") if n in state}
        style = Style(str(state.get("encoding", "utf-8")), bytes.fromhex(str(state.get("mark", "0a"))))
        return cls(checkpoint.stream, checkpoint.position, style=style, **plain, **pairs)

    def save(self, source: str) -> Checkpoint:
        """As the store keeps it."""
        state: dict[str, object] = {
            "path": printable(self.path), "device": self.device, "inode": self.inode, "size": self.size, "mtime": self.mtime,
            "head": list(self.head), "anchor": list(self.anchor), "encoding": self.style.encoding, "mark": self.style.mark.hex(),
        }  # fmt: skip
        rare = {"inside": self.inside, "hold": list(self.hold or ()), "gone": self.gone, "lost": self.lost}
        return Checkpoint(source, self.id, self.position, state | {name: value for name, value in rare.items() if value})

    @property
    def key(self) -> tuple[int, int]:
        """Device and inode of its file."""
        return self.device, self.inode

    def take(self, seen: Seen) -> None:
        """Follow this file from now on."""
        self.path, self.device, self.inode, self.gone, self.lost = seen.real, seen.device, seen.inode, 0, 0

    def continued_by(self, content: Content) -> bool:
        """Whether the file begins as this stream did, up to the position."""
        if not self.position:
            return True
        first = content.read(0, self.head[0])
        return digest(first) == self.head and digest(content.read(self.position - self.anchor[0], self.anchor[0])) == self.anchor


class Moved(Exception):
    """The files changed while they were looked at: look again."""


@dataclass
class Match:
    """What became of the streams and files of a source."""

    bound: list[tuple[Tail, Seen]] = field(default_factory=list)
    """Each stream with the file that continues it."""
    missing: list[Tail] = field(default_factory=list)
    """Streams without a file."""


def match(tails: Sequence[Tail], found: Sequence[Seen]) -> Match:
    """Bind streams to files; files that belong to none begin new ones. Moved when the files change meanwhile."""
    out = Match()
    free = {seen.key: seen for seen in found if seen.size}
    begun, unread = [t for t in tails if t.position], {t.key: t for t in tails if not t.position}
    left = []
    for tail in sorted(begun, key=lambda t: (bool(t.gone), -t.position)):
        seen = free.get(tail.key) or _in_place(tail)
        if seen is not None and _same_file(tail, seen):
            free.pop(seen.key, None)
            out.bound.append((tail, seen))
        else:
            left.append(tail)
    beside = _beside([tail for tail in (*left, *unread.values()) if not tail.gone], {seen.key for _, seen in out.bound} | set(free))
    for tail in left:
        seen = _successor(tail, [*free.values(), *beside.values()])
        if seen is None:
            out.missing.append(tail)
        else:
            free.pop(seen.key, None)
            beside.pop(seen.key, None)
            out.bound.append((tail, seen))
    out.bound += [(unread.pop(key), seen) for key, seen in beside.items() if key in unread]
    fresh = [seen for seen in free.values() if not any(_copy(seen, tail, origin) for tail, origin in out.bound)]
    names = [tail.id for tail in tails]
    for seen in sorted(fresh, key=lambda s: (s.mtime, s.path)):
        tail = unread.pop(seen.key) if seen.key in unread else Tail(_name(seen.path, names))
        names.append(tail.id)
        out.bound.append((tail, seen))
    out.missing += unread.values()
    return out


def path_of(stream: str) -> str:
    """Where the stream's file was first seen."""
    return stream.rpartition("#")[0]


def generation(stream: str) -> int:
    """Its number among the streams of that path."""
    number = stream.rpartition("#")[2]
    return int(number) if number.isdigit() else 0


def _name(path: str, names: Iterable[str]) -> str:
    return f"{path}#{max((generation(n) for n in names if path_of(n) == path), default=0) + 1}"


def _in_place(tail: Tail) -> Seen | None:
    """The file where the stream's file was last, when it is the same inode (rotated out of the pattern earlier, or a link's old target)."""
    seen = look(tail.path) if tail.path and not tail.gone else None
    return seen if seen is not None and seen.key == tail.key else None


def _same_file(tail: Tail, seen: Seen) -> bool:
    """Whether a file with the stream's inode still is the stream's file; one that may not be read now counts as such."""
    return (tail.size, tail.mtime) == (seen.size, seen.mtime) or _continues(tail, seen, unreadable=True)


def _continues(tail: Tail, seen: Seen, *, unreadable: bool = False) -> bool:
    try:
        with Content(seen.real) as content:
            return (content.stat.st_dev, content.stat.st_ino) == seen.key and tail.continued_by(content)
    except PermissionError:
        return unreadable
    except OSError:
        return False


def _beside(lost: Sequence[Tail], known: set[tuple[int, int]]) -> dict[tuple[int, int], Seen]:
    """Files in the folders of lost streams that are the same inode or bear the name's family, whatever the pattern says."""
    out: dict[tuple[int, int], Seen] = {}
    for folder in {os.path.dirname(tail.path) for tail in lost if tail.path}:
        here = [tail for tail in lost if os.path.dirname(tail.path) == folder]
        inodes, families = {tail.inode for tail in here}, {family(tail.path) for tail in here}
        try:
            entries = [e.path for e in os.scandir(folder) if e.inode() in inodes or family(e.path) in families]
        except OSError:
            continue
        for seen in map(look, entries):
            if seen is not None and seen.key not in known:
                out[seen.key] = seen
    return out


def _successor(tail: Tail, candidates: Iterable[Seen]) -> Seen | None:
    """The file that continues a stream which lost its own: the same inode, else one of the same family of names."""
    kin = [s for s in candidates if s.key == tail.key or family(s.path) in (family(tail.path), family(path_of(tail.id)))]
    kin.sort(key=lambda s: (s.key != tail.key, bool(_PACKED.search(s.path))))
    return next((seen for seen in kin if _continues(tail, seen)), None)


def family(path: str) -> str:
    """The name without marks of rotation and compression: `access.log` for `access.log.2.gz`, `access-20261124.log`."""
    return _ROTATED.sub("", _PACKED.sub("", os.path.basename(path)))


def _copy(seen: Seen, tail: Tail, origin: Seen) -> bool:
    """Whether a new file is a copy (perhaps unfinished) of one that is being followed."""
    known = os.path.basename(origin.path)
    kin = family(seen.path) == (family(known) if _PACKED.search(seen.path) else known)
    if not tail.position or not kin or os.path.dirname(seen.real) != os.path.dirname(origin.real):
        return False
    try:
        with Content(seen.real) as copy, Content(origin.real) as original:
            if _same(copy, original):
                return True
            if (original.stat.st_dev, original.stat.st_ino) != origin.key or not tail.continued_by(original):
                raise Moved
    except OSError:
        raise Moved from None
    return False


def _same(copy: Content, original: Content) -> bool:
    """The copy is a beginning of the original, as far as first and last KiB tell; a compressed one may have nothing to show yet."""
    if not (first := copy.read(0, SPAN)):
        return bool(copy.packing)
    if not original.read(0, SPAN).startswith(first):
        return False
    length = copy.length()
    start = max(0, length - SPAN)
    return copy.read(start, SPAN) == original.read(start, length - start)
