"""EventBatch: columns of events, dictionary-encoded when asked for, wherever they come from.

Conventions of every event table:
- flat, dotted ECS names; types from the field dictionary (`domain.fields`); null = missing;
- a field that can hold several values (dictionary `array: true`) is one string, its values joined by `SEP` (U+001E);
- `@timestamp` is timestamp[us, UTC], `event.id` is binary(16), `event.original` is large_binary.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from domain import fields
from domain.batch import EventBatch as EventBatch  # noqa: PLC0414  part of this module for everybody

SEP = "\x1e"
"""Joins the values of a field that holds several."""

Codes: TypeAlias = np.ndarray[tuple[int], np.dtype[np.int32]]
"""One int32 per row: index into `Column.values`, -1 = missing."""
Rows: TypeAlias = np.ndarray[tuple[int], np.dtype[np.int32]]
"""Sorted row numbers."""


@dataclass(frozen=True)
class Column:
    """A dictionary-encoded column: `values[codes[row]]`."""

    codes: Codes
    """Index into `values` for each row asked for; -1 = the row lacks the field."""
    values: pa.Array
    """Distinct values, no nulls: string, int64, double, bool (as in the field dictionary)."""
    multi: bool = False
    """True when a value may hold several, joined by SEP."""
    null: int = -1
    """Index of the value that stands for a JSON null; -1 in stores, where null = missing. Only `rules verify` sees nulls."""


def encode(array: pa.Array | pa.ChunkedArray, *, multi: bool = False) -> Column | None:
    """Dictionary-encode one Arrow array; None when it holds nothing."""
    chunk = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
    if isinstance(chunk, pa.ChunkedArray):
        chunk = pa.concat_arrays(chunk.chunks)
    if chunk.null_count == len(chunk):
        return None
    if not pa.types.is_dictionary(chunk.type):
        chunk = _plain(chunk).dictionary_encode()
    values = _plain(chunk.dictionary)
    codes = chunk.indices
    if codes.null_count:
        codes = pc.fill_null(codes.cast(pa.int32()), -1)
    return Column(codes.to_numpy(zero_copy_only=False).astype(np.int32, copy=False), values, multi)


def _plain(array: pa.Array) -> pa.Array:
    """Timestamps as ISO text, odd widths as int64/double/string: what matching understands."""
    kind = array.type
    if pa.types.is_timestamp(kind):
        return pc.strftime(array.cast(pa.timestamp("us", "UTC")), format="%Y-%m-%dT%H:%M:%SZ").cast(pa.string())
    if pa.types.is_integer(kind):
        return array.cast(pa.int64())
    if pa.types.is_floating(kind):
        return array.cast(pa.float64())
    if pa.types.is_fixed_size_binary(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return pa.array([v.hex() if v is not None else None for v in array.to_pylist()], pa.string())
    if pa.types.is_large_string(kind):
        return array.cast(pa.string())
    return array


class TableBatch:
    """An EventBatch over an Arrow table in memory."""

    def __init__(self, table: pa.Table) -> None:
        self.table = table
        self._names = frozenset(table.column_names)
        self._cache: dict[str, Column | None] = {}

    @property
    def rows(self) -> int:
        """Number of events."""
        return int(self.table.num_rows)

    def fields(self) -> Sequence[str]:
        """Names of the columns."""
        return list(self.table.column_names)

    def column(self, name: str, rows: Rows | None = None) -> Column | None:
        """The column, dictionary-encoded once and kept."""
        if name not in self._cache:
            if name not in self._names:
                return None
            array = self.table[name]
            if rows is not None and len(rows) < self.table.num_rows // 2 and not pa.types.is_dictionary(array.type):
                return encode(array.take(pa.array(rows)), multi=fields.is_array(name))
            self._cache[name] = encode(array, multi=fields.is_array(name))
        full = self._cache[name]
        if full is None or rows is None:
            return full
        return Column(full.codes[rows], full.values, full.multi)

    def ids(self) -> pa.Array:
        """`event.id` of each row."""
        return self.table["event.id"].combine_chunks()


def row(table: pa.Table, index: int) -> dict[str, object]:
    """One event as a flat mapping, missing fields left out; several values become a list, times ISO 8601 UTC."""
    out: dict[str, object] = {}
    for name in table.column_names:
        value = table[name][index].as_py()
        if value is not None:
            out[name] = plain_value(name, value)
    return out


def rows_of(table: pa.Table) -> list[dict[str, object]]:
    """All events, each as `row` gives it: column by column, and only what is there."""
    out: list[dict[str, object]] = [{} for _ in range(table.num_rows)]
    for name in table.column_names:
        column = table[name]
        if column.null_count < len(column):
            places = np.flatnonzero(column.is_valid().to_numpy())
            for place, value in zip(places.tolist(), column.drop_null().to_pylist(), strict=True):
                out[place][name] = plain_value(name, value)
    return out


def plain_value(name: str, value: object) -> object:
    """A stored value as JSON shows it."""
    if isinstance(value, str) and fields.is_array(name):
        return value.split(SEP)
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(value, bytes):
        return value.hex() if name == "event.id" else value.decode("utf-8", "replace")
    return value


def join(values: Iterable[object]) -> str:
    """Several values as one stored string."""
    return SEP.join(str(v).replace(SEP, " ") for v in values)


def table_of(events: Sequence[Mapping[str, object]]) -> pa.Table:
    """Flat events as a typed table: for tests, rule cases and small inputs. Lists are joined, unknown fields are text."""
    names = list(dict.fromkeys(name for event in events for name in event))
    columns = {}
    for name in names:
        kind = fields.arrow_type(name)
        cells = [_cell(event.get(name), kind) for event in events]
        columns[name] = pa.array(cells, kind)
    return pa.table(columns) if columns else pa.table({"@timestamp": pa.nulls(len(events), pa.timestamp("us", "UTC"))})


def _cell(value: object, kind: pa.DataType) -> object:
    if value is None:
        return None
    if isinstance(value, (list, tuple)):
        return join(value)
    if pa.types.is_timestamp(kind) and isinstance(value, str):
        return datetime.fromisoformat(value)
    if pa.types.is_string(kind):
        return str(value).lower() if isinstance(value, bool) else str(value)
    return value
