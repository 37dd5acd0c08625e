"""Counting rows by fields and time buckets, for every engine: per batch on dictionary codes, then once over what the batches gave."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, Protocol

import numpy as np
import pyarrow as pa

from domain import fields
from domain.clock import LOCAL
from domain.event import SEP, Column, Rows
from domain.raw import Int64s
from domain.window import duration

_MICROS: Final = pa.timestamp("us", "UTC")
_OFFSET: Final = (datetime(2000, 1, 1, tzinfo=LOCAL).utcoffset() or timedelta()) // timedelta(microseconds=1)
"""The zone has no summer time: one offset serves for all logs."""
_FOLD_AT: Final = 2_000_000
"""Partial groups are folded when there are so many."""


class Columns(Protocol):
    """What grouping needs of a batch of events."""

    def column(self, name: str, rows: Rows | None = None) -> Column | None:
        """As in EventBatch."""


class Groups:
    """Adds up batches; memory is bounded by the number of groups."""

    def __init__(self, by: Sequence[str], every: str) -> None:
        self._by = by
        self._step = duration(every) // timedelta(microseconds=1) if every else 0
        self._parts: list[pa.Table] = []

    def add(self, batch: Columns, rows: Rows, times: Int64s) -> None:
        """Count these rows of a batch. `times`: `@timestamp` of each of them, in microseconds.

        An event with several values in a field counts for each; one without the field has null there.
        """
        if not len(rows):
            return
        self._parts.append(_partial(batch, rows, times, self._by, self._step))
        if sum(p.num_rows for p in self._parts) > _FOLD_AT:
            self._parts = [_folded(self._parts, self._by, self._step)]

    def put(self, counted: pa.Table) -> None:
        """Groups that were counted elsewhere: the fields, `bucket`, `count`, `first`, `last`."""
        self._parts.append(counted)

    def table(self) -> pa.Table:
        """As EventStore.aggregate says."""
        if not self._parts:
            return _empty(self._by, self._step)
        keys = [*self._by, *(["bucket"] if self._step else [])]
        return _folded(self._parts, self._by, self._step).sort_by([("count", "descending"), *((k, "ascending") for k in keys)])


def _partial(batch: Columns, rows: Rows, times: Int64s, by: Sequence[str], step: int) -> pa.Table:
    """Groups of one batch."""
    picked, when = rows.astype(np.int64), times
    keys: list[tuple[Int64s, pa.Array]] = []
    for name in by:
        column = batch.column(name)
        codes = np.full(len(picked), -1) if column is None else column.codes[picked].astype(np.int64)
        values = pa.nulls(0, fields.arrow_type(name)) if column is None else column.values
        if column is not None and column.multi:
            often, codes, values = _each_value(codes, values)
            picked, when = np.repeat(picked, often), np.repeat(when, often)
            keys = [(np.repeat(k, often), v) for k, v in keys]
        keys.append((codes, values))
    groups = np.zeros(len(picked), dtype=np.int64)
    for codes, _ in keys:
        groups = _refined(groups, codes)
    buckets = _buckets(when, step)
    groups = _refined(groups, (buckets - buckets.min()) // (step or 1))
    order = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.diff(groups[order], prepend=-1))
    heads = order[starts]
    out = {name: values.take(pa.array(codes[heads], mask=codes[heads] < 0)) for name, (codes, values) in zip(by, keys, strict=True)}
    if step:
        out["bucket"] = _stamps(buckets[heads])
    out["count"] = pa.array(np.diff(starts, append=len(order)))
    out["first"] = _stamps(np.minimum.reduceat(when[order], starts))
    out["last"] = _stamps(np.maximum.reduceat(when[order], starts))
    return pa.table(out)


def _each_value(codes: Int64s, values: pa.Array) -> tuple[Int64s, Int64s, pa.Array]:
    """Joined values taken apart: (how often each row stands now, a code for each, single values)."""
    numbers: dict[str, int] = {}
    split = [[numbers.setdefault(v, len(numbers)) for v in text.split(SEP)] for text in values.to_pylist()]
    split.append([-1])  # code -1: no value
    lengths = np.array([len(s) for s in split])
    times = lengths[codes]
    starts = (np.cumsum(lengths) - lengths)[codes]
    inner = np.arange(int(times.sum())) - np.repeat(np.cumsum(times) - times, times)
    flat = np.array([n for s in split for n in s], dtype=np.int64)
    return times, flat[np.repeat(starts, times) + inner], pa.array(list(numbers), pa.string())


def _refined(groups: Int64s, codes: Int64s) -> Int64s:
    """Groups split by another key, numbered from 0 without gaps."""
    wide = groups * (int(codes.max(initial=-1)) + 2) + codes + 1
    return np.unique(wide, return_inverse=True)[1].astype(np.int64)


def _buckets(times: Int64s, step: int) -> Int64s:
    """Start of the bucket of each instant, aligned to local midnight; without a step all are in one."""
    if not step:
        return np.zeros(len(times), dtype=np.int64)
    return np.asarray((times + _OFFSET) // step * step - _OFFSET, dtype=np.int64)


def _folded(parts: Sequence[pa.Table], by: Sequence[str], step: int) -> pa.Table:
    """Groups of several chunks as one."""
    keys = [*by, *(["bucket"] if step else [])]
    whole = pa.concat_tables(parts, promote_options="permissive")
    out = whole.group_by(keys).aggregate([("count", "sum"), ("first", "min"), ("last", "max")])
    return out.rename_columns(
        [n.removesuffix("_sum").removesuffix("_min").removesuffix("_max") if n not in keys else n for n in out.column_names]
    ).select([*keys, "count", "first", "last"])


def _empty(by: Sequence[str], step: int) -> pa.Table:
    kinds = {
        **{n: fields.arrow_type(n) for n in by},
        **({"bucket": _MICROS} if step else {}),
        "count": pa.int64(),
        "first": _MICROS,
        "last": _MICROS,
    }
    return pa.table({n: pa.array([], k) for n, k in kinds.items()})


def _stamps(values: Int64s) -> pa.Array:
    return pa.array(values, pa.int64()).cast(_MICROS)
