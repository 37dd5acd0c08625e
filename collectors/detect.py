"""Raw records -> events: decode, unwrap envelopes, choose a parser for each record, parse in groups, complete.

A record that several parsers could read belongs to the first in `collectors.PARSERS`; specific parsers never claim each other's
records, the generic ones (`GENERIC`) get what is left. What nobody claims goes to `plain`.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from collectors import ENVELOPES, FALLBACK, GENERIC, PARSERS, PROGRAMS
from collectors.base import Envelope, Narrow, Parser, Payload
from collectors.parsers.common import TIME, UNPARSED, Ints, Mask, constant, failed, merge, zone
from domain import fields
from domain.errors import ConfigError
from domain.event import SEP
from domain.memory import many_objects
from domain.raw import RawBatch, event_ids

PLAIN: Final = "plain"
"""Parser name of what nobody claims: a wrapped message is an event, a bare line is `pipeline_error`."""
BARE: Final = ("windows", "suricata")
"""Parsers whose records are tried before envelopes: their JSON looks like one, and they are many."""
NO_TIME: Final = "no_timestamp"
"""Tag of events whose record tells no time: `@timestamp` is the arrival."""
_SAMPLE: Final = 64
_TRIES: Final = 256


@dataclass(frozen=True)
class Parsed:
    """The events of one parser out of a batch."""

    parser: str
    """Name in PARSERS, or `plain`."""
    rows: Ints
    """Row numbers into the batch, ascending."""
    table: pa.Table
    """One event per row, by the field dictionary; string columns may be dictionary-encoded."""


def parse(batch: RawBatch, wanted: frozenset[str] | None = None, narrow: Narrow | None = None) -> list[Parsed]:
    """Every record becomes exactly one event in exactly one of the results.

    `wanted`: only these fields are needed; `narrow`: which of them, of an event whose kind is known.
    ConfigError: unknown parser, encoding or time zone.
    """
    with many_objects():
        return _parse(batch, wanted, narrow)


def _parse(batch: RawBatch, wanted: frozenset[str] | None, narrow: Narrow | None) -> list[Parsed]:
    zone(batch.tz)
    if batch.parser not in ("auto", PLAIN):
        parser_named(batch.parser)
    records = decode(batch.records, batch.encoding)
    bare = _bare(records, batch.parser)
    payload, wrapped = unwrap(Payload(records, batch.arrivals, batch.tz, {}, wanted, narrow), bare, batch.envelope)
    out = []
    for name, rows in choose(payload, batch.parser, bare):
        part = _take(payload, rows)
        table = _plain(part, wrapped[rows]) if name == PLAIN else _safely(parser_named(name), part)
        out.append(Parsed(name, rows, _fill(table, part)))
    return out


def complete(batch: RawBatch, parsed: Parsed, ingested: datetime, extra: Mapping[str, object] | None = None) -> pa.Table:
    """The parsed events with id, original bytes, arrival and place: ready for the store.

    Events without `@timestamp` get the arrival time and the tag `no_timestamp`. `extra`: constant columns (thapcanh.exercise, ...).
    """
    whole = len(parsed.rows) == len(batch.records)
    records = batch.records if whole else batch.records.take(pa.array(parsed.rows))
    positions = batch.positions[parsed.rows]
    size = len(parsed.rows)
    columns: dict[str, Any] = dict(zip(parsed.table.column_names, parsed.table.columns, strict=True))
    _stamp(columns, batch.arrivals[parsed.rows])
    columns["event.id"] = event_ids(batch.source, batch.stream, positions, records)
    columns["event.original"] = records
    columns["event.ingested"] = pa.array([ingested], TIME).take(pa.array(np.zeros(size, np.int32)))
    columns["thapcanh.source"] = constant(batch.source, size)
    columns["thapcanh.parser"] = constant(parsed.parser, size)
    columns["thapcanh.stream"] = constant(batch.stream, size)
    columns["thapcanh.position"] = pa.array(positions, pa.int64())
    if batch.peers is not None:
        columns["thapcanh.relay"] = batch.peers.take(pa.array(parsed.rows)).dictionary_encode()
    for name, value in (extra or {}).items():
        columns[name] = pa.array([value], fields.arrow_type(name)).take(pa.array(np.zeros(size, np.int32)))
    return pa.table(columns)


def _stamp(columns: dict[str, Any], arrivals: np.ndarray[Any, Any]) -> None:
    times = columns.get("@timestamp")
    arrived = pa.array(arrivals, pa.int64()).cast(pa.timestamp("us")).cast(TIME)
    if times is None:
        times = pa.nulls(len(arrivals), TIME)
    if times.null_count == 0:
        return
    tags = columns.get("tags", pa.nulls(len(arrivals), pa.string()))
    tags = tags.cast(pa.string())
    tagged = pc.if_else(pc.is_valid(tags), pc.binary_join_element_wise(tags, NO_TIME, SEP), NO_TIME)
    columns["tags"] = pc.if_else(pc.is_null(times), tagged, tags)
    columns["@timestamp"] = pc.coalesce(times, arrived)


def decode(records: pa.Array, encoding: str) -> pa.Array:
    """Text of the records, one for one: invalid bytes become U+FFFD, a final CR and a BOM at the start are dropped."""
    try:
        if encoding.lower().replace("_", "-") in ("utf-8", "utf8"):
            out = records.cast(pa.large_string()).cast(pa.string())
        else:
            out = pa.array([r.decode(encoding, "replace") for r in records.to_pylist()], pa.string())
    except pa.ArrowInvalid:
        out = pa.array([r.decode("utf-8", "replace") for r in records.to_pylist()], pa.string())
    except LookupError:
        raise ConfigError(f"no such text encoding: {encoding}", hint='for example "utf-8", "utf-16-le", "cp1258", "latin-1"') from None
    if pc.any(pc.ends_with(out, "\r")).as_py():
        out = pc.utf8_rtrim(out, "\r")
    if len(out) and out[0].as_py().startswith("\ufeff"):
        out = pa.concat_arrays([pa.array([out[0].as_py()[1:]]), out[1:]])
    return out


def _bare(records: pa.Array, asked: str) -> Ints:
    """The number in PARSERS of the BARE parser that reads a row as it is; -1 = none does."""
    out = np.full(len(records), -1, np.int32)
    free: Mask = pc.starts_with(records, "{").to_numpy(zero_copy_only=False).copy()
    for name in _first_by(records, BARE) if asked == "auto" else BARE:
        if free.any() and asked in ("auto", name):
            mine = free & parser_named(name).match(records)
            out[mine] = list(PARSERS).index(name)
            free &= ~mine
    return out


def _first_by(records: pa.Array, names: Sequence[str]) -> Sequence[str]:
    """The parsers that a sample shows first: the order saves time, it changes nothing else."""
    if len(records) <= 2 * _SAMPLE:
        return names
    sample = records.take(pa.array(np.arange(0, len(records), len(records) // _SAMPLE)))
    hits = dict.fromkeys(names, 0)
    for name in names:
        hits[name] = int(parser_named(name).match(sample).sum())
        if hits[name] == len(sample):  # the others need not even be loaded
            break
    return sorted(names, key=lambda name: -hits[name])


def unwrap(payload: Payload, bare: Ints, asked: str = "") -> tuple[Payload, Mask]:
    """Strip what wraps the records that no BARE parser reads, each envelope at most once; the mask tells which rows wore one.

    `asked`: an envelope that all of them are taken to wear, `none` = no envelope.
    """
    wrapped = np.zeros(len(payload.records), bool)
    for name in ENVELOPES if (bare < 0).any() and asked != "none" else ():
        envelope: Envelope = _load(ENVELOPES[name])
        mask = bare < 0 if name == asked else envelope.match(payload.records) & (bare < 0)
        if mask.any():
            payload = _unwrap(envelope, payload, mask)
            wrapped |= mask
    return payload, wrapped


def _unwrap(envelope: Envelope, payload: Payload, mask: Mask) -> Payload:
    if mask.all():
        inner = envelope.unwrap(replace(payload, outer={}))
        return replace(inner, outer=_over(payload.outer, inner.outer))
    rows = np.flatnonzero(mask).astype(np.int32)
    inner = envelope.unwrap(replace(_take(payload, rows), outer={}))
    place = np.full(len(mask), -1, np.int64)
    place[rows] = np.arange(len(rows))
    spread = pa.array(place, mask=~mask)
    records = pc.if_else(pa.array(mask), inner.records.take(spread), payload.records)
    outer = {name: column.take(spread) for name, column in inner.outer.items()}
    return replace(payload, records=records, outer=_over(payload.outer, outer))


def _over(old: Mapping[str, pa.Array], new: Mapping[str, pa.Array]) -> dict[str, pa.Array]:
    """Inner envelopes know better than outer ones."""
    out = dict(old)
    for name, column in new.items():
        out[name] = pc.coalesce(column, old[name].cast(column.type)) if name in old else column
    return out


def _take(payload: Payload, rows: Ints) -> Payload:
    if len(rows) == len(payload.records):
        return payload
    index = pa.array(rows)
    outer = {name: column.take(index) for name, column in payload.outer.items()}
    return replace(payload, records=payload.records.take(index), arrivals=payload.arrivals[rows], outer=outer)


def choose(payload: Payload, asked: str, bare: Ints) -> list[tuple[str, Ints]]:
    """(parser, its rows): every row once."""
    size = len(payload.records)
    if asked != "auto":
        return [(asked, np.arange(size, dtype=np.int32))] if size else []
    names = [*PARSERS, PLAIN]
    owner = np.where(bare < 0, names.index(PLAIN), bare).astype(np.int32)
    free = bare < 0
    program = _programs(payload)
    for number, name in enumerate(names[:-1]):
        if name in program:
            owner[program[name]] = number
            free[program[name]] = False
    for name in _likely_first(payload.records, free):
        if name == "kv":
            _rest_of_syslog(payload, names.index(FALLBACK), owner, free)
        if not free.any():
            break
        _claim(payload, name, names.index(name), owner, free)
    return [(names[n], np.flatnonzero(owner == n).astype(np.int32)) for n in np.unique(owner).tolist()]


def _claim(payload: Payload, name: str, number: int, owner: Ints, free: Mask) -> None:
    rows = np.flatnonzero(free)
    records = payload.records if len(rows) == len(free) else payload.records.take(pa.array(rows))
    mine = rows[parser_named(name).match(records)]
    owner[mine] = number
    free[mine] = False


def _rest_of_syslog(payload: Payload, number: int, owner: Ints, free: Mask) -> None:
    """What a named program sent and no parser knows is a system message."""
    column = payload.outer.get("process.name")
    if column is not None:
        mine = free & pc.is_valid(column).to_numpy(zero_copy_only=False)
        owner[mine] = number
        free[mine] = False


def _programs(payload: Payload) -> dict[str, Ints]:
    """Rows whose syslog program belongs to a parser (`collectors.PROGRAMS`)."""
    column = payload.outer.get("process.name")
    if column is None:
        return {}
    coded = column.dictionary_encode() if not pa.types.is_dictionary(column.type) else column
    owners = np.array([PROGRAMS.get((v or "").lower(), "") for v in coded.dictionary.to_pylist()] + [""])
    each = owners[pc.fill_null(coded.indices, -1).to_numpy(zero_copy_only=False)]
    return {name: np.flatnonzero(each == name).astype(np.int32) for name in set(owners.tolist()) - {""}}


def _likely_first(records: pa.Array, free: Mask) -> Sequence[str]:
    """All parsers, those that a sample shows first; the generic ones stay last, in their order."""
    special = [name for name in PARSERS if name not in GENERIC]
    rows = np.flatnonzero(free)
    ordered = _first_by(records.take(pa.array(rows)) if len(rows) < len(free) else records, special)
    return [*ordered, *(name for name in PARSERS if name in GENERIC)]


def parser_named(name: str) -> Parser:
    """The parser of that name; ConfigError lists the names."""
    if name not in PARSERS:
        raise ConfigError(f"no such parser: {name}", hint=f"auto | {PLAIN} | {' | '.join(PARSERS)}")
    loaded: Parser = _load(PARSERS[name])
    return loaded


@cache
def _load(spec: str) -> Any:
    module, _, attribute = spec.partition(":")
    return getattr(importlib.import_module(module), attribute)


def _safely(parser: Parser, payload: Payload, tries: Iterator[int] | None = None) -> pa.Table:
    """Parsers never raise for log content; should one do so, only the records that make it do so are marked as failed."""
    tries = tries if tries is not None else iter(range(_TRIES))
    try:
        return parser.parse(payload)
    except Exception as error:  # noqa: BLE001  a defect of one parser must not stop collection
        size = len(payload.records)
        if size == 1 or next(tries, None) is None:
            return failed(payload.records, f"parser {parser.name}: {type(error).__name__}")
        halves = np.array_split(np.arange(size, dtype=np.int32), 2)
        return merge(size, [(half, _safely(parser, _take(payload, half), tries)) for half in halves])


def _plain(payload: Payload, wrapped: Mask) -> pa.Table:
    rows = np.arange(len(wrapped), dtype=np.int32)
    bare, inner = rows[~wrapped], rows[wrapped]
    whole = payload.records
    known = pa.table({"event.kind": constant("event", len(inner)), "message": whole.take(pa.array(inner))})
    return merge(len(wrapped), [(bare, failed(whole.take(pa.array(bare)), "no parser recognises this record")), (inner, known)])


def _fill(table: pa.Table, payload: Payload) -> pa.Table:
    """What the parser left empty, from the envelope."""
    for name, column in payload.outer.items():
        if column.null_count == len(column) or not (payload.wanted is None or name in payload.wanted or name == "@timestamp"):
            continue
        if name not in table.column_names:
            table = table.append_column(name, column)
        elif table[name].null_count:
            have = table[name].combine_chunks() if isinstance(table[name], pa.ChunkedArray) else table[name]
            both = pc.coalesce(_decoded(have), _decoded(column).cast(fields.arrow_type(name)))
            table = table.set_column(table.schema.get_field_index(name), name, both)
    return table


def _decoded(array: pa.Array) -> pa.Array:
    return array.cast(pa.string()) if pa.types.is_dictionary(array.type) else array


__all__ = ["NO_TIME", "PLAIN", "UNPARSED", "Parsed", "choose", "complete", "decode", "parse", "parser_named", "unwrap"]
