"""Events as documents and back, by whole blocks: a column is turned into JSON once per distinct value, lines are joined by Arrow.

A document is flat (`"source.ip": "10.0.0.1"`), its id is `event.id`. What the index cannot take (names that a log made up, values
that are too long for a term) is kept in the document, and named in `thapcanh.unindexed`, so that queries do not miss it.
"""

from __future__ import annotations

import base64
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from domain import fields
from domain.event import SEP
from domain.raw import Int64s
from store.opensearch.mapping import AT, DELIVERY, ORDINAL, OWN, RAW, UNINDEXED, indexed
from store.rows import micros

MORE: Final = "thapcanh.more"
"""Object that holds the fields whose names are not in the index."""
BODY: Final = 6 << 20
"""Bytes of one bulk request, about."""
MOST: Final = 5_000
"""Documents of one bulk request."""
_FEW: Final = 300
"""Texts."""
_LONG: Final = 120
"""Bytes of a text."""
_TEXT: Final = pa.large_string()
_STAMP: Final = pa.timestamp("us", "UTC")


@dataclass(frozen=True)
class Block:
    """Documents of one bulk request."""

    body: bytes
    """NDJSON: an action and a document for each event."""
    start: int
    """Row of the table with which it begins."""
    rows: int

    def halves(self) -> Sequence[Block]:
        """The same in two requests."""
        lines, half = self.body.split(b"\n"), self.rows // 2
        first = b"".join(line + b"\n" for line in lines[: 2 * half])
        return Block(first, self.start, half), Block(self.body[len(first) :], self.start + half, self.rows - half)


