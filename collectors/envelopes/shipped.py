"""Documents of shippers that have a map (`collectors.profiles`): the record inside them, and what they say about it.

A Windows event is put together again as the event log renders it, so that the parser `windows` reads it like any other.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import orjson
import pyarrow as pa

from collectors.base import Payload
from collectors.envelopes import _wrapped
from collectors.parsers import _json
from collectors.parsers.common import Event, Mask, text
from collectors.profiles import Profile, WindowsMap, profile
from domain import fields

_ESCAPED: Final = re.compile(r'(?:[^\\"]|\\["\\/])*')
"""Text in which every backslash and quote is escaped as in JSON."""
_ESCAPE: Final = re.compile(r'\\(["\\/])')
_ENTITY: Final = re.compile(r"&(lt|gt|amp|quot|apos);")
_ENTITIES: Final = {"lt": "<", "gt": ">", "amp": "&", "quot": '"', "apos": "'"}


class Shipped:
    """The envelope of one profile."""

    def __init__(self, name: str) -> None:
        self.name = name

    def match(self, records: pa.Array) -> Mask:
        """Documents with the profile's marks."""
        known = profile(self.name)
        mask = _wrapped.holds(records, *known.marks)
        if known.any and mask.any():
            mask = mask & _wrapped.either(*(_wrapped.holds(records, part) for part in known.any))
        return mask

    def unwrap(self, payload: Payload) -> Payload:
        """The record inside, or the Windows event; fields by the profile's map."""
        known = profile(self.name)
        return _wrapped.unwrap(payload, lambda value: _open(known, value))


def _open(known: Profile, value: dict[str, object]) -> _wrapped.Opened | None:
    flat = _json.flat(value)
    if known.at_signs:
        flat = {path if path.startswith("@") else path.replace("@", "."): inner for path, inner in flat.items()}
    tops = {path.partition(".")[0] for path in flat}
    if not all(need in tops for need in known.needs):
        return None
    outer: Event = dict(known.constant)
    used: set[str] = set()
    for name, paths in known.fields.items():
        found = next((path for path in paths if flat.get(path) not in (None, "")), None)
        if found is not None:
            outer[name] = flat[found]
            used.update(paths)
    event = _windows(known.windows, flat, value) if known.windows else None
    if event is not None:
        inner, message, prefix = event
        if message:
            outer["message"] = message
        used.update(path for path in flat if path.startswith((f"{prefix}.", *(f"{p}." for p in known.line))))
    else:
        inner, path = _line(known, value, flat)
        used.update(p for p in flat if p == path or p.startswith(f"{path}."))
    for path, found_value in flat.items():
        if path not in used:
            outer[f"unmapped.{known.rest}.{path}"] = found_value
    return inner, {fields.normal(name): found_value for name, found_value in outer.items()}


def _line(known: Profile, value: Mapping[str, Any], flat: Mapping[str, object]) -> tuple[str, str]:
    """The record as it was and its path; an object is written as JSON."""
    for path in (*known.line, *known.otherwise):
        found = flat.get(path, value.get(path))
        if isinstance(found, (dict, list)):
            return orjson.dumps(found).decode(), path
        if found not in (None, ""):
            return text(found), path
    return orjson.dumps(value).decode(), ""


def _windows(where: WindowsMap, flat: Mapping[str, object], value: Mapping[str, Any]) -> tuple[str, str, str] | None:
    """(the event as the reader of event logs renders it, its message, the path it stood below); None when there is none."""
    found = {element: flat.get(f"{where.system}.{name}") for element, name in where.names.items()}
    if found["Channel"] is None or found["EventID"] is None:
        return None
    header = {name: _plain(where, inner) for name, inner in found.items() if inner is not None}
    system: dict[str, object] = {name: header[name] for name in _ELEMENTS if name in header}
    for element, attributes in _ATTRIBUTES.items():
        inner = {attribute: header[name] for attribute, name in attributes.items() if name in header}
        if inner:
            system[element] = {"#attributes": inner}
    event = {"Event": {"System": system, "EventData": _data(where, flat, value, str(header["Channel"]))}}
    message = str(header.get("message", ""))
    if where.escaped and len(message) > 1 and message[0] == message[-1] == '"':
        message = message[1:-1]
    return orjson.dumps(event).decode(), message, where.data if where.system.startswith(f"{where.data}.") else where.system


_ELEMENTS: Final = ("EventID", "Version", "Level", "Task", "Opcode", "Keywords", "EventRecordID", "Channel", "Computer")
_ATTRIBUTES: Final = {
    "Provider": {"Name": "ProviderName", "Guid": "ProviderGuid"},
    "TimeCreated": {"SystemTime": "SystemTime"},
    "Execution": {"ProcessID": "ProcessID", "ThreadID": "ThreadID"},
}  # fmt: skip


def _data(where: WindowsMap, flat: Mapping[str, object], value: Mapping[str, Any], channel: str) -> dict[str, object]:
    """The event's own fields; the objects that they stand in (eventdata, logFileCleared) have no part in their names."""
    out: dict[str, object] = {}
    header = f"{where.system}." if where.system.startswith(f"{where.data}.") else "\0"
    for path, inner in flat.items():
        if not path.startswith(f"{where.data}.") or path.startswith(header):
            continue
        name = path.removeprefix(f"{where.data}.")
        if where.escaped:
            name = name.partition(".")[2]
        if name and (where.escaped or name != "data"):
            out[where.name(name, channel)] = _plain(where, inner)
    listed = _listed(value, where.data)
    out |= {name: inner for name, inner in listed if name}
    if unnamed := [inner for name, inner in listed if not name]:
        out["Data"] = {"#text": unnamed}
    return out


def _listed(value: Mapping[str, Any], path: str) -> list[tuple[str, object]]:
    """Fields that stand in a list of one-key objects: [{"SubjectUserName": "..."}, ...]."""
    for part in (*path.split("."), "data"):
        value = value.get(part, {}) if isinstance(value, Mapping) else {}
    if not isinstance(value, list):
        return []
    return [(k, v) for item in value if isinstance(item, dict) for k, v in item.items()]


def _plain(where: WindowsMap, value: object) -> object:
    """A value without the escapes that the shipper left in it."""
    if not where.escaped or not isinstance(value, str):
        return value
    if "\\" in value and _ESCAPED.fullmatch(value):
        value = _ESCAPE.sub(r"\1", value)
    return _ENTITY.sub(lambda m: _ENTITIES[m[1]], value) if "&" in value else value


WAZUH: Final = Shipped("wazuh")
DATAPREPPER: Final = Shipped("dataprepper")
