"""Stored events as scans see them: one row group of a Parquet segment, columns read when asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from domain import fields
from domain.batch import Columns, Sought
from domain.errors import StoreError
from domain.event import Column, Rows, encode
from domain.raw import Int64s
from match.folded import Words, plain_word
from match.holding import Held, held, narrowed
from match.keywords import in_use, searchable
from store.local import pages
from store.local.folder import Lock
from store.local.layout import Group
from store.rows import SEQ

ORIGINAL: Final = "event.original"


@dataclass(frozen=True)
class Segment:
    """A segment as the catalog knows it."""

    id: int
    file: str
    partition: str
    day: int
    first_seq: int
    last_seq: int
    rows: int
    size: int
    """Bytes of the file."""
    min_ts: int
    max_ts: int
    merged: bool
    """Made by compaction: sequences of its rows stand in a column."""
    sha256: bytes
    groups: tuple[Group, ...]


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Damage becomes a StoreError that names the file."""
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        what = f"a segment cannot be read: {str(error).splitlines()[0] if str(error) else type(error).__name__}"
        raise StoreError(what, where=str(path), hint="soc store verify; restore the file from a backup") from error


class Source:
    """A Parquet file, opened when first needed and shared by its row groups; keeps its snapshot alive."""

    def __init__(self, path: Path, lock: Lock | None = None) -> None:
        self.path = path
        self._lock = lock

    @cached_property
    def _footer(self) -> pq.FileMetaData:
        """Read without the file being kept open: many wait to be joined."""
        with readable(self.path):
            return pq.read_metadata(self.path)

    @cached_property
    def _file(self) -> pq.ParquetFile:
        footer = self._footer
        with readable(self.path):
            return pq.ParquetFile(self.path, metadata=footer, memory_map=False, pre_buffer=False, page_checksum_verification=True)

    @cached_property
    def places(self) -> dict[str, int]:
        """Column name -> number."""
        return {name: i for i, name in enumerate(self._footer.schema.names)}

    def read(self, group: int, names: Sequence[str]) -> pa.Table:
        """These columns (that exist) of one row group."""
        places = self.places
        wanted = [places[n] for n in names if n in places]
        with readable(self.path):
            return self._file.reader.read_row_group(group, column_indices=wanted, use_threads=False)

    def dictionaries(self, group: int, names: Sequence[str]) -> Iterator[tuple[str, bytes | None]]:
        """The distinct values of columns of text of one row group (see `pages.dictionary`); None: the column must be read."""
        with readable(self.path), self.path.open("rb") as raw:
            known = self._footer.row_group(group)
            for name in names:
                yield name, pages.dictionary(raw.fileno(), known.column(self.places[name]))

    def values(self, group: int, name: str, rows: Rows) -> pa.Array | None:
        """Some values (rows sorted) of a column of bytes, see `pages.values`; None: the column must be read."""
        with readable(self.path), self.path.open("rb") as raw:
            found = pages.values(raw.fileno(), self._footer.row_group(group).column(self.places[name]), rows)
        return None if found is None else pa.array(found, pa.large_binary())

    @cached_property
    def numbers(self) -> frozenset[str]:
        """Columns of numbers or flags."""
        return frozenset(field.name for field in self._file.schema_arrow if _counts(field.type))

    @property
    def rows(self) -> int:
        """According to the footer."""
        return int(self._footer.num_rows)

    def nbytes(self, group: int) -> int:
        """Of a row group, unpacked, without the original records."""
        known = self._footer.row_group(group)
        originals = known.column(self.places[ORIGINAL]).total_uncompressed_size if ORIGINAL in self.places else 0
        return int(known.total_byte_size - originals)