def blocks(table: pa.Table, delivery: str, ordinals: Int64s, *, demoted: Collection[str] = ()) -> Iterator[Block]:
    """The table as bulk requests. `demoted`: fields to keep without indexing them."""
    size = min(MOST, max(1, BODY * table.num_rows // max(1, table.get_total_buffer_size() * 2)))
    for start in range(0, table.num_rows, size):
        part = table.slice(start, size)
        lines = _lines(part, delivery, ordinals[start : start + size], demoted)
        yield Block(_bytes(lines), start, part.num_rows)


def columns_of(hits: Sequence[Mapping[str, Any]]) -> tuple[pa.Table, dict[str, list[Any]]]:
    """Search hits as (table of events in their order, columns of the engine's own)."""
    cells: dict[str, list[Any]] = {}
    count = len(hits)
    for row, hit in enumerate(hits):
        source = hit["_source"]
        for part in (source.pop(MORE, None) or {}, source):
            for name, value in part.items():
                if (column := cells.get(name)) is None:
                    column = cells[name] = [None] * count
                column[row] = value
    own = {name: cells.pop(name) for name in OWN if name in cells}
    table = {"event.id": pa.array([bytes.fromhex(hit["_id"]) for hit in hits], pa.binary(16))}
    for name, values in cells.items():
        if name != "event.id":
            table[name] = _column(name, values)
    if RAW in own:
        original = table["event.original"].to_pylist() if "event.original" in table else [None] * count
        exact = [base64.b64decode(raw) if raw is not None else text for raw, text in zip(own[RAW], original, strict=True)]
        table["event.original"] = pa.array(exact, pa.large_binary())
    return pa.table(table), own


def _lines(part: pa.Table, delivery: str, ordinals: Int64s, demoted: Collection[str]) -> pa.Array:
    ids = pa.array([i.hex() for i in part["event.id"].to_pylist()], _TEXT)
    pieces: list[Any] = ['{"create":{"_id":"', ids, '"}}\n{"event.id":"', ids, f'","{DELIVERY}":"{delivery}","{ORDINAL}":']
    pieces += [pa.array(ordinals).cast(_TEXT), f',"{AT}":', pa.array(micros(part, "@timestamp")).cast(_TEXT)]
    more: list[pa.Array] = []
    missing: list[pa.Array] = []
    for name in part.column_names:
        column = part[name].combine_chunks()
        if name == "event.id" or column.null_count == len(column):
            continue
        kept = indexed(name) and name not in demoted
        if name == "event.original":
            pieces += _original(column)
            continue
        coded = _coded(column)
        (pieces if kept else more).append(_fragments(name, coded.dictionary).take(coded.indices))
        flags = column.is_valid() if not kept else _too_long(name, coded)
        if flags is not None:
            missing.append(pc.if_else(flags, pa.scalar(f",{_key(name)}", _TEXT), pa.scalar("", _TEXT)))
    pieces += [_wrapped(more, f',"{MORE}":{{', "}"), _wrapped(missing, f',"{UNINDEXED}":[', "]"), "}\n"]
    return _joined([p for p in pieces if p is not None])


def _joined(pieces: Sequence[Any]) -> pa.Array:
    whole = [pa.scalar(p, _TEXT) if isinstance(p, str) else p for p in pieces]
    return pc.binary_join_element_wise(*whole, pa.scalar("", _TEXT), null_handling="replace", null_replacement="")


def _wrapped(pieces: Sequence[pa.Array], before: str, after: str) -> pa.Array | None:
    """Pieces that begin with a comma, as one object or list; nothing where a row has none of them."""
    if not pieces:
        return None
    inner = pc.utf8_slice_codeunits(_joined(pieces), start=1)
    return pc.if_else(pc.equal(pc.binary_length(inner), 0), pa.scalar("", _TEXT), _joined([before, inner, after]))


def _key(name: str) -> str:
    return orjson.dumps(name).decode()


def _coded(column: pa.Array) -> pa.DictionaryArray:
    """Distinct values that these rows hold."""
    plain = column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
    return plain.dictionary_encode()


def _fragments(name: str, values: pa.Array) -> pa.Array:
    """`,"name":value` for distinct values. A few texts are quicker done one by one than by a dozen kernels."""
    key = f",{_key(name)}:"
    if pa.types.is_string(values.type) and len(values) < _FEW:
        several = fields.is_array(name)
        return pa.array([key + _json(v, several=several) for v in values.to_pylist()], _TEXT)
    return _strict([key, _values(name, values)])


def _values(name: str, values: pa.Array) -> pa.Array:
    """Distinct values as JSON; null where JSON has no way to say it."""
    if pa.types.is_integer(values.type) or pa.types.is_boolean(values.type):
        return values.cast(_TEXT)
    if pa.types.is_timestamp(values.type):
        return _strict(['"', pc.strftime(values.cast(_STAMP), format="%Y-%m-%dT%H:%M:%SZ").cast(_TEXT), '"'])
    if pa.types.is_string(values.type):
        return _quoted(values.cast(_TEXT), several=fields.is_array(name))
    return pa.array([None if not np.isfinite(v) else _key(v) for v in values.to_pylist()], _TEXT)


def _quoted(texts: pa.Array, *, several: bool = False) -> pa.Array:
    """Texts as JSON strings (`several`: as lists): long ones and those with control characters one by one, the others by Arrow."""
    if texts.nbytes > _LONG * len(texts):
        return pa.array([None if v is None else _json(v, several=several) for v in texts.to_pylist()], _TEXT)
    hard = pc.fill_null(pc.match_substring_regex(texts, r"[\x00-\x1f]"), False)
    plain = pc.replace_substring(pc.replace_substring(texts, "\\", "\\\\"), '"', '\\"')
    out = _strict(['"', plain, '"'])
    if not pc.any(hard).as_py():
        return out
    odd = [_json(value, several=several) for value in texts.filter(hard).to_pylist()]
    return pc.replace_with_mask(out, hard, pa.array(odd, _TEXT))


def _strict(pieces: Sequence[Any]) -> pa.Array:
    whole = [pa.scalar(p, _TEXT) if isinstance(p, str) else p for p in pieces]
    return pc.binary_join_element_wise(*whole, pa.scalar("", _TEXT))


def _json(value: str, *, several: bool) -> str:
    return orjson.dumps(value.split(SEP) if several and SEP in value else value).decode()


def _original(column: pa.Array) -> Iterator[pa.Array]:
    """The record as text; beside it in base64 where its bytes are no UTF-8."""
    try:
        yield _strict([',"event.original":', _quoted(column.cast(_TEXT))])
        return
    except pa.ArrowInvalid:
        raw = column.to_pylist()
    texts = [None if r is None else r.decode("utf-8", "replace") for r in raw]
    yield _strict([',"event.original":', _quoted(pa.array(texts, _TEXT))])
    exact = [
        None if r is None or t is None or t.encode() == r else f',"{RAW}":"{base64.b64encode(r).decode()}"'
        for r, t in zip(raw, texts, strict=True)
    ]
    yield pa.array(exact, _TEXT)


def _too_long(name: str, coded: pa.DictionaryArray) -> pa.Array | None:
    """Which rows hold a value that may be beyond `ignore_above`, or that is no plain address; None when there are none."""
    entry, texts = fields.lookup(name), coded.dictionary
    if entry is None or entry.type not in ("keyword", "ip") or not pa.types.is_string(texts.type):
        return None
    long = pc.greater(pc.binary_length(texts), fields.LONGEST)
    if entry.type == "ip":
        long = pc.or_(long, pc.invert(pc.match_substring_regex(texts, r"\A[0-9A-Fa-f:.\x1e]+\z")))
    return pc.fill_null(long.take(coded.indices), False) if pc.any(long).as_py() else None


def _bytes(lines: pa.Array) -> bytes:
    """The lines one after the other: they lie so in memory."""
    lines = lines.combine_chunks() if isinstance(lines, pa.ChunkedArray) else lines
    _, offsets, data = lines.buffers()
    ends = np.frombuffer(offsets, dtype=np.int64)[lines.offset : lines.offset + len(lines) + 1]
    return bytes(memoryview(data)[int(ends[0]) : int(ends[-1])])


def _column(name: str, values: list[Any]) -> pa.Array:
    kind = fields.arrow_type(name)
    if pa.types.is_timestamp(kind):
        return pa.array(values, pa.string()).cast(_STAMP)
    if pa.types.is_large_binary(kind):
        return pa.array([None if v is None else v.encode() for v in values], kind)
    if pa.types.is_string(kind):
        return pa.array([v if v is None or isinstance(v, str) else SEP.join(v) if isinstance(v, list) else str(v) for v in values], kind)
    return pa.array(values, kind)
