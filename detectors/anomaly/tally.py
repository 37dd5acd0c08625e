"""Counts and sums per object and time bucket, over the chunks of a scan. Vectorised: one pass of numpy per chunk and kind of object."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from detectors.anomaly.base import Ints, Mask, names
from domain.event import Column
from store.base import Chunk

Numbers: TypeAlias = np.ndarray[tuple[int], np.dtype[np.float64]]
Key: TypeAlias = tuple[str, ...]


@dataclass
class Tally:
    """What one object did: bucket -> sums, in the order asked for; the first is the number of events."""

    buckets: dict[int, list[float]] = field(default_factory=dict)
    exercise: bool = True
    """Every event was exercise data."""


def numbers(column: Column | None, rows: int) -> Numbers:
    """A number per row; what is missing or no number counts as 0."""
    if column is None:
        return np.zeros(rows)
    values = [*(_number(v) for v in column.values.to_pylist()), 0.0]
    found: Numbers = np.array(values)[column.codes]
    return found


def _number(value: object) -> float:
    try:
        found = float(str(value))
    except ValueError:
        return 0.0
    return found if 0 <= found < 1e18 else 0.0


def add(
    tallies: dict[Key, Tally], fields: Sequence[tuple[Ints, list[str]]], buckets: Ints, sums: Sequence[Numbers], exercise: Mask
) -> None:
    """Add rows to the tallies of their key: the texts of all `fields`; rows in which one of them is empty belong to nobody."""
    codes = np.zeros(len(buckets), np.int64)
    present = np.ones(len(buckets), np.bool_)
    for code, values in fields:
        codes = codes * len(values) + code
        present &= np.array([bool(v) for v in values], np.bool_)[code]
    if not present.any():
        return
    picked = np.flatnonzero(present)
    base = int(buckets[picked].min())
    width = int(buckets[picked].max()) - base + 1
    groups, where = np.unique(codes[picked] * width + (buckets[picked] - base), return_inverse=True)
    totals = [np.bincount(where), *(np.bincount(where, weights=s[picked]) for s in sums)]
    real = np.bincount(where, weights=(~exercise[picked]).astype(float)) > 0
    for n, group in enumerate(groups.tolist()):
        tally = tallies.setdefault(_key(group // width, fields), Tally())
        tally.exercise &= not real[n]
        old = tally.buckets.setdefault(base + group % width, [0.0] * len(totals))
        for i, total in enumerate(totals):
            old[i] += float(total[n])


def _key(code: int, fields: Sequence[tuple[Ints, list[str]]]) -> Key:
    parts = []
    for _, values in reversed(fields):
        code, rest = divmod(code, len(values))
        parts.append(values[rest])
    return tuple(reversed(parts))


def column(chunk: Chunk, *fields: str) -> tuple[Ints, list[str]]:
    """Codes and texts of the first of these fields that the chunk has."""
    return names(next((c for f in fields if (c := chunk.column(f)) is not None), None), chunk.rows)


def newest(tallies: Iterable[Mapping[Key, Tally]]) -> int:
    """The newest bucket of all; 0 when there is none."""
    return max((b for part in tallies for t in part.values() for b in t.buckets), default=0)
