"""Windows events of the usual JSON shapes, a whole block at a time: the quick way. What it leaves, `windows` reads one by one.

NXLog writes header and data side by side; Winlogbeat before 7 puts the data under `event_data`. A record that is no JSON, has another
shape, or holds a list or an object where text is usual is left.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from collectors.parsers import _json
from collectors.parsers.common import Ints, Mask
from collectors.parsers.find import holding

FEW: Final = 16
"""Fewer records than this are sooner read one by one."""
_BEAT_6: Final = "log_name"
_MARKS: Final = ("Event", "winlog", _BEAT_6)
"""Keys that NXLog's records do not have: EVTX, Winlogbeat from 7 on, Winlogbeat before."""
_DATA: Final = "event_data"
_ODD: Final = ("user_data", "user")
"""What the records of older Winlogbeats seldom hold: those that do are left."""
_NESTED: Final = r"\A(\[|\{[\"}])"
"""JSON text of a list or an object; a GUID in braces is none."""
Namer = Callable[[str], "str | None"]
"""Key of a record -> column, None when nobody wants it."""


@dataclass(frozen=True)
class Block:
    """Columns of some rows."""

    rows: Ints
    """Row numbers, ascending."""
    columns: Mapping[str, pa.Array]
    """Column name -> coded texts (dictionary), one for each of `rows`; null = missing."""


@dataclass(frozen=True)
class Shapes:
    """How keys become columns."""

    flat: Namer
    beat: Namer
    """Keys beside `event_data`."""
    data: Namer
    """Keys inside `event_data`."""


def read(records: pa.Array, shapes: Shapes, times: Sequence[str]) -> tuple[list[Block], Mask]:
    """Blocks, and which rows they hold. `times`: keys that are wanted under their own names (see `windows`)."""
    done = np.zeros(len(records), np.bool_)
    if len(records) < FEW:
        return [], done
    rows = np.arange(len(records), dtype=np.int32)
    try:
        found = _blocks(records, rows, shapes, times)
    except duckdb.Error:  # one of them is no JSON: look at each
        rows = np.flatnonzero(_json.valid(records)).astype(np.int32)
        found = _blocks(records.take(pa.array(rows)), rows, shapes, times) if len(rows) >= FEW else []
    for block in found:
        done[block.rows] = True
    return found, done


def _blocks(records: pa.Array, rows: Ints, shapes: Shapes, times: Sequence[str]) -> list[Block]:
    present = _json.keys(records)
    if len(present) >= _json.MAX_KEYS:
        return []
    held = {mark: holding(records, f'"{mark}":'.encode()) for mark in _MARKS if mark in present}
    none = np.zeros(len(rows), np.bool_)
    beat = held.get(_BEAT_6, none)
    flat = ~np.logical_or.reduce([none, *held.values()])
    for mark in held.keys() - {_BEAT_6}:
        beat = beat & ~held[mark]
    out = []
    if flat.any():
        out.append(_flat(records, np.flatnonzero(flat), present, shapes.flat, times))
    if beat.any():
        out.append(_beats(records, np.flatnonzero(beat), shapes))
    return [Block(rows[block.rows], block.columns) for block in out if len(block.rows)]


def _flat(records: pa.Array, at: Ints, present: Sequence[str], namer: Namer, times: Sequence[str]) -> Block:
    """Header and data side by side."""
    return _block(records, at, [key for key in present if key in times or namer(key) is not None], namer, times)


def _block(records: pa.Array, at: Ints, keys: Sequence[str], namer: Namer, times: Sequence[str]) -> Block:
    """The columns of the records at these places, without those that hold something nested."""
    part = records if len(at) == len(records) else records.take(pa.array(at))
    columns: dict[str, pa.Array] = {}
    nested = np.zeros(len(at), np.bool_)
    for key, text in zip(keys, _json.values(part, keys), strict=True):
        name, column = namer(key), text.dictionary_encode()
        deep = pc.match_substring_regex(column.dictionary, _NESTED)
        if pc.any(deep).as_py():
            nested |= np.append(deep.to_numpy(zero_copy_only=False), False)[_codes(column)]
        for target in dict.fromkeys([name, key if key in times else None]):
            if target is not None:
                columns[target] = _either(columns[target], column) if target in columns else column
    return _without(Block(at, columns), nested)


def _beats(records: pa.Array, at: Ints, shapes: Shapes) -> Block:
    """Header at the top, data under `event_data`."""
    part = records.take(pa.array(at))
    present = _json.keys(part)
    marks = [key for key in (_BEAT_6, _DATA, *_ODD) if key in present]
    held = dict(zip(marks, _json.values(part, marks), strict=True))
    usual = pc.is_valid(held[_BEAT_6])
    for odd in (held[key] for key in _ODD if key in held):
        usual = pc.and_(usual, pc.is_null(odd))
    inner = pc.fill_null(held[_DATA], "{}") if _DATA in held else pa.array(["{}"] * len(at), pa.string())
    usual = pc.and_(usual, pc.starts_with(inner, "{"))
    at, part, inner = at[usual.to_numpy(zero_copy_only=False)], part.filter(usual), inner.filter(usual)
    if not len(at):
        return Block(at, {})
    times = [key for key in present if key == "@timestamp"]
    outer = _block(part, np.arange(len(at)), [*times, *(k for k in present if shapes.beat(k) is not None)], shapes.beat, times)
    data = _block(inner, np.arange(len(at)), [key for key in _json.keys(inner) if shapes.data(key) is not None], shapes.data, ())
    both = np.intersect1d(outer.rows, data.rows)
    outer, data = _only(outer, both), _only(data, both)
    return Block(at[both], {**outer.columns, **data.columns})


def _only(block: Block, rows: Ints) -> Block:
    return _without(block, ~np.isin(block.rows, rows))


def _without(block: Block, drop: Mask) -> Block:
    if not drop.any():
        return block
    keep = pa.array(np.flatnonzero(~drop))
    return Block(block.rows[~drop], {name: column.take(keep) for name, column in block.columns.items()})


def _either(first: pa.Array, second: pa.Array) -> pa.Array:
    """Two keys of one meaning: the first that has a value."""
    return pc.coalesce(first.cast(pa.string()), second.cast(pa.string())).dictionary_encode()


def _codes(column: pa.Array) -> Ints:
    codes = column.indices
    return (pc.fill_null(codes, -1) if codes.null_count else codes).to_numpy(zero_copy_only=False)
