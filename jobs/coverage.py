"""Which fields the events of a source really hold, counted as they pass: for sources of which nothing is stored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from jobs.foreign import cursor

if TYPE_CHECKING:
    from jobs.runtime import Runtime

MOST: Final = 2_000
"""Fields of a data set that are counted; rules name far fewer, and names in logs can be anything."""


def elsewhere(runtime: Runtime) -> dict[str, Mapping[str, Mapping[str, int]]]:
    """By read-only source: what its documents held that `soc scan` has read so far."""
    states: dict[str, Any] = {s.id: runtime.store.coordination.state(cursor(s.id)) for s in runtime.config.sources if s.in_place}
    return {source: state.get("coverage", {}) for source, state in states.items()}


class Coverage:
    """By `event.dataset`: field -> number of events that hold it; key "" = number of events (as `EventStore.coverage`)."""

    def __init__(self, before: Mapping[str, Mapping[str, int]]) -> None:
        self._counts = {dataset: dict(held) for dataset, held in before.items()}

    def add(self, table: pa.Table) -> None:
        """Count a table of events."""
        if "event.dataset" not in table.column_names:
            self._count("", table)
            return
        names = pc.fill_null(table["event.dataset"].cast(pa.string()), "")
        for dataset in pc.unique(names).to_pylist():
            self._count(dataset, table.filter(pc.equal(names, dataset)))

    def plain(self) -> dict[str, dict[str, int]]:
        """As JSON."""
        return self._counts

    def _count(self, dataset: str, table: pa.Table) -> None:
        held = self._counts.setdefault(dataset, {})
        held[""] = held.get("", 0) + table.num_rows
        for name in table.column_names:
            n = table.num_rows - table[name].null_count
            if n and (name in held or len(held) < MOST):
                held[name] = held.get(name, 0) + n
