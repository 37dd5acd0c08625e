"""Writing the events of one delivery: bulk `create` under `event.id`, so that doing it again does no harm, and what became of each."""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pyarrow as pa

from domain import fields
from domain.errors import StoreError
from domain.raw import Int64s
from domain.text import one_line
from store import faults
from store import rows as tables
from store.opensearch import answers
from store.opensearch.client import PATIENCE, Cluster, Lacking, TooLarge
from store.opensearch.deliveries import Slice
from store.opensearch.documents import Block, blocks
from store.opensearch.mapping import DELIVERY, ORDINAL, indexed

_FILTER: Final = "errors,items.create.status,items.create.error.type,items.create.error.reason,items.create.error.caused_by.reason"
_IN_FLIGHT: Final = 2
_HOPELESS: Final = frozenset({
    "mapper_parsing_exception", "illegal_argument_exception", "strict_dynamic_mapping_exception", "document_parsing_exception",
    "parsing_exception", "parse_exception", "too_large",
})  # fmt: skip
_ASKED: Final = 2_000

Ranges = dict[str, list[tuple[int, int]]]
"""Delivery -> ranges of ordinals, both ends in."""


@dataclass
class Fate:
    """What became of the events of one table."""

    slices: list[Slice] = field(default_factory=list)
    duplicates: list[int] = field(default_factory=list)
    """Rows that were stored before."""
    refused: dict[int, str] = field(default_factory=dict)
    """Row -> why the cluster will not take it."""


def write(
    cluster: Cluster, index: str, partition: str, table: pa.Table, mine: tuple[str, int], committed: Callable[[Sequence[str]], Ranges]
) -> Fate:
    """Store the table in an index. `mine`: (delivery, ordinal of the first row). `committed`: which ordinals of deliveries are in the log.

    StoreError when the cluster does not take it in time; what it took then is found again by the next try.
    """
    delivery, first = mine
    ordinals = np.arange(first, first + table.num_rows, dtype=np.int64)
    fate = Fate()
    there = _create(cluster, index, table, delivery, ordinals, fate)
    owners: dict[int, tuple[str, int]] = _owners(cluster, index, table, there) if there else {}
    strange = sorted({owner for owner, _ in owners.values()} - {delivery})
    known = committed(strange) if strange else {}
    adopted: dict[str, list[int]] = {}
    for row, (owner, ordinal) in owners.items():
        if owner == delivery and ordinal == ordinals[row]:
            continue  # our own, of a request whose answer was lost
        if owner == delivery or any(low <= ordinal <= high for low, high in known.get(owner, ())):
            fate.duplicates.append(row)
        else:
            adopted.setdefault(owner, []).append(row)
    gone = {*fate.duplicates, *fate.refused, *(r for found in adopted.values() for r in found)}
    own = np.setdiff1d(np.arange(table.num_rows), np.array(sorted(gone), dtype=np.int64))
    if len(own):
        fate.slices.append(_slice(table, own, (delivery, ordinals[own]), partition, index))
    for owner, found in sorted(adopted.items()):
        picked = np.array(sorted(found, key=lambda row: owners[row][1]), dtype=np.int64)
        places = np.array([owners[row][1] for row in picked.tolist()], dtype=np.int64)
        fate.slices.append(_slice(table, picked, (owner, places), partition, index))
    return fate


def ranges(ordinals: Int64s) -> list[tuple[int, int]]:
    """Sorted numbers as ranges, both ends in."""
    if not len(ordinals):
        return []
    breaks = np.flatnonzero(np.diff(ordinals) != 1)
    starts, ends = np.r_[0, breaks + 1], np.r_[breaks, len(ordinals) - 1]
    return [(int(ordinals[a]), int(ordinals[b])) for a, b in zip(starts, ends, strict=True)]


def _slice(table: pa.Table, picked: Int64s, where: tuple[str, Int64s], partition: str, index: str) -> Slice:
    part = table if len(picked) == table.num_rows else table.take(pa.array(picked))
    times = tables.micros(part, "@timestamp")
    return Slice(
        where[0], ranges(where[1]), partition, index, part.num_rows, int(times.min()), int(times.max()),
        tables.coverage(part), tables.sources(part),
    )  # fmt: skip


