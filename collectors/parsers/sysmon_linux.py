"""Sysmon for Linux: one `<Event>` per syslog message, with the names of Sysmon for Windows.

https://github.com/microsoft/SysmonForLinux  Every value of EventData stays under `winlog.event_data.*`; ECS names stand beside them, as
Elastic's `sysmon_linux` has them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC
from html import unescape
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from collectors.base import Payload
from collectors.parsers.common import Event, Mask, categorise, integer, ip, iso_instant, table_of

_START: Final = r'^\s*<Event(?: [^>]*)?>\s*<System>\s*<Provider Name="Linux-Sysmon"'
_ELEMENT: Final = re.compile(r"<(EventID|Version|Level|Task|Opcode|Keywords|EventRecordID|Channel|Computer)>([^<]*)</")
_ATTRIBUTE: Final = re.compile(r'<(TimeCreated|Execution|Security) ((?:[A-Za-z]+="[^"]*" ?)+)/?>')
_PAIR: Final = re.compile(r'([A-Za-z]+)="([^"]*)"')
_DATA: Final = re.compile(r'<Data Name="([A-Za-z0-9_]{1,64})">([^<]*)</Data>')
_HEADER: Final = {
    "EventID": "event.code", "Version": "winlog.version", "Level": "winlog.level", "Task": "winlog.task", "Opcode": "winlog.opcode",
    "Keywords": "winlog.keywords", "EventRecordID": "winlog.record_id", "Channel": "winlog.channel", "Computer": "winlog.computer_name",
}  # fmt: skip
_ECS: Final = {
    "Image": "process.executable", "ProcessId": "process.pid", "ProcessGuid": "process.entity_id", "CommandLine": "process.command_line",
    "CurrentDirectory": "process.working_directory", "User": "user.name", "ParentImage": "process.parent.executable",
    "ParentProcessId": "process.parent.pid", "ParentProcessGuid": "process.parent.entity_id",
    "ParentCommandLine": "process.parent.command_line", "TargetFilename": "file.path", "SourceHostname": "source.domain",
    "SourcePort": "source.port", "DestinationHostname": "destination.domain", "DestinationPort": "destination.port",
    "Protocol": "network.transport",
}  # fmt: skip
_KINDS: Final[dict[str, tuple[str, str | list[str], str]]] = {
    # event id: category, type, action
    "1": ("process", "start", "process-created"),
    "3": ("network", ["connection", "start"], "network-connection"),
    "5": ("process", "end", "process-terminated"),
    "9": ("process", "access", "raw-access-read"),
    "11": ("file", "creation", "file-created"),
    "23": ("file", "deletion", "file-deleted"),
    "26": ("file", "deletion", "file-deleted"),
}
_NOTHING: Final = ("", "-")


class SysmonLinux:
    """Sysmon for Linux, unwrapped from its syslog header."""

    name = "sysmon_linux"

    def match(self, records: pa.Array) -> Mask:
        """`<Event><System><Provider Name="Linux-Sysmon"`."""
        mask: Mask = pc.match_substring_regex(records, _START).to_numpy(zero_copy_only=False)
        return mask

    def parse(self, payload: Payload) -> pa.Table:
        """Rows of data set sysmon_linux.log."""
        events = [_event(record) for record in payload.records.to_pylist()]
        return table_of(events, payload.records, "not an event of Sysmon for Linux")


def _event(record: str) -> Event | None:
    """`<Event><System><Provider Name="Linux-Sysmon" …/><EventID>1</EventID>…</System><EventData><Data Name="Image">/bin/ls</Data>…`."""
    system, found, rest = record.partition("</System>")
    said = {key: unescape(value) for key, value in _ELEMENT.findall(system)}
    if not found or "EventID" not in said:
        return None
    data = {key: unescape(value) for key, value in _DATA.findall(rest)}
    attributes = {f"{element}.{key}": value for element, pairs in _ATTRIBUTE.findall(system) for key, value in _PAIR.findall(pairs)}
    host = said.get("Computer")
    event: Event = {
        "@timestamp": iso_instant(data.get("UtcTime") or attributes.get("TimeCreated.SystemTime", ""), UTC), "event.kind": "event",
        "event.module": "sysmon_linux", "event.dataset": "sysmon_linux.log", "event.provider": "Linux-Sysmon", "message": record,
        "winlog.provider_name": "Linux-Sysmon", "host.name": host, "host.hostname": host,
        "winlog.process.pid": integer(attributes.get("Execution.ProcessID")), "winlog.user.identifier": attributes.get("Security.UserId"),
    }  # fmt: skip
    event |= {_HEADER[key]: value for key, value in said.items()}
    event |= {f"winlog.event_data.{key}": value for key, value in data.items()}
    event |= {name: data[key] for key, name in _ECS.items() if data.get(key, "-") not in _NOTHING}
    return event | _derived(said["EventID"], data)


def _derived(code: str, data: Mapping[str, str]) -> Event:
    out: Event = {"source.ip": ip(data.get("SourceIp", "")), "destination.ip": ip(data.get("DestinationIp", ""))}
    for name, path in (("process.name", "Image"), ("process.parent.name", "ParentImage"), ("file.name", "TargetFilename")):
        if data.get(path, "-") not in _NOTHING:
            out[name] = data[path].rpartition("/")[2]
    if "Initiated" in data:
        out["network.direction"] = "outbound" if data["Initiated"].lower() == "true" else "inbound"
    out["related.ip"] = [address for address in dict.fromkeys((out["source.ip"], out["destination.ip"])) if address]
    out["related.user"] = data["User"] if data.get("User", "-") not in _NOTHING else None
    if code in _KINDS:
        category, kinds, action = _KINDS[code]
        out["event.action"] = action
        categorise(out, category, kinds)
    return out


PARSER: Final = SysmonLinux()
