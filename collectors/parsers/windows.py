"""Windows events as JSON: EVTX records (collectors.evtx), Winlogbeat, NXLog (im_msvistalog + to_json).

Every field of EventData and UserData is kept whole and as text under `winlog.event_data.*`: Sigma's Windows rules name these fields, and
the map is one-to-one (Elastic's `ecs_windows` folds Subject- and Target- fields into one). ECS names stand beside them (windows_ecs).
Sources: learn.microsoft.com/windows/win32/wes/eventschema-schema, elastic.co/docs/reference/beats/winlogbeat/exported-fields-winlog,
docs.nxlog.co (im_msvistalog).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from collectors.base import Payload
from collectors.parsers import common, windows_block, windows_ecs
from collectors.parsers.windows_block import Mark, Path
from domain.event import SEP
from domain.text import paired

DATA: Final = "winlog.event_data."
_HEADER: Final = {
    # NXLog's name or the EVTX System element -> where it is kept
    "EventID": "event.code", "Channel": "winlog.channel", "SourceName": "winlog.provider_name", "ProviderGuid": "winlog.provider_guid",
    "Hostname": "winlog.computer_name", "Computer": "winlog.computer_name", "RecordNumber": "winlog.record_id",
    "EventRecordID": "winlog.record_id", "Task": "winlog.task", "Opcode": "winlog.opcode", "OpcodeValue": "winlog.opcode",
    "Keywords": "winlog.keywords", "Level": "winlog.level", "Version": "winlog.version", "ExecutionProcessID": "winlog.process.pid",
    "ThreadID": "winlog.process.thread.id", "ActivityID": "winlog.activity_id", "RelatedActivityID": "winlog.related_activity_id",
    "UserID": "winlog.user.identifier", "AccountName": "winlog.user.name", "Domain": "winlog.user.domain",
    "AccountType": "winlog.user.type", "Message": "message", "Severity": "log.level",
}  # fmt: skip
_SHIPPER: Final = frozenset({
    "@version", "host", "port", "tags", "type", "SourceModuleName", "SourceModuleType", "EventReceivedTime", "SeverityValue",
    "EventTypeOrignal", "Category", "@timestamp", "EventTime", "TimeCreated", "message", "timestamp", "level", "log_name",
})  # fmt: skip
"""What shippers add: not part of the event (time is taken from it)."""
_NUMBERS: Final = frozenset({"winlog.process.pid", "winlog.process.thread.id"})
_GUID: Final = re.compile(r"[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}")
_TIMES: Final = "time.utc", "time.local"
_CLOCKS: Final = ("TimeCreated", "UtcTime", "EventTime", "@timestamp")
"""Keys that tell the time, in this order."""
_CLOCK: Final = "clock."
_USER: Final = "winlog.user."
_SYSTEM: Final = ("EventID", "Version", "Level", "Task", "Opcode", "Keywords", "EventRecordID", "Channel", "Computer")
_ATTRIBUTES: Final = (
    ("Provider", "Name", "winlog.provider_name"), ("Provider", "Guid", "winlog.provider_guid"), ("TimeCreated", "SystemTime", _TIMES[0]),
    ("Execution", "ProcessID", "winlog.process.pid"), ("Execution", "ThreadID", "winlog.process.thread.id"),
    ("Correlation", "ActivityID", "winlog.activity_id"), ("Security", "UserID", "winlog.user.identifier"),
)  # fmt: skip
"""(element of System, attribute, column) of EVTX."""
_SEVERAL: Final = frozenset({"winlog.keywords", DATA + "Data"})
_PARAM: Final = re.compile(r"param\d+|Binary")
"""What Winlogbeat calls values without a name; rules ask for them as `Data`."""


class Windows:
    """JSON of one Windows event per record."""

    name = "windows"

    def match(self, records: pa.Array) -> common.Mask:
        """Objects with the marks of one of the shapes."""
        texts, marks = windows_block.RECENT.of(records)
        found = [(mark is not None and mark.tells) or _signs(text) for text, mark in zip(texts, marks, strict=True)]
        return np.array(found, np.bool_) & common_bools(pc.starts_with(records, "{"))

    def parse(self, payload: Payload) -> pa.Table:
        """One row per record."""
        texts, marks = windows_block.RECENT.take(payload.records)
        cells = Cells(None if payload.wanted is None else windows_ecs.inputs(payload.wanted))
        rest: Iterable[int] = range(len(texts))
        if payload.wanted is not None and "*" not in payload.wanted:
            rest = _by_kind(texts, marks, cells, payload)
        bad = _one_by_one(texts, rest, cells)
        if bad:
            return _with_failures(self, payload, bad)
        return _table(cells, payload)


def _signs(text: str) -> bool:
    """Words that only records of Windows hold, in whatever shape."""
    return ('"EventID"' in text and '"Channel"' in text) or '"winlog":' in text or '"log_name":' in text


def _by_kind(texts: Sequence[str], marks: Sequence[Mark | None], cells: Cells, payload: Payload) -> list[int]:
    """Read what is of a usual shape, only the fields that are needed of its kind; the rows that are left."""
    groups, rest = windows_block.kinds(marks)
    for kind, rows in groups.items():
        paths = _PATHS[kind.shape](_needed(kind, payload), cells.timed)
        columns: dict[str, list[Any]] = {}
        if paths:
            reader = windows_block.reader(paths)
            rows, found = reader.read(texts, rows, rest)
            for name, get in reader.columns:
                values = list(map(get, found))
                columns[name] = _first(columns[name], values) if name in columns else values
        if cells.timed:
            _put_clocks(cells, rows, columns)
        columns |= {"event.code": [kind.code] * len(rows), "winlog.channel": [kind.channel] * len(rows)}
        places = np.array(rows, np.int32)
        for name, values in columns.items():
            cells.parts.setdefault(name, []).append((places, values))
    return sorted(rest)


def _first(one: list[Any], two: list[Any]) -> list[Any]:
    """Two keys of one meaning: the first that has a value."""
    return [b if a is None else a for a, b in zip(one, two, strict=True)]


def _put_clocks(cells: Cells, rows: Sequence[int], columns: dict[str, list[Any]]) -> None:
    """The time of each record, from the keys that tell it; they are taken out of `columns`."""
    none = [None] * len(rows)
    told = [columns.pop(_CLOCK + key, none) for key in _CLOCKS]
    for row, created, utc, local, shipped in zip(rows, *told, strict=True):
        _put_time(cells, row, created or utc, local, shipped)


def _needed(kind: windows_block.Kind, payload: Payload) -> frozenset[str]:
    """Columns to read of one kind, without those that the kind tells."""
    assert payload.wanted is not None  # noqa: S101  for the type checker
    wanted = payload.wanted
    if payload.narrow is not None:
        module, dataset = windows_ecs.module(kind.channel)
        known = {"winlog.channel": kind.channel, "event.code": kind.code, "event.module": module, "event.dataset": dataset}
        wanted &= payload.narrow(known)
    return windows_ecs.inputs(wanted) - {"event.code", "winlog.channel"}


Paths = tuple[tuple[Path, str], ...]


def _flat_paths(needed: frozenset[str], timed: bool) -> Paths:
    keys = [(key, name) for key, name in _HEADER.items() if name in needed]
    keys += [(name.removeprefix(DATA), name) for name in sorted(needed) if name.startswith(DATA)]
    out = [((key,), name) for key, name in keys if key not in _SHIPPER and _HEADER.get(key, name) == name]
    return (*out, *(((key,), _CLOCK + key) for key in _CLOCKS if timed))


def _beat_6_paths(needed: frozenset[str], timed: bool) -> Paths:
    out: list[tuple[Path, str]] = [((key,), name) for key, name in _BEAT_6.items() if name in needed]
    out += [(("event_data", name.removeprefix(DATA)), name) for name in sorted(needed) if name.startswith(DATA)]
    out += [(("user", name.removeprefix(_USER)), name) for name in sorted(needed) if name.startswith(_USER)]
    return (*out, *(((key,), _CLOCK + key) for key in _CLOCKS[-1:] if timed))


def _evtx_paths(needed: frozenset[str], timed: bool) -> Paths:
    out: list[tuple[Path, str]] = [(("Event", "System", key), _HEADER[key]) for key in _SYSTEM if _HEADER[key] in needed]
    out += [
        (("Event", "System", element, "#attributes", attribute), name)
        for element, attribute, name in _ATTRIBUTES
        if name in needed or (name == _TIMES[0] and timed)
    ]
    return (*out, *((("Event", "EventData", n.removeprefix(DATA)), n) for n in sorted(needed) if n.startswith(DATA)))


def _one_by_one(texts: Sequence[str], rows: Iterable[int], cells: Cells) -> list[int]:
    """Read what no kind holds; the rows of records that are no events."""
    bad: list[int] = []
    loads = orjson.loads
    for row in rows:
        try:
            _read(loads(texts[row]), row, cells)
        except (ValueError, AttributeError, TypeError):
            if not _mended(texts[row], row, cells):
                bad.append(row)
    return bad


def _mended(text: str, row: int, cells: Cells) -> bool:
    """Whether a record that was no JSON for its surrogates is one without them; nothing of it was read before."""
    mended = paired(text)
    if mended == text:
        return False
    try:
        _read(orjson.loads(mended), row, cells)
    except (ValueError, AttributeError, TypeError):
        return False
    return True


Part: TypeAlias = "tuple[common.Ints, list[Any]]"
"""Rows and their values."""


class Cells(dict[str, tuple[list[int], list[Any]]]):
    """Column -> (row numbers, values). `slots` leads from NXLog's names to these lists; None for what nobody wants."""

    def __init__(self, wanted: frozenset[str] | None) -> None:
        super().__init__()
        self.wanted = wanted
        self.timed = wanted is None or "@timestamp" in wanted
        self.slots: dict[str, tuple[list[int], list[Any]] | None] = dict.fromkeys(_SHIPPER)
        self.parts: dict[str, list[Part]] = {}
        """The same for rows that were read kind by kind; None = missing."""

    def all_of(self, name: str) -> list[Part]:
        """What is known of one column."""
        rows, values = self.get(name, ([], []))
        return [*self.parts.get(name, ()), *([(np.array(rows, np.int32), values)] if rows else ())]

    def slot(self, key: str) -> tuple[list[int], list[Any]] | None:
        """The lists of one of NXLog's names, made when it is first seen."""
        name = _HEADER.get(key) or DATA + key
        if self.wanted is None or name in self.wanted:
            self.slots[key] = self.setdefault(name, ([], []))
        else:
            self.slots[key] = None
        return self.slots[key]


