"""What a rule pack holds: zip, tar (gz, xz, bz2), folder or one rule file. Read into memory, never extracted; hostile packs are refused."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final

from domain.errors import ContentError, UsageError
from domain.text import one_line
from jobs.rule_packs_disk import content_id, is_rule_name

MAX_ENTRIES: Final = 100_000
"""Files and folders of one pack; the public rule set has about 4,000, its whole repository about 6,000."""
MAX_BYTES: Final = 512 << 20
"""Unpacked, all files together."""
MAX_RULE: Final = 1 << 20
"""Bytes of one rule file."""
MANIFEST: Final = "MANIFEST.json"
SIGNATURE: Final = "MANIFEST.sig"
_OPENERS: Final[dict[bytes, Callable[..., Any]]] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\x00": lzma.open}
_BLOCK: Final = 512
"""Of a tar."""
_DAMAGED: Final = (EOFError, lzma.LZMAError, zlib.error, tarfile.TarError, zipfile.BadZipFile, NotImplementedError, ValueError, OSError)
_SIGMA: Final = re.compile(rb"^(title|detection|correlation|filter|logsource)\s*:|^\s*\{", re.MULTILINE)
_CONTROL: Final = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
"""In no name: control characters, and bytes that are not UTF-8."""
_PAPER: Final = re.compile(r"(licen[cs]e|notice|readme|version|changelog)[\w.-]*$", re.IGNORECASE)
_KINDS: Final = "zip, tar (gz, xz, bz2), a folder or a rule file"


@dataclass
class Pack:
    """The content of a pack."""

    files: dict[str, bytes] = field(default_factory=dict)
    """Rule files and their cases: path inside -> content."""
    papers: dict[str, bytes] = field(default_factory=dict)
    """Licence, read-me and the like: they go along when a pack is signed."""
    digests: dict[str, str] = field(default_factory=dict)
    """Every regular file: path inside -> SHA-256, what a manifest lists."""
    manifest: bytes = b""
    """`MANIFEST.json` as it stands; empty = none."""
    signature: bytes = b""
    """`MANIFEST.sig`; empty = none."""

    @property
    def version(self) -> str:
        """What names this content: the same rule files are the same version."""
        return content_id(self.files)

    @property
    def rule_files(self) -> int:
        """Without the cases beside the rules."""
        return sum(1 for name in self.files if not name.endswith(".test.yml"))


def read(path: Path) -> Pack:
    """UsageError when it is no pack at all, ContentError when it is one that nobody should unpack."""
    if not path.exists():
        raise UsageError(f"no such file or folder: {path}")
    if not path.is_dir() and not path.is_file():
        raise UsageError("not a regular file", where=str(path), hint=_KINDS)
    pack, budget, seals = Pack(), _Budget(path), dict[str, bytes]()
    try:
        for name, stream in _members(path, budget):
            _take(pack, seals, (name, stream), budget)
    except RuntimeError as error:  # zipfile: a password is needed
        raise ContentError(f"refused: {error}", where=str(path)) from None
    except _DAMAGED as error:
        raise UsageError(f"not a readable rule pack: {one_line(str(error), 200)}", where=str(path), hint=_KINDS) from None
    return _sealed(pack, seals)


def _take(pack: Pack, seals: dict[str, bytes], member: tuple[str, IO[bytes]], budget: _Budget) -> None:
    name, stream = member
    if name in pack.digests:
        raise budget.refused(name, "is there twice")
    last = name.rpartition("/")[2]
    paper = _outer(name) and bool(_PAPER.match(last))
    wanted = is_rule_name(name) or paper or last in (MANIFEST, SIGNATURE)
    digest, kept = hashlib.sha256(), []
    size = 0
    while block := stream.read(1 << 18):
        size += len(block)
        budget.spend(len(block))
        if wanted and last != MANIFEST and size > MAX_RULE:
            raise budget.refused(name, f"unpacks to more than {MAX_RULE} bytes: no rule is that large")
        digest.update(block)
        if wanted:
            kept.append(block)
    pack.digests[name] = digest.hexdigest()
    content = b"".join(kept)
    if is_rule_name(name) and (name.endswith(".test.yml") or _SIGMA.search(content)):
        pack.files[name] = content
    elif paper:
        pack.papers[name] = content
    elif last in (MANIFEST, SIGNATURE):
        seals[name] = content


def _outer(name: str) -> bool:
    """At the top, or in the one folder that an archive wraps everything in."""
    return name.count("/") <= 1


def _sealed(pack: Pack, seals: Mapping[str, bytes]) -> Pack:
    """With manifest and signature; paths as the manifest says them, where it lies in the one folder that wraps everything."""
    tops = {name.partition("/")[0] for name in pack.digests}
    top = f"{next(iter(tops))}/" if len(tops) == 1 and not seals.keys() & {MANIFEST, SIGNATURE} else ""
    pack.manifest, pack.signature = seals.get(f"{top}{MANIFEST}", b""), seals.get(f"{top}{SIGNATURE}", b"")
    if not top or not pack.manifest:
        return pack
    files, papers = ({n.removeprefix(top): content for n, content in part.items()} for part in (pack.files, pack.papers))
    return Pack(files, papers, {n.removeprefix(top): d for n, d in pack.digests.items()}, pack.manifest, pack.signature)


class _Budget:
    """Counts what a pack costs, and refuses it when that is too much."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._bytes = MAX_BYTES
        self._entries = MAX_ENTRIES

    def spend(self, size: int) -> None:
        """Unpacked bytes."""
        self._bytes -= size
        if self._bytes < 0:
            raise self.refused("", f"it unpacks to more than {MAX_BYTES} bytes")

    def entry(self, name: str) -> str:
        """One more member; its name with `/`, when it stays inside."""
        self._entries -= 1
        if self._entries < 0:
            raise self.refused("", f"it has more than {MAX_ENTRIES} entries")
        inner = name.replace("\\", "/")
        parts = [part for part in inner.split("/") if part not in ("", ".")]
        if inner.startswith("/") or re.match(r"[A-Za-z]:", inner) or ".." in parts:
            raise self.refused(name, "points outside the pack")
        if not parts or _CONTROL.search(inner) or any(len(p.encode("utf-8", "replace")) > 200 for p in parts):
            raise self.refused(name, "is no name for a file")
        return "/".join(parts)

    def refused(self, name: str, why: str) -> ContentError:
        """Nothing of the pack is used then."""
        return ContentError(f"refused: {one_line(name, 120)}{' ' if name else ''}{why}", where=str(self.path), hint="nothing was imported")


