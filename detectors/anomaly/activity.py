"""When was each source, and each host within it, heard? Ten-second slots per (source, host), merged over the chunks of a scan."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from detectors.anomaly.base import SECOND, Ints, dated, exercise_rows, living, names, times
from store.base import Chunk

SLOT: Final = 10 * SECOND
"""Events closer than this are one sign of life."""
Key = tuple[str, str]
"""(source id, host name); host "" = the source as a whole."""


@dataclass
class Heard:
    """Signs of life of one key in this scan."""

    slots: Ints
    """Slot numbers (time // SLOT), sorted, each once."""
    last: int
    """Newest event, microseconds."""
    arrived: int
    """Arrival of that event, microseconds; 0 = unknown."""
    first_arrival: int
    """Earliest arrival in this scan."""
    exercise: bool


def hear(chunks: Iterable[Chunk]) -> dict[Key, Heard]:
    """Everything heard in these chunks. Records without a time of their own count only for who sends nothing else."""
    with_time, without = _Heard(), _Heard()
    for chunk in chunks:
        if chunk.rows:
            live, known = living(chunk), dated(chunk)
            _chunk(chunk, np.flatnonzero(live & known), with_time)
            _chunk(chunk, np.flatnonzero(live & ~known), without)
    return {**without.keys(), **with_time.keys()}


@dataclass
class _Heard:
    slots: dict[Key, list[Ints]] = field(default_factory=dict)
    edges: dict[Key, tuple[int, int, int, bool]] = field(default_factory=dict)

    def keys(self) -> dict[Key, Heard]:
        """By key."""
        return {key: Heard(np.unique(np.concatenate(parts)), *self.edges[key]) for key, parts in self.slots.items()}


def _chunk(chunk: Chunk, live: Ints, out: _Heard) -> None:
    source, sources = names(chunk.column("thapcanh.source"), chunk.rows)
    host, hosts = names(chunk.column("host.name"), chunk.rows)
    exercise = exercise_rows(chunk)
    moments, arrivals = times(chunk)[live], times(chunk, field="event.ingested")[live]
    for codes, whole in ((source[live], True), (source[live] * len(hosts) + host[live], False)):
        order = np.lexsort((moments, codes))
        bounds = np.flatnonzero(np.diff(codes[order], prepend=-1, append=-1))
        for start, end in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
            code, rows = int(codes[order[start]]), order[start:end]
            key = (sources[code], "") if whole else (sources[code // len(hosts)], hosts[code % len(hosts)])
            if key[0] and (whole or key[1]):
                out.slots.setdefault(key, []).append(np.unique(moments[rows] // SLOT))
                last = int(rows[-1])
                _edge(out.edges, key, (int(moments[last]), int(arrivals[last]), int(arrivals[rows].min()), bool(exercise[live[last]])))


def _edge(edges: dict[Key, tuple[int, int, int, bool]], key: Key, seen: tuple[int, int, int, bool]) -> None:
    old = edges.get(key)
    if old is None:
        edges[key] = seen
        return
    newer = max(old, seen, key=lambda e: e[0])
    edges[key] = (newer[0], newer[1], min(old[2], seen[2]), newer[3])
