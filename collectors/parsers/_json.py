"""JSON objects, one per record, into flat columns: level by level, a whole block at a time, with DuckDB's JSON functions.

https://duckdb.org/docs/stable/data/json/json_functions  Nothing is read from or written to disk or network.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import duckdb
import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from collectors.parsers.common import Event, Ints, Mask, several, text
from domain.text import paired

MAX_KEYS: Final = 512
"""Different keys of one object level in a block; further ones are left to event.original."""
MAX_DEPTH: Final = 8
"""Objects nested deeper stay JSON text."""
_LOCAL: Final = threading.local()
_SURROGATE: Final = r"\\u[dD][89a-fA-F]"


@dataclass(frozen=True)
class Flat:
    """The leaves of a block of JSON objects."""

    good: Ints
    """Records that are JSON objects; the columns have one value for each."""
    bad: Ints
    """The other records."""
    columns: dict[str, pa.Array]
    """Dotted path -> text (pa.string()); arrays are JSON text; null where a record lacks the path."""


def flatten(records: pa.Array, objects: frozenset[str] = frozenset()) -> Flat:
    """Numbers and booleans as JSON writes them, strings without quotes, JSON null as missing; the first of repeated keys counts.

    `objects`: paths that are always objects, so that their type need not be asked for (a string that looks like one is opened).
    """
    size = len(records)
    if size and pc.all(pc.starts_with(records, "{")).as_py():
        try:
            return Flat(np.arange(size, dtype=np.int32), np.zeros(0, np.int32), _columns(records, _Paths(objects, sound=True)))
        except duckdb.InvalidInputException:
            pass  # one of them is not JSON: look at each
    records = _paired(records)
    types = _sql("select case when json_valid(r) then json_type(r) end from records", records)[0]
    known: Mask = pc.fill_null(pc.equal(types, "OBJECT"), False).to_numpy(zero_copy_only=False)
    good, bad = np.flatnonzero(known).astype(np.int32), np.flatnonzero(~known).astype(np.int32)
    whole = records.take(pa.array(good))
    return Flat(good, bad, _columns(whole, _Paths(objects)) if len(good) else {})


@dataclass(frozen=True)
class _Paths:
    """What is known beforehand."""

    objects: frozenset[str]
    """Paths that are always objects."""
    sound: bool = False
    """Take it for granted that they are; DuckDB says when it is not so."""


def _columns(records: pa.Array, paths: _Paths) -> dict[str, pa.Array]:
    out: dict[str, pa.Array] = {}
    for path, column in _level(records, "", paths):
        out[path] = column if path not in out else pc.coalesce(out[path], column)
    return out


def _level(objects: pa.Array, prefix: str, paths: _Paths) -> Iterator[tuple[str, pa.Array]]:
    """(path, texts) of every leaf below these objects."""
    keys = _keys(objects)
    for key, column in zip(keys, _values(objects, keys), strict=True):
        path = prefix + key
        if column.null_count == len(column):
            continue
        deep = prefix.count(".") >= MAX_DEPTH
        nested = None if deep else _opened(column, paths) if path in paths.objects else _nested(objects, key, column)
        if nested is None:
            yield path, column
            continue
        rows = np.flatnonzero(nested)
        place = np.full(len(column), -1, np.int64)
        place[rows] = np.arange(len(rows))
        spread = pa.array(place, mask=~nested)
        for inner, values in _level(column.take(pa.array(rows)), f"{path}.", paths):
            yield inner, values.take(spread)
        if len(rows) + column.null_count < len(column):
            yield path, pc.if_else(pa.array(nested), pa.scalar(None, pa.string()), column)


def _keys(objects: pa.Array) -> list[str]:
    lists = _sql("select distinct json_keys(r) from records", objects)[0].to_pylist()
    keys = dict.fromkeys(key for keys in lists for key in keys or () if key)
    return list(keys)[:MAX_KEYS]


def _values(objects: pa.Array, keys: Sequence[str]) -> list[pa.Array]:
    """Texts of the given keys. DuckDB folds the case of struct keys: a key that differs only by case is looked up by path."""
    first: dict[str, str] = {}
    for key in keys:
        first.setdefault(key.lower(), key)
    plain = list(first.values())
    found: dict[str, pa.Array] = {}
    if plain:
        structure = orjson.dumps(dict.fromkeys(plain, "VARCHAR")).decode()
        columns = _sql("select unnest(json_transform(r, $structure)) from records", objects, structure=structure)
        found = dict(zip(plain, columns, strict=True))
    for key in keys:
        if key not in found or sum(other.lower() == key.lower() for other in keys) > 1:
            found[key] = _by_path(objects, key)
    return [found[key] for key in keys]


def _by_path(objects: pa.Array, key: str) -> pa.Array:
    if '"' in key or "\\" in key or "*" in key:
        return pa.nulls(len(objects), pa.string())
    return _sql("select json_extract_string(r, $path) from records", objects, path=f'$."{key}"')[0]


def _nested(objects: pa.Array, key: str, column: pa.Array) -> Mask | None:
    """Which values are objects; None when none is."""
    maybe: Mask = pc.fill_null(pc.starts_with(column, "{"), False).to_numpy(zero_copy_only=False)
    if not maybe.any():
        return None
    rows = np.flatnonzero(maybe)
    if '"' in key or "\\" in key or "*" in key:
        return None
    types = _sql("select json_type(r, $path) from records", objects.take(pa.array(rows)), path=f'$."{key}"')[0]
    maybe[rows] = pc.fill_null(pc.equal(types, "OBJECT"), False).to_numpy(zero_copy_only=False)
    return maybe if maybe.any() else None


def _opened(column: pa.Array, paths: _Paths) -> Mask | None:
    """Which texts are JSON objects."""
    maybe: Mask = pc.fill_null(pc.starts_with(column, "{"), False).to_numpy(zero_copy_only=False)
    if not maybe.any():
        return None
    rows = np.flatnonzero(maybe)
    if not paths.sound:
        maybe[rows] = _sql("select json_valid(r) from records", column.take(pa.array(rows)))[0].to_numpy(zero_copy_only=False)
    return maybe if maybe.any() else None


def _sql(query: str, records: pa.Array, **values: str) -> list[pa.Array]:
    """Columns of a query over the one-column table `records` (r)."""
    connection = getattr(_LOCAL, "connection", None)
    if connection is None:
        settings: dict[str, Any] = {"threads": 1, "enable_external_access": False, "autoinstall_known_extensions": False}
        connection = _LOCAL.connection = duckdb.connect(config=settings)
    connection.register("records", pa.table({"r": records}))
    try:
        table = connection.sql(query, params=values or None).to_arrow_table()
    finally:
        connection.unregister("records")
    return [column.combine_chunks() if column.num_chunks != 1 else column.chunk(0) for column in table.columns]


def listed(value: str, *, array: bool) -> str:
    """JSON text of an array of scalars as a field holds it: one value bare, several joined when the field is an array."""
    if not value.startswith("["):
        return value
    try:
        items = orjson.loads(value)
    except orjson.JSONDecodeError:
        return value
    if not isinstance(items, list) or any(isinstance(item, (dict, list)) for item in items) or (len(items) != 1 and not array):
        return value
    return several(*(text(item).replace("\x1e", " ") for item in items if item is not None))


def flat(value: object, prefix: str = "") -> Event:
    """One decoded JSON object as dotted paths: for parsers that work event by event. Arrays of scalars stay lists."""
    out: Event = {}
    if not isinstance(value, dict):
        return out
    stack: list[tuple[str, object, int]] = [(f"{prefix}{key}", inner, 1) for key, inner in reversed(value.items())]
    while stack:
        path, inner, depth = stack.pop()
        if isinstance(inner, dict) and inner and depth <= MAX_DEPTH:
            stack += [(f"{path}.{key}", deeper, depth + 1) for key, deeper in reversed(inner.items())]
        elif isinstance(inner, list) and any(isinstance(item, (dict, list)) for item in inner):
            out[path] = text(inner)
        elif inner is not None and inner not in ({}, []):
            out[path] = inner
    return out


def loads(record: str) -> dict[str, object] | None:
    """The JSON object in a record, or None."""
    try:
        value = orjson.loads(record)
    except (orjson.JSONDecodeError, RecursionError):
        mended = paired(record)
        return None if mended == record else loads(mended)
    return value if isinstance(value, dict) else None


def _paired(records: pa.Array) -> pa.Array:
    mask = pc.fill_null(pc.match_substring_regex(records, _SURROGATE), False)
    if not pc.any(mask).as_py():
        return records
    mended = [paired(record) for record in records.filter(mask).to_pylist()]
    return pc.replace_with_mask(records, mask, pa.array(mended, records.type))
