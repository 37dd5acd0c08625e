"""Drafts of patterns for records that no parser knows: records of one shape are one draft, most frequent first."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from collectors import whole
from domain.clock import Clock
from jobs.parse import Asked, records

_PARTS: Final[tuple[tuple[str, str, str], ...]] = (
    # name, what it looks like in a record, what the draft says
    (
        "time",
        r"\d{4}[-/]\d\d[-/]\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?",
        r"\d{4}[-/]\d\d[-/]\d\d[T ][\d:.,]+(?:Z|[+-][\d:]+)?",
    ),
    ("time", r"[A-Z][a-z]{2} {1,2}\d{1,2} \d\d:\d\d:\d\d", r"[A-Z][a-z]{2} {1,2}\d{1,2} [\d:]{8}"),
    ("clock", r"\b\d\d:\d\d:\d\d(?:[.,]\d+)?", r"[\d:.,]+"),
    (
        "ip",
        r"(?<![\w.:])(?:\d{1,3}\.){3}\d{1,3}(?![\w.])|(?<![\w.:])[0-9A-Fa-f]{0,4}:[0-9A-Fa-f:]*:[0-9A-Fa-f]{0,4}(?![\w:])",
        r"[0-9A-Fa-f.:]+",
    ),
    ("text", r'"[^"]*"', r'"[^"]*"'),
    ("value", r"(?<==)[^\s,;\"]+", r"[^\s,;]+"),
    ("hex", r"\b(?:0x[0-9A-Fa-f]+|[0-9A-Fa-f]{8,}(?:-[0-9A-Fa-f]{4,})*)\b", r"[0-9A-Fa-fx-]+"),
    ("path", r"(?<![\w/])/[\w./%-]+", r"/\S*"),
    ("number", r"(?<![\w.])-?\d+(?:\.\d+)?(?![\w.])", r"-?[\d.]+"),
)
_VARIABLE: Final = re.compile("|".join(f"(?P<g{index}>{seen})" for index, (_, seen, _) in enumerate(_PARTS)))
_LENGTH: Final = 400
_SHAPES: Final = 10_000
"""Different shapes held at once; records of further shapes are not counted."""


@dataclass(frozen=True)
class Draft:
    """A shape that unparsed records have."""

    count: int
    first: int
    """Record number of the first one."""
    pattern: str
    """A regular expression with named groups; what it does not cover after 400 characters is `.*`."""
    example: str


def drafts(path: Path, clock: Clock, tell: Callable[[whole.Problem], None]) -> list[Draft]:
    """Drafts for the records of a file that no parser claims or that fail to parse."""
    found: dict[str, Draft] = {}
    for record in records(path, Asked(), clock, tell):
        if record.event.get("event.kind") != "pipeline_error":
            continue
        line = str(record.event["event.original"])
        shape = _VARIABLE.sub(lambda m: f"\0{m.lastgroup}\0", line[:_LENGTH])
        known = found.get(shape)
        if known is not None:
            found[shape] = Draft(known.count + 1, known.first, known.pattern, known.example)
        elif len(found) < _SHAPES:
            found[shape] = Draft(1, record.record, pattern_of(line), line)
    return sorted(found.values(), key=lambda draft: (-draft.count, draft.first))


def pattern_of(line: str) -> str:
    """A pattern that matches the line and its like: fixed words as they are, what varies as named groups."""
    out, at, used = [], 0, dict[str, int]()
    for found in _VARIABLE.finditer(line[:_LENGTH]):
        name, _, wanted = _PARTS[int((found.lastgroup or "g0")[1:])]
        used[name] = used.get(name, 0) + 1
        label = name if used[name] == 1 else f"{name}{used[name]}"
        out += [re.escape(line[at : found.start()]), f"(?P<{label}>{wanted})"]
        at = found.end()
    out.append(re.escape(line[at:_LENGTH]))
    return "".join(out) + (".*" if len(line) > _LENGTH else "")
