"""The protocol of a batch of events, apart from what implements it: contracts name it without loading Arrow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

if TYPE_CHECKING:
    import pyarrow as pa

    from domain.event import Column, Rows


class Columns(Protocol):
    """Rows with columns read when asked for."""

    @property
    def rows(self) -> int:
        """Number of events."""

    def fields(self) -> Sequence[str]:
        """Names of the columns that hold something."""

    def column(self, name: str, rows: Rows | None = None) -> Column | None:
        """The column, for all rows or only `rows` (codes then follow their order); None when no row has it."""


class EventBatch(Columns, Protocol):
    """Rows of events."""

    def ids(self) -> pa.Array:
        """`event.id` of each row, binary(16)."""


class Sought(NamedTuple):
    """What is left to search for words."""

    batch: Columns
    rows: Rows | None
    """Its rows; None = all."""
    at: Rows
    """For each of them its place among the rows that were asked for."""


@runtime_checkable
class Searchable(EventBatch, Protocol):
    """A batch that knows, without reading everything, where words may stand."""

    def search(self, words: Sequence[str], rows: Rows) -> Sought:
        """All text of these rows that may hold one of the words (lower-case, found in whatever case); no words = all text."""


@runtime_checkable
class Stored(EventBatch, Protocol):
    """A batch whose columns are read from somewhere."""

    def read(self, name: str) -> Column | None:
        """The column of all rows, not kept: the caller keeps what it makes of it."""