def common_bools(array: pa.Array) -> common.Mask:
    """An Arrow boolean array as numpy, nulls false."""
    mask: common.Mask = pc.fill_null(array, False).to_numpy(zero_copy_only=False)
    return mask


def _with_failures(parser: Windows, payload: Payload, bad: list[int]) -> pa.Table:
    size = len(payload.records)
    rows = np.array(bad, np.int32)
    good = np.setdiff1d(np.arange(size, dtype=np.int32), rows)
    lost = common.failed(payload.records.take(pa.array(rows)), "not a Windows event in JSON")
    if not len(good):
        return lost
    part = Payload(payload.records.take(pa.array(good)), payload.arrivals[good], payload.tz, {}, payload.wanted)
    return common.merge(size, [(good, parser.parse(part)), (rows, lost)])


def _read(event: Mapping[str, Any], row: int, cells: Cells) -> None:
    if "Event" in event and "System" in event["Event"]:
        _read_evtx(event["Event"], row, cells)
    elif isinstance(event.get("winlog"), dict):
        _read_beat(event, row, cells)
    elif "log_name" in event:
        _read_beat_6(event, row, cells)
    else:
        _read_flat(event, row, cells)


def _put(cells: Cells, name: str, row: int, value: object) -> None:
    found = cells.get(name)
    if found is None:
        found = cells[name] = ([], [])
    found[0].append(row)
    found[1].append(value)