def _create(cluster: Cluster, index: str, table: pa.Table, delivery: str, ordinals: Int64s, fate: Fate) -> list[int]:
    """Send everything; rows that were there already. What is busy is sent again, what is refused is noted in `fate`."""
    there: list[int] = []
    rows = np.arange(table.num_rows, dtype=np.int64)
    demoted: frozenset[str] = frozenset()
    end, pause = time.monotonic() + PATIENCE, 0.1
    while len(rows):
        part = table if len(rows) == table.num_rows else table.take(pa.array(rows))
        again: list[int] = []
        crowded: list[int] = []
        why = ""
        for block, items in _sent(cluster, index, blocks(part, delivery, ordinals[rows], demoted=demoted)):
            for offset, item in enumerate(items):
                status, row = int(item["status"]), int(rows[block.start + offset])
                if status == 409:
                    there.append(row)
                elif status >= 400 and not _for_good(item):
                    _stopped(cluster, index, item)
                    again.append(row)
                    why = _reason(item)
                elif status >= 400 and "Limit of " in _reason(item) and not demoted:
                    crowded.append(row)
                elif status >= 400:
                    fate.refused[row] = _reason(item)
        if crowded:
            demoted = frozenset(n for n in table.column_names if _made_up(n))
            rows = np.array(sorted({*again, *crowded}), dtype=np.int64)
            continue
        rows = np.array(sorted(again), dtype=np.int64)
        if len(rows) == 0:
            break
        if time.monotonic() + pause > end:
            raise StoreError(
                f"the cluster does not take {len(rows)} of {table.num_rows} events: {why}", where=f"{cluster.where}/{index}", hint=_HINT
            )
        time.sleep(pause * (0.5 + random.random()))  # noqa: S311  spreads retries, guards nothing
        pause = min(2 * pause, 5.0)
    return sorted(there)


_HINT: Final = "they are read again by the next collection; is its disk full (soc doctor)?"


def _sent(cluster: Cluster, index: str, bodies: Iterator[Block]) -> Iterator[tuple[Block, Sequence[Mapping[str, Any]]]]:
    """(block, items that are not plain successes by position); the next blocks are built while the cluster works."""

    def send(block: Block) -> Sequence[Mapping[str, Any]]:
        try:
            path = f"/{index}/_bulk"
            if not cluster.call("POST", path, block.body, {"filter_path": "errors"})["errors"]:
                return ()
            answer = cluster.call("POST", path, block.body, {"filter_path": _FILTER})  # again: what was made is there, and known as ours
        except TooLarge as error:
            if block.rows == 1:
                return ({"status": error.status, "error": {"type": error.kind, "reason": error.reason}},)
            return [item for half in block.halves() for item in send(half) or ({"status": 201},) * half.rows]
        items = [item["create"] for item in answer["items"]] if answer["errors"] else []
        if items and len(items) != block.rows:
            raise StoreError(f"{len(items)} answers to {block.rows} events", where=f"{cluster.where}/{index}", hint="run it again")
        return items

    waiting: deque[tuple[Block, Future[Sequence[Mapping[str, Any]]]]] = deque()
    with ThreadPoolExecutor(_IN_FLIGHT) as pool:
        for block in bodies:
            waiting.append((block, pool.submit(send, block)))
            if len(waiting) > _IN_FLIGHT:
                done, future = waiting.popleft()
                yield done, future.result()
                faults.point("in-bulk")
        for done, future in waiting:
            yield done, future.result()


def _owners(cluster: Cluster, index: str, table: pa.Table, there: Sequence[int]) -> dict[int, tuple[str, int]]:
    """Row -> (delivery, ordinal) of the document that is there."""
    ids = table["event.id"]
    out: dict[int, tuple[str, int]] = {}
    for start in range(0, len(there), _ASKED):
        part = there[start : start + _ASKED]
        names = [ids[row].as_py().hex() for row in part]
        for row, doc in zip(part, cluster.documents(index, names, {"_source_includes": f"{DELIVERY},{ORDINAL}"}), strict=True):
            source = doc.get("_source", {})
            if DELIVERY not in source or ORDINAL not in source:
                what = "was deleted while it was written" if not doc.get("found") else "was written by somebody else"
                raise StoreError(f"event {doc['_id']} {what}", where=f"{cluster.where}/{index}", hint="nothing is counted; run it again")
            out[row] = (str(source[DELIVERY]), int(source[ORDINAL]))
    return out


def _for_good(item: Mapping[str, Any]) -> bool:
    """Whether this event will never be taken: it goes to the dead letters. Whatever else stands in the way passes, or concerns all."""
    return int(item["status"]) in (400, 413) and (item.get("error") or {}).get("type") in _HOPELESS


def _stopped(cluster: Cluster, index: str, item: Mapping[str, Any]) -> None:
    """StoreError where waiting does not help."""
    error, where = item.get("error") or {}, f"{cluster.where}/{index}"
    kind, why = error.get("type"), one_line(str(error.get("reason", "")), 300)
    if kind == "security_exception":
        raise Lacking(why, cluster.access.user, where)
    if kind == "cluster_block_exception" and int(item["status"]) in (403, 429):
        raise answers.blocked(why, where)
    if kind in ("index_closed_exception", "validation_exception"):
        raise StoreError(f"the index takes nothing: {why}", where=where, hint=f"soc doctor; {_HINT}")


def _reason(item: Mapping[str, Any]) -> str:
    error = item.get("error") or {}
    inner = (error.get("caused_by") or {}).get("reason", "")
    return f"{error.get('type', 'error')}: {error.get('reason', '')}{f': {inner}' if inner else ''}"[:500]


def _made_up(name: str) -> bool:
    """A field of an open name space that is in the index."""
    entry = fields.dictionary().get(name)
    return (entry is None or entry.open) and indexed(name)
