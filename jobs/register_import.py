"""`soc register import`: a CSV from a spreadsheet becomes `content/registers/<kind>.csv`, when nothing is wrong with it."""

from __future__ import annotations

import difflib
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from domain.errors import ConfigError, ContentError, UsageError
from domain.text import one_line
from jobs.register_build import Problem
from jobs.registers import KINDS, Entry, parse, read
from jobs.runtime import Runtime

MARKS: Final[Mapping[str, frozenset[str]]] = {
    "units": frozenset({"code", "name"}), "assets": frozenset({"id", "name"}), "lists": frozenset({"name", "values"}),
}  # fmt: skip
"""Columns by which a file is known."""
_ENCODINGS: Final = ("utf-8-sig", "utf-16", "cp1258")
"""As spreadsheets here write: UTF-8 with or without mark, "Unicode text", old Vietnamese Windows."""


@dataclass(frozen=True)
class Imported:
    """What an import did, by id."""

    kind: str
    path: Path
    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]
    unchanged: int


def bring(runtime: Runtime, source: Path, kind: str = "", *, dry: bool = False) -> Imported:
    """Check the file with all other registers, then put it in place of the earlier import. Nothing is written when something is wrong."""
    text = _decoded(source)
    kind = _kind(text, kind, source)
    folder = _folder(runtime)
    target = folder / f"{kind}.csv"
    loaded = read(runtime.content("registers") or [folder], [(kind, str(source), text)])
    if loaded.problems:
        found = "\n".join(str(p) for p in loaded.problems)
        raise ContentError(found, where=f"{len(loaded.problems)} problems", hint="nothing was imported")
    problems: list[Problem] = []
    fresh = _by_id(kind, parse(kind, f"{source}.csv", text, problems))
    old = _by_id(kind, parse(kind, str(target), target.read_text(encoding="utf-8-sig"), problems)) if target.is_file() else {}
    if not dry:
        _replace(target, text)
    return Imported(
        kind, target, tuple(sorted(fresh.keys() - old.keys())),
        tuple(sorted(k for k in fresh.keys() & old.keys() if fresh[k] != old[k])),
        tuple(sorted(old.keys() - fresh.keys())), sum(fresh[k] == old.get(k) for k in fresh),
    )  # fmt: skip


def _by_id(kind: str, entries: list[Entry]) -> dict[str, list[Any]]:
    out: dict[str, list[Any]] = {}
    for entry, _ in entries:
        out.setdefault(str(getattr(entry, KINDS[kind][1])), []).append(entry)
    return out


def _decoded(source: Path) -> str:
    if not source.is_file():
        raise UsageError("no such file", where=str(source))
    data = source.read_bytes()
    if data[:2] == b"PK":
        raise ContentError("this is a workbook, not CSV", where=str(source), hint="save as CSV UTF-8 in the spreadsheet")
    for encoding in _ENCODINGS:
        if encoding == "utf-16" and data[:2] not in (b"\xff\xfe", b"\xfe\xff"):
            continue
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    what = "the text is neither UTF-8 nor Vietnamese Windows text"
    raise ContentError(what, where=str(source), hint="save as CSV UTF-8 in the spreadsheet")


def _kind(text: str, asked: str, source: Path) -> str:
    if asked:
        if asked not in MARKS:
            close = difflib.get_close_matches(asked, MARKS, 1)
            raise UsageError(f"--kind {one_line(asked, 40)}: {' | '.join(MARKS)}", hint=close[0] if close else "")
        return asked
    head = text.partition("\n")[0].strip().strip("\ufeff")
    names = {part.strip().strip('"') for part in head.replace(";", ",").replace("\t", ",").split(",")}
    found = [kind for kind, marks in MARKS.items() if marks <= names]
    if len(found) != 1:
        columns = "; ".join(f"{kind}: {', '.join(sorted(marks))}" for kind, marks in MARKS.items())
        what = f"cannot tell the register from the first line: {one_line(head, 120)}"
        raise ContentError(what, where=f"{source}:1", hint=f"--kind, or columns {columns}")
    return found[0]


def _folder(runtime: Runtime) -> Path:
    """The last content folder is the one people edit."""
    return (runtime.config.content[-1] if runtime.config.content else runtime.config.root / "content") / "registers"


def _replace(target: Path, text: str) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=target.parent, prefix=".import.", delete=False, encoding="utf-8", newline="") as file:
            file.write(text)
        Path(file.name).chmod(0o640)
        os.replace(file.name, target)  # noqa: PTH105  atomic
    except OSError as error:
        raise ConfigError(f"cannot write: {error.strerror}", where=str(target)) from None
