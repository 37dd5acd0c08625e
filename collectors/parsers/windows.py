"""Windows events as JSON: EVTX records (collectors.evtx), Winlogbeat, NXLog (im_msvistalog + to_json).

Every field of EventData and UserData is kept whole and as text under `winlog.event_data.*`: Sigma's Windows rules name these fields, and
the map is one-to-one (Elastic's `ecs_windows` folds Subject- and Target- fields into one). ECS names stand beside them (windows_ecs).
Sources: learn.microsoft.com/windows/win32/wes/eventschema-schema, elastic.co/docs/reference/beats/winlogbeat/exported-fields-winlog,
docs.nxlog.co (im_msvistalog).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from collectors.base import Payload
from collectors.parsers import common, windows_block, windows_ecs
from collectors.parsers.find import holding
from collectors.parsers.windows_block import Block
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
_SEVERAL: Final = frozenset({"winlog.keywords", DATA + "Data"})
_PARAM: Final = re.compile(r"param\d+|Binary")
"""What Winlogbeat calls values without a name; rules ask for them as `Data`."""


class Windows:
    """JSON of one Windows event per record."""

    name = "windows"

    def match(self, records: pa.Array) -> common.Mask:
        """Objects with the marks of one of the three shapes."""
        flat = holding(records, b'"EventID"', b'"Channel"')
        if not flat.all():
            flat |= holding(records, b'"winlog":') | holding(records, b'"log_name":')
        return flat & common_bools(pc.starts_with(records, "{"))

    def parse(self, payload: Payload) -> pa.Table:
        """One row per record."""
        cells = Cells(None if payload.wanted is None else windows_ecs.inputs(payload.wanted))
        blocks, done = windows_block.read(payload.records, _shapes(cells), _CLOCKS if cells.timed else ())
        rest = np.flatnonzero(~done)
        bad = _one_by_one(payload.records.take(pa.array(rest)) if len(blocks) else payload.records, rest, cells)
        if bad:
            return _with_failures(self, payload, bad)
        return _table(cells, blocks, payload)


def _shapes(cells: Cells) -> windows_block.Shapes:
    """What becomes of the keys of a record."""

    def if_wanted(name: str | None) -> str | None:
        return name if name is not None and (cells.wanted is None or name in cells.wanted) else None

    return windows_block.Shapes(
        flat=lambda key: None if key in _SHIPPER else if_wanted(_HEADER.get(key) or DATA + key),
        beat=lambda key: if_wanted(_BEAT_6.get(key)),
        data=lambda key: if_wanted(DATA + key),
    )


def _one_by_one(records: pa.Array, rows: common.Ints, cells: Cells) -> list[int]:
    """Read what no block holds; the rows of records that are no events."""
    bad: list[int] = []
    loads = orjson.loads
    for row, text in zip(rows.tolist(), records.to_pylist(), strict=True):
        try:
            _read(loads(text), row, cells)
        except (ValueError, AttributeError, TypeError):
            if not _mended(text, row, cells):
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


class Cells(dict[str, tuple[list[int], list[Any]]]):
    """Column -> (row numbers, values). `slots` leads from NXLog's names to these lists; None for what nobody wants."""

    def __init__(self, wanted: frozenset[str] | None) -> None:
        super().__init__()
        self.wanted = wanted
        self.timed = wanted is None or "@timestamp" in wanted
        self.slots: dict[str, tuple[list[int], list[Any]] | None] = dict.fromkeys(_SHIPPER)

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
    for key in ("EventID", "Version", "Level", "Task", "Opcode", "Keywords", "EventRecordID", "Channel", "Computer"):
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
    for element, attribute, name in (
        ("Provider", "Name", "winlog.provider_name"),
        ("Provider", "Guid", "winlog.provider_guid"),
        ("TimeCreated", "SystemTime", _TIMES[0]),
        ("Execution", "ProcessID", "winlog.process.pid"),
        ("Execution", "ThreadID", "winlog.process.thread.id"),
        ("Correlation", "ActivityID", "winlog.activity_id"),
        ("Security", "UserID", "winlog.user.identifier"),
    ):
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


def _table(cells: Cells, blocks: Sequence[Block], payload: Payload) -> pa.Table:
    size = len(payload.records)
    needed = cells.wanted
    columns: dict[str, Any] = {}
    for name in dict.fromkeys([*(n for b in blocks for n in b.columns), *cells]):
        if name in _TIMES or name in _CLOCKS or (needed is not None and name not in needed):
            continue
        parts = [(b.rows, b.columns[name]) for b in blocks if name in b.columns]
        rows, values = cells.get(name, ([], []))
        if rows:
            parts.append((np.array(rows, np.int32), _texts(values, multi=name in _SEVERAL).dictionary_encode()))
        if parts:
            columns[name] = _column(name, parts, size)
    if cells.timed:
        columns["@timestamp"] = _stamps(cells, blocks, payload)
    return windows_ecs.enrich(columns, size, payload.wanted)


