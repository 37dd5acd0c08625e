"""What one batch of a hunt says of its logs: runs of record numbers, and the events in which a log speaks of itself.

Vectorised over the columns that matching has read anyway; only the few records at the edges of runs are parsed once more, for their times.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from collectors.detect import PLAIN, Parsed
from domain.window import TimeWindow
from jobs.hunt_batch import HuntBatch
from jobs.hunt_logs import EDGES, KINDS, MARKS, Mark, Marked, Run, Seen
from jobs.hunt_tasks import Lot

FIELDS: Final = frozenset({"winlog.record_id", "winlog.computer_name", "winlog.channel", "event.code"})
"""What must be read of every event for it."""
_USERS: Final = ("winlog.event_data.SubjectUserName", "user.name", "winlog.user.name")
_OF_MARKS: Final = frozenset({"@timestamp", "winlog.event_data.Channel", *_USERS})


def observe(lot: Lot, groups: Sequence[Parsed]) -> Seen:
    """Look at one batch after parsing; a few of its records are parsed once more, for their times."""
    out = Seen()
    for group in groups:
        if group.parser == PLAIN or not group.table.num_rows:
            continue
        runs, marks = _windows(group) if group.parser == "windows" else ({}, {})
        edges = {row for run in runs.values() for row in run.rows}
        rows = np.array(sorted({0, group.table.num_rows - 1, *edges, *marks}), np.int32)
        known = HuntBatch(lot.batch, group).whole(rows, _OF_MARKS if marks else frozenset({"@timestamp"}))
        stamps = dict(zip(rows.tolist(), _micros(known), strict=True))
        out.span.add(*stamps.values())
        for key, numbers in runs.items():
            out.runs[key] = (numbers.records, numbers.timed(stamps))
        if marks:
            details = dict(zip(rows.tolist(), known.to_pylist(), strict=True))
            for row, what in sorted(marks.items()):
                record = group.rows[row]
                where = (lot.labels[int(lot.owners[record])], int(lot.batch.positions[record]))
                out.marks.append(_mark(where, what, stamps[row], details[row]))
    return out


def inside(table: pa.Table, window: TimeWindow) -> np.ndarray[Any, Any]:
    """Which rows lie in a period; those without a time always do."""
    start, end = window.micros
    times = [start if at is None else at for at in _micros(table)]
    return np.array([start <= at < end for at in times], np.bool_)


def _micros(table: pa.Table) -> list[int | None]:
    if "@timestamp" not in table.column_names:
        return [None] * table.num_rows
    return table["@timestamp"].cast(pa.timestamp("us", "UTC")).cast(pa.int64()).to_pylist()


@dataclass
class _Numbers:
    """Record numbers of one log in one batch: sorted, each once, with the row that bears it."""

    records: int
    numbers: np.ndarray[Any, Any]
    places: np.ndarray[Any, Any]
    breaks: np.ndarray[Any, Any]
    """Positions in `numbers` after which a hole follows."""
    looked: frozenset[int]
    """Positions whose times are looked up."""

    @property
    def rows(self) -> list[int]:
        """Rows of the batch to look at."""
        return [int(self.places[i]) for i in self.looked]

    def timed(self, stamps: Mapping[int, int | None]) -> list[Run]:
        """The runs."""
        starts = [0, *(self.breaks + 1).tolist()]
        ends = [*self.breaks.tolist(), len(self.numbers) - 1]
        at = {i: stamps.get(int(self.places[i])) for i in self.looked}
        return [Run(int(self.numbers[a]), int(self.numbers[b]), at.get(a), at.get(b)) for a, b in zip(starts, ends, strict=True)]


def _windows(group: Parsed) -> tuple[dict[tuple[str, str], _Numbers], dict[int, tuple[str, str, str]]]:
    """(numbers by log, row -> (kind, host, channel) of the marks)."""
    size = group.table.num_rows
    host, hosts = _coded(group.table, "winlog.computer_name", size)
    channel, channels = _coded(group.table, "winlog.channel", size)
    code, codes = _coded(group.table, "event.code", size)
    return _logs(group, (host, hosts), (channel, channels)), _marks((host, hosts), (channel, channels), (code, codes))


_Coded = tuple[np.ndarray[Any, Any], list[str]]


def _coded(table: pa.Table, name: str, size: int) -> _Coded:
    """Codes (the last name is "": missing) and names of a text column."""
    if name not in table.column_names:
        return np.zeros(size, np.int64), [""]
    column = table[name].combine_chunks() if isinstance(table[name], pa.ChunkedArray) else table[name]
    coded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    names = [str(v or "") for v in coded.dictionary.to_pylist()]
    return pc.fill_null(coded.indices, len(names)).to_numpy(zero_copy_only=False).astype(np.int64), [*names, ""]


def _logs(group: Parsed, host: _Coded, channel: _Coded) -> dict[tuple[str, str], _Numbers]:
    numbers = _record_ids(group.table)
    if numbers is None:
        return {}
    width = len(channel[1])
    pair = host[0] * width + channel[0]
    known = np.flatnonzero(numbers >= 0)
    order = known[np.lexsort((numbers[known], pair[known]))]
    bounds = np.flatnonzero(np.diff(pair[order])) + 1
    out: dict[tuple[str, str], _Numbers] = {}
    for part in np.split(order, bounds) if len(order) else ():
        found = int(pair[part[0]])
        key = (host[1][found // width], channel[1][found % width])
        if key[1] and key not in out:
            out[key] = _numbers(numbers[part], part)
    return out


def _numbers(numbers: np.ndarray[Any, Any], rows: np.ndarray[Any, Any]) -> _Numbers:
    new = np.ones(len(numbers), np.bool_)
    new[1:] = numbers[1:] != numbers[:-1]
    distinct, places = numbers[new], rows[new]
    steps = np.diff(distinct)
    breaks = np.flatnonzero(steps > 1)
    widest = breaks if len(breaks) <= EDGES else breaks[np.argpartition(-steps[breaks], EDGES)[:EDGES]]
    looked = {0, len(distinct) - 1, *widest.tolist(), *(widest + 1).tolist()}
    return _Numbers(len(numbers), distinct, places, breaks, frozenset(looked))


def _record_ids(table: pa.Table) -> np.ndarray[Any, Any] | None:
    """Record numbers, -1 where there is none."""
    if "winlog.record_id" not in table.column_names:
        return None
    column = (
        table["winlog.record_id"].combine_chunks() if isinstance(table["winlog.record_id"], pa.ChunkedArray) else table["winlog.record_id"]
    )
    texts = column.cast(pa.string()) if pa.types.is_dictionary(column.type) else column
    try:
        found = pc.cast(texts, pa.int64())
    except pa.ArrowInvalid:
        valid = pc.if_else(pc.match_substring_regex(texts, r"\A[0-9]{1,18}\z"), texts, pa.scalar(None, pa.string()))
        found = pc.cast(valid, pa.int64())
    return pc.fill_null(found, -1).to_numpy(zero_copy_only=False)


def _marks(host: _Coded, channel: _Coded, code: _Coded) -> dict[int, tuple[str, str, str]]:
    if not {c for _, c in KINDS} & set(code[1]):
        return {}
    out: dict[int, tuple[str, str, str]] = {}
    for (where, number), kind in KINDS.items():
        if where in channel[1] and number in code[1]:
            rows = np.flatnonzero((channel[0] == channel[1].index(where)) & (code[0] == code[1].index(number)))
            out.update({int(row): (kind, host[1][host[0][row]], where) for row in rows[:MARKS].tolist()})
    return out


def _mark(where: tuple[str, int], what: tuple[str, str, str], at: int | None, known: Mapping[str, Any]) -> tuple[Mark, Marked]:
    """`where`: source and record; `what`: kind, host, channel; `known`: fields of the event."""
    kind, host, channel = what
    user = next((str(known[n]) for n in _USERS if known.get(n)), "")
    cleared = str(known.get("winlog.event_data.Channel") or channel) if kind == "cleared" else channel
    return Mark(kind, host, cleared, user), Marked(1, at, at, *where)
