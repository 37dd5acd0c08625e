"""A Chunk over a table in memory."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from domain.event import Column, Rows, TableBatch


class TableChunk:
    """Events of one parser: read from a cluster, or held by no store yet (sequence 0)."""

    def __init__(self, table: pa.Table, partition: str, span: tuple[int, int] = (0, 0)) -> None:
        self._table = table
        self._batch = TableBatch(table)
        self.partition = partition
        self.first_seq, self.last_seq = span

    @property
    def rows(self) -> int:
        """Number of events."""
        return self._batch.rows

    @property
    def nbytes(self) -> int:
        """Of the table."""
        return int(self._table.nbytes)

    def fields(self) -> Sequence[str]:
        """Names of the columns."""
        return self._batch.fields()

    def column(self, name: str, rows: Rows | None = None) -> Column | None:
        """The column, for all rows or only `rows`."""
        return self._batch.column(name, rows)

    def ids(self) -> pa.Array:
        """`event.id` of each row."""
        return self._batch.ids()

    def table(self, rows: Sequence[int] | Rows | None = None, names: Sequence[str] | None = None) -> pa.Table:
        """These rows and columns; names that no row has are left out."""
        found = self._table if names is None else self._table.select([n for n in names if n in self._table.column_names])
        return found if rows is None else found.take(pa.array(np.asarray(rows, np.int64)))
