"""The protocol of a batch of events, apart from what implements it: contracts name it without loading Arrow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import pyarrow as pa

    from domain.event import Column, Rows


class EventBatch(Protocol):
    """Rows of events with columns read when asked for."""

    @property
    def rows(self) -> int:
        """Number of events."""

    def fields(self) -> Sequence[str]:
        """Names of the columns that hold something."""

    def column(self, name: str, rows: Rows | None = None) -> Column | None:
        """The column, for all rows or only `rows` (codes then follow their order); None when no row has it."""

    def ids(self) -> pa.Array:
        """`event.id` of each row, binary(16)."""
