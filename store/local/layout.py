"""How events become a Parquet segment: typed by the field dictionary, only columns that hold something, clustered, encoded for scanning."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from store import rows
from store.local import pages
from store.rows import SEQ, micros

GROUP_ROWS: Final = 100_000
"""Rows of a row group, about."""
_PLAIN: Final = {
    "event.id": "PLAIN", "event.original": "PLAIN",
    "@timestamp": "DELTA_BINARY_PACKED", "thapcanh.position": "DELTA_BINARY_PACKED", SEQ: "DELTA_BINARY_PACKED",
}  # fmt: skip
"""Columns without a dictionary."""


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


def content(table: pa.Table, *, level: int = 3) -> Content:
    """Cluster, split into row groups and encode one segment. `level`: zstd."""
    table = table.drop_columns([n for n in table.column_names if table[n].null_count == table.num_rows])
    order = rows.order(table)
    schema = table.schema
    sink = pa.BufferOutputStream()
    groups = []
    with _writer(sink, schema, level) as writer:
        for start, count in _slices(table.num_rows):
            part = table.slice(start, count) if order is None else table.take(pa.array(order[start : start + count]))
            part = pa.table([_compact(part[n].combine_chunks()) for n in part.column_names], schema=schema)
            writer.write_table(part, row_group_size=count)
            groups.append(_bounds(part))
    return Content(sink.getvalue(), tuple(groups), rows.coverage(table), rows.sources(table))


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
        dictionary_pagesize_limit=pages.WHOLE, write_statistics=False, write_page_checksum=True,
    )  # fmt: skip


def _bounds(part: pa.Table) -> Group:
    times = micros(part, "@timestamp")
    low, high = int(times.min()), int(times.max())
    if SEQ not in part.column_names:
        return Group(part.num_rows, low, high)
    seqs = part[SEQ].to_numpy()
    return Group(part.num_rows, low, high, int(seqs.min()), int(seqs.max()))
