"""Rule packs for tests, made in memory."""

from __future__ import annotations

import io
import tarfile
import uuid
import zipfile
from collections.abc import Mapping
from pathlib import Path

SPACE = uuid.UUID("6d1f9a80-2f64-4b9c-9f6e-0f3c8e6f2a10")


def rule(title: str, word: str = "evil", level: str = "high", tags: tuple[str, ...] = (), extra: str = "") -> bytes:
    """A rule on web requests whose path holds a word; the id comes from the title."""
    named = f"tags: [{', '.join(tags)}]\n" if tags else ""
    return (
        f"title: {title}\nid: {uuid.uuid5(SPACE, title)}\nlogsource: {{category: webserver}}\n"
        f"detection:\n  s: {{url.path|contains: '{word}'}}\n  condition: s\nlevel: {level}\n{named}{extra}"
    ).encode()


def ident(title: str) -> str:
    return str(uuid.uuid5(SPACE, title))


def zipped(path: Path, files: Mapping[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def tarred(path: Path, files: Mapping[str, bytes], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def folder(path: Path, files: Mapping[str, bytes]) -> Path:
    for name, content in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return path
