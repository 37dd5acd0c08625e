"""Some rows of a chunk, as a chunk."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from domain.event import Column, Rows
from store.base import Chunk


class Picked:
    """Some rows of a chunk."""

    def __init__(self, chunk: Chunk, rows: Rows) -> None:
        self._chunk = chunk
        self._rows = rows
        self.partition = chunk.partition
        self.first_seq = chunk.first_seq
        self.last_seq = chunk.last_seq

    @property
    def rows(self) -> int:
        """Number of events."""
        return len(self._rows)

    @property
    def nbytes(self) -> int:
        """Of the chunk: its values are read whole."""
        return self._chunk.nbytes

    def fields(self) -> Sequence[str]:
        """Names of the columns that hold something."""
        return self._chunk.fields()

    def column(self, name: str, rows: Rows | None = None) -> Column | None:
        """The column, for all rows or only `rows`."""
        return self._chunk.column(name, self._rows if rows is None else self._rows[rows])

    def ids(self) -> pa.Array:
        """`event.id` of each row."""
        return self._chunk.ids().take(pa.array(self._rows))

    def table(self, rows: Sequence[int] | Rows | None = None, names: Sequence[str] | None = None) -> pa.Table:
        """These rows and columns as an Arrow table."""
        return self._chunk.table(self._rows if rows is None else self._rows[np.asarray(rows, np.int64)], names)
