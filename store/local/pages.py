"""The distinct values of a Parquet column, read without its rows: the dictionary page as it lies in the file.

A segment of Windows events has hundreds of columns, and reading one costs the same however little it holds. A word that no dictionary
holds is in no row. Source of the format: parquet.apache.org/docs/file-format/data-pages (the page header is Thrift's compact protocol).
"""

from __future__ import annotations

import os
import zlib
from typing import Any, Final

import pyarrow as pa

_DICTIONARY_PAGE: Final = 2
_I32: Final = 0x15
"""Thrift: the next field, a 32-bit integer."""
_MORE: Final = 0x80
_HEADER: Final = 64
"""Bytes; a page header is shorter."""


def dictionary(file: int, column: Any) -> bytes | None:
    """The values of one column chunk (pyarrow.parquet.ColumnChunkMetaData), each behind its length in 4 bytes.

    `file`: a descriptor. None when the column has no dictionary, or when anything is not as it is usually written: the column is to be
    read then, which tells of damage.
    """
    start = column.dictionary_page_offset
    if not column.has_dictionary_page or not start or column.physical_type != "BYTE_ARRAY":
        return None
    raw = os.pread(file, column.data_page_offset - start, start)
    try:
        (kind, size, packed, checksum), _ = _fields(raw, 4)
    except IndexError:
        return None
    body = raw[len(raw) - packed :]
    if kind != _DICTIONARY_PAGE or not 0 <= len(raw) - packed < _HEADER or zlib.crc32(body) != checksum & 0xFFFFFFFF:
        return None
    return _unpacked(body, column.compression, size) if 0 <= size <= column.total_uncompressed_size else None


def _unpacked(body: bytes, codec: str, size: int) -> bytes | None:
    if codec == "UNCOMPRESSED":
        return body if len(body) == size else None
    try:
        made: bytes = pa.decompress(body, size, codec.lower(), asbytes=True)
    except (pa.ArrowException, OSError, ValueError):
        return None
    return made


def _fields(raw: bytes, count: int) -> tuple[list[int], int]:
    """The first fields of a Thrift structure, all 32-bit integers, and where they end. IndexError: it is none."""
    found, at = [], 0
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
