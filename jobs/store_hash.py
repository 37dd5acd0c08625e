"""What a store holds, as numbers that two engines agree on: events by partition and UTC day, records, ledger, checkpoints, cursors, holds.

An event's canonical form is its fields that hold a value, sorted by name, each as `<length of name>:<name>=<length of value>:<value>`:
text as UTF-8, instants as microseconds, doubles as their 64 bits, `event.original` as its bytes. Its digest is BLAKE2b-128 of that; a set
of events has the sum of their digests modulo 2^128: order plays no part, and losing, doubling or changing an event changes the sum.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Final, TypeAlias

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from domain.raw import Int64s
from domain.window import micros
from store.base import Chunk, DeadLetter, EventStore, Record

Lanes: TypeAlias = np.ndarray[tuple[int, int], np.dtype[np.uint32]]
"""Four numbers per event."""
BLOCK: Final = 8192
"""Events whose canonical forms are in memory together."""
_DAY: Final = 86_400_000_000
_EPOCH: Final = date(1970, 1, 1)
_WRAP: Final = 1 << 128
_TEXT: Final = pa.large_binary()
_NOTHING: Final = pa.scalar(b"", _TEXT)
_COLON: Final = pa.scalar(b":", _TEXT)


@dataclass
class Tally:
    """A set of events: how many, and the sum of their digests."""

    count: int = 0
    total: int = 0

    def add(self, count: int, total: int) -> None:
        """More of them."""
        self.count += count
        self.total = (self.total + total) % _WRAP

    @property
    def hash(self) -> str:
        """The sum as 32 hexadecimal digits."""
        return f"{self.total:032x}"


@dataclass
class Sums:
    """Events by (partition, UTC day as number)."""

    cells: dict[tuple[str, int], Tally] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """All events."""
        return sum(t.count for t in self.cells.values())

    @property
    def hash(self) -> str:
        """One digest over all cells."""
        lines = (f"{p}\0{day}\0{t.count}\0{t.hash}\n" for (p, day), t in sorted(self.cells.items()))
        return _digest(line.encode() for line in lines)

    def add(self, partition: str, table: pa.Table) -> None:
        """Count a table in."""
        for start in range(0, table.num_rows, BLOCK):
            block = table.slice(start, BLOCK)
            days, lanes = day_numbers(block), digests(block)
            for day in np.unique(days).tolist():
                own = lanes[days == day]
                self.cells.setdefault((partition, day), Tally()).add(len(own), _sum(own))


def sums(chunks: Iterable[Chunk], tick: Callable[[int], None] = lambda _: None) -> Sums:
    """Of everything in these chunks; `tick` is told how many events are done. Small chunks are counted together."""
    out, done = Sums(), 0
    waiting: dict[str, list[pa.Table]] = defaultdict(list)
    for chunk in chunks:
        tables = waiting[chunk.partition]
        tables.append(chunk.table())
        if sum(t.num_rows for t in tables) >= BLOCK:
            out.add(chunk.partition, pa.concat_tables(waiting.pop(chunk.partition), promote_options="default"))
        done += chunk.rows
        tick(done)
    for partition, tables in waiting.items():
        out.add(partition, pa.concat_tables(tables, promote_options="default"))
    return out


def day_numbers(table: pa.Table) -> Int64s:
    """UTC day of `@timestamp` of each event, days since 1970."""
    stamps = table["@timestamp"].combine_chunks().cast(pa.timestamp("us", "UTC")).cast(pa.int64())
    return np.asarray(stamps.to_numpy(zero_copy_only=False), dtype=np.int64) // _DAY


def day_name(day: int) -> str:
    """ISO date of a day number."""
    return (_EPOCH + timedelta(days=day)).isoformat()


def digests_sum(table: pa.Table) -> int:
    """Sum of the digests of these events."""
    return sum(_sum(digests(table.slice(start, BLOCK))) for start in range(0, table.num_rows, BLOCK))


def digests(table: pa.Table) -> Lanes:
    """BLAKE2b-128 of each event's canonical form, as four 32-bit lanes, the lowest first."""
    out = bytearray()
    for form in canonical(table).to_pylist():
        out += hashlib.blake2b(form, digest_size=16).digest()
    return np.frombuffer(bytes(out), dtype="<u4").reshape(-1, 4)


def _sum(lanes: Lanes) -> int:
    return sum(lane << (32 * place) for place, lane in enumerate(lanes.sum(axis=0, dtype=np.uint64).tolist()))


def canonical(table: pa.Table) -> pa.Array:
    """The canonical form of each event."""
    cells = [_cell(name, _value(table[name])) for name in sorted(table.column_names) if table[name].null_count < table.num_rows]
    joined = pc.binary_join_element_wise(*cells, _NOTHING, null_handling="replace", null_replacement="")
    return joined.combine_chunks() if isinstance(joined, pa.ChunkedArray) else joined


def _cell(name: str, values: pa.Array) -> pa.Array:
    key = name.encode()
    lengths = pc.binary_length(values).cast(pa.string()).cast(_TEXT)
    front = pa.scalar(b"%d:%s=" % (len(key), key), _TEXT)
    return pc.binary_join_element_wise(front, lengths, _COLON, values, _NOTHING, null_handling="emit_null")


def _value(column: pa.ChunkedArray) -> pa.Array:
    """As bytes; nulls stay."""
    array = column.combine_chunks()
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks)
    kind = array.type
    if pa.types.is_dictionary(kind):
        array, kind = array.cast(kind.value_type), kind.value_type
    if pa.types.is_timestamp(kind):
        array = array.cast(pa.timestamp("us", "UTC")).cast(pa.int64())
    elif pa.types.is_floating(kind):
        array = _bits(array)
    elif pa.types.is_fixed_size_binary(kind):
        return array.cast(pa.binary()).cast(_TEXT)
    if pa.types.is_integer(array.type) or pa.types.is_boolean(array.type):
        array = array.cast(pa.string())
    return array.cast(pa.large_string() if pa.types.is_string(array.type) else _TEXT).cast(_TEXT)


def _bits(array: pa.Array) -> pa.Array:
    """Doubles as whole numbers, exactly; -0.0 is 0.0 and every NaN the same."""
    plain = np.array(pc.fill_null(array.cast(pa.float64()), 0.0).to_numpy(zero_copy_only=False))
    plain[np.isnan(plain)] = np.nan
    bits = (plain + 0.0).view(np.int64)
    return pa.array(bits, pa.int64(), mask=np.asarray(array.is_null()))


def records_hash(records: Iterable[Record]) -> tuple[int, str]:
    """(how many, digest over all of them in order)."""
    count = 0

    def lines() -> Iterator[bytes]:
        nonlocal count
        for r in records:
            count += 1
            yield _json([r.stream, r.key, r.version, r.type, dict(r.body), r.actor, micros(r.at)])

    digest = _digest(lines())
    return count, digest


def letter_hash(letter: DeadLetter) -> bytes:
    """What makes two dead letters the same."""
    head = _json([letter.source, letter.stream, letter.position, letter.reason, letter.parser, micros(letter.at)])
    return hashlib.blake2b(head + letter.raw, digest_size=16).digest()


def plain_hash(value: object) -> str:
    """Of plain JSON values."""
    return _digest([_json(value)])


def count_between(events: EventStore, after: int, upto: int) -> int:
    """Events with after < sequence <= upto."""
    return sum(chunk.rows for chunk in events.scan(after, upto))


def _json(value: object) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS) + b"\n"


def _digest(parts: Iterable[bytes]) -> str:
    made = hashlib.blake2b(digest_size=16)
    for part in parts:
        made.update(part)
    return made.hexdigest()
