"""Where a path of keys leads in a document."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from detectors.sigma.cells import Cell
from detectors.sigma.lint.files import MAX_FILE, read
from detectors.sigma.model import Broken, Other


def place(document: Cell, path: Sequence[str]) -> Cell:
    """The key or value that a path names; the last step may be a value of a list. What is missing stands where it should have stood."""
    cell = found = document
    for step in path:
        inner = next((value for key, value in cell if str(key.value) == step), None)
        if inner is None:
            return next((item for item in cell.items if str(item.value) == step), None) or found
        found = inner if step == path[-1] and not isinstance(inner.value, (dict, list)) else cell.key(step) or inner
        cell = inner
    return found


def fault(other: Other, path: Sequence[str], reason: str, code: str = "correlation-fault") -> Broken:
    """A fault of a document that is known as data only, at its place in its file; at its title where the file is gone."""
    try:
        content = Path(other.file).read_bytes()
    except (OSError, ValueError):
        content = b""
    documents = read(content)[0] if len(content) <= MAX_FILE else []
    own = [str(other.data.get(key)) for key in ("id", "title")]
    same = [d for d in documents if isinstance(d.value, dict) and [str(d.value.get(key)) for key in ("id", "title")] == own]
    if not same:
        return Broken(other.file, other.line, reason, 1, code)
    where = place(same[0], path)
    return Broken(other.file, where.line, reason, where.column, code)
