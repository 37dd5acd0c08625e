"""Tables of events as every engine stores them: typed by the field dictionary, split by day, in one order, counted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from domain import fields
from domain.raw import Int64s

SEQ: Final = "thapcanh.seq"
"""Ingest sequence of each row, where a table carries it: merged segments; elsewhere it is `first_seq` + row number."""
DAY: Final = 86_400_000_000
"""Microseconds."""
_PAST_DAYS: Final = 400
_FUTURE_DAYS: Final = 1
_DICTIONARY: Final = pa.dictionary(pa.int32(), pa.string())
_MICROS: Final = pa.timestamp("us", "UTC")


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


def order(table: pa.Table) -> Int64s | None:
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


def micros(table: pa.Table, name: str) -> Int64s:
    """A time column as microseconds since the epoch; rows without it give 0."""
    column = table[name].combine_chunks().cast(_MICROS).cast(pa.int64())
    return np.asarray(pc.fill_null(column, 0).to_numpy(zero_copy_only=False), dtype=np.int64)


def coverage(table: pa.Table) -> dict[str, dict[str, int]]:
    """Dataset -> field -> events that hold it; "" = events."""
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


def sources(table: pa.Table) -> dict[str, tuple[int, int]]:
    """Source -> (stored, unparsed)."""
    codes, sources = _labels(table, "thapcanh.source")
    stored = np.bincount(codes, minlength=len(sources))
    failed = np.zeros(len(sources), dtype=np.int64)
    kinds, names = _labels(table, "event.kind")
    if "pipeline_error" in names:
        failed = np.bincount(codes[kinds == names.index("pipeline_error")], minlength=len(sources))
    return {s: (n, f) for s, n, f in zip(sources, stored.tolist(), failed.tolist(), strict=True) if n}


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


def _labels(table: pa.Table, name: str) -> tuple[Int64s, list[str]]:
    """Number of the value of each row, and the values; rows without one have ""."""
    if name not in table.column_names:
        return np.zeros(table.num_rows, dtype=np.int64), [""]
    coded = table[name].combine_chunks()
    values = coded.dictionary.to_pylist()
    codes = pc.fill_null(coded.indices, len(values)).to_numpy(zero_copy_only=False)
    return codes.astype(np.int64), [*values, ""]