def _column(name: str, parts: Sequence[tuple[common.Ints, pa.DictionaryArray]], size: int) -> pa.Array:
    """A dictionary-encoded text column of all rows; a number column for the few numeric ones."""
    coded = _restore(_joined(parts, size))
    if name not in _NUMBERS:
        return coded
    numbers = pa.array([n if n is not None and n >= 0 else None for n in map(common.integer, coded.dictionary.to_pylist())], pa.int64())
    return numbers.take(coded.indices)


def _joined(parts: Sequence[tuple[common.Ints, pa.DictionaryArray]], size: int) -> pa.DictionaryArray:
    """Coded texts of some rows each, as one column; a value may stand in the dictionary once for each part."""
    if len(parts) == 1 and len(parts[0][0]) == size:
        return parts[0][1]
    codes = np.full(size, -1, np.int32)
    base = 0
    for rows, column in parts:
        own = pc.fill_null(column.indices, -1).to_numpy(zero_copy_only=False)
        codes[rows] = np.where(own < 0, -1, own + base)
        base += len(column.dictionary)
    values = parts[0][1].dictionary if len(parts) == 1 else pa.concat_arrays([column.dictionary for _, column in parts])
    return pa.DictionaryArray.from_arrays(pa.array(codes, mask=codes < 0), values)


def _texts(values: list[Any], *, multi: bool) -> pa.Array:
    try:
        return pa.array(values, pa.string())
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        pass
    try:
        whole = pa.array(values, pa.int64())
        return whole.cast(pa.string())
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        joiner = SEP if multi else "\n"
        return pa.array([joiner.join(map(_text, v)) if isinstance(v, list) else _text(v) for v in values], pa.string())


def _text(value: object) -> str:
    return common.text(value).encode("utf-8", "replace").decode() if isinstance(value, str) else common.text(value)


def _restore(coded: pa.DictionaryArray) -> pa.DictionaryArray:
    """GUIDs as Windows writes them: braces, lower case. Tested once per distinct value."""
    plain = pc.match_substring_regex(coded.dictionary, rf"\A{_GUID.pattern}\z")
    if not pc.any(plain).as_py():
        return coded
    braced = pc.binary_join_element_wise("{", pc.utf8_lower(coded.dictionary), "}", "")
    return pa.DictionaryArray.from_arrays(coded.indices, pc.if_else(plain, braced, coded.dictionary))


def _stamps(cells: Cells, blocks: Sequence[Block], payload: Payload) -> pa.Array:
    out = np.full(len(payload.records), np.iinfo(np.int64).min, np.int64)
    for block in blocks:
        _stamp_block(block, payload.tz, out)
    for name, tz in ((_TIMES[0], "UTC"), (_TIMES[1], payload.tz)):
        if name in cells:
            rows, values = cells[name]
            out[rows] = windows_ecs.micros(values, tz)
    missing = out == np.iinfo(np.int64).min
    return pa.array(out, pa.int64(), mask=missing).cast(pa.timestamp("us")).cast(common.TIME)


def _stamp_block(block: Block, tz: str, out: np.ndarray[Any, Any]) -> None:
    """As `_put_time` chooses: what is UTC, else local time, else when it was shipped."""
    created, utc, local, shipped = (_clock(block, key) for key in _CLOCKS)
    first = pc.coalesce(created, utc)
    here = pc.and_(pc.is_null(first), pc.is_valid(local)).to_numpy(zero_copy_only=False)
    told = pc.coalesce(first, shipped).dictionary_encode()
    for column, zone, rows in ((told, "UTC", ~here), (local.dictionary_encode(), tz, here)):
        values = np.append(np.array(windows_ecs.micros(column.dictionary.to_pylist(), zone), np.int64), np.iinfo(np.int64).min)
        found = values[pc.fill_null(column.indices, -1).to_numpy(zero_copy_only=False)]
        out[block.rows[rows]] = found[rows]


def _clock(block: Block, key: str) -> pa.Array:
    """Texts of a time; an empty one is none."""
    column = block.columns.get(key)
    if column is None:
        return pa.nulls(len(block.rows), pa.string())
    texts = column.cast(pa.string())
    return pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)


PARSER: Final = Windows()
