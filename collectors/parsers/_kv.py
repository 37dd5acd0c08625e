"""key=value and key="quoted value" records into columns, without a Python step per pair.

The bytes of a whole block are looked at once: a space outside quotes ends a pair, the first `=` in a pair ends its key. Keys and
values are then Arrow arrays over the same bytes. A record whose quotes do not pair up, or that escapes some, goes through a pattern.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from collectors.parsers.common import Ints, Mask

_Where: TypeAlias = np.ndarray[tuple[int], np.dtype[np.int64]]
_QUOTE, _SPACE, _EQUALS = 34, 32, 61
_CLOSED: Final = re.compile(r'"(?:\s*$|\s+[^\s="]{1,64}=)')
"""A quote that ends a value: nothing follows, or the next pair."""
_Found: TypeAlias = "dict[str, tuple[list[pa.Array], list[Ints]]]"
"""Key -> values, and the records that they belong to."""
_CHUNK: Final = 4096
"""Records whose bytes are looked at together: they stay in the processor's cache."""
MAX_KEYS: Final = 1024
"""Different keys in one block; pairs with further keys are left to event.original."""


@dataclass(frozen=True)
class Coded:
    """A column as numbers into its distinct values."""

    codes: Ints
    """Index into `values` for each record, -1 = missing."""
    values: pa.Array
    """Distinct values (pa.string())."""

    def where(self, mask: Mask) -> Coded:
        """Missing outside the mask."""
        return Coded(np.where(mask, self.codes, -1).astype(np.int32), self.values)

    def or_else(self, other: Coded) -> Coded:
        """The other column's value where this one has none."""
        codes = np.where(self.codes >= 0, self.codes, np.where(other.codes >= 0, other.codes + len(self.values), -1))
        return Coded(codes.astype(np.int32), pa.concat_arrays([self.values, other.values]))

    def mapped(self, values: pa.Array) -> pa.Array:
        """A column of the given values, one for each distinct value of this one (null where missing)."""
        return values.take(self.indices())

    def indices(self) -> pa.Array:
        """The codes as an Arrow array, null where missing."""
        return pa.array(self.codes, mask=self.codes < 0)

    def array(self) -> pa.Array:
        """As a dictionary-encoded Arrow array without repeated or null values."""
        short = self.values.dictionary_encode()
        if len(short.dictionary) == len(self.values):
            return pa.DictionaryArray.from_arrays(self.indices(), self.values)
        return pa.DictionaryArray.from_arrays(short.indices.take(self.indices()), short.dictionary)


def columns(records: pa.Array) -> dict[str, Coded]:
    """Key -> column; the first of repeated keys counts."""
    size = len(records)
    found: _Found = {}
    for start in range(0, size, _CHUNK):
        part = records[start : start + _CHUNK]
        odd = _odd(part)
        rows = np.arange(start, start + len(part), dtype=np.int32)
        if not odd.any():
            _by_bytes(part, rows, found)
            continue
        even = np.flatnonzero(~odd)
        _by_bytes(part.take(pa.array(even)), rows[even], found)
        _by_pattern(part.filter(pa.array(odd)), rows[odd], found)
    return {key: _scatter(pa.concat_arrays(values), np.concatenate(owners), size) for key, (values, owners) in found.items()}


def pairs(record: str) -> dict[str, str]:
    """The pairs of one record, step by step: for odd ones. Looks at each character a bounded number of times."""
    out: dict[str, str] = {}
    at, size, closing = 0, len(record), True
    while at < size:
        equals, space = record.find("=", at), record.find(" ", at)
        if equals < 0:
            break
        if at <= space < equals:
            at = space + 1
            continue
        key = record[at:equals]
        if record[equals + 1 : equals + 2] == '"':
            end = _closing(record, equals + 2) if closing else -1
            closing = end >= 0
            end = end if closing else record.find('"', equals + 2)
            end = end if end >= 0 else size
            value = record[equals + 2 : end].replace('\\"', '"')
        else:
            end = space if space >= 0 else size
            value = record[equals + 1 : end]
        if key and '"' not in key:
            out.setdefault(key, value)
        at = end + 1
    return out


def _closing(record: str, start: int) -> int:
    """Where the quoted value ends; -1 = nowhere."""
    at = record.find('"', start)
    while at >= 0 and not _CLOSED.match(record, at):
        at = record.find('"', at + 1)
    return at


def _bytes(records: pa.Array) -> tuple[np.ndarray[Any, np.dtype[np.uint8]], np.ndarray[Any, np.dtype[np.int32]], pa.Buffer]:
    """The bytes of all records, their offsets, and the buffer they lie in."""
    _, offsets, data = records.buffers()
    where = np.frombuffer(offsets, np.int32)[records.offset : records.offset + len(records) + 1]
    data = data if data is not None else pa.py_buffer(b"")
    return np.frombuffer(data, np.uint8)[: int(where[-1])], where, data


def _odd(records: pa.Array) -> Mask:
    """Records with an odd number of quotes, or with an escaped quote."""
    escaped: Mask = pc.match_substring(records, '\\"').to_numpy(zero_copy_only=False)
    counts: Mask = (pc.count_substring(records, '"').to_numpy(zero_copy_only=False) & 1).astype(bool)
    return escaped | counts


