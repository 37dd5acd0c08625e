"""Pages of a Parquet column as they lie in the file: the distinct values without the rows, and few rows without the others.

A segment of Windows events has hundreds of columns, and reading one costs the same however little it holds; a word that no dictionary
holds is in no row. The original records are most of a segment; of a few rows a few pages are unpacked, one after the other, instead of
everything at once. What is not written as segments are is None: the column is to be read then, which tells of damage.
Source of the format: parquet.apache.org/docs/file-format/data-pages (page headers are Thrift's compact protocol).
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa

from domain.event import Rows

WHOLE: Final = 1 << 30
"""Bytes of a dictionary up to which the writer of segments (layout) puts all values of a column there."""
_DATA_PAGE: Final = 0
_DICTIONARY_PAGE: Final = 2
_PLAIN: Final = 0
_I32: Final = 0x15
"""Thrift: the next field, a 32-bit integer."""
_KINDS: Final = {
    _DATA_PAGE: (0x1C, 4, (b"\x00\x00", b"\x1c\x00\x00\x00")),
    _DICTIONARY_PAGE: (0x3C, 2, (b"\x00\x00", b"\x12\x00\x00", b"\x11\x00\x00")),
}
"""Thrift, by kind of page: what announces its structure, how many integers that has, how it ends (empty statistics, a flag)."""
_MORE: Final = 0x80
_HEADER: Final = 64
"""Bytes; a page header of ours is shorter."""


@dataclass(frozen=True)
class _Page:
    kind: int
    size: int
    """Unpacked."""
    packed: int
    checksum: int
    values: int
    """Rows of a data page."""
    body: int
    """Where it begins."""


def dictionary(file: int, column: Any) -> bytes | None:
    """The values of one column chunk (pyarrow.parquet.ColumnChunkMetaData), each behind its length in 4 bytes.

    `file`: a descriptor. None when the column has no dictionary or one that may lack values, or when anything is not as segments are
    written: the column is to be read then, which tells of damage.
    """
    start = column.dictionary_page_offset
    if not column.has_dictionary_page or not start or column.physical_type != "BYTE_ARRAY":
        return None
    page = _header(file, start, column.data_page_offset)
    if page is None or page.kind != _DICTIONARY_PAGE or page.size >= WHOLE:
        return None
    return _content(file, page, column)


def values(file: int, column: Any, rows: Rows) -> list[bytes] | None:
    """The values of some rows (sorted) of a column chunk of bytes that has no dictionary and no nulls."""
    if column.has_dictionary_page or column.physical_type != "BYTE_ARRAY":
        return None
    out: list[bytes] = []
    done = 0
    for page in _pages(file, column):
        if page is None or page.kind != _DATA_PAGE:
            return None
        first, last = np.searchsorted(rows, [done, done + page.values])
        if first < last:
            content = _content(file, page, column)
            found = None if content is None else _picked(content, page.values, (rows[first:last] - np.int32(done)).tolist())
            if found is None:
                return None
            out += found
        done += page.values
    return out if len(out) == len(rows) and done == column.num_values else None


def _pages(file: int, column: Any) -> Iterator[_Page | None]:
    at = column.data_page_offset
    end = at + column.total_compressed_size
    while at < end:
        page = _header(file, at, end)
        yield page
        if page is None:
            return
        at = page.body + page.packed


def _picked(content: bytes, count: int, rows: list[int]) -> list[bytes] | None:
    """Values of a page: lengths of 4 bytes before each; in front, that all of them are there."""
    levels = int.from_bytes(content[:4], "little")
    if content[4 : 4 + levels] != _all_there(count):
        return None
    at, row, out = 4 + levels, 0, []
    for wanted in rows:
        for _ in range(wanted - row):
            at += 4 + int.from_bytes(content[at : at + 4], "little")
        size = int.from_bytes(content[at : at + 4], "little")
        out.append(content[at + 4 : at + 4 + size])
        at, row = at + 4 + size, wanted + 1
    return out if at <= len(content) else None


def _all_there(count: int) -> bytes:
    """Definition levels of as many values: one run of ones."""
    run, out = count << 1, bytearray()
    while run >= _MORE:
        out.append(run & ~_MORE & 0xFF | _MORE)
        run >>= 7
    return bytes(out + bytes([run, 1]))


def _content(file: int, page: _Page, column: Any) -> bytes | None:
    body = os.pread(file, page.packed, page.body)
    if len(body) != page.packed or zlib.crc32(body) != page.checksum & 0xFFFFFFFF or not 0 <= page.size <= column.total_uncompressed_size:
        return None
    return _unpacked(body, column.compression, page.size)


def _unpacked(body: bytes, codec: str, size: int) -> bytes | None:
    if codec == "UNCOMPRESSED":
        return body if len(body) == size else None
    if codec != "ZSTD":  # of others Arrow does not say when there is less than `size`
        return None
    try:
        made: bytes = pa.decompress(body, size, "zstd", asbytes=True)
    except (pa.ArrowException, OSError, ValueError):
        return None
    return made


def _header(file: int, start: int, end: int) -> _Page | None:
    """The header of a page that begins at `start` and ends at `end` or before."""
    raw = os.pread(file, max(0, min(_HEADER, end - start)), start)
    try:
        (kind, size, packed, checksum), at = _integers(raw, 0, 4)
        mark, count, ends = _KINDS[kind]
        (values, encoding, *_), at = _structure(raw, at, mark, count, ends)
    except (IndexError, KeyError):
        return None
    fits = encoding == _PLAIN and 0 <= packed <= end - at - start
    return _Page(kind, size, packed, checksum, values, at + start) if fits else None


def _structure(raw: bytes, at: int, mark: int, count: int, ends: tuple[bytes, ...]) -> tuple[list[int], int]:
    """The integers of an inner structure, and where the outer one ends. IndexError: it is written in another way."""
    if raw[at] != mark:
        raise IndexError
    found, at = _integers(raw, at + 1, count)
    end = next((end for end in ends if raw.startswith(end, at)), None)
    if end is None:
        raise IndexError
    return found, at + len(end)


def _integers(raw: bytes, at: int, count: int) -> tuple[list[int], int]:
    """The next fields of a Thrift structure, all 32-bit integers, and where they end. IndexError: it has others."""
    found = []
    for _ in range(count):
        if raw[at] != _I32:
            raise IndexError
        value = shift = 0
        while True:
            at += 1
            value |= (raw[at] & ~_MORE) << shift
            shift += 7
            if raw[at] < _MORE:
                break
        at += 1
        found.append((value >> 1) ^ -(value & 1))
    return found, at
