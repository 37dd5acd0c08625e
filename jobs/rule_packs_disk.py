"""Where imported rule packs lie: `rules/NAME@VERSION/` holds the files of one version, `rules/NAME.json` says which one runs.

A version's folder appears whole (renamed when complete) and never changes; the switch is the replacement of one small file. So whatever
moment a machine dies at, either the old version runs or the new one. A folder `rules/NAME/` without `NAME.json` is a pack of the time
before versions: it runs until it is imported anew.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson

from domain.errors import StoreError

_WAIT: Final = 30.0
"""Seconds for which a command waits for another one that imports."""
LEGACY: Final = "legacy"
"""Stands for the version of a pack without `NAME.json`."""


def content_id(files: Mapping[str, bytes]) -> str:
    """Names a content: 12 hex digits of the SHA-256 over paths and contents."""
    digest = hashlib.sha256()
    for name in sorted(files):
        digest.update(name.encode() + b"\0" + hashlib.sha256(files[name]).digest())
    return digest.hexdigest()[:12]


def is_rule_name(name: str) -> bool:
    """Rule files by name; hidden folders (those of version control) hold none."""
    return name.endswith((".yml", ".yaml")) and not any(part.startswith(".") for part in name.split("/"))


@dataclass(frozen=True)
class Version:
    """One version of a pack, and where it came from."""

    id: str
    """`content_id` of its files."""
    label: str = ""
    """What the maker calls it (`version` of the manifest)."""
    created: str = ""
    """When the maker signed it, ISO 8601 (`created` of the manifest)."""
    imported: str = ""
    """ISO 8601, UTC."""
    actor: str = ""
    origin: str = ""
    """Name of the file or folder."""
    files: int = 0
    """Rule files, without cases."""
    signer: str = ""
    """Name of the trusted key that signed it; empty = not signed, or by nobody we know."""
    key: str = ""
    """Fingerprint of that key."""


@dataclass(frozen=True)
class Shelved:
    """A pack on this machine."""

    name: str
    active: str = ""
    """Id of the version that runs; empty = none does."""
    staged: str = ""
    """Id of the version that was imported last and has not been activated."""
    history: tuple[str, ...] = ()
    """Ids of versions that ran before, oldest first: what `rollback` goes back through."""
    versions: Mapping[str, Version] = field(default_factory=dict)

    @property
    def legacy(self) -> bool:
        """Imported before packs had versions."""
        return self.active == LEGACY


class Shelf:
    """The packs below one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def packs(self) -> list[Shelved]:
        """By name: the order in which they overlay each other."""
        if not self.folder.is_dir():
            return []
        entries = [e for e in self.folder.iterdir() if not e.name.startswith(".")]
        names = {e.stem for e in entries if e.suffix == ".json" and e.is_file()}
        names |= {e.name for e in entries if e.is_dir() and "@" not in e.name}
        return [pack for name in sorted(names) if (pack := self.pack(name)) is not None]

    def pack(self, name: str) -> Shelved | None:
        """None when there is none of that name. StoreError when what is written about it cannot be read."""
        path = self.folder / f"{name}.json"
        try:
            data = orjson.loads(path.read_bytes())
            versions = {key: Version(**value) for key, value in data["versions"].items()}
            return Shelved(name, data["active"], data["staged"], tuple(data["history"]), versions)
        except FileNotFoundError:
            return Shelved(name, LEGACY) if (self.folder / name).is_dir() else None
        except (ValueError, KeyError, TypeError) as error:
            raise StoreError(f"damaged: {error}", where=str(path), hint=f"remove it, then soc rules import PACK --name {name}") from None

    def root(self, name: str, version: str) -> Path:
        """Folder of a version's files."""
        return self.folder / (name if version == LEGACY else f"{name}@{version}")

    def roots(self, instead: Mapping[str, str] | None = None) -> list[Path]:
        """Folders of the versions that run; `instead`: name -> id of a version in the place of the one that runs (empty = none)."""
        active = {pack.name: pack.active for pack in self.packs()} | dict(instead or {})
        found = [self.root(name, version) for name, version in sorted(active.items()) if version]
        return [folder for folder in found if folder.is_dir()]

    def files(self, name: str, version: str) -> dict[str, bytes]:
        """Rule files of a version by path inside; none when the folder is not there."""
        root = self.root(name, version)
        found = ((p.relative_to(root).as_posix(), p) for p in root.rglob("*") if p.is_file()) if root.is_dir() else ()
        return {inner: path.read_bytes() for inner, path in found if is_rule_name(inner)}

    def damaged(self, name: str, version: str) -> bool:
        """Whether the files are others than those that were imported."""
        return version not in ("", LEGACY) and content_id(self.files(name, version)) != version

    def put(self, name: str, files: Mapping[str, bytes]) -> str:
        """Lay down a version's files (they are there whole, or not at all); its id. Only while locked."""
        version = content_id(files)
        target = self.root(name, version)
        if target.is_dir() and not self.damaged(name, version):
            return version
        fresh = self.folder / f".{target.name}.part"
        for left in self.folder.glob(".*.part"):
            shutil.rmtree(left, ignore_errors=True) if left.is_dir() else left.unlink()
        for inner, content in files.items():
            path = fresh / inner
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        os.sync()  # a rename must not overtake what it names; thousands of small files are flushed fastest together
        if target.exists():  # damaged: what is there is not what its name says
            shutil.rmtree(target)
        fresh.rename(target)
        _flush(self.folder)
        return version

    def save(self, pack: Shelved) -> None:
        """Replace what is written about a pack: the switch. Only while locked."""
        path = self.folder / f"{pack.name}.json"
        part = path.with_name(f".{path.name}.part")
        data: dict[str, Any] = {"active": pack.active, "staged": pack.staged, "history": list(pack.history)}
        data["versions"] = {key: asdict(value) for key, value in pack.versions.items()}
        with part.open("wb") as file:
            file.write(orjson.dumps(data, option=orjson.OPT_INDENT_2))
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        _flush(self.folder)
        old = self.folder / pack.name
        if old.is_dir():  # from the time before versions: its files are a version of their own by now
            shutil.rmtree(old, ignore_errors=True)

    def drop(self, name: str, version: str) -> None:
        """Remove the files of a version. Only while locked, and after `save` has forgotten it."""
        shutil.rmtree(self.root(name, version), ignore_errors=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """One writer at a time on this machine; the lock ends with its process. StoreError when another one goes on for too long."""
        self.folder.mkdir(parents=True, exist_ok=True)
        number = os.open(self.folder.parent / "packs.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            _wait(number, self.folder)
            yield
        finally:
            os.close(number)


def _wait(number: int, folder: Path) -> None:
    until = time.monotonic() + _WAIT
    while True:
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > until:
                raise StoreError("another command is changing the rule packs", where=str(folder), hint="try again") from None
            time.sleep(0.05)


def _flush(folder: Path) -> None:
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
