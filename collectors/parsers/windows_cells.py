"""Columns of Windows events while they are read: names in records -> names of columns, cells, and the table they become."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from collectors.base import Payload
from collectors.parsers import common, windows_ecs
from domain.event import SEP

DATA: Final = "winlog.event_data."
HEADER: Final = {
    # NXLog's name or the EVTX System element -> where it is kept
    "EventID": "event.code", "Channel": "winlog.channel", "SourceName": "winlog.provider_name", "ProviderGuid": "winlog.provider_guid",
    "Hostname": "winlog.computer_name", "Computer": "winlog.computer_name", "RecordNumber": "winlog.record_id",
    "EventRecordID": "winlog.record_id", "Task": "winlog.task", "Opcode": "winlog.opcode", "OpcodeValue": "winlog.opcode",
    "Keywords": "winlog.keywords", "Level": "winlog.level", "Version": "winlog.version", "ExecutionProcessID": "winlog.process.pid",
    "ThreadID": "winlog.process.thread.id", "ActivityID": "winlog.activity_id", "RelatedActivityID": "winlog.related_activity_id",
    "UserID": "winlog.user.identifier", "AccountName": "winlog.user.name", "Domain": "winlog.user.domain",
    "AccountType": "winlog.user.type", "Message": "message", "Severity": "log.level",
}  # fmt: skip
_SECOND: Final = frozenset(key for number, key in enumerate(HEADER) if HEADER[key] in list(HEADER.values())[:number])
"""Names that count only where the first of that meaning has no value."""
SHIPPER: Final = frozenset({
    "@version", "host", "port", "tags", "type", "SourceModuleName", "SourceModuleType", "EventReceivedTime", "SeverityValue",
    "EventTypeOrignal", "Category", "@timestamp", "EventTime", "TimeCreated", "message", "timestamp", "level", "log_name",
})  # fmt: skip
"""What shippers add: not part of the event (time is taken from it)."""
_NUMBERS: Final = frozenset({"winlog.process.pid", "winlog.process.thread.id"})
_GUID: Final = re.compile(r"[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}")
_GUID_LENGTH: Final = 36
TIMES: Final = "time.utc", "time.local"
CLOCKS: Final = ("TimeCreated", "UtcTime", "EventTime", "@timestamp")
"""Keys that tell the time, in this order."""
CLOCK: Final = "clock."
USER: Final = "winlog.user."
SYSTEM: Final = ("EventID", "Version", "Level", "Task", "Opcode", "Keywords", "EventRecordID", "Channel", "Computer")
ATTRIBUTES: Final = (
    ("Provider", "Name", "winlog.provider_name"), ("Provider", "Guid", "winlog.provider_guid"), ("TimeCreated", "SystemTime", TIMES[0]),
    ("Execution", "ProcessID", "winlog.process.pid"), ("Execution", "ThreadID", "winlog.process.thread.id"),
    ("Correlation", "ActivityID", "winlog.activity_id"), ("Security", "UserID", "winlog.user.identifier"),
)  # fmt: skip
"""(element of System, attribute, column) of EVTX."""
_SEVERAL: Final = frozenset({"winlog.keywords", DATA + "Data"})
PARAM: Final = re.compile(r"param\d+|Binary")
"""What Winlogbeat calls values without a name; rules ask for them as `Data`."""

BEAT_6: Final = {
    "event_id": "event.code", "log_name": "winlog.channel", "source_name": "winlog.provider_name", "computer_name": "winlog.computer_name",
    "provider_guid": "winlog.provider_guid", "record_number": "winlog.record_id", "task": "winlog.task", "opcode": "winlog.opcode",
    "level": "winlog.level", "version": "winlog.version", "process_id": "winlog.process.pid", "thread_id": "winlog.process.thread.id",
    "activity_id": "winlog.activity_id", "related_activity_id": "winlog.related_activity_id", "keywords": "winlog.keywords",
    "message": "message",
}  # fmt: skip


Part: TypeAlias = "tuple[common.Ints, list[Any] | str]"
"""Rows and their values; one text for all of them."""


class Cells(dict[str, tuple[list[int], list[Any]]]):
    """Column -> (row numbers, values). `slots` leads from NXLog's names to these lists; None for what nobody wants."""

    def __init__(self, wanted: frozenset[str] | None) -> None:
        super().__init__()
        self.wanted = wanted
        self.timed = wanted is None or "@timestamp" in wanted
        self.slots: dict[str, tuple[list[int], list[Any]] | None] = dict.fromkeys(SHIPPER)
        self.parts: dict[str, list[Part]] = {}
        """The same for rows that were read kind by kind; None = missing."""
        self.seconds: dict[str, tuple[list[int], list[Any]]] = {}
        """What names of the second rank say."""

    def all_of(self, name: str) -> list[Part]:
        """What is known of one column; a later part overrides an earlier one."""
        told = (self.seconds.get(name, ([], [])), self.get(name, ([], [])))
        return [*self.parts.get(name, ()), *((np.array(rows, np.int32), values) for rows, values in told if rows)]

    def slot(self, key: str) -> tuple[list[int], list[Any]] | None:
        """The lists of one of NXLog's names, made when it is first seen."""
        name = HEADER.get(key) or DATA + key
        if self.wanted is None or name in self.wanted:
            first = self.setdefault(name, ([], []))
            self.slots[key] = self.seconds.setdefault(name, ([], [])) if key in _SECOND else first
        else:
            self.slots[key] = None
        return self.slots[key]


