"""Windows events as JSON: EVTX records (collectors.evtx), Winlogbeat, NXLog (im_msvistalog + to_json).

Every field of EventData and UserData is kept whole and as text under `winlog.event_data.*`: Sigma's Windows rules name these fields, and
the map is one-to-one (Elastic's `ecs_windows` folds Subject- and Target- fields into one). ECS names stand beside them (windows_ecs).
Sources: learn.microsoft.com/windows/win32/wes/eventschema-schema, elastic.co/docs/reference/beats/winlogbeat/exported-fields-winlog,
docs.nxlog.co (im_msvistalog).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from collectors.base import Payload
from collectors.parsers import common, windows_block, windows_ecs
from collectors.parsers.windows_cells import ATTRIBUTES, BEAT_6, DATA, HEADER, PARAM, SYSTEM, TIMES, Cells, put, put_time, table
from collectors.parsers.windows_kinds import by_kind
from domain.text import paired


class Windows:
    """JSON of one Windows event per record."""

    name = "windows"

    def match(self, records: pa.Array) -> common.Mask:
        """Objects with the marks of one of the shapes."""
        look = windows_block.RECENT.of(records)
        out = np.ones(len(look.texts), np.bool_)
        out[look.rest] = [_signs(look.texts[row]) for row in look.rest]
        return out & common_bools(pc.starts_with(records, "{"))

    def parse(self, payload: Payload) -> pa.Table:
        """One row per record."""
        look = windows_block.RECENT.take(payload.records)
        texts = look.texts
        cells = Cells(None if payload.wanted is None else windows_ecs.inputs(payload.wanted))
        rest: Iterable[int] = range(len(texts))
        if payload.wanted is not None and "*" not in payload.wanted:
            rest = by_kind(look, cells, payload)
        bad = _one_by_one(texts, rest, cells)
        if bad:
            return _with_failures(self, payload, bad)
        return table(cells, payload)


def _signs(record: memoryview) -> bool:
    """Words that only records of Windows hold, in whatever shape."""
    text = bytes(record)
    return (b'"EventID"' in text and b'"Channel"' in text) or b'"winlog":' in text or b'"log_name":' in text


def _one_by_one(texts: Sequence[memoryview], rows: Iterable[int], cells: Cells) -> list[int]:
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


def _mended(record: memoryview, row: int, cells: Cells) -> bool:
    """Whether a record is JSON but for lone surrogates and numbers beyond all bounds (1e999, NaN); nothing of it was read before."""
    try:
        _read(json.loads(paired(str(record, "utf-8"))), row, cells)
    except (ValueError, AttributeError, TypeError, RecursionError):
        return False
    return True


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
    if isinstance(event.get("Event"), dict) and "System" in event["Event"]:
        _read_evtx(event["Event"], row, cells)
    elif isinstance(event.get("winlog"), dict):
        _read_beat(event, row, cells)
    elif event.get("log_name") is not None:
        _read_beat_6(event, row, cells)
    else:
        _read_flat(event, row, cells)


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
        put_time(cells, row, event.get("TimeCreated") or event.get("UtcTime"), event.get("EventTime"), event.get("@timestamp"))


def _read_evtx(event: Mapping[str, Any], row: int, cells: Cells) -> None:
    """The reader's rendering of the XML: attributes under `#attributes`, text under `#text`."""
    system = event["System"]
    for key in SYSTEM:
        value = system.get(key)
        if isinstance(value, dict):
            value = value.get("#text")
        if value is not None:
            put(cells, HEADER[key], row, value)
    _put_attributes(cells, row, system)
    for part in (event.get("EventData"), event.get("UserData")):
        if isinstance(part, dict):
            _put_data(cells, row, part)


def _put_attributes(cells: Cells, row: int, system: Mapping[str, Any]) -> None:
    for element, attribute, name in ATTRIBUTES:
        value = _inner(_inner(system, element), "#attributes").get(attribute)
        if value is not None:
            put(cells, name, row, value)


def _inner(data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """What is nested under a key; empty where something else stands: an odd header hides no event."""
    found = data.get(key)
    return found if isinstance(found, dict) else {}


def _put_data(cells: Cells, row: int, data: Mapping[str, Any]) -> None:
    for key, value in data.items():
        if key == "#attributes" or value is None:
            continue
        if isinstance(value, dict) and "#text" not in value:
            _put_data(cells, row, value)  # UserData wraps its fields in one element
        else:
            put(cells, DATA + key, row, value["#text"] if isinstance(value, dict) else value)


def _read_beat(event: Mapping[str, Any], row: int, cells: Cells) -> None:
    """Winlogbeat: `winlog.*` as it is, ECS fields of its modules beside it."""
    winlog = event["winlog"]
    code = _inner(event, "event").get("code", winlog.get("event_id"))
    put(cells, "event.code", row, code)
    for key, value in winlog.items():
        if key in ("event_data", "user_data") and isinstance(value, dict):
            _put_data(cells, row, value)
            if "param1" in value and all(map(PARAM.fullmatch, value)):
                put(cells, f"{DATA}Data", row, [value[f"param{n}"] for n in range(1, len(value) + 1) if f"param{n}" in value])
        elif isinstance(value, dict):
            for inner, deep in _leaves(f"winlog.{key}", value):
                put(cells, inner, row, deep)
        elif value is not None and key != "event_id":
            put(cells, f"winlog.{key}", row, value)
    for key in ("host", "user", "process", "source", "destination", "file", "related", "hash"):
        if isinstance(event.get(key), dict):
            for name, value in _leaves(key, event[key]):
                put(cells, f"beat.{name}", row, value)
    if event.get("message") is not None:
        put(cells, "message", row, event["message"])
    put(cells, TIMES[0], row, event.get("@timestamp"))


def _read_beat_6(event: Mapping[str, Any], row: int, cells: Cells) -> None:
    """Winlogbeat before 7: everything at the top, data under `event_data`."""
    for key, name in BEAT_6.items():
        if event.get(key) is not None:
            put(cells, name, row, event[key])
    for part in (event.get("event_data"), event.get("user_data")):
        if isinstance(part, dict):
            _put_data(cells, row, part)
    for key, value in _inner(event, "user").items():
        put(cells, f"winlog.user.{key}", row, value)
    put(cells, TIMES[0], row, event.get("@timestamp"))


def _leaves(prefix: str, data: Mapping[str, Any]) -> Iterable[tuple[str, object]]:
    for key, value in data.items():
        if isinstance(value, dict):
            yield from _leaves(f"{prefix}.{key}", value)
        elif value is not None:
            yield f"{prefix}.{key}", value


PARSER: Final = Windows()
