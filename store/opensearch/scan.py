"""Reading events in the order of the log: each entry's documents by (delivery, ordinal), numbered, counted."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from domain.errors import StoreError
from domain.raw import Int64s
from domain.window import TimeWindow
from store.memory import TableChunk
from store.opensearch.documents import columns_of
from store.opensearch.mapping import DELIVERY, ORDINAL

if TYPE_CHECKING:
    from store.opensearch.events import ClusterEvents

ROWS: Final = 20_000
"""Events of a chunk, about: bounds memory."""
KEPT: Final = 64 << 20
"""Bytes of packed events kept in memory for the next detector: about 350,000 events."""
_PAGE: Final = 5_000
_NAMES: Final = 40
"""Indices named one by one in a request; more are asked for by pattern."""
_TRIES: Final = 5


@dataclass(frozen=True)
class _Piece:
    """A part of a slice that is read at once."""

    delivery: str
    low: int
    """Ordinals, both ends in."""
    high: int
    first: int
    """Sequence of `low`."""
    partition: str
    index: str
    whole: bool
    """Whether these are all events that the delivery has in the index."""

    @property
    def rows(self) -> int:
        return self.high - self.low + 1


def scan(
    events: ClusterEvents, after: int, upto: int, partitions: frozenset[str], window: TimeWindow | None = None
) -> Iterator[TableChunk]:
    """Chunks in sequence order. With a window: of deliveries that touch it."""
    if upto <= after:
        return
    group: list[_Piece] = []
    rows = 0
    for piece in _pieces(events, after, upto, partitions, window):
        if group and rows + piece.rows > ROWS:
            yield from _read(events, group)
            group, rows = [], 0
        group.append(piece)
        rows += piece.rows
    yield from _read(events, group)


def _pieces(events: ClusterEvents, after: int, upto: int, partitions: frozenset[str], window: TimeWindow | None) -> Iterator[_Piece]:
    where: list[dict[str, Any]] = [{"term": {"kind": "delivery"}}, {"range": {"last": {"gt": after}}}, {"range": {"first": {"lte": upto}}}]
    if window is not None:
        start, end = window.micros
        where += [{"range": {"high": {"gte": start}}}, {"range": {"low": {"lt": end}}}]
    for entry in events.log.find(where, events.view.at, exclude="slices.coverage"):
        sequence = int(entry["first"])
        for part in entry["slices"]:
            for low, high in part["ordinals"]:
                wanted = (not partitions or part["partition"] in partitions) and (window is None or _touches(part, window))
                begin, end = max(low, low + after + 1 - sequence), min(high, low + upto - sequence)
                whole = len(part["ordinals"]) == 1 and (begin, end) == (low, high) and high - low < ROWS
                for at in range(begin, end + 1, ROWS) if wanted else ():
                    yield _Piece(
                        part["delivery"], at, min(at + ROWS - 1, end), sequence + at - low, part["partition"], part["index"], whole
                    )
                sequence += high - low + 1


def _touches(part: Mapping[str, Any], window: TimeWindow) -> bool:
    start, end = window.micros
    return bool(part["high"] >= start and part["low"] < end)


def _read(events: ClusterEvents, group: Sequence[_Piece]) -> Iterator[TableChunk]:
    """The events of several pieces; those that were read last are still at hand, for the next detector."""
    if not group:
        return
    known = events.recent.get(group)
    if known is None:
        known = list(_fetched(events, group))
        events.recent.put(group, known)
    yield from known


class Recent:
    """Chunks read last, packed: several detectors go over the same events one after the other."""

    def __init__(self) -> None:
        self._kept: dict[tuple[_Piece, ...], list[_Packed]] = {}

    def get(self, group: Sequence[_Piece]) -> list[TableChunk] | None:
        """The chunks of exactly these pieces."""
        found = self._kept.get(tuple(group))
        return None if found is None else [packed.chunk() for packed in found]

    def put(self, group: Sequence[_Piece], chunks: Sequence[TableChunk]) -> None:
        """Keep them; the oldest go when there is too much."""
        self._kept[tuple(group)] = [_Packed.of(chunk) for chunk in chunks]
        while len(self._kept) > 1 and sum(packed.body.size for kept in self._kept.values() for packed in kept) > KEPT:
            del self._kept[next(iter(self._kept))]


@dataclass(frozen=True)
class _Packed:
    """A chunk in a sixth of the memory; packing and unpacking 100,000 events takes a tenth of a second, fetching them five."""

    body: pa.Buffer
    """Its table as a compressed Arrow stream."""
    partition: str
    span: tuple[int, int]
    """First and last sequence."""

    @classmethod
    def of(cls, chunk: TableChunk) -> _Packed:
        """What is needed to make the chunk again."""
        table, stream = chunk.table(), pa.BufferOutputStream()
        with pa.ipc.new_stream(stream, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as out:
            out.write_table(table)
        return cls(stream.getvalue(), chunk.partition, (chunk.first_seq, chunk.last_seq))

    def chunk(self) -> TableChunk:
        """The chunk, as it was."""
        return TableChunk(pa.ipc.open_stream(self.body).read_all(), self.partition, self.span)


def _fetched(events: ClusterEvents, group: Sequence[_Piece]) -> Iterator[TableChunk]:
    """The events of several pieces, as one chunk for each parser. What retention removed is left out, what is lost an error."""
    for attempt in range(_TRIES):
        events.cluster.refresh(_names(events, group))
        table, own = columns_of(_hits(events, group))
        found = _placed(group, own)
        short = [p for p, rows in zip(group, found, strict=True) if len(rows) != p.rows and p.index in events.catalog.catch_up()]
        if not short:
            break
        if attempt == _TRIES - 1:
            piece = short[0]
            raise StoreError(
                f"{piece.rows - len(found[group.index(piece)])} of {piece.rows} events of delivery {piece.delivery} are not in the index",
                where=f"{events.cluster.where}/{piece.index}", hint="soc store verify; restore the index from a snapshot",
            )  # fmt: skip
        time.sleep(0.2 * (attempt + 1))
    for partition in dict.fromkeys(p.partition for p in group):
        pairs = [(piece, rows) for piece, rows in zip(group, found, strict=True) if piece.partition == partition and len(rows)]
        if pairs:
            rows = np.concatenate([r for _, r in pairs])
            sequences = np.concatenate([piece.first + own_ordinals(own, r) - piece.low for piece, r in pairs])
            part = table.take(pa.array(rows))
            filled = part.select([n for n in part.column_names if part[n].null_count < len(rows)])
            yield TableChunk(filled, partition, (int(sequences.min()), int(sequences.max())))


_GONE: Final = {"ignore_unavailable": "true", "allow_no_indices": "true"}


def own_ordinals(own: Mapping[str, Sequence[Any]], rows: Int64s) -> Int64s:
    """Ordinals of these rows."""
    return np.asarray(own[ORDINAL], dtype=np.int64)[rows]


def _names(events: ClusterEvents, group: Sequence[_Piece]) -> str:
    names = sorted({p.index for p in group})
    return ",".join(names) if len(names) <= _NAMES else f"{events.prefix}-events-*"


def _hits(events: ClusterEvents, group: Sequence[_Piece]) -> list[dict[str, Any]]:
    body: dict[str, Any] = {
        "query": {"bool": {"filter": [_chosen(group)]}}, "sort": [{DELIVERY: "asc"}, {ORDINAL: "asc"}],
        "size": _PAGE, "track_total_hits": False,
    }  # fmt: skip
    out: list[dict[str, Any]] = []
    while True:
        hits = events.cluster.search(_names(events, group), body)
        out += hits
        if len(hits) < _PAGE:
            return out
        body["search_after"] = hits[-1]["sort"]


def _chosen(group: Sequence[_Piece]) -> dict[str, Any]:
    """Whole deliveries by name; parts of long ones by their ordinals too."""
    whole = sorted({p.delivery for p in group if p.whole})
    spans: dict[str, tuple[int, int]] = {}
    for piece in group:
        if not piece.whole:
            low, high = spans.get(piece.delivery, (piece.low, piece.high))
            spans[piece.delivery] = min(low, piece.low), max(high, piece.high)
    either: list[dict[str, Any]] = [{"terms": {DELIVERY: whole}}] if whole else []
    for name, (low, high) in spans.items():
        either.append({"bool": {"filter": [{"term": {DELIVERY: name}}, {"range": {ORDINAL: {"gte": low, "lte": high}}}]}})
    return {"bool": {"should": either, "minimum_should_match": 1}}


def _placed(group: Sequence[_Piece], own: Mapping[str, Sequence[Any]]) -> list[Int64s]:
    """For each piece the rows that are its events, by ordinal."""
    if not own:
        return [np.empty(0, dtype=np.int64) for _ in group]
    deliveries = np.asarray(own[DELIVERY])
    ordinals = np.asarray(own[ORDINAL], dtype=np.int64)
    out = []
    for piece in group:
        low, high = np.searchsorted(deliveries, piece.delivery, "left"), np.searchsorted(deliveries, piece.delivery, "right")
        inside = np.flatnonzero((ordinals[low:high] >= piece.low) & (ordinals[low:high] <= piece.high)) + low
        out.append(inside.astype(np.int64))
    return out