def put(cells: Cells, name: str, row: int, value: object) -> None:
    """One value of one row."""
    found = cells.get(name)
    if found is None:
        found = cells[name] = ([], [])
    found[0].append(row)
    found[1].append(value)


def put_time(cells: Cells, row: int, utc: object, local: object, shipped: object = None) -> None:
    """The time of a row: what is UTC, else local time, else when it was shipped."""
    if utc or not local:
        put(cells, TIMES[0], row, utc or shipped)
    else:
        put(cells, TIMES[1], row, local)


def table(cells: Cells, payload: Payload) -> pa.Table:
    """One row per record, with the ECS columns that are wanted."""
    size = len(payload.records)
    columns: dict[str, Any] = {}
    for name in dict.fromkeys([*cells.parts, *cells]):
        parts = cells.all_of(name)
        if parts and name not in TIMES and (cells.wanted is None or name in cells.wanted):
            columns[name] = _column(name, parts, size)
    if payload.wanted is None or "@timestamp" in payload.wanted:
        columns["@timestamp"] = _stamps(cells, payload)
    return windows_ecs.enrich(columns, size, payload.wanted)


def _column(name: str, parts: Sequence[Part], size: int) -> pa.Array:
    """A dictionary-encoded text column; a number column for the few numeric ones."""
    if all(isinstance(values, str) for _, values in parts):
        return _constants(parts, size)
    texts = [_texts([values] * len(rows) if isinstance(values, str) else values, multi=name in _SEVERAL) for rows, values in parts]
    coded = _restore((pa.concat_arrays(texts) if len(texts) > 1 else texts[0]).dictionary_encode())
    codes = np.full(size, -1, np.int32)
    found = coded.indices
    rows = np.concatenate([rows for rows, _ in parts])
    codes[rows] = (pc.fill_null(found, -1) if found.null_count else found).to_numpy(zero_copy_only=False)
    indices = pa.array(codes, mask=codes < 0)
    if name not in _NUMBERS:
        return pa.DictionaryArray.from_arrays(indices, coded.dictionary)
    numbers = [n if n is not None and n >= 0 else None for n in map(common.integer, coded.dictionary.to_pylist())]
    return pa.array(numbers, pa.int64()).take(indices)


def _constants(parts: Sequence[Part], size: int) -> pa.Array:
    """A column of which each part has one text."""
    codes = np.full(size, -1, np.int32)
    known: dict[Any, int] = {}
    for rows, value in parts:
        codes[rows] = known.setdefault(value, len(known))
    return pa.DictionaryArray.from_arrays(pa.array(codes, mask=codes < 0), pa.array(list(known), pa.string()))


def _texts(values: list[Any], *, multi: bool) -> pa.Array:
    first = next((type(value) for value in values if value is not None), str)
    try:
        return pa.array(values, pa.int64()).cast(pa.string()) if first is int else pa.array(values, pa.string())
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        joiner = SEP if multi else "\n"
        return pa.array(
            [joiner.join(map(_text, v)) if isinstance(v, list) else None if v is None else _text(v) for v in values], pa.string()
        )


def _text(value: object) -> str:
    return common.text(value).encode("utf-8", "replace").decode() if isinstance(value, str) else common.text(value)


def _restore(coded: pa.DictionaryArray) -> pa.DictionaryArray:
    """GUIDs as Windows writes them: braces, lower case. Tested once per distinct value."""
    long = pc.equal(pc.binary_length(coded.dictionary), _GUID_LENGTH)
    if not pc.any(long).as_py():
        return coded
    plain = pc.and_(long, pc.match_substring_regex(coded.dictionary, rf"\A{_GUID.pattern}\z"))
    if not pc.any(plain).as_py():
        return coded
    braced = pc.binary_join_element_wise("{", pc.utf8_lower(coded.dictionary), "}", "")
    return pa.DictionaryArray.from_arrays(coded.indices, pc.if_else(plain, braced, coded.dictionary))


def _stamps(cells: Cells, payload: Payload) -> pa.Array:
    out = np.full(len(payload.records), np.iinfo(np.int64).min, np.int64)
    for name, tz in ((TIMES[0], "UTC"), (TIMES[1], payload.tz)):
        for rows, values in cells.all_of(name):
            out[rows] = windows_ecs.micros(values, tz)
    missing = out == np.iinfo(np.int64).min
    return pa.array(out, pa.int64(), mask=missing).cast(pa.timestamp("us")).cast(common.TIME)
