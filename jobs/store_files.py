"""What lies beside a store and belongs to it: evidence of incidents, imported rule packs. Backups take them along."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from domain.errors import StoreError

FOLDERS: Final = ("evidence", "rules")
"""Inside the state folder. Not the spool: what it holds was received, but is no part of the store yet."""


@dataclass
class Mirrored:
    """What mirroring did."""

    files: int = 0
    """Of the source."""
    copied: int = 0
    bytes: int = 0
    """That were copied."""


def mirror(source: Path, target: Path) -> Mirrored:
    """Copy files that the target lacks or has from another time; each appears whole or not at all. Nothing is removed."""
    out = Mirrored()
    for name in _names(source):
        out.files += 1
        own, there = source / name, target / name
        try:
            if _alike(own, there):
                continue
            out.bytes += _copy(own, there)
        except OSError as error:
            raise StoreError(f"a file cannot be copied: {error.strerror}", where=str(error.filename or own), hint="soc doctor") from error
        out.copied += 1
    return out


def differing(source: Path, target: Path) -> list[str]:
    """Files of the source whose SHA-256 the target does not have under the same name."""
    return [name for name in _names(source) if not (target / name).is_file() or _sha256(source / name) != _sha256(target / name)]


def _names(folder: Path) -> Iterator[str]:
    """Regular files below the folders, relative, in order. Links are not followed."""
    for kind in FOLDERS:
        for place, folders, files in os.walk(folder / kind):
            folders.sort()
            for name in sorted(files):
                path = Path(place, name)
                if path.is_file() and not path.is_symlink():
                    yield str(path.relative_to(folder))


def _alike(own: Path, there: Path) -> bool:
    try:
        a, b = own.stat(), there.stat()
    except FileNotFoundError:
        return False
    return (a.st_size, a.st_mtime_ns) == (b.st_size, b.st_mtime_ns)


def _copy(own: Path, there: Path) -> int:
    there.parent.mkdir(parents=True, exist_ok=True)
    part = there.with_name(f".{there.name}.part")
    part.unlink(missing_ok=True)
    with own.open("rb") as read, part.open("xb") as write:
        shutil.copyfileobj(read, write, 1 << 20)
        write.flush()
        os.fsync(write.fileno())
        size = write.tell()
    shutil.copystat(own, part)
    part.replace(there)
    return size


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
