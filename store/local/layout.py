"""How events become a Parquet segment: typed by the field dictionary, only columns that hold something, clustered, encoded for scanning."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from domain import fields
from domain.raw import Int64s

SEQ: Final = "thapcanh.seq"
"""Ingest sequence of each row: a column of merged segments only; elsewhere it is `first_seq` + row number."""
GROUP_ROWS: Final = 100_000
"""Rows of a row group, about."""
DAY: Final = 86_400_000_000
"""Microseconds."""
_PAST_DAYS: Final = 400
_FUTURE_DAYS: Final = 1
_PLAIN: Final = {
    "event.id": "PLAIN", "event.original": "PLAIN",
    "@timestamp": "DELTA_BINARY_PACKED", "thapcanh.position": "DELTA_BINARY_PACKED", SEQ: "DELTA_BINARY_PACKED",
}  # fmt: skip
"""Columns without a dictionary."""
_DICTIONARY: Final = pa.dictionary(pa.int32(), pa.string())
_MICROS: Final = pa.timestamp("us", "UTC")


@dataclass(frozen=True)
class Group:
    """Bounds of one row group."""

    rows: int
    min_ts: int
    max_ts: int
    min_seq: int = 0
    """Merged segments only."""
    max_seq: int = 0


@dataclass(frozen=True)
class Content:
    """One segment in memory, with what the catalog keeps about it."""

    data: pa.Buffer
    groups: tuple[Group, ...]
    coverage: Mapping[str, Mapping[str, int]]
    """Dataset -> field -> events that hold it; "" = events."""
    sources: Mapping[str, tuple[int, int]]
    """Source -> (stored, unparsed)."""


def prepare(tables: Sequence[pa.Table]) -> pa.Table:
    """The tables as one: text dictionary-encoded, types of the field dictionary, no empty columns, `@timestamp` in every row."""
    typed = [_typed(table) for table in tables if table.num_rows]
    if not typed:
        return pa.table({})
    whole = typed[0] if len(typed) == 1 else pa.concat_tables(typed, promote_options="default")
    whole = whole.unify_dictionaries().combine_chunks()
    if whole["@timestamp"].null_count:
        place = whole.schema.get_field_index("@timestamp")
        whole = whole.set_column(place, "@timestamp", pc.coalesce(whole["@timestamp"], whole["event.ingested"]))
    return whole


def by_day(table: pa.Table) -> Iterator[tuple[int, pa.Table]]:
    """(day number, rows): the UTC day of `@timestamp`, clamped to [arrival - 400 d, arrival + 1 d]."""
    arrival = micros(table, "event.ingested") // DAY
    days = np.clip(micros(table, "@timestamp") // DAY, arrival - _PAST_DAYS, arrival + _FUTURE_DAYS)
    distinct = np.unique(days)
    for day in distinct.tolist():
        yield int(day), table if len(distinct) == 1 else table.take(pa.array(np.flatnonzero(days == day)))


def content(table: pa.Table, *, level: int = 3) -> Content:
    """Cluster, split into row groups and encode one segment. `level`: zstd."""
    table = table.drop_columns([n for n in table.column_names if table[n].null_count == table.num_rows])
    order = _order(table)
    schema = table.schema
    sink = pa.BufferOutputStream()
    groups = []
    with _writer(sink, schema, level) as writer:
        for rows in _slices(table.num_rows):
            part = table.slice(*rows) if order is None else table.take(pa.array(order[rows[0] : rows[0] + rows[1]]))
            part = pa.table([_compact(part[n].combine_chunks()) for n in part.column_names], schema=schema)
            writer.write_table(part, row_group_size=rows[1])
            groups.append(_bounds(part))
    return Content(sink.getvalue(), tuple(groups), _coverage(table), _sources(table))


def micros(table: pa.Table, name: str) -> Int64s:
    """A time column as microseconds since the epoch; rows without it give 0."""
    column = table[name].combine_chunks().cast(_MICROS).cast(pa.int64())
    return np.asarray(pc.fill_null(column, 0).to_numpy(zero_copy_only=False), dtype=np.int64)


def _typed(table: pa.Table) -> pa.Table:
    columns: dict[str, pa.ChunkedArray] = {}
    for name in table.column_names:
        column = table[name]
        if column.null_count == len(column) and name != "@timestamp":
            continue
        try:
            columns[name] = _cast(column, pa.int64() if name == SEQ else fields.arrow_type(name))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            columns[f"unmapped.{name}"] = _cast(column.cast(pa.string()), pa.string())
    return pa.table(columns)


def _cast(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    if pa.types.is_dictionary(column.type) and not pa.types.is_string(kind):
        column = column.cast(column.type.value_type)
    if pa.types.is_string(kind):
        if column.type == _DICTIONARY and not any(c.dictionary.null_count for c in column.chunks):
            return column
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        return column.cast(kind).dictionary_encode()
    return column if column.type == kind else column.cast(kind)


def _order(table: pa.Table) -> Int64s | None:
    """Rows by `event.code`, then `@timestamp`; None when they stand so already."""
    times = micros(table, "@timestamp")
    if "event.code" not in table.column_names:
        return None if bool(np.all(times[1:] >= times[:-1])) else np.argsort(times, kind="stable")
    coded = table["event.code"].combine_chunks()
    rank = np.empty(len(coded.dictionary) + 1, dtype=np.int64)
    rank[np.asarray(pc.sort_indices(coded.dictionary))] = np.arange(len(coded.dictionary))
    rank[-1] = -1
    codes = rank[pc.fill_null(coded.indices, -1).to_numpy(zero_copy_only=False)]
    return np.lexsort((times, codes))


def _slices(rows: int) -> Iterator[tuple[int, int]]:
    """(offset, length) of row groups of about `GROUP_ROWS`, all alike."""
    count = max(1, round(rows / GROUP_ROWS))
    edges = [rows * i // count for i in range(count + 1)]
    yield from ((a, b - a) for a, b in pairwise(edges))


def _compact(column: pa.Array) -> pa.Array:
    """A dictionary column whose dictionary holds only what its rows use, in the order of first use where that is cheap."""
    if not pa.types.is_dictionary(column.type):
        return column
    codes = pc.fill_null(column.indices, -1).to_numpy(zero_copy_only=False)
    used = np.zeros(len(column.dictionary) + 1, dtype=bool)
    used[codes] = True
    if bool(used[:-1].all()):
        return column
    kept = np.flatnonzero(used[:-1])
    renumbered = np.full(len(used), -1, dtype=np.int32)
    renumbered[kept] = np.arange(len(kept), dtype=np.int32)
    codes = renumbered[codes]
    return pa.DictionaryArray.from_arrays(pa.array(codes, pa.int32(), mask=codes < 0), column.dictionary.take(pa.array(kept)))


def _writer(sink: pa.BufferOutputStream, schema: pa.Schema, level: int) -> pq.ParquetWriter:
    packed = [n for n in schema.names if n != "event.id"]
    return pq.ParquetWriter(
        sink, schema,
        compression={n: "none" if n == "event.id" else "zstd" for n in schema.names},
        compression_level=dict.fromkeys(packed, level),
        use_dictionary=[n for n in schema.names if n not in _PLAIN],
        column_encoding={n: e for n, e in _PLAIN.items() if n in schema.names},
        dictionary_pagesize_limit=1 << 30, write_statistics=False, write_page_checksum=True,
    )  # fmt: skip


def _bounds(part: pa.Table) -> Group:
    times = micros(part, "@timestamp")
    low, high = int(times.min()), int(times.max())
    if SEQ not in part.column_names:
        return Group(part.num_rows, low, high)
    seqs = part[SEQ].to_numpy()
    return Group(part.num_rows, low, high, int(seqs.min()), int(seqs.max()))


def _labels(table: pa.Table, name: str) -> tuple[Int64s, list[str]]:
    """Number of the value of each row, and the values; rows without one have ""."""
    if name not in table.column_names:
        return np.zeros(table.num_rows, dtype=np.int64), [""]
    coded = table[name].combine_chunks()
    values = coded.dictionary.to_pylist()
    codes = pc.fill_null(coded.indices, len(values)).to_numpy(zero_copy_only=False)
    return codes.astype(np.int64), [*values, ""]


def _coverage(table: pa.Table) -> dict[str, dict[str, int]]:
    codes, datasets = _labels(table, "event.dataset")
    totals = np.bincount(codes, minlength=len(datasets))
    out = {dataset: {"": n} for dataset, n in zip(datasets, totals.tolist(), strict=True) if n}
    for name in table.column_names:
        if name == SEQ:
            continue
        counts = totals
        if table[name].null_count:
            counts = np.bincount(codes[table[name].is_valid().to_numpy()], minlength=len(datasets))
        for dataset, n in zip(datasets, counts.tolist(), strict=True):
            if n:
                out[dataset][name] = n
    return out


def _sources(table: pa.Table) -> dict[str, tuple[int, int]]:
    codes, sources = _labels(table, "thapcanh.source")
    stored = np.bincount(codes, minlength=len(sources))
    failed = np.zeros(len(sources), dtype=np.int64)
    kinds, names = _labels(table, "event.kind")
    if "pipeline_error" in names:
        failed = np.bincount(codes[kinds == names.index("pipeline_error")], minlength=len(sources))
    return {s: (n, f) for s, n, f in zip(sources, stored.tolist(), failed.tolist(), strict=True) if n}