def _by_bytes(records: pa.Array, rows: Ints, found: _Found) -> None:
    """Pairs of records whose quotes pair up."""
    raw, where, buffer = _bytes(records)
    begin, end = int(where[0]), int(where[-1])
    if begin == end:
        return
    view = raw[begin:end]
    outside = (np.cumsum(view == _QUOTE, dtype=np.uint8) & 1) == 0
    spaces = np.flatnonzero((view == _SPACE) & outside) + begin
    starts = np.sort(np.concatenate([spaces + 1, where[:-1]]), kind="stable")
    ends = np.sort(np.concatenate([spaces, where[1:]]), kind="stable")
    token = np.searchsorted(starts, where, side="left")
    token[-1] = len(starts)  # the last record may end with a space: an empty token at its very end
    owner = np.repeat(rows, np.diff(token))
    starts, ends, equals, owner = _with_equals(view, begin, starts, ends, owner)
    if not len(starts):
        return
    keys = _slices(buffer, starts, equals).dictionary_encode()
    first, last = equals + 1, ends
    quoted = (last - first >= 2) & (raw[np.minimum(first, end - 1)] == _QUOTE) & (raw[last - 1] == _QUOTE)
    _by_key(keys, _interleaved(buffer, first + quoted, last - quoted), owner, found)


def _with_equals(
    view: np.ndarray[Any, np.dtype[np.uint8]], begin: int, starts: _Where, ends: _Where, owner: Ints
) -> tuple[_Where, _Where, _Where, Ints]:
    """Only tokens that are key=value, with the place of their first `=`."""
    every = np.append(np.flatnonzero(view == _EQUALS) + begin, np.iinfo(np.int64).max)
    equals = every[np.searchsorted(every, starts)]
    good = (equals < ends) & (equals > starts)
    return starts[good], ends[good], equals[good], owner[good]


def _interleaved(buffer: pa.Buffer, first: _Where, last: _Where) -> pa.Array:
    """Texts [first, last) as the even elements of an array over the buffer; the odd ones are what lies between."""
    offsets = np.empty(2 * len(first), np.int32)
    offsets[0::2], offsets[1::2] = first, last
    return pa.Array.from_buffers(pa.string(), len(offsets) - 1, [None, pa.py_buffer(offsets), buffer])


def _slices(buffer: pa.Buffer, first: _Where, last: _Where) -> pa.Array:
    return _interleaved(buffer, first, last).take(pa.array(np.arange(0, 2 * len(first), 2, dtype=np.int64)))


def _by_key(keys: pa.DictionaryArray, values: pa.Array, owner: Ints, found: _Found) -> None:
    codes = keys.indices.to_numpy().astype(np.int32 if len(keys.dictionary) > 1 << 15 else np.int16)
    order = np.argsort(codes, kind="stable")
    bounds = np.searchsorted(codes[order], np.arange(len(keys.dictionary) + 1))
    for number, key in enumerate(keys.dictionary.to_pylist()):
        if key in found or len(found) < MAX_KEYS:
            tokens = order[bounds[number] : bounds[number + 1]]
            texts, owners = found.setdefault(key, ([], []))
            texts.append(values.take(pa.array(2 * tokens)))
            owners.append(owner[tokens])


def _scatter(values: pa.Array, owner: Ints, size: int) -> Coded:
    coded = values.dictionary_encode()
    codes = np.full(size, -1, np.int32)
    codes[owner[::-1]] = coded.indices.to_numpy()[::-1]
    return Coded(codes, coded.dictionary)


def _by_pattern(records: pa.Array, rows: Ints, found: _Found) -> None:
    for row, record in zip(rows.tolist(), records.to_pylist(), strict=True):
        for key, value in pairs(record).items():
            if key in found or len(found) < MAX_KEYS:
                texts, owners = found.setdefault(key, ([], []))
                texts.append(pa.array([value], pa.string()))
                owners.append(np.array([row], np.int32))


def combined(size: int, *parts: Coded | None) -> tuple[Ints, list[tuple[str | None, ...]]]:
    """Number of the combination of values in each row, and the combinations: to work once per distinct combination."""
    key = np.zeros(size, np.int64)
    for part in parts:
        if part is not None:
            key = np.unique(key * (len(part.values) + 1) + part.codes + 1, return_inverse=True)[1]
    _, at, codes = np.unique(key, return_index=True, return_inverse=True)
    texts = [_at(part, at) for part in parts]
    return codes.astype(np.int32), list(zip(*texts, strict=True))


def _at(part: Coded | None, rows: _Where) -> list[str | None]:
    if part is None:
        return [None] * len(rows)
    codes = part.codes[rows]
    return list(part.values.take(pa.array(codes, mask=codes < 0)).to_pylist())


def get(table: Mapping[str, Coded], *names: str) -> Coded | None:
    """The first of the columns that is there, completed from the next ones."""
    out: Coded | None = None
    for name in names:
        if name in table:
            out = table[name] if out is None else out.or_else(table[name])
    return out
