"""What of an event is shown in one line: the fields that tell a responder most, under their original names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from operator import itemgetter
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
    """(short name, text) of the fields that tell most, most telling first; all fields when none of them is known."""
    leaves = list(_leaves(event, ""))
    known = sorted(((place, value) for name, value in leaves if (place := _place(name)) >= 0 and value != ""), key=itemgetter(0))
    return [(_TELLING[place], _text(value)) for place, value in known] or [(name, _text(value)) for name, value in leaves]


@lru_cache(10_000)
def _place(name: str) -> int:
    """Where a field stands, -1 = nowhere. EventData.CommandLine is CommandLine; names of the dictionary stay whole."""
    return _ORDER.get(name, _ORDER.get(name.rpartition(".")[2], -1))


def _leaves(event: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    """(dotted name, value) of an event as JSON has it."""
    for key, value in event.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{key}.")
        elif value is not None:
            yield f"{prefix}{key}", value


def _text(value: object) -> str:
    return value if isinstance(value, str) else "; ".join(map(str, value)) if isinstance(value, list) else str(value)
