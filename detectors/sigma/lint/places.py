"""Faults of documents of which only the data is at hand, at their places in the file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from detectors.sigma.lint.files import MAX_FILE, read
from detectors.sigma.model import Broken, Other


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
    where = same[0].find(path)
    return Broken(other.file, where.line, reason, where.column, code)
