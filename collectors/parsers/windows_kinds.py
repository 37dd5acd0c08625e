"""Windows events read kind by kind: which keys of a record hold what is needed, and the cells that come of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from collectors.base import Payload
from collectors.parsers import windows_block, windows_ecs
from collectors.parsers.windows_block import Look, Path
from collectors.parsers.windows_cells import ATTRIBUTES, BEAT_6, CLOCK, CLOCKS, DATA, HEADER, SHIPPER, SYSTEM, TIMES, USER, Cells, put_time

_MANY: Final = 1_000
"""Kinds from which rare ones are read one by one: logs hold some hundred, and forged ones any number."""
_FEW: Final = 10
"""Records of a rare kind."""


def by_kind(look: Look, cells: Cells, payload: Payload) -> list[int]:
    """Read what is of a usual shape, only the fields that are needed of its kind; the rows that are left."""
    rest = list(look.rest)
    crowded = len(look.kinds) > _MANY
    for kind, rows in look.kinds.items():
        if crowded and len(rows) < _FEW:
            rest += rows
            continue
        paths = _PATHS[kind.shape](_needed(kind, payload), cells.timed)
        columns: dict[str, Any] = {}
        if paths:
            reader = windows_block.reader(paths)
            rows, found = reader.read(look.texts, rows, rest)
            for name, get in reader.columns:
                values = list(map(get, found))
                columns[name] = _first(columns[name], values) if name in columns else values
        if cells.timed:
            _put_clocks(cells, rows, columns)
        places = np.array(rows, np.int32)
        for name, values in (*columns.items(), ("event.code", kind.code), ("winlog.channel", kind.channel)):
            cells.parts.setdefault(name, []).append((places, values))
    return sorted(rest)


def _first(one: list[Any], two: list[Any]) -> list[Any]:
    """Two keys of one meaning: the first that has a value."""
    return [b if a is None else a for a, b in zip(one, two, strict=True)]


def _put_clocks(cells: Cells, rows: Sequence[int], columns: dict[str, list[Any]]) -> None:
    """The time of each record, from the keys that tell it; they are taken out of `columns`."""
    if not any(CLOCK + key in columns for key in CLOCKS):
        return  # EVTX has one clock, a column like any other
    none = [None] * len(rows)
    told = [columns.pop(CLOCK + key, none) for key in CLOCKS]
    for row, created, utc, local, shipped in zip(rows, *told, strict=True):
        put_time(cells, row, created or utc, local, shipped)


def _needed(kind: windows_block.Kind, payload: Payload) -> frozenset[str]:
    """Columns to read of one kind, without those that the kind tells."""
    assert payload.wanted is not None  # noqa: S101  for the type checker
    wanted = payload.wanted
    if payload.narrow is not None:
        module, dataset = windows_ecs.module(kind.channel)
        known = {"winlog.channel": kind.channel, "event.code": kind.code, "event.module": module, "event.dataset": dataset}
        wanted &= payload.narrow(known)
    return windows_ecs.inputs(wanted) - {"event.code", "winlog.channel"}


Paths = tuple[tuple[Path, str], ...]


def _flat_paths(needed: frozenset[str], timed: bool) -> Paths:
    keys = [(key, name) for key, name in HEADER.items() if name in needed]
    keys += [(name.removeprefix(DATA), name) for name in sorted(needed) if name.startswith(DATA)]
    out = [((key,), name) for key, name in keys if key not in SHIPPER and HEADER.get(key, name) == name]
    return (*out, *(((key,), CLOCK + key) for key in CLOCKS if timed))


def _beat_6_paths(needed: frozenset[str], timed: bool) -> Paths:
    out: list[tuple[Path, str]] = [((key,), name) for key, name in BEAT_6.items() if name in needed]
    out += [(("event_data", name.removeprefix(DATA)), name) for name in sorted(needed) if name.startswith(DATA)]
    out += [(("user", name.removeprefix(USER)), name) for name in sorted(needed) if name.startswith(USER)]
    return (*out, *(((key,), CLOCK + key) for key in CLOCKS[-1:] if timed))


def _evtx_paths(needed: frozenset[str], timed: bool) -> Paths:
    out: list[tuple[Path, str]] = [(("Event", "System", key), HEADER[key]) for key in SYSTEM if HEADER[key] in needed]
    out += [
        (("Event", "System", element, "#attributes", attribute), name)
        for element, attribute, name in ATTRIBUTES
        if name in needed or (name == TIMES[0] and timed)
    ]
    return (*out, *((("Event", "EventData", n.removeprefix(DATA)), n) for n in sorted(needed) if n.startswith(DATA)))


_PATHS: Final = {windows_block.FLAT: _flat_paths, windows_block.BEAT_6: _beat_6_paths, windows_block.EVTX: _evtx_paths}
