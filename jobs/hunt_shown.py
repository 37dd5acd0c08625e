"""What of an event is shown in one line: the fields that tell a responder most, under their original names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from domain.text import one_line
from jobs.hunt_found import FileHit

_TELLING: Final = (
    "CommandLine", "Image", "NewProcessName", "ParentCommandLine", "ParentImage", "ParentProcessName", "OriginalFileName",
    "ScriptBlockText", "TargetObject", "Details", "TargetFilename", "ImageLoaded", "SourceImage", "TargetImage", "CallTrace",
    "PipeName", "ServiceName", "ImagePath", "ServiceFileName", "TaskName", "ShareName", "RelativeTargetName", "ObjectName",
    "TargetUserName", "SubjectUserName", "User", "IpAddress", "SourceIp", "DestinationIp", "DestinationHostname",
    "DestinationPort", "QueryName", "param1", "param2", "Data", "process.command_line", "process.executable", "user.name",
    "source.ip", "destination.ip", "url.original", "dns.question.name", "file.path", "http.response.status_code",
    "user_agent.original", "message", "Message", "event.original",
)  # fmt: skip
"""In the order in which they are shown."""
_ORDER: Final = {name: place for place, name in enumerate(_TELLING)}
_FIELDS: Final = 6
_VALUE: Final = 300


def about(hit: FileHit) -> str:
    """`CommandLine=…; Image=…`: at most six fields of the event, each cut."""
    return "; ".join(f"{name}={one_line(value, _VALUE)}" for name, value in telling(hit.original())[:_FIELDS])


def telling(event: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(short name, text) of the fields that tell most, most telling first; all text fields when none of them is known."""
    leaves = flat(event)
    found = sorted((_ORDER[n], n, text) for name, text in leaves for n in [_short(name)] if n in _ORDER and text)
    return [(name, text) for _, name, text in found] or leaves


def _short(name: str) -> str:
    """EventData.CommandLine -> CommandLine; names of the dictionary stay whole."""
    return name if name in _ORDER else name.rpartition(".")[2]


def flat(event: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Leaves of an event as (dotted name, text)."""
    out: list[tuple[str, str]] = []
    for key, value in event.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            out += flat(value, f"{name}.")
        elif isinstance(value, Sequence) and not isinstance(value, str):
            out.append((name, "; ".join(map(str, value))))
        elif isinstance(value, datetime):
            out.append((name, value.isoformat()))
        elif value is not None:
            out.append((name, str(value)))
    return out
