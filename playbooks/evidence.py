"""The evidence folder of an incident: files written once, read-only, each with its SHA-256, and a manifest that `sha256sum -c` checks.

The records of the incident are the truth: every evidence record carries a link that chains it to the one before, so that a record that is
changed or taken out breaks the chain. The manifest is drawn from them.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, Final

from domain.alert import Evidence
from domain.errors import StoreError, UsageError
from domain.text import one_line

MANIFEST: Final = "SHA256SUMS"
_BLOCK: Final = 1 << 20
_PLAIN: Final = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True)
class Vault:
    """`<store>/evidence/<incident>/`."""

    folder: Path

    @classmethod
    def of(cls, state_dir: Path, incident: str) -> Vault:
        """The folder of an incident."""
        return cls(state_dir / "evidence" / plain_name(incident))

    def keep(self, name: str, data: bytes, *, at: datetime, by: str, note: str = "") -> Evidence:
        """Store bytes; the same bytes under the same name are one file."""
        digest = hashlib.sha256(data).hexdigest()
        target = self._target(name, digest)
        if not target.exists():
            self._write(target, [data])
        return Evidence(target.name, digest, len(data), at, by, f"evidence/{self.folder.name}/{target.name}", note)

    def keep_file(self, path: Path, *, at: datetime, by: str, note: str = "") -> Evidence:
        """Copy a regular file; its digest is computed on what was copied. UsageError when it cannot be read."""
        if not path.is_file():
            raise UsageError("not a regular file", where=one_line(str(path)), hint="soc incident evidence INCIDENT FILE")
        try:
            with path.open("rb") as source:
                return self._take(source, path.name, Evidence("", "", 0, at, by, "", note))
        except OSError as error:
            raise UsageError(f"cannot be read: {error.strerror}", where=one_line(str(path))) from None

    def _take(self, source: BinaryIO, name: str, item: Evidence) -> Evidence:
        digest, size = hashlib.sha256(), 0
        self.folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=self.folder, prefix=".new-", delete=False) as copy:
            for block in iter(lambda: source.read(_BLOCK), b""):
                digest.update(block)
                size += len(block)
                copy.write(block)
            copy.flush()
            os.fsync(copy.fileno())
        target = self._target(name, digest.hexdigest())
        _settle(Path(copy.name), target)
        path = f"evidence/{self.folder.name}/{target.name}"
        return Evidence(target.name, digest.hexdigest(), size, item.taken_at, item.taken_by, path, item.note)

    def read(self, name: str) -> bytes:
        """The bytes of a kept file; StoreError when it is gone."""
        try:
            return (self.folder / plain_name(name)).read_bytes()
        except OSError as error:
            raise StoreError(f"evidence file cannot be read: {error.strerror}", where=name, hint="soc incident verify") from None

    def holds(self, name: str, sha256: str) -> bool:
        """Whether the file is there, unchanged."""
        path = self.folder / plain_name(name)
        return path.is_file() and sha256_of(path) == sha256

    def draw_manifest(self, items: Iterable[Evidence]) -> None:
        """Write SHA256SUMS from the records."""
        lines = {f"{item.sha256}  {item.name}\n" for item in items if item.path}
        if lines:
            self._write(self.folder / MANIFEST, [line.encode() for line in sorted(lines, key=lambda text: text[66:])], mode=0o640)

    def verify(self, items: Sequence[Evidence]) -> list[tuple[str, str]]:
        """(file, what is wrong) for every evidence record whose file is gone, changed or of another size."""
        return [(item.name, trouble) for item in items if item.path for trouble in [self._check(item)] if trouble]

    def strays(self, items: Sequence[Evidence]) -> list[str]:
        """Files that no record names: left by a command that was interrupted, or put there by hand."""
        known = {item.name for item in items} | {MANIFEST}
        return sorted(p.name for p in self.folder.glob("*") if p.name not in known) if self.folder.is_dir() else []

    def _check(self, item: Evidence) -> str:
        path = self.folder / plain_name(item.name)
        if not path.is_file():
            return "missing"
        if path.stat().st_size != item.size:
            return "size"
        return "" if sha256_of(path) == item.sha256 else "changed"

    def _target(self, name: str, digest: str) -> Path:
        stem, dot, suffix = plain_name(name).rpartition(".")
        label = f"{stem[:80]}-{digest[:8]}.{suffix[:12]}" if dot and stem else f"{plain_name(name)[:80]}-{digest[:8]}"
        return self.folder / label

    def _write(self, target: Path, blocks: Iterable[bytes], mode: int = 0o440) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self.folder, prefix=".new-", delete=False) as file:
                file.writelines(blocks)
                file.flush()
                os.fsync(file.fileno())
            _settle(Path(file.name), target, mode)
        except OSError as error:
            free = shutil.disk_usage(self.folder.parent if self.folder.parent.exists() else Path()).free // (1 << 20)
            hint = f"free space: {free} MiB; soc doctor"
            raise StoreError(f"evidence cannot be written: {error.strerror}", where=str(self.folder), hint=hint) from None


def _settle(new: Path, target: Path, mode: int = 0o440) -> None:
    new.chmod(mode)
    new.replace(target)


def plain_name(name: str) -> str:
    """A file name that cannot leave its folder and that every system can hold."""
    return _PLAIN.sub("_", name.replace("\\", "/").rpartition("/")[2]).lstrip(".-") or "file"


def sha256_of(path: Path) -> str:
    """Hex digest of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def link(previous: str, body: Mapping[str, Any]) -> str:
    """The chain link of an evidence record: digest of the link before and of what the record says."""
    said = [str(body[k]) for k in ("name", "sha256", "size", "taken_at", "taken_by")]
    return hashlib.sha256("\0".join([previous, *said]).encode()).hexdigest()


def broken_links(incident: str, bodies: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Names of evidence records whose link does not fit the one before."""
    previous = incident
    for body in bodies:
        if body.get("chain") != link(previous, body):
            yield str(body["name"])
        previous = str(body.get("chain"))