class SegmentChunk:
    """A Chunk (store.base): a row group, or those of its rows whose sequence lies in a range."""

    def __init__(self, segment: Segment, number: int, source: Source) -> None:
        self.partition = segment.partition
        self.segment = segment
        self._number = number
        self._source = source
        self._group = segment.groups[number]
        self._selected: Rows | None = None
        self._cache: dict[str, Column | None] = {}
        self._found: tuple[Sequence[str], Rows, Held] | None = None
        if segment.merged:
            self.first_seq, self.last_seq = self._group.min_seq, self._group.max_seq
        else:
            self.first_seq = segment.first_seq + sum(g.rows for g in segment.groups[:number])
            self.last_seq = self.first_seq + self._group.rows - 1

    def between(self, after: int, upto: int) -> SegmentChunk | None:
        """Only the rows with after < sequence <= upto; None when there are none."""
        if self.last_seq <= after or self.first_seq > upto:
            return None
        if self.first_seq > after and self.last_seq <= upto:
            return self
        seqs = self.sequences()
        kept = np.flatnonzero((seqs > after) & (seqs <= upto)).astype(np.int32)
        if not len(kept):
            return None
        part = SegmentChunk(self.segment, self._number, self._source)
        part._selected, part.first_seq, part.last_seq = kept, int(seqs[kept].min()), int(seqs[kept].max())
        return part

    @property
    def rows(self) -> int:
        """Number of events."""
        return self._group.rows if self._selected is None else len(self._selected)

    @cached_property
    def nbytes(self) -> int:
        """Of what rules may read of the row group, unpacked: dictionaries are read whole."""
        return self._source.nbytes(self._number)

    @property
    def bounds(self) -> tuple[int, int]:
        """Lowest and highest `@timestamp` of the row group, in microseconds."""
        return self._group.min_ts, self._group.max_ts

    def fields(self) -> Sequence[str]:
        """Names of the columns of the segment."""
        return [name for name in self._source.places if name != SEQ]

    def column(self, name: str, rows: Rows | None = None) -> Column | None:
        """The column, dictionary-encoded once and kept."""
        if name not in self._cache:
            self._cache[name] = self.read(name)
        full = self._cache[name]
        return full if full is None or rows is None else Column(full.codes[rows], full.values, full.multi)

    def read(self, name: str) -> Column | None:
        """The column, dictionary-encoded and not kept."""
        if name in self._cache:
            return self._cache[name]
        array = self._array(name)
        return None if array is None else encode(array, multi=fields.is_array(name))

    def ids(self) -> pa.Array:
        """`event.id` of each row."""
        return self._ids

    @cached_property
    def _ids(self) -> pa.Array:
        return self._present("event.id")

    def times(self) -> Int64s:
        """`@timestamp` of each row in microseconds."""
        return self._times

    @cached_property
    def _times(self) -> Int64s:
        return np.asarray(self._present("@timestamp").cast(pa.int64()).to_numpy(zero_copy_only=False), dtype=np.int64)

    def search(self, words: Sequence[str], rows: Rows) -> Sought:
        """The rows that hold a value that may hold a word, with those values only."""
        plain = tuple(map(plain_word, words))
        if not all(plain) or not plain:
            return Sought(self._texts(rows), None, np.arange(len(rows), dtype=np.int32))
        if self._found is None or self._found[0] != plain:
            self._found = plain, *held(dict(self._find(Words(plain))), self.rows)
        _, having, batch = self._found
        _, at, inside = np.intersect1d(rows, having, assume_unique=True, return_indices=True)
        return Sought(batch, inside.astype(np.int32), at.astype(np.int32))

    def _texts(self, rows: Rows) -> Columns:
        """All that keywords look into, of these rows."""
        if len(rows) == self.rows:
            return self
        columns = ((name, self.read(name)) for name in self.fields() if searchable(name))
        return Held({n: in_use(Column(c.codes[rows], c.values, c.multi)) for n, c in columns if c is not None}, len(rows))

    def _find(self, words: Words) -> Iterator[tuple[str, Column]]:
        """Columns are read whose distinct values hold a word, or whose distinct values cannot be read by themselves."""
        names = [name for name in self.fields() if searchable(name) and name not in self._source.numbers]
        for name, values in self._source.dictionaries(self._number, names):
            column = self.read(name) if values is None or len(words.find(memoryview(values))) else None
            left = None if column is None else narrowed(column, words)
            if left is not None:
                yield name, left

    def sequences(self) -> Int64s:
        """Ingest sequence of each row."""
        if self.segment.merged:
            return np.asarray(self._present(SEQ).to_numpy(), dtype=np.int64)
        numbers = np.arange(self._group.rows) if self._selected is None else self._selected
        start = self.segment.first_seq + sum(g.rows for g in self.segment.groups[: self._number])
        return start + numbers.astype(np.int64)

    def table(self, rows: Sequence[int] | Rows | None = None, names: Sequence[str] | None = None) -> pa.Table:
        """These rows and columns, text decoded."""
        wanted = [n for n in (self.fields() if names is None else names) if n != SEQ]
        chosen = self._selected
        if rows is not None:
            asked = np.asarray(rows, dtype=np.int32)
            chosen = asked if chosen is None else chosen[asked]
        original = self._original(chosen) if chosen is not None and ORIGINAL in wanted else None
        table = self._source.read(self._number, [n for n in wanted if n != ORIGINAL or original is None])
        if chosen is not None:
            table = table.take(pa.array(chosen)) if table.num_columns else table
        if original is not None:
            table = table.append_column(ORIGINAL, original) if table.num_columns else pa.table({ORIGINAL: original})
        return pa.table({n: _decoded(table[n]) for n in wanted if n in table.column_names})

    def _original(self, rows: Rows) -> pa.Array | None:
        """The original records of few rows."""
        if len(rows) > self._group.rows // 2 or ORIGINAL not in self._source.places:
            return None
        distinct, places = np.unique(rows, return_inverse=True)
        found = self._source.values(self._number, ORIGINAL, distinct)
        return None if found is None else found.take(pa.array(places))

    def forget(self) -> None:
        """Drop the columns read so far."""
        self._cache.clear()
        self._found = None

    def _present(self, name: str) -> pa.Array:
        """A column that every segment has."""
        array = self._array(name)
        if array is None:
            raise StoreError(f"a segment lacks the column {name}", where=str(self._source.path), hint="soc store verify")
        return array

    def _array(self, name: str) -> pa.Array | None:
        if name not in self._source.places:
            return None
        array = self._source.read(self._number, [name])[name].combine_chunks()
        return array if self._selected is None else array.take(pa.array(self._selected))


def _counts(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind))


def _decoded(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.cast(column, column.type.value_type) if pa.types.is_dictionary(column.type) else column
