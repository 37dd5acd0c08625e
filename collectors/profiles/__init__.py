"""Who writes the documents of an index, as data: which fields they use for what ours say (`*.yml`).

Winlogbeat's documents are read by the parser `windows`, Filebeat's by the envelope `beats`, plain ECS by the parser `json`: no map is
needed for them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final

import yaml

PROFILES: Final[dict[str, str]] = {
    "auto": "",
    "winlogbeat": "",
    "filebeat": "beats",
    "wazuh": "wazuh",
    "dataprepper": "dataprepper",
    "ecs": "none",
}
"""`profile = "..."` -> the envelope that every document is taken to wear; "" = each document shows it, none = no document wears one."""


@dataclass(frozen=True)
class WindowsMap:
    """Where a document holds a Windows event."""

    system: str
    """Path of the header."""
    data: str
    """Path of the event's own fields; header apart, all objects below it."""
    names: Mapping[str, str]
    """Element of the event's XML -> name below `system`."""
    escaped: bool = False
    """Values keep one level of JSON and XML escapes, and names start with a small letter."""
    lower: Sequence[str] = ()
    """Regular expressions of names that start with a small letter in Windows too."""
    lower_channels: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Channels whose names start with a small letter, with those that do not."""

    def name(self, found: str, channel: str) -> str:
        """The name of a field as Windows writes it."""
        if not self.escaped or any(re.fullmatch(p, found) for p in self.lower):
            return found
        if channel in self.lower_channels and found not in self.lower_channels[channel]:
            return found
        return found[:1].upper() + found[1:]


@dataclass(frozen=True)
class Profile:
    """One shipper's documents."""

    name: str
    marks: Sequence[str]
    """All of these stand in a document's text."""
    needs: Sequence[str]
    """Top-level names that a document has."""
    line: Sequence[str]
    """Paths that may hold the record as it was, in this order."""
    fields: Mapping[str, Sequence[str]]
    """Our field <- their paths; the first that is there."""
    rest: str
    """What is not named goes below `unmapped.<rest>.`."""
    time: Sequence[str] = ()
    any: Sequence[str] = ()
    """One of these stands in a document's text."""
    otherwise: Sequence[str] = ()
    """Paths of a text to keep as the record where there is no line."""
    at_signs: bool = False
    """@ inside names stands for a dot."""
    windows: WindowsMap | None = None
    constant: Mapping[str, str] = field(default_factory=dict)
    """Fields of every event, where its record says nothing else."""


@cache
def profile(name: str) -> Profile:
    """The profile of that name."""
    text = (Path(__file__).parent / f"{name}.yml").read_text(encoding="utf-8")
    data = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506  safe loader
    windows = data.pop("windows", None)
    return Profile(name, windows=WindowsMap(**windows) if windows else None, **data)