def _read_flat(event: Mapping[str, Any], row: int, cells: Cells) -> None:
    """NXLog: header and data side by side in one object."""
    slots = cells.slots
    for key, value in event.items():
        try:
            slot = slots[key]
        except KeyError:
            slot = cells.slot(key)
        if slot is not None and value is not None:
            slot[0].append(row)
            slot[1].append(value)
    if cells.timed:
        _put_time(cells, row, event.get("TimeCreated") or event.get("UtcTime"), event.get("EventTime"), event.get("@timestamp"))


def _put_time(cells: Cells, row: int, utc: object, local: object, shipped: object = None) -> None:
    if utc or not local:
        _put(cells, _TIMES[0], row, utc or shipped)
    else:
        _put(cells, _TIMES[1], row, local)


def _read_evtx(event: Mapping[str, Any], row: int, cells: Cells) -> None:
    """The reader's rendering of the XML: attributes under `#attributes`, text under `#text`."""
    system = event["System"]
    for key in _SYSTEM:
        value = system.get(key)
        if isinstance(value, dict):
            value = value.get("#text")
        if value is not None:
            _put(cells, _HEADER[key], row, value)
    _put_attributes(cells, row, system)
    for part in (event.get("EventData"), event.get("UserData")):
        if isinstance(part, dict):
            _put_data(cells, row, part)


def _put_attributes(cells: Cells, row: int, system: Mapping[str, Any]) -> None:
    for element, attribute, name in _ATTRIBUTES:
        value = ((system.get(element) or {}).get("#attributes") or {}).get(attribute)
        if value is not None:
            _put(cells, name, row, value)


def _put_data(cells: Cells, row: int, data: Mapping[str, Any]) -> None:
    for key, value in data.items():
        if key == "#attributes" or value is None:
            continue
        if isinstance(value, dict) and "#text" not in value:
            _put_data(cells, row, value)  # UserData wraps its fields in one element
        else:
            _put(cells, DATA + key, row, value["#text"] if isinstance(value, dict) else value)


