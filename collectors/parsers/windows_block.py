"""Windows events of the usual JSON shapes, kind by kind: of a kind (channel and event code) only what is needed is decoded.

Two passes: the first takes channel and code out of every record, the second what the kind asks for. Keys that nobody needs are skipped
by the decoder, not built. What has another shape than is usual is left to `windows`, which reads record by record.
"""

from __future__ import annotations

import re
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from operator import attrgetter
from typing import Annotated, Any, Final, TypeAlias

import msgspec
import numpy as np
import pyarrow as pa

_LIMIT: Final = 1 << 63
Int64: TypeAlias = Annotated[int, msgspec.Meta(ge=-_LIMIT, le=_LIMIT - 1)]
Scalar: TypeAlias = str | Int64 | float | bool | None
"""A record that holds anything else where text is usual is left."""
Path: TypeAlias = tuple[str, ...]
"""Keys from the top of a record to a value."""


class _System(msgspec.Struct, gc=False):
    Channel: str | None = None
    EventID: Any = None


class _Event(msgspec.Struct, gc=False):
    System: _System
    EventData: msgspec.Raw = msgspec.Raw()
    UserData: msgspec.Raw | None = None

    @property
    def code(self) -> int | str | None:
        """EventID, where it is a plain one."""
        found = self.System.EventID
        return found if type(found) is str or (type(found) is int and abs(found) < _LIMIT) else None


class Mark(msgspec.Struct, gc=False):
    """What tells the shape and the kind of a record."""

    Channel: str | None = None
    EventID: Int64 | str | None = None
    log_name: str | None = None
    event_id: Int64 | str | None = None
    event_data: msgspec.Raw = msgspec.Raw()
    user_data: msgspec.Raw | None = None
    winlog: msgspec.Raw | None = None
    Event: _Event | None = None


FLAT, BEAT_6, EVTX = "flat", "beat6", "evtx"
_mark: Final = msgspec.json.Decoder(Mark).decode


@dataclass(frozen=True)
class Kind:
    """Records that are read alike."""

    shape: str
    channel: str
    code: str


def views(records: pa.Array) -> list[memoryview]:
    """The bytes of each record (text, no nulls), where they are: half the time of a first look would go into copies."""
    _, offsets, data = records.buffers()
    if not len(records) or data is None:
        return [memoryview(b"")] * len(records)
    kind = np.int64 if pa.types.is_large_string(records.type) else np.int32
    bounds = np.frombuffer(offsets, kind)[records.offset : records.offset + len(records) + 1].tolist()
    whole = memoryview(data)
    return [whole[start:end] for start, end in pairwise(bounds)]


def marks(texts: Sequence[memoryview]) -> list[Mark | None]:
    """One for each text; None where it is no such record."""
    try:
        return list(map(_mark, texts))
    except (msgspec.MsgspecError, RecursionError):
        return [_marked(text) for text in texts]


@dataclass(frozen=True)
class Look:
    """What a first look at some records shows."""

    texts: list[memoryview]
    kinds: dict[Kind, list[int]]
    """Rows of each kind."""
    rest: list[int]
    """The rows that are read one by one."""


class Recent:
    """The look at the records that were seen last: who recognises a batch and who reads it ask for the same."""

    def __init__(self) -> None:
        self._last: tuple[weakref.ref[pa.Array], Look] | None = None

    def of(self, records: pa.Array) -> Look:
        """Of these records; kept."""
        last = self._last
        if last is None or last[0]() is not records:
            texts = views(records)
            last = self._last = weakref.ref(records), Look(texts, *kinds(marks(texts)))
        return last[1]

    def take(self, records: pa.Array) -> Look:
        """The same; not kept any longer."""
        found = self.of(records)
        self._last = None
        return found


RECENT: Final = Recent()


def _marked(text: memoryview) -> Mark | None:
    try:
        return _mark(text)
    except (msgspec.MsgspecError, RecursionError):
        return None


def kinds(found: Sequence[Mark | None]) -> tuple[dict[Kind, list[int]], list[int]]:
    """Rows of each kind, and the rows that are left."""
    groups: dict[tuple[str, Any, Any], list[int]] = {}
    rest: list[int] = []
    for row, mark in enumerate(found):
        if mark is None or mark.winlog is not None:
            rest.append(row)
        elif mark.Event is not None:
            event = mark.Event
            usual = event.UserData is None and not _nested(event.EventData)
            (groups.setdefault((EVTX, event.System.Channel, event.code), []) if usual else rest).append(row)
        elif mark.log_name is not None:
            usual = mark.user_data is None and not _nested(mark.event_data)
            (groups.setdefault((BEAT_6, mark.log_name, mark.event_id), []) if usual else rest).append(row)
        else:
            groups.setdefault((FLAT, mark.Channel, mark.EventID), []).append(row)
    out: dict[Kind, list[int]] = {}
    for (shape, channel, code), rows in groups.items():
        if channel is None or code is None:
            rest += rows
        else:
            out.setdefault(Kind(shape, channel, str(code)), []).extend(rows)
    return {kind: sorted(rows) for kind, rows in out.items()}, sorted(rest)


_NESTED: Final = re.compile(rb'"\s*:\s*\{').search


def _nested(data: msgspec.Raw) -> bool:
    """Whether data may hold objects, whose fields count as its own (true for some texts, too)."""
    return _NESTED(data) is not None


class Reader:
    """Decodes the values at some paths of a record."""

    def __init__(self, paths: Sequence[tuple[Path, str]]) -> None:
        tree: dict[str, Any] = {}
        for path, _ in paths:
            at = tree
            for key in path[:-1]:
                at = at.setdefault(key, {})
            at[path[-1]] = None
        self._decode = msgspec.json.Decoder(_struct(tree)).decode
        self.columns = [(name, attrgetter(".".join(_attributes(tree, path)))) for path, name in paths]

    def read(self, texts: Sequence[memoryview], rows: Sequence[int], left: list[int]) -> tuple[list[int], list[Any]]:
        """(rows, decoded objects); rows that hold something unusual go to `left`."""
        try:
            return list(rows), [self._decode(texts[row]) for row in rows]
        except (msgspec.MsgspecError, RecursionError):
            pass
        good, found = [], []
        for row in rows:
            try:
                found.append(self._decode(texts[row]))
                good.append(row)
            except (msgspec.MsgspecError, RecursionError):
                left.append(row)
        return good, found


def _attributes(tree: dict[str, Any], path: Path) -> list[str]:
    out = []
    for key in path:
        out.append(f"f{list(tree).index(key)}")
        tree = tree[key]
    return out


def _struct(tree: dict[str, Any]) -> type[msgspec.Struct]:
    """A type whose attributes f0, f1, … are the keys of a tree, in order; what is nested is empty when it is absent."""
    fields: list[tuple[str, Any, Any]] = []
    for number, (key, inner) in enumerate(tree.items()):
        if inner is None:
            fields.append((f"f{number}", Scalar, msgspec.field(name=key, default=None)))
        else:
            nested = _struct(inner)
            fields.append((f"f{number}", nested, msgspec.field(name=key, default_factory=nested)))
    return msgspec.defstruct("Record", fields, gc=False)


@lru_cache(1024)
def reader(paths: tuple[tuple[Path, str], ...]) -> Reader:
    """Made once for each set of paths."""
    return Reader(paths)
