"""What parsers share: tables of rows, failed rows, columns by distinct value. Nothing here raises for log content.

Time stamps, addresses and single values have modules of their own; their functions are offered here too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Final, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from collectors.parsers._address import V4_ONLY, internal, ip
from collectors.parsers._time import (
    EPOCH,
    MONTHS,
    TIME,
    bsd_instant,
    bsd_instants,
    clf_instant,
    clf_times,
    epoch_instant,
    epoch_times,
    iso_instant,
    iso_times,
    moment,
    utc,
    zone,
)  # fmt: skip
from collectors.parsers._value import boolean, decimal, integer, text
from domain import fields
from domain.event import SEP, join

__all__ = [
    "EPOCH", "MONTHS", "SEP", "TIME", "UNPARSED", "V4_ONLY", "Cell", "Event", "Ints", "Mask", "blank", "boolean", "bsd_instant",
    "bsd_instants", "categorise", "clf_instant", "clf_times", "constant", "decimal", "epoch_instant", "epoch_times", "failed", "fit",
    "integer", "integers", "internal", "ip", "ips", "iso_instant", "iso_times", "joined", "map_distinct", "merge", "moment", "outcome",
    "several", "table_of", "text", "utc", "where", "zone",
]  # fmt: skip

Mask: TypeAlias = np.ndarray[tuple[int], np.dtype[np.bool_]]
"""One bool per record."""
Ints: TypeAlias = np.ndarray[tuple[int], np.dtype[np.int32]]
"""Row numbers or codes."""
Cell: TypeAlias = "str | int | float | bool | bytes | datetime | None"
"""A value of an event before it becomes a column."""
Event: TypeAlias = "dict[str, object]"
"""One event as a flat mapping; lists for fields that hold several values."""

UNPARSED: Final = "pipeline_error"


def constant(value: str, size: int) -> pa.Array:
    """One text in every row, dictionary-encoded."""
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(size, np.int32)), pa.array([value], pa.string()))


def several(*values: str) -> str:
    """The stored form of a field with several values."""
    return SEP.join(values)


def failed(records: pa.Array, reason: str) -> pa.Table:
    """Rows for records that do not parse: kept whole in `message`, with the reason in `error.message`."""
    size = len(records)
    return pa.table({"event.kind": constant(UNPARSED, size), "message": records.cast(pa.string()), "error.message": constant(reason, size)})


def merge(size: int, parts: Sequence[tuple[Ints, pa.Table]]) -> pa.Table:
    """One table of `size` rows from tables that each hold the given rows; columns that a part lacks are null."""
    parts = [(rows, table) for rows, table in parts if len(rows)]
    if len(parts) == 1 and len(parts[0][0]) == size:
        return parts[0][1]
    if not parts:
        return pa.table({"event.kind": pa.array([], pa.string())})
    tables = _same_types([table for _, table in parts])
    joined = pa.concat_tables(tables, promote_options="default").unify_dictionaries().combine_chunks()
    order = np.empty(size, np.int64)
    order[np.concatenate([rows for rows, _ in parts])] = np.arange(size)
    return joined.take(pa.array(order))


def _same_types(tables: Sequence[pa.Table]) -> list[pa.Table]:
    """A column that is encoded in one table and plain in another becomes encoded in both."""
    coded = {name for t in tables for name in t.column_names if pa.types.is_dictionary(t.schema.field(name).type)}
    out = []
    for table in tables:
        for name in coded.intersection(table.column_names):
            if not pa.types.is_dictionary(table.schema.field(name).type):
                index = table.schema.get_field_index(name)
                table = table.set_column(index, name, table[name].dictionary_encode())
        out.append(table)
    return out


def table_of(events: Sequence[Mapping[str, object] | None], records: pa.Array, reason: str) -> pa.Table:
    """Flat events as a typed table; None = the record does not parse (`reason`).

    Names that are not in the dictionary go to `unmapped.*`; a value that does not fit its field's type goes to `unmapped.*` as text.
    """
    good = [i for i, event in enumerate(events) if event is not None]
    bad = [i for i, event in enumerate(events) if event is None]
    kept = [_fit(event) for event in events if event is not None]
    parts = [(np.array(good, np.int32), _columns(kept))] if kept else []
    if bad:
        rows = np.array(bad, np.int32)
        parts.append((rows, failed(records.take(pa.array(rows)), reason)))
    return merge(len(events), parts)


def _columns(events: Sequence[Mapping[str, Cell]]) -> pa.Table:
    names = dict.fromkeys(name for event in events for name in event)
    return pa.table({n: pa.array([event.get(n) for event in events], fields.arrow_type(n)) for n in names})


def _fit(event: Mapping[str, object]) -> dict[str, Cell]:
    out: dict[str, Cell] = {}
    for key, value in event.items():
        if value is None or value in ("", []):
            continue
        name = fields.normal(key)
        cell = fit(name, value)
        if cell is not None:
            out[name] = cell
        else:
            out[f"unmapped.{name.removeprefix('unmapped.')}"] = text(value)
    return out


def fit(name: str, value: object) -> Cell:
    """A value as the column `name` stores it; None when it does not fit."""
    if isinstance(value, (list, tuple)):
        if fields.is_array(name):
            return join(text(v) for v in value if v is not None)
        value = value[0] if len(value) == 1 else text(value)
    return _FIT[_kind(name)](value)


@lru_cache(4096)
def _kind(name: str) -> str:
    entry = fields.lookup(name)
    return entry.type if entry is not None else "keyword"


_FIT: Final[dict[str, Callable[[object], Cell]]] = {
    "keyword": lambda v: None if v is None else text(v),
    "text": lambda v: None if v is None else text(v),
    "ip": lambda v: ip(text(v)),
    "long": integer,
    "double": decimal,
    "boolean": boolean,
    "date": moment,
    "bytes": lambda v: text(v).encode(),
    "id": lambda _: None,
}


def joined(columns: Sequence[pa.Array]) -> pa.Array:
    """Several columns as one that holds several values, each once; null where all are."""
    plain = [column.cast(pa.string()) for column in columns]
    made = plain[0]
    for number, column in enumerate(plain[1:], 1):
        for earlier in plain[:number]:
            column = pc.if_else(pc.fill_null(pc.equal(column, earlier), False), pa.scalar(None, pa.string()), column)
        made = pc.coalesce(pc.binary_join_element_wise(made, column, SEP), made, column)
    return made


def where(first: pa.Array, records: pa.Array, then: Callable[[pa.Array], pa.Array]) -> Mask:
    """Records that pass a cheap test, and then a dear one that is made of the others only."""
    out: Mask = first.to_numpy(zero_copy_only=False).copy()
    rows = np.flatnonzero(out)
    if len(rows):
        out[rows] = then(records if len(rows) == len(records) else records.take(pa.array(rows))).to_numpy(zero_copy_only=False)
    return out


def map_distinct(array: pa.Array, kind: pa.DataType, of: Callable[[str], object]) -> pa.Array:
    """`of(text)` for each value, computed once per distinct value; null stays null. Text comes back dictionary-encoded."""
    coded = array if pa.types.is_dictionary(array.type) else array.dictionary_encode()
    values = pa.array([of(v) for v in coded.dictionary.to_pylist()], kind)
    if not pa.types.is_string(kind):
        return values.take(coded.indices)
    again = values.dictionary_encode()
    return pa.DictionaryArray.from_arrays(again.indices.take(coded.indices), again.dictionary)


def ips(array: pa.Array) -> pa.Array:
    """Canonical addresses, dictionary-encoded; null where the text is none."""
    coded = array if pa.types.is_dictionary(array.type) else array.dictionary_encode()
    plain = pc.match_substring_regex(coded.dictionary, V4_ONLY)
    if pc.all(plain).as_py() in (True, None):
        return coded
    return map_distinct(coded, pa.string(), ip)


def integers(array: pa.Array) -> pa.Array:
    """int64 column of decimal texts; null where the text is none. Never raises."""
    array = array.dictionary_decode() if pa.types.is_dictionary(array.type) else array
    try:
        return array.cast(pa.int64())
    except pa.ArrowInvalid:
        return map_distinct(array, pa.int64(), integer)


def blank(array: pa.Array, *markers: str) -> pa.Array:
    """Null where the text is empty or one of the markers (`-`)."""
    drop = pa.array(["", *markers])
    if pa.types.is_dictionary(array.type):
        values = array.dictionary
        mask = pc.is_in(values, value_set=drop)
        if not pc.any(mask).as_py():
            return array
        gone = pc.take(mask, array.indices)
        indices = pc.if_else(gone, pa.scalar(None, array.indices.type), array.indices)
        return pa.DictionaryArray.from_arrays(indices, array.dictionary)
    return pc.if_else(pc.is_in(array, value_set=drop), pa.scalar(None, array.type), array)


def outcome(status: int | None) -> str | None:
    """`event.outcome` of an HTTP status, as Elastic's web pipelines do: below 400 success, else failure."""
    if status is None:
        return None
    return "success" if status < 400 else "failure"


def categorise(event: Event, category: Sequence[str] | str, kinds: Sequence[str] | str, result: str | None = None) -> Event:
    """Set event.category, event.type and event.outcome; returns the event."""
    event["event.category"] = [category] if isinstance(category, str) else list(category)
    event["event.type"] = [kinds] if isinstance(kinds, str) else list(kinds)
    if result:
        event["event.outcome"] = result
    return event