def _members(path: Path, budget: _Budget) -> Iterator[tuple[str, IO[bytes]]]:
    if path.is_dir():
        yield from _folder(path, budget)
        return
    with path.open("rb") as raw:
        head = raw.read(512)
        raw.seek(0)
        if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
            yield from _zip(raw, budget)
        elif path.suffix in (".yml", ".yaml"):
            yield budget.entry(path.name), raw
        else:
            opener = next((o for magic, o in _OPENERS.items() if head.startswith(magic)), None)
            yield from _tar(opener(raw, "rb") if opener else raw, budget)


def _folder(path: Path, budget: _Budget) -> Iterator[tuple[str, IO[bytes]]]:
    for found in sorted(path.rglob("*")):
        inner = found.relative_to(path)
        if ".git" in inner.parts or (found.is_dir() and not found.is_symlink()):
            continue
        name = budget.entry(inner.as_posix())
        if found.is_symlink() or not found.is_file():
            raise budget.refused(name, "is a link or no regular file")
        with found.open("rb") as stream:
            yield name, stream


def _zip(raw: IO[bytes], budget: _Budget) -> Iterator[tuple[str, IO[bytes]]]:
    with zipfile.ZipFile(raw) as archive:
        for member in archive.infolist():
            name = budget.entry(member.filename)
            kind = stat.S_IFMT(member.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise budget.refused(name, "is a link or no regular file")
            if member.flag_bits & 1:
                raise budget.refused(name, "is encrypted: unpack it with its password and import the folder")
            if not member.is_dir():
                with archive.open(member) as stream:
                    yield name, stream


def _tar(raw: Any, budget: _Budget) -> Iterator[tuple[str, IO[bytes]]]:
    metered = _Metered(raw, _Budget(budget.path))
    with tarfile.open(fileobj=metered, mode="r|") as archive:
        for member in archive:
            if member.name in (".", "./"):
                continue
            name = budget.entry(member.name)
            if not (member.isfile() or member.isdir()):
                raise budget.refused(name, "is a link or no regular file")
            stream = archive.extractfile(member) if member.isfile() else None
            if stream is not None:
                yield name, stream
    while metered.read(1 << 18):  # the checksum of a compressed file comes last
        pass
    if metered.tail.strip(b"\0") or len(metered.tail) < _BLOCK:
        raise tarfile.ReadError("the end of the archive is missing")


class _Metered(io.RawIOBase):
    """Counts what a decompressor gives: headers and padding of a tar can be a bomb too."""

    def __init__(self, inner: Any, budget: _Budget) -> None:
        self.tail = b""
        """The last block so far: of zeros where a tar is complete."""
        self._inner = inner
        self._budget = budget

    def read(self, size: int = -1) -> bytes:
        """As the stream gives it."""
        data: bytes = self._inner.read(size)
        self._budget.spend(len(data))
        self.tail = (self.tail + data[-_BLOCK:])[-_BLOCK:]
        return data
