"""What rules find in batches, as correlations take it: plain arrays with the fields that they ask for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from domain.event import Column, EventBatch, Rows

Ints: TypeAlias = np.ndarray[tuple[int], np.dtype[np.int64]]
Codes: TypeAlias = np.ndarray[tuple[int], np.dtype[np.int32]]
Bools: TypeAlias = np.ndarray[tuple[int], np.dtype[np.bool_]]
Array: TypeAlias = np.ndarray[tuple[int], np.dtype[Any]]


@dataclass
class Gathered:
    """What one rule found in one batch, with the fields that correlations ask for. Plain arrays: it travels between processes."""

    rule: str
    """Id."""
    at: Ints
    streams: list[str]
    stream: Codes
    position: Ints
    event: Array
    exercise: Bools
    fields: dict[str, tuple[Codes, list[str]]]
    """Field -> (index into the texts for each hit, -1 = missing; distinct texts)."""


def gather(rule: str, batch: EventBatch, rows: Rows, names: Iterable[str], where: Where) -> Gathered:
    """The hits of a rule in a batch; `where` says when and where the rows stand."""
    columns = {name: batch.column(name, rows) for name in names}
    return gathered(rule, where, {name: texts(column) for name, column in columns.items() if column is not None})


def gathered(rule: str, where: Where, fields: dict[str, tuple[Codes, list[str]]]) -> Gathered:
    """The hits of a rule with fields that were read already."""
    return Gathered(rule, where.at, where.streams, where.stream, where.position, where.event, where.exercise, fields)


def joined(within: tuple[EventBatch, Rows], parts: Iterable[tuple[str, Rows]]) -> tuple[Codes, list[str]]:
    """One field out of several: each part names the field that some of the rows hold it in."""
    batch, rows = within
    codes = np.full(len(rows), -1, np.int32)
    values: list[str] = []
    for name, own in parts:
        column = batch.column(name, own) if len(own) else None
        if column is not None:
            found, more = texts(column)
            codes[np.searchsorted(rows, own)] = np.where(found >= 0, found + len(values), -1)
            values += more
    return codes, values


@dataclass
class Where:
    """When and where rows of a batch stand."""

    at: Ints
    streams: list[str]
    stream: Codes
    position: Ints
    event: Array
    exercise: Bools


def place_of(batch: EventBatch, rows: Rows, at: Ints) -> Where:
    """Of stored events: by their source, stream and position."""
    size = len(rows)
    source, stream = batch.column("thapcanh.source", rows), batch.column("thapcanh.stream", rows)
    codes, names = _paired(source, stream, size)
    position = batch.column("thapcanh.position", rows)
    places = np.zeros(size, np.int64)
    if position is not None:
        places = np.append(position.values.to_numpy(zero_copy_only=False).astype(np.int64), 0)[position.codes]
    ids = batch.ids().take(pa.array(rows))
    event = np.frombuffer(b"".join(ids.to_pylist()), "V16") if size else np.zeros(0, "V16")
    flag = batch.column("thapcanh.exercise", rows)
    exercise = np.zeros(size, np.bool_)
    if flag is not None:
        exercise = np.append(flag.values.to_numpy(zero_copy_only=False).astype(np.bool_), False)[flag.codes]
    return Where(at, names, codes, places, event, exercise)


def _paired(source: Column | None, stream: Column | None, size: int) -> tuple[Codes, list[str]]:
    """Numbers and names of (source, stream) pairs."""
    a = texts(source) if source is not None else (np.zeros(size, np.int32), [""])
    b = texts(stream) if stream is not None else (np.zeros(size, np.int32), [""])
    pairs = a[0].astype(np.int64) * (len(b[1]) + 1) + b[0]
    distinct, codes = np.unique(pairs, return_inverse=True)
    names = []
    for pair in distinct.tolist():
        left, right = divmod(pair + 1, len(b[1]) + 1)
        names.append("\0".join((_at(a[1], left), _at(b[1], right - 1))))
    return codes.astype(np.int32).ravel(), names


def _at(values: Sequence[str], code: int) -> str:
    return values[code] if 0 <= code < len(values) else ""


def texts(column: Column) -> tuple[Codes, list[str]]:
    """A column as numbers and texts, those in use only; a JSON null is missing. Whole numbers are written without a fraction."""
    codes = column.codes
    if column.null >= 0:
        codes = np.where(codes == column.null, np.int32(-1), codes)
    used, inverse = np.unique(codes, return_inverse=True)
    lacking = int(len(used) > 0 and used[0] < 0)
    values = column.values.take(pa.array(used[lacking:]))
    if not pa.types.is_string(values.type):
        plain = values.cast(pa.string())
        values = pc.replace_substring_regex(plain, r"\.0+$", "") if pa.types.is_floating(values.type) else plain
    return (inverse.ravel() - lacking).astype(np.int32), values.to_pylist()