def _read_beat(event: Mapping[str, Any], row: int, cells: Cells) -> None:
    """Winlogbeat: `winlog.*` as it is, ECS fields of its modules beside it."""
    winlog = event["winlog"]
    code = (event.get("event") or {}).get("code", winlog.get("event_id"))
    _put(cells, "event.code", row, code)
    for key, value in winlog.items():
        if key in ("event_data", "user_data") and isinstance(value, dict):
            _put_data(cells, row, value)
            if "param1" in value and all(map(_PARAM.fullmatch, value)):
                _put(cells, f"{DATA}Data", row, [value[f"param{n}"] for n in range(1, len(value) + 1) if f"param{n}" in value])
        elif isinstance(value, dict):
            for inner, deep in _leaves(f"winlog.{key}", value):
                _put(cells, inner, row, deep)
        elif value is not None and key != "event_id":
            _put(cells, f"winlog.{key}", row, value)
    for key in ("host", "user", "process", "source", "destination", "file", "related", "hash"):
        if isinstance(event.get(key), dict):
            for name, value in _leaves(key, event[key]):
                _put(cells, f"beat.{name}", row, value)
    if event.get("message") is not None:
        _put(cells, "message", row, event["message"])
    _put(cells, _TIMES[0], row, event.get("@timestamp"))


_BEAT_6: Final = {
    "event_id": "event.code", "log_name": "winlog.channel", "source_name": "winlog.provider_name", "computer_name": "winlog.computer_name",
    "provider_guid": "winlog.provider_guid", "record_number": "winlog.record_id", "task": "winlog.task", "opcode": "winlog.opcode",
    "level": "winlog.level", "version": "winlog.version", "process_id": "winlog.process.pid", "thread_id": "winlog.process.thread.id",
    "activity_id": "winlog.activity_id", "related_activity_id": "winlog.related_activity_id", "keywords": "winlog.keywords",
    "message": "message",
}  # fmt: skip


def _read_beat_6(event: Mapping[str, Any], row: int, cells: Cells) -> None:
    """Winlogbeat before 7: everything at the top, data under `event_data`."""
    for key, name in _BEAT_6.items():
        if event.get(key) is not None:
            _put(cells, name, row, event[key])
    for part in (event.get("event_data"), event.get("user_data")):
        if isinstance(part, dict):
            _put_data(cells, row, part)
    for key, value in (event.get("user") or {}).items():
        _put(cells, f"winlog.user.{key}", row, value)
    _put(cells, _TIMES[0], row, event.get("@timestamp"))


def _leaves(prefix: str, data: Mapping[str, Any]) -> Iterable[tuple[str, object]]:
    for key, value in data.items():
        if isinstance(value, dict):
            yield from _leaves(f"{prefix}.{key}", value)
        elif value is not None:
            yield f"{prefix}.{key}", value


def _table(cells: Cells, payload: Payload) -> pa.Table:
    size = len(payload.records)
    columns: dict[str, Any] = {}
    for name in dict.fromkeys([*cells.parts, *cells]):
        parts = cells.all_of(name)
        if parts and name not in _TIMES and (cells.wanted is None or name in cells.wanted):
            columns[name] = _column(name, parts, size)
    if payload.wanted is None or "@timestamp" in payload.wanted:
        columns["@timestamp"] = _stamps(cells, payload)
    return windows_ecs.enrich(columns, size, payload.wanted)


def _column(name: str, parts: Sequence[Part], size: int) -> pa.Array:
    """A dictionary-encoded text column; a number column for the few numeric ones."""
    texts = [_texts(values, multi=name in _SEVERAL) for _, values in parts]
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
    plain = pc.match_substring_regex(coded.dictionary, rf"\A{_GUID.pattern}\z")
    if not pc.any(plain).as_py():
        return coded
    braced = pc.binary_join_element_wise("{", pc.utf8_lower(coded.dictionary), "}", "")
    return pa.DictionaryArray.from_arrays(coded.indices, pc.if_else(plain, braced, coded.dictionary))


def _stamps(cells: Cells, payload: Payload) -> pa.Array:
    out = np.full(len(payload.records), np.iinfo(np.int64).min, np.int64)
    for name, tz in ((_TIMES[0], "UTC"), (_TIMES[1], payload.tz)):
        for rows, values in cells.all_of(name):
            out[rows] = windows_ecs.micros(values, tz)
    missing = out == np.iinfo(np.int64).min
    return pa.array(out, pa.int64(), mask=missing).cast(pa.timestamp("us")).cast(common.TIME)


_PATHS: Final = {windows_block.FLAT: _flat_paths, windows_block.BEAT_6: _beat_6_paths, windows_block.EVTX: _evtx_paths}
PARSER: Final = Windows()
